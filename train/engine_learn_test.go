package train

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/route"
)

// pupil is a Learner that keeps the first places, and remembers what it was told.
type pupil struct{ told *[]string }

func (p pupil) Keep(kept []int32, length int, d route.Draw) {
	*p.told = append(*p.told, fmt.Sprint("keep ", len(kept), d.Step, d.Layer, d.Row))
	for i := range kept {
		kept[i] = int32(i)
	}
}
func (p pupil) Learn(vocabulary int) route.Learned {
	*p.told = append(*p.told, fmt.Sprint("learn ", vocabulary))
	return p
}
func (p pupil) Observe(labels []int32, losses []float32) {
	sum := 0.0
	for _, x := range losses {
		sum += float64(x)
	}
	*p.told = append(*p.told, fmt.Sprintf("observe %v %.4f", labels, sum))
}
func (p pupil) State() []float64        { return nil }
func (p pupil) Restore([]float64) error { return nil }

// A learner draws before each step, for its rows, and is told the losses after it.
func TestLearner(t *testing.T) {
	var told []string
	routing := &batch.Routing{Policy: pupil{&told}, Layers: tiny.Routed, Seed: 5}
	e := engineOf(t, 2, setting{model: tiny, optimizer: adam, seed: 5, accumulate: 2, learner: routing})
	plain := mustEngine(t, tiny, adam)
	b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 4, Kept: 4}, 1)
	b.Shape.Kept = 2
	got, err := e.step(b, 1e-2, 9)
	if err != nil {
		t.Fatal(err)
	}
	if b.Kept != nil {
		t.Error("the batch itself was routed")
	}
	own := *b
	own.Kept = [][]int32{{0, 1, 0, 1, 0, 1}}
	want, err := plain.step(&own, 1e-2, 9)
	if err != nil || math.Abs(got.loss-want.loss) > 1e-6 {
		t.Errorf("loss %v, of the routed batch %v (%v)", got.loss, want.loss, err)
	}
	var labels []int32
	for _, l := range b.Labels {
		if l != batch.Ignore {
			labels = append(labels, l)
		}
	}
	if expect := []string{
		"learn 17", "keep 2 9 1 0", "keep 2 9 1 1", "keep 2 9 1 2",
		fmt.Sprintf("observe %v %.4f", labels, want.loss*float64(len(labels))),
	}; !slices.Equal(told, expect) {
		t.Errorf("the learner was told %q, want %q", told, expect)
	}

	// What diverged teaches nothing.
	s, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	s.weights[len(s.weights)-1][3] = float32(math.Inf(1))
	if err := e.load(s); err != nil {
		t.Fatal(err)
	}
	told = nil
	if _, err := e.step(b, 1e-2, 10); err != nil || len(told) != 3 {
		t.Errorf("after a step that diverged (%v) the learner was told %q", err, told)
	}
	if _, err := newEngine(mustGo(t), setting{model: tiny, optimizer: adam, learner: &batch.Routing{Policy: route.RandomLTD{}}}); err == nil {
		t.Error("a policy that does not learn is a learner")
	}
}

// Places that predict are looked up in the labels of their row.
func TestPlaceLabels(t *testing.T) {
	b := &batch.Batch{Shape: curriculum.Shape{Rows: 2, Length: 3}, Labels: []int32{7, -1, 8, -1, 9, -1}}
	if got := placeLabels(b); !slices.Equal(got, b.Labels) {
		t.Errorf("labels %v", got)
	}
	b.Predicted = []int32{0, 2, 1, 0}
	if got, want := placeLabels(b), []int32{7, 8, 9, -1}; !slices.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

// The moving average is its definition's, and what is evaluated.
func TestMovingAverage(t *testing.T) {
	a := Average{Kind: EMA, Decay: 0.6}
	s := setting{model: tiny, optimizer: adam, average: a, seed: 5}
	e := engineOf(t, 2, s)
	var mean [][]float64
	b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 8, Kept: 8}, 1)
	for step := range int64(5) {
		if _, err := e.step(b, 1e-2, step); err != nil {
			t.Fatal(err)
		}
		now, err := e.save()
		if err != nil {
			t.Fatal(err)
		}
		if mean == nil {
			mean = widen(now.weights)
		}
		d := min(0.6, float64(step)/float64(step+1))
		for i, w := range now.weights {
			for k, x := range w {
				mean[i][k] = d*mean[i][k] + (1-d)*float64(x)
				if got := float64(now.average[i][k]); math.Abs(got-mean[i][k]) > 1e-6 {
					t.Fatalf("step %d, %s[%d]: average %v, want %v", step, e.params[i].Name, k, got, mean[i][k])
				}
			}
		}
	}
	end, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	averaged := mustEngine(t, tiny, adam)
	if err := averaged.load(state{weights: end.average, moment1: end.moment1, moment2: end.moment2}); err != nil {
		t.Fatal(err)
	}
	got, _, err := e.loss([]*batch.Batch{b})
	want, _, errWant := averaged.loss([]*batch.Batch{b})
	raw, _, errRaw := e.rawLoss([]*batch.Batch{b})
	if err != nil || errWant != nil || errRaw != nil || got != want || got == raw {
		t.Errorf("evaluated at %v (%v), with the average as weights %v (%v); the weights themselves have %v (%v)", got, err, want, errWant, raw, errRaw)
	}

	// Averages that others made.
	plain := mustEngine(t, tiny, adam)
	if err := plain.loadAverage(end.average); err != nil {
		t.Fatal(err)
	}
	if got, _, err := plain.loss([]*batch.Batch{b}); err != nil || got != want {
		t.Errorf("evaluated at %v (%v), the average has %v", got, err, want)
	}
	if err := plain.loadAverage(nil); err != nil || plain.mean != nil {
		t.Errorf("an average is left: %v", err)
	}
}
