package train

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// A plan that serves other samples than the run was served is refused, though recipe
// and corpus are the same: it was made anew without what the run had gone on from.
func TestResumeWithAnotherPlan(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	c := small(t, dir)
	c.Progress = func(p Progress) {
		if p.Step.Step == 7 {
			cancel()
		}
	}
	if _, err := Train(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	want := steps(t, dir)

	c = small(t, dir)
	c.Resume = true
	other, err := curriculum.Compile(t.Context(), curriculum.Config{
		Seed: 5, Sources: []curriculum.Source{{Samples: 50}}, Buckets: []curriculum.Bucket{{Length: 8, Units: 5}},
		Layers: tiny.Layers, Routed: 1, Clock: curriculum.Steps, Budget: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Plan, c.Batches = other, counting{plan: other}
	if _, err := Train(context.Background(), c); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "step 7") {
		t.Fatalf("error %v", err)
	}
	if got := steps(t, dir); len(got) != len(want) {
		t.Errorf("the log has %d steps, and had %d", len(got), len(want))
	}
}

// A run goes on from a checkpoint of its own model only, also where all weights have
// the shapes of another one.
func TestFromAnotherModel(t *testing.T) {
	c := small(t, t.TempDir())
	st := CheckpointState{Recipe: "r", Corpus: "c", Model: c.Model}
	state := bits(c.Model.Params(), 1)
	state.learned = nil
	var err error
	if c.From, err = writeCheckpoint(t.TempDir(), st, c.Model, state, 1); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*model.Config){
		"heads":     func(m *model.Config) { m.Heads = 1 },
		"epsilon":   func(m *model.Config) { m.Epsilon = 1e-3 },
		"positions": func(m *model.Config) { m.Positions = model.Rotary },
	} {
		other := c
		other.Dir = t.TempDir()
		change(&other.Model)
		_, err := Train(t.Context(), other)
		if !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
		if all, err := Checkpoints(other.Dir); err != nil || len(all) != 0 {
			t.Errorf("%s: left %q (%v)", name, all, err)
		}
	}
}
