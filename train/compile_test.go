package train

import (
	"errors"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/route"
)

// slowRun is small on a backend that compiles slowly, before its first step.
func slowRun(t *testing.T, change func(*Config)) *run {
	t.Helper()
	c := small(t, t.TempDir())
	if change != nil {
		change(&c)
	}
	e := engineOf(t, 2, c.engine())
	slow := *e.backend
	slow.SlowCompile = true
	e.backend = &slow
	return &run{Config: c, engine: e}
}

// What is compiled ahead is all that the steps need, in the order of need.
func TestCompileAhead(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"plain":      nil,
		"accumulate": func(c *Config) { c.Accumulate = 3 },
		"average":    func(c *Config) { c.Average = Average{Kind: EMA, Decay: 0.9} },
		"packed":     func(c *Config) { c.Batches = packing{c.Batches.(counting)} },
		"learner": func(c *Config) {
			c.Batches = unrouted{c.Batches.(counting)}
			c.Learner = &batch.Routing{Policy: route.TokenBypass{}, Layers: tiny.Routed}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := slowRun(t, change)
			<-r.compileAhead(t.Context())
			for step := range r.Plan.Steps() {
				b, err := r.Batches.Make(step, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.engine.step(b, 1e-3, step)
				if err != nil || got.compiled != 0 || (got.ahead > 0) != (step == 0) {
					t.Errorf("step %d waited %v seconds for a compiler that had run ahead for %v: %v", step, got.compiled, got.ahead, err)
				}
				if _, _, err := r.engine.loss(r.Evaluation); err != nil || r.engine.compiled.takeAhead() != 0 {
					t.Errorf("the evaluation after step %d was compiled then (%v)", step, err)
				}
			}
		})
	}
}

// unrouted are batches that a learner routes.
type unrouted struct{ counting }

func (u unrouted) Make(step int64, rank, world int) (*batch.Batch, error) {
	b, err := u.counting.Make(step, rank, world)
	if err == nil {
		b.Kept = nil
	}
	return b, err
}

// Shapes are met once each, where the plan meets them, from any step on.
func TestFirsts(t *testing.T) {
	r := slowRun(t, nil)
	for from := range r.Plan.Steps() + 1 {
		var want []int64
		seen := map[curriculum.Shape]bool{}
		for step := from; step < r.Plan.Steps(); step++ {
			if shape := r.Plan.BatchAt(step).Shape; !seen[shape] {
				seen[shape] = true
				want = append(want, step)
			}
		}
		if got := r.firsts(from); !slices.Equal(got, want) {
			t.Errorf("from step %d shapes are new at %v, want %v", from, got, want)
		}
	}
	if n := len(r.firsts(0)); n < 2 {
		t.Errorf("the plan has %d shape only", n)
	}
}

// Steps may come while their graphs are compiled, and a graph that cannot be
// compiled is an error of the step that needs it.
func TestCompileBeside(t *testing.T) {
	r := slowRun(t, nil)
	done := r.compileAhead(t.Context())
	for step := range r.Plan.Steps() {
		b, err := r.Batches.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.engine.step(b, 1e-3, step); err != nil {
			t.Fatal(err)
		}
	}
	<-done

	r = slowRun(t, nil)
	broken, first := errors.New("no such operation"), r.engine.gradients.build
	r.engine.gradients.build = func(l layout) (*Exec, error) {
		if l.kept > 0 {
			return nil, broken
		}
		return first(l)
	}
	<-r.compileAhead(t.Context())
	for step := range r.Plan.Steps() {
		b, err := r.Batches.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.engine.step(b, 1e-3, step); errors.Is(err, broken) != (b.Kept != nil) {
			t.Errorf("step %d: %v", step, err)
		}
	}
}
