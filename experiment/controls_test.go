package experiment_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/recipe"
)

// A planned arm is one with the plan of its run at the whole budget.
type planned struct {
	*recipe.Bound
	flops float64
}

// forms returns what the batches of all steps look like.
func (p planned) forms() []curriculum.Form {
	var all []curriculum.Form
	for step := range p.Plan.Steps() {
		all = append(all, p.Plan.BatchAt(step))
	}
	return all
}

// kept returns the mean of the tokens of a row that routed layers see.
func (p planned) kept() float64 {
	kept, rows := 0, 0
	for _, f := range p.forms() {
		kept, rows = kept+f.Rows*f.Kept, rows+f.Rows
	}
	return float64(kept) / float64(rows)
}

// keys returns the keys of a recipe, defaults filled in, with their values.
func keys(t *testing.T, r *recipe.Recipe) map[string]string {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		if object, ok := v.(map[string]any); ok {
			for key, v := range object {
				walk(strings.TrimPrefix(at+"."+key, "."), v)
			}
			return
		}
		all[at] = fmt.Sprint(v)
	}
	walk("", tree)
	return all
}

// shippedControls returns the study of recipes and its arms.
func shippedControls(t *testing.T) (*experiment.Study, map[string]planned) {
	t.Helper()
	s, err := experiment.Load("../recipes/controls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cells, err := s.Cells()
	if err != nil {
		t.Fatal(err)
	}
	arms := map[string]planned{}
	for _, c := range cells {
		if c.Budget != 1 || c.Seed != s.Seeds[0] {
			continue
		}
		c.Recipe.Model.Vocabulary = 257 // bytes and the end of a document
		b, err := recipe.Open(t.Context(), c.Recipe, recipe.Options{ScheduleOnly: true})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		t.Cleanup(func() { b.Close() })
		if b.Warnings != nil {
			t.Errorf("%s: warnings %q", c.Name, b.Warnings)
		}
		p := planned{Bound: b}
		for _, f := range p.forms() {
			p.flops += b.Model.FLOPs(f.Rows, f.Length, f.Kept)
		}
		arms[c.Arm] = p
	}
	if len(arms) != len(s.Arms) {
		t.Fatalf("%d of %d arms have a run at the whole budget", len(arms), len(s.Arms))
	}

	return s, arms
}

// A control changes the keys that it is about, all of them and no others.
func TestControlsChangeOneThing(t *testing.T) {
	s, arms := shippedControls(t)
	changes := map[string]struct {
		of   string
		keys []string
	}{
		"random-order":  {"composed", []string{"control"}},
		"reverse-order": {"composed", []string{"control"}},
		"equal-updates": {"baseline", []string{"batch"}},
		"always-short":  {"short-first", []string{"curriculum"}},
		"batch-ramp":    {"baseline", []string{"batch.ramp"}},
		"constant-drop": {"dropping", []string{"routing.keep"}},
		"shared-draw":   {"dropping", []string{"routing.policy"}},
		"shallower":     {"baseline", []string{"model.layers", "budget.tokens"}},
	}
	for _, arm := range s.Arms {
		change, known := changes[arm.Name]
		if known != (arm.Control != "") || known && change.of != arm.Like {
			t.Errorf("%s: it controls %q and starts from %q; the test knows nothing of that", arm.Name, arm.Control, arm.Like)
		}
		if !known {
			continue
		}
		changed := map[string]bool{}
		a, b := keys(t, arms[arm.Name].Recipe), keys(t, arms[change.of].Recipe)
		for key := range a {
			changed[key] = a[key] != b[key]
		}
		for key := range b {
			changed[key] = a[key] != b[key]
		}
		delete(changed, "name")
		for _, about := range change.keys {
			any := false
			for key, differs := range changed {
				if key == about || strings.HasPrefix(key, about+".") {
					any = any || differs
					delete(changed, key)
				}
			}
			if !any {
				t.Errorf("%s: it leaves %s as %s has it", arm.Name, about, change.of)
			}
		}
		for key, differs := range changed {
			if differs {
				t.Errorf("%s: it changes %s of %s from %q to %q", arm.Name, key, change.of, b[key], a[key])
			}
		}
	}
}

// Every control holds what it promises, at the whole budget: computed from the
// plans, which follow from the recipes alone.
func TestControlsHoldTheirPromises(t *testing.T) {
	_, arms := shippedControls(t)
	shape := func(f curriculum.Form) curriculum.Shape { return f.Shape }
	tokens := func(f curriculum.Form) int64 { return f.Tokens() }
	for _, c := range []struct{ control, of string }{{"random-order", "composed"}, {"reverse-order", "composed"}, {"shared-draw", "dropping"}} {
		if !equalSteps(arms[c.control], arms[c.of], shape) {
			t.Errorf("the batches of %s look other than those of %s", c.control, c.of)
		}
	}
	for _, arm := range []string{"random-order", "reverse-order"} {
		if want := strings.TrimSuffix(arm, "-order"); arms[arm].Recipe.Control != want {
			t.Errorf("%s: control %q", arm, arms[arm].Recipe.Control)
		}
	}
	if !equalSteps(arms["batch-ramp"], arms["short-first"], tokens) {
		t.Error("the updates of batch-ramp have other numbers of tokens than those of short-first")
	}
	for _, f := range arms["batch-ramp"].forms() {
		if f.Length != arms["batch-ramp"].Recipe.Window() {
			t.Fatalf("batch-ramp has rows of %d tokens", f.Length)
		}
	}
	short := arms["short-first"].forms()[0].Length
	for _, f := range arms["always-short"].forms() {
		if f.Length != short || short >= arms["always-short"].Recipe.Window() {
			t.Fatalf("always-short has rows of %d tokens, and short-first begins with %d", f.Length, short)
		}
	}
	if a, b := arms["equal-updates"].Plan.Steps(), arms["composed"].Plan.Steps(); a != b {
		t.Errorf("equal-updates makes %d updates and composed %d", a, b)
	}
	within := func(what string, a, b, share float64) {
		t.Helper()
		if !(math.Abs(a-b) <= share*b) {
			t.Errorf("%s: %v and %v differ by more than %v %%", what, a, b, 100*share)
		}
	}
	constant := arms["constant-drop"]
	for _, f := range constant.forms() {
		if f.Kept != constant.forms()[0].Kept {
			t.Fatalf("constant-drop keeps %d tokens and then %d", constant.forms()[0].Kept, f.Kept)
		}
	}
	within("tokens that constant-drop and dropping keep", constant.kept(), arms["dropping"].kept(), 0.005)
	within("FLOPs of shallower and dropping", arms["shallower"].flops, arms["dropping"].flops, 0.02)
	within("tokens of shallower and dropping", float64(arms["shallower"].Plan.End().Tokens), float64(arms["dropping"].Plan.End().Tokens), 0.02)
	for _, arm := range []string{"composed", "equal-updates", "short-first", "always-short", "batch-ramp", "dropping", "constant-drop", "shared-draw"} {
		within("layer-tokens of "+arm+" and the baseline", arms[arm].Plan.End().LayerTokens(), arms["baseline"].Plan.End().LayerTokens(), 0.01)
	}
}

// equalSteps reports whether two arms make as many updates, and each has the same
// of something as its counterpart.
func equalSteps[T comparable](a, b planned, of func(curriculum.Form) T) bool {
	return slices.EqualFunc(a.forms(), b.forms(), func(x, y curriculum.Form) bool { return of(x) == of(y) })
}
