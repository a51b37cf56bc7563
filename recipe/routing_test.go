package recipe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/train"
)

// routed returns the good recipe with other keys of routing.
func routed(keys string) string {
	from, to := strings.Index(good, "routing:"), strings.Index(good, "model:")
	return good[:from] + "routing: {keep: 64, " + keys + "}\n" + good[to:]
}

// However layers are named, they are the same layers, and the same recipe.
func TestRoutedLayers(t *testing.T) {
	hashes := map[string]string{}
	for _, c := range []struct{ keys, want string }{
		{"", "[1 2 3 4]"}, {"layers: inner", "[1 2 3 4]"}, {"layers:", "[1 2 3 4]"},
		{"layers: [1, 2, 3]", "[1 2 3]"}, {"layers: 1-3", "[1 2 3]"}, {`layers: "1 - 3"`, "[1 2 3]"}, {"layers: [1, 2-3]", "[1 2 3]"}, {"layers: [1-2, 3]", "[1 2 3]"},
		{"layers: 2", "[2]"}, {"layers: [2]", "[2]"}, {"layers: 2-2", "[2]"},
		{"layers: every 2", "[1 3]"}, {"layers: every 3", "[1 4]"}, {"layers: every 9", "[1]"},
	} {
		r, err := recipe.Parse("run.yaml", []byte(routed(c.keys)))
		if err != nil {
			t.Errorf("%s: %v", c.keys, err)
			continue
		}
		if got := fmt.Sprint(r.ModelConfig(257).Routed); got != c.want {
			t.Errorf("%s: layers %s, want %s", c.keys, got, c.want)
		}
		if other, ok := hashes[c.want]; ok && other != r.Hash() && !strings.Contains(c.keys, "every") {
			t.Errorf("%s: hash %s, and with other words %s", c.keys, r.Hash(), other)
		}
		hashes[c.want] = r.Hash()
		// The recipe with its defaults, as inspect writes it, is the same one.
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := recipe.Parse("run.yaml", text)
		if err != nil || again.Hash() != r.Hash() {
			t.Errorf("%s: %s\nread again: %v", c.keys, text, err)
		}
	}
}

func TestRoutingMistakes(t *testing.T) {
	for keys, says := range map[string]string{
		"layers: outer":                   "routing.layers: layers must be inner",
		"layers: 3-1":                     "layers must be inner",
		"layers: 1-99999999":              "layers must be inner",
		"layers: [1, x]":                  "layers must be inner",
		"layers: every 0":                 "layers must be inner",
		"layers: 1.5":                     "layers must be inner",
		"layers: {a: 1}":                  "layers must be inner",
		"layers: [1-3, 2]":                "in ascending order",
		"layers: 0-2":                     "the first and the last see every token",
		"layers: 4-5":                     "the first and the last see every token",
		"layers: 7":                       "routed layers [7]",
		"drop: [1, 2]":                    "routing.drop: it has 2 numbers for 4 routed layers, [1 2 3 4]; give one for each",
		"drop: []":                        "routing.drop: it has 0 numbers",
		"layers: [1, 2], drop: [1, -1]":   "routing.drop: layer 2 drops -1 times",
		"layers: [1, 2], drop: [1, .inf]": "routing.drop: layer 2 drops +Inf times",
		"layers: [1, 2], drop: [0, 0]":    "routing.drop: no layer drops a token; write 'policy: none'",
		"layers: 1-2, drop: [1, 2], policy: shared": "routing.drop: by shared layers 1 and 2 keep the same tokens, and here they drop 1 and 2 times as many",
		"always: [last]":        `routing.always: "last" is neither first, special or masked`,
		"always: [-1]":          `"-1" is neither`,
		"always: [1.5]":         `"1.5" is neither`,
		"always: {first: true}": "is neither",
		"always: [masked]":      "the recipe masks nothing: a model of kind gpt predicts everywhere",
	} {
		if _, err := recipe.Parse("run.yaml", []byte(routed(keys))); !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: error %v\nwant it to say %q", keys, err, says)
		}
	}
	external := strings.Replace(mixed, "keep: 64", "{keep: 64, policy: token-bypass}", 1)
	if _, err := recipe.Parse("run.yaml", []byte(external)); !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), "token-bypass learns from the losses") {
		t.Errorf("an external model with token-bypass: error %v", err)
	}
}

