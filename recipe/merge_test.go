package recipe_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/gradus-ml/gradus/recipe"
	"pgregory.net/rapid"
)

// mergePatch is RFC 7396, section 2, word for word, on plain values.
func mergePatch(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = map[string]any{}
	}
	for name, value := range p {
		if value == nil {
			delete(t, name)
		} else {
			t[name] = mergePatch(t[name], value)
		}
	}
	return t
}

// values are recipes of any form: parameters of paces may be called anything, so that
// a recipe of one metric holds what is drawn.
func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if depth == 0 {
			kind %= 5
		}
		switch kind {
		case 0:
			return nil
		case 1:
			return rapid.SampledFrom([]string{"40%", "word", "with, comma", "a: b", "", "null", "3", "[x", "# no comment", "'q'", "- dash", "two\nlines", "true"}).Draw(t, "word")
		case 2:
			return float64(rapid.IntRange(-5, 5).Draw(t, "number"))
		case 3:
			return rapid.Bool().Draw(t, "bool")
		case 4:
			return []any{}
		case 5:
			return rapid.SliceOfN(values(depth-1), 0, 3).Draw(t, "list")
		}
		return pairs(t, depth)
	})
}

func pairs(t *rapid.T, depth int) any {
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "keys") {
		m[rapid.SampledFrom([]string{"a", "b", "c", "kind d", "e: f"}).Draw(t, "key")] = values(depth-1).Draw(t, "value")
	}
	return m
}

// A merged file says what RFC 7396 says, in one way to write it and in the other.
func TestMergeAgainstRFC7396(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, over := pairs(t, 3), pairs(t, 3)
		write := func(v any) []byte {
			if rapid.Bool().Draw(t, "json") {
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			text, err := yaml.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		first, second := write(base), write(over)
		var got any
		f, err := recipe.ParseFile("base.yaml", first)
		if err == nil {
			err = decodeMerged(f, "over.yaml", second, &got)
		}
		if err != nil {
			t.Fatalf("%v\n%s---\n%s", err, first, second)
		}
		if want := mergePatch(plain(t, first), plain(t, second)); !reflect.DeepEqual(normal(t, got), normal(t, want)) {
			t.Fatalf("%s---\n%s---\nmerge to %#v, want %#v", first, second, normal(t, got), normal(t, want))
		}
	})
}

// decodeMerged merges without the checks of keys, which what is drawn does not pass.
func decodeMerged(f *recipe.File, path string, patch []byte, v any) error {
	over, err := recipe.ParseFile(path, patch)
	if err != nil {
		return err
	}
	merged, err := f.Merge(over.Whole())
	if err != nil {
		return err
	}
	return yaml.Unmarshal(merged.Text(), v)
}

func plain(t *rapid.T, text []byte) any {
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return normal(t, v)
}

// normal is a value as JSON reads it.
func normal(t *rapid.T, v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var n any
	if err := json.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Messages about a merged recipe name the line of the file that said so, and anchors
// reach across patches as they did before.
func TestMergedLines(t *testing.T) {
	f, err := recipe.ParseFile("base.yaml", []byte(strings.Replace(good, "window: 256", "window: &w 256", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ patch, says string }{
		{"batch:\n  size: 16\noptimizer: {rate: -1}", "over.yaml:3: optimizer"},
		{"# nothing\n\nbudget: {tokens: -5}\n", "over.yaml:3: budget"},
		{"model: {heads: 3}", "over.yaml:1: model: "},
		{"curriculum: null\nrouting: {keep: {to: 512}}", "over.yaml:2: routing.keep"},
		{"sample: null", "base.yaml"},
	} {
		p, err := recipe.ParsePatch("over.yaml", []byte(c.patch))
		if err != nil {
			t.Fatal(err)
		}
		merged, err := f.Merge(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := merged.Recipe(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.patch, err, c.says)
		}
	}
	empty, err := f.Merge()
	if err != nil {
		t.Fatal(err)
	}
	again, err := empty.Recipe()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := recipe.Parse("base.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash() != whole.Hash() {
		t.Errorf("without a patch the recipe is another:\n%s", empty.Text())
	}
}

func TestPatchMistakes(t *testing.T) {
	for _, c := range []struct{ patch, says string }{
		{"bath: {size: 3}", `p:1: unknown key "bath"; did you mean "batch"?`},
		{"routing: {keep: {kind: linear, form: 3}}", `p:1: unknown key "form" in routing.keep; did you mean "from"?`},
		{"batch: 3", "p:1: batch must be keys and values"},
		{"a: !!str b", "is a tag of YAML"},
		{"curriculum: {metric: x}", "curriculum must be a list"},
	} {
		if _, err := recipe.ParsePatch("p", []byte(c.patch)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q", c.patch, err, c.says)
		}
	}
	f, err := recipe.ParseFile("bomb.yaml", []byte(bomb()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Merge(); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a file of a billion values: %v", err)
	}
}

// bomb is a file whose anchors stand for 10^9 values.
func bomb() string {
	text := "a0: &a0 [x]\n"
	for i := range 9 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return text
}

// Held-out documents are chosen with a seed of their own, if there is one.
func TestHeldOutSeed(t *testing.T) {
	r := parse(t, good)
	same := parse(t, strings.Replace(good, "held_out: 2%", "held_out: 2%, seed: 1234", 1))
	if same.Hash() != r.Hash() {
		t.Error("the run's own seed, written out, makes another recipe")
	}
	other := parse(t, strings.Replace(good, "held_out: 2%", "held_out: 2%, seed: 5", 1))
	if other.Hash() == r.Hash() || *other.Evaluate.Seed != 5 {
		t.Errorf("another seed makes no other recipe")
	}
	_, err := recipe.Parse("r.yaml", []byte(strings.Replace(good, "held_out: 2%", "corpus: other, seed: 5", 1)))
	if err == nil || !strings.Contains(err.Error(), "r.yaml:20: evaluate.seed: all of evaluate.corpus is evaluated on") {
		t.Errorf("%v", err)
	}
}

func parse(t *testing.T, text string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
