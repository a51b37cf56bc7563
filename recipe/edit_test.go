package recipe

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"
)

func TestApply(t *testing.T) {
	const text = `# A recipe.
corpus: data/täxt   # the text
seed: 1             # of every draw
curriculum:
  # easy first
  - metric: rarity
    pace: {kind: linear, from: 1, to: 100, until: 40%}   # é, slowly
  - metric: length
    pace:
      kind: linear
      from: "64"
optimizer: {rate: 2e-3, decay: 'cosine'}
`
	for _, c := range []struct {
		path  []any
		value any
		was   string
		is    string
	}{
		{[]any{"seed"}, uint64(17), "seed: 1 ", "seed: 17 "},
		{[]any{"curriculum", 0, "pace", "from"}, 25.0, "from: 1,", "from: 25,"},
		{[]any{"curriculum", 0, "pace", "until"}, "12.5%", "until: 40%}", "until: 12.5%}"},
		{[]any{"curriculum", 1, "pace", "from"}, 128, `from: "64"`, "from: 128"},
		{[]any{"optimizer", "rate"}, 0.00283, "rate: 2e-3", "rate: 0.00283"},
		{[]any{"optimizer", "decay"}, "linear", "decay: 'cosine'", "decay: linear"},
		{[]any{"corpus"}, "my data", "data/täxt ", `"my data" `},
		{[]any{"optimizer", "clip"}, 1.5, "{rate", "{clip: 1.5, rate"},
		{[]any{"curriculum", 1, "by"}, "value", "  - metric: length", "  - by: value\n    metric: length"},
		{[]any{"evaluate", "every"}, "0.3%", "corpus: ", "evaluate: {every: 0.3%}\ncorpus: "},
		{[]any{"at", "25%", "optimizer", "rate"}, 1e-7, "corpus: ", "at: {25%: {optimizer: {rate: 1e-7}}}\ncorpus: "},
	} {
		got, err := Apply("x.yaml", []byte(text), Edit{c.path, c.value})
		if err != nil {
			t.Fatalf("%v: %v", c.path, err)
		}
		if strings.Count(text, c.was) != 1 {
			t.Fatalf("%q is in the text %d times", c.was, strings.Count(text, c.was))
		}
		if want := strings.Replace(text, c.was, c.is, 1); string(got) != want {
			t.Errorf("%s = %v:\n%s\nwant\n%s", Edit{Path: c.path}.At(), c.value, got, want)
		}
	}

	// What cannot be changed alone is written anew, and says the same.
	const shared = "# two of a kind\na: &p {from: 1, to: 2}\nb: *p\n"
	got, err := Apply("x.yaml", []byte(shared), Edit{[]any{"b", "from"}, 5}, Edit{[]any{"a", "to"}, 7})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(got, &v); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(v); s != "map[a:map[from:1 to:7] b:map[from:5 to:2]]" {
		t.Errorf("%s is %s", got, s)
	}

	for _, path := range [][]any{{"curriculum", 2, "pace"}, {"seed", "x"}, {"corpus", 0}, {"curriculum", "pace"}} {
		if got, err := Apply("x.yaml", []byte(text), Edit{path, 1}); err == nil || !strings.Contains(err.Error(), Edit{Path: path}.At()) {
			t.Errorf("%v: %v\n%s", path, err, got)
		}
	}
}

// An edited file says what it said, but for the edit, whatever it looks like.
func TestApplyAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		var draw func(indent string, depth int) any
		scalar := func() (string, any) {
			s := rapid.SampledFrom([]string{"1", "2.5", "40%", `"a b"`, "'c'", "x/y", `"q\"r"`, "-3", "true", `"ü"`}).Draw(t, "scalar")
			var v any
			if err := yaml.Unmarshal([]byte(s), &v); err != nil {
				t.Fatal(err)
			}
			return s, v
		}
		comment := func() string {
			return rapid.SampledFrom([]string{"", "  # ö: {x: 1}", " # said"}).Draw(t, "comment")
		}
		draw = func(indent string, depth int) any {
			m := map[string]any{}
			for i := range rapid.IntRange(1, 3).Draw(t, "keys") {
				key := fmt.Sprint(string(rune('a'+i)), depth)
				switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
				case kind == 1 && depth < 3:
					fmt.Fprintf(&text, "%s%s:%s\n", indent, key, comment())
					m[key] = draw(indent+"  ", depth+1)
				case kind == 2:
					s, v := scalar()
					fmt.Fprintf(&text, "%s%s: {k: %s, l: 2}%s\n", indent, key, s, comment())
					m[key] = map[string]any{"k": v, "l": uint64(2)}
				case kind == 3:
					s, v := scalar()
					fmt.Fprintf(&text, "%s%s:\n%s- m: %s%s\n%s  n: 1\n%s- 7\n", indent, key, indent, s, comment(), indent, indent)
					m[key] = []any{map[string]any{"m": v, "n": uint64(1)}, uint64(7)}
				default:
					s, v := scalar()
					fmt.Fprintf(&text, "%s%s: %s%s\n", indent, key, s, comment())
					m[key] = v
				}
			}
			return m
		}
		tree := draw("", 0)
		// Choose a place: down to a scalar, or to a key that is not there.
		var path []any
		at := tree
		for {
			if list, ok := at.([]any); ok {
				i := rapid.IntRange(0, len(list)-1).Draw(t, "item")
				path, at = append(path, i), list[i]
				continue
			}
			m, ok := at.(map[string]any)
			if !ok {
				break
			}
			keys := []string{"new"}
			for k := range m {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			key := rapid.SampledFrom(keys).Draw(t, "key")
			path = append(path, key)
			if at, ok = m[key]; !ok {
				if rapid.Bool().Draw(t, "deeper") {
					path = append(path, "inner")
				}
				break
			}
		}
		word, value := scalar()
		given := value
		if f, ok := value.(uint64); ok {
			given = float64(f)
		}
		got, err := Apply("x.yaml", []byte(text.String()), Edit{path, given})
		if err != nil {
			t.Fatalf("%v = %s in\n%s: %v", path, word, text.String(), err)
		}
		var is any
		if err := yaml.Unmarshal(got, &is); err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		tree = assign(tree, path, value)
		if !reflect.DeepEqual(is, tree) {
			t.Fatalf("%v = %s in\n%s\ngives\n%s\n%v, want %v", path, word, text.String(), got, is, tree)
		}
		if n := strings.Count(text.String(), "#"); strings.Count(string(got), "#") != n {
			t.Fatalf("comments were lost: %v = %s in\n%s\ngives\n%s", path, word, text.String(), got)
		}
	})
}

// assign sets a value in a tree of maps and lists, in the plainest way.
func assign(tree any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	if i, ok := path[0].(int); ok {
		list := tree.([]any)
		list[i] = assign(list[i], path[1:], value)
		return list
	}
	m, _ := tree.(map[string]any)
	if m == nil {
		m = map[string]any{}
	}
	m[path[0].(string)] = assign(m[path[0].(string)], path[1:], value)
	return m
}