// What is kept always has defaults, and to write them out changes nothing.
func TestAlwaysKept(t *testing.T) {
	hash := func(keys string) string {
		r, err := recipe.Parse("run.yaml", []byte(routed(keys)))
		if err != nil {
			t.Fatalf("%s: %v", keys, err)
		}
		return r.Hash()
	}
	for _, same := range [][2]string{
		{"policy: random-ltd", "always: []"},
		{"policy: none", "policy: none, layers: [1], drop: [0.5], always: [first, 7]"},
		{"policy: token-bypass", "policy: token-bypass, always: special"},
		{"always: [7, first, 3]", "always: [3, 7, 3, first]"},
		{"drop: [1, 1, 1, 0.5]", "drop: [1.0, 1, 1e0, 5e-1]"},
	} {
		if hash(same[0]) != hash(same[1]) {
			t.Errorf("%s and %s have different hashes", same[0], same[1])
		}
	}
	if hash("policy: token-bypass") == hash("policy: token-bypass, always: []") {
		t.Error("an empty list does not replace the default")
	}
}

// Each layer drops its share, clocks count exactly that, and what is kept always
// is kept.
func TestRoutingOfBatches(t *testing.T) {
	b := openIn(t, workplace(t), `corpus: a
sample: {documents: true, length: 16, arrange: pack}
batch: {size: 4}
budget: {steps: 6}
routing: {keep: 6, drop: [1, 0.5, 1.2], always: [first, special, 65]}
model: {kind: external, layers: 5}
`)
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	for step := range b.Plan.Steps() {
		made, err := maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		sum := 2 * 16 * 4
		for l, kept := range []int{6, 11, 4} {
			if len(made.Kept[l]) != 4*kept {
				t.Fatalf("step %d, layer %d keeps %d tokens of 4 rows, want %d each", step, l+1, len(made.Kept[l]), kept)
			}
			sum += 4 * kept
			for row := range 4 {
				must, of := made.Always[16*row:16*(row+1)], made.Kept[l][kept*row:kept*(row+1)]
				n := 0
				for at, yes := range must {
					token, first := made.Inputs[16*row+at], made.Positions[16*row+at] == 0
					if padding := made.Labels[16*row+at] == batch.Ignore; yes != (!padding && (first || token == 256 || token == 65)) {
						t.Fatalf("step %d, row %d, position %d holds token %d, first: %v; always kept: %v", step, row, at, token, first, yes)
					}
					if yes && slices.Contains(of, int32(at)) {
						n++
					}
				}
				if all := count(must); n != min(all, kept) {
					t.Errorf("step %d, layer %d, row %d keeps %d of %d positions that are always kept, and %d in all", step, l+1, row, n, all, kept)
				}
			}
		}
		if got := b.Plan.PositionAt(step+1).LayerSum - b.Plan.PositionAt(step).LayerSum; got != int64(sum) {
			t.Errorf("step %d: %d tokens over the layers, want %d", step, got, sum)
		}
	}
}

func count(marks []bool) int {
	n := 0
	for _, yes := range marks {
		if yes {
			n++
		}
	}
	return n
}

// A policy that learns is left to the trainer, which routes by the losses: the run
// is not that of what it would do without any.
func TestLearnerOfRecipe(t *testing.T) {
	dir := workplace(t)
	const text = `corpus: a
sample: {window: 16}
batch: {size: 4}
budget: {steps: 8}
routing: {policy: token-bypass, keep: 6}
model: {kind: gpt, layers: 4, width: 8, heads: 2}
optimizer: {rate: 1e-2}
evaluate: {held_out: 0}
`
	b := openIn(t, dir, text)
	c, err := b.Training(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Learner == nil || c.Learner.Policy != (route.TokenBypass{}) || !slices.Equal(c.Learner.Always.Tokens, []int32{256}) || !c.Model.Shared {
		t.Fatalf("learner %+v of model %+v", c.Learner, c.Model)
	}
	if made, err := c.Batches.Make(0, 0, 1); err != nil || made.Kept != nil {
		t.Errorf("the batch comes with kept positions %v, error %v", made.Kept, err)
	}
	run := func(name string, policy route.Policy, stop int64) string {
		c, err := b.Training(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		c.Learner.Policy = policy
		ctx, cancel := context.WithCancel(t.Context())
		c.Progress = func(p train.Progress) {
			if p.Step.Step == stop {
				cancel()
			}
		}
		_, err = train.Train(ctx, c)
		if stop > 0 {
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("a run that was interrupted ended with %v", err)
			}
			c.Resume = true
			_, err = train.Train(t.Context(), c)
		}
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(filepath.Join(c.Dir, "run.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		losses := ""
		for _, line := range strings.Split(string(log), "\n") {
			if _, after, ok := strings.Cut(line, `"loss":`); ok {
				losses += after[:strings.Index(after, ",")] + "\n"
			}
		}
		return losses
	}
	once, resumed, forgets := run("once", route.TokenBypass{}, 0), run("resumed", route.TokenBypass{}, 4), run("forgets", forgetful{}, 0)
	if once != resumed || strings.Count(once, "\n") != 8 {
		t.Errorf("a run and one that was interrupted have the losses\n%s\n%s", once, resumed)
	}
	if once == forgets {
		t.Error("what the policy learns has no effect")
	}
}

// forgetful is token-bypass that learns nothing.
type forgetful struct{ route.TokenBypass }

func (f forgetful) Learn(vocabulary int) route.Learned { return knowsNothing{f} }

type knowsNothing struct{ route.Policy }

func (knowsNothing) Shares() bool               { return true }
func (knowsNothing) Observe([]int32, []float32) {}
func (knowsNothing) State() []float64           { return nil }
func (knowsNothing) Restore([]float64) error    { return nil }

// Of images the class token is always seen, unless the recipe says otherwise.
func TestRoutingOfImages(t *testing.T) {
	parse := func(keys string) (*recipe.Recipe, error) {
		return recipe.Parse("run.yaml", []byte(`corpus: data
sample: {images: true}
batch: {size: 8}
budget: {steps: 10}
routing: {keep: 9, `+keys+`}
model: {kind: vit, patch: 7, layers: 4, width: 8, heads: 2}
optimizer: {rate: 1e-3}
`))
	}
	hashes := map[string]bool{}
	for keys, first := range map[string]bool{"": true, "always: first": true, "always: []": false, "policy: shared, drop: [1, 1]": true} {
		r, err := parse(keys)
		if err != nil {
			t.Errorf("%s: %v", keys, err)
			continue
		}
		if r.Routing.Always.First != first {
			t.Errorf("%s: the class token is always seen: %v", keys, !first)
		}
		hashes[r.Hash()] = true
	}
	if len(hashes) != 3 {
		t.Errorf("%d hashes of three recipes", len(hashes))
	}
	for keys, says := range map[string]string{
		"always: [first, special]": "images have no tokens", "always: masked": "images have no tokens", "always: 3": "images have no tokens",
		"policy: token-bypass": "token-bypass goes by the tokens of a vocabulary, and images have none",
	} {
		if _, err := parse(keys); !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: error %v\nwant it to say %q", keys, err, says)
		}
	}
}

// Masked rows are routed too: what is special or predicted is always seen, and
// token-bypass learns from the tokens that were hidden.
func TestRoutingOfMaskedRows(t *testing.T) {
	dir := workplace(t)
	b := openIn(t, dir, `corpus: a
sample: {documents: true, length: 16, arrange: pack}
batch: {size: 4}
budget: {steps: 4}
routing: {policy: token-bypass, keep: 8, always: [special, masked]}
masking: {separator: 65}
model: {kind: bert, layers: 4, width: 8, heads: 2}
optimizer: {rate: 1e-2}
evaluate: {held_out: 0}
`)
	c, err := b.Training(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{65, 256}; !slices.Equal(c.Learner.Always.Tokens, want) || !c.Learner.Always.Masked {
		t.Errorf("always seen: %+v, want the predicted positions and tokens %v", c.Learner.Always, want)
	}
	for step := range b.Plan.Steps() {
		made, err := c.Batches.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		made.Route(*c.Learner, step)
		for row := range 4 {
			of := made.Kept[0][8*row : 8*(row+1)]
			for at, yes := range made.Always[16*row : 16*(row+1)] {
				token, label := made.Inputs[16*row+at], made.Labels[16*row+at]
				if padding := at >= inputs(made, row); yes != (!padding && (token == 65 || token == 256 || label >= 0)) {
					t.Errorf("step %d, row %d, position %d of token %d and label %d: always seen: %v", step, row, at, token, label, yes)
				}
				if yes && count(made.Always[16*row:16*(row+1)]) <= 8 && !slices.Contains(of, int32(at)) {
					t.Errorf("step %d, row %d: position %d is to be seen always, and %v are", step, row, at, of)
				}
			}
		}
	}
	result, err := train.Train(t.Context(), c)
	if err != nil || !result.Finished {
		t.Fatalf("%+v, %v", result, err)
	}
}

// inputs is how many positions of a packed row come before its padding, where that
// is more than one.
func inputs(b *batch.Batch, row int) int {
	n := b.Length
	for n > 1 && b.Positions[row*b.Length+n-1] == 0 && b.Documents[row*b.Length+n-1] == b.Documents[row*b.Length+b.Length-1] {
		n--
	}
	return n
}
