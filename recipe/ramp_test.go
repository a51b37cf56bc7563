package recipe_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// ramped is a run of 8 steps, with a batch and a sample to be filled in.
const ramped = `
corpus: none
sample: {%s}
batch: {%s}
budget: {steps: 8}
model: {kind: external, layers: 2}
`

// A ramp gives the size of a batch at each step: in rows of full length, or in
// tokens, of which as many rows are taken as fit. The learning rate follows it
// where it follows the rows.
func TestRamp(t *testing.T) {
	for name, c := range map[string]struct {
		sample, batch string
		rows          []int
		rate          []float64 // factors; nil: 1
	}{
		"rows": {"window: 8", "size: 4, ramp: {kind: linear, from: 1, to: 4, step: 1, until: 6}",
			[]int{1, 1, 2, 2, 3, 3, 4, 4}, nil},
		"falling": {"window: 8", "size: 4, ramp: {kind: linear, from: 4, to: 1, step: 1, until: 3}",
			[]int{4, 3, 2, 1, 1, 1, 1, 1}, nil},
		"rows, with the rate": {"window: 8", "size: 4, rate: linear, ramp: {kind: steps, values: [1, 2, 4], until: [3, 5]}",
			[]int{1, 1, 1, 1, 2, 2, 4, 4}, []float64{0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 1, 1}},
		"tokens": {"window: 8", "tokens: 40, ramp: {kind: steps, values: [8, 23, 40], until: [2, 4]}",
			[]int{1, 1, 1, 2, 2, 5, 5, 5}, nil},
		"tokens, at least and at most": {"window: 8", "tokens: 40, at_least: 2, at_most: 4, ramp: {kind: steps, values: [8, 24, 40], until: [2, 4]}",
			[]int{2, 2, 2, 3, 3, 4, 4, 4}, nil},
		"a number": {"window: 8", "size: 3, ramp: 3", []int{3, 3, 3, 3, 3, 3, 3, 3}, nil},
	} {
		r, err := recipe.Parse("run.yaml", fmt.Appendf(nil, ramped, c.sample, c.batch))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := schedule(t, r)
		var rows []int
		for step := range b.Plan.Steps() {
			rows = append(rows, b.Plan.BatchAt(step).Rows)
			want := 1.0
			if c.rate != nil {
				want = c.rate[step]
			}
			if got := b.RateFactor(step); got != want {
				t.Errorf("%s: at step %d the learning rate is multiplied by %v, want %v", name, step, got, want)
			}
		}
		if !slices.Equal(rows, c.rows) {
			t.Errorf("%s: batches of %v rows, want %v", name, rows, c.rows)
		}
	}
}

// Where rows have several lengths, each batch of a ramp has as many as fit.
func TestRampOfSeveralLengths(t *testing.T) {
	sample := "documents: true, length: 32, arrange: decompose, shortest: 8"
	for batch, want := range map[string]map[int][]int{ // at a length, before step 4 and from there on
		"size: 4, ramp: {kind: steps, values: [1, 4], until: [4]}":                    {8: {4, 16}, 16: {2, 8}, 32: {1, 4}},
		"tokens: 128, at_most: 9, ramp: {kind: steps, values: [40, 128], until: [4]}": {8: {5, 9}, 16: {2, 8}, 32: {1, 4}},
	} {
		r, err := recipe.Parse("run.yaml", fmt.Appendf(nil, ramped, sample, batch))
		if err != nil {
			t.Fatal(err)
		}
		b := schedule(t, r)
		if n := len(b.Plan.Stages()); n != 2 {
			t.Fatalf("%s: %d stages", batch, n)
		}
		for i, s := range b.Plan.Stages() {
			for _, f := range s.Batches {
				if f.Rows != want[f.Length][i] || f.Units != f.Rows {
					t.Errorf("%s: in stage %d a batch of %d rows of %d tokens, want %d", batch, i, f.Rows, f.Length, want[f.Length][i])
				}
			}
			if len(s.Batches) != 3 {
				t.Errorf("%s: %d lengths", batch, len(s.Batches))
			}
		}
	}
}

func TestRampRefused(t *testing.T) {
	for batch, says := range map[string]string{
		"size: 4, ramp: {kind: linear, from: 1, to: 8, step: 1, until: 50%}": "run.yaml:4: batch.ramp: it goes up to 8 rows, and batch.size is 4; make the two the same",
		"size: 4, ramp: 2": "batch.ramp: it goes up to 2 rows, and batch.size is 4",
		"size: 4, ramp: {kind: linear, from: 0, to: 4, step: 1, until: 50%}":                            "batch.ramp: it has 0 rows; a step takes at least 1",
		"size: 4, ramp: {kind: linear, from: 1.5, to: 4, step: 1, until: 50%}":                          "batch.ramp: from is 1.5; rows are whole numbers",
		"size: 4, ramp: {kind: steps, values: [1.5, 4], until: [3]}":                                    "batch.ramp: the pace is at 1.5 at step 0",
		"tokens: 64, ramp: {kind: linear, from: 4, to: 64, step: 4, until: 50%}":                        "batch.ramp: it has 4 tokens; a step takes at least 8, one row of full length",
		"tokens: 64, size: 8, rate: linear, ramp: {kind: linear, from: 8, to: 32, step: 8, until: 50%}": "it goes up to 32 tokens, and batch.tokens is 64",
		"size: 4, ramp: [1]": "batch.ramp: [1] is no pace",
	} {
		r, err := recipe.Parse("run.yaml", fmt.Appendf(nil, ramped, "window: 8", batch))
		if err == nil {
			_, err = recipe.Open(t.Context(), r, recipe.Options{ScheduleOnly: true})
		}
		if !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: error %v\nwant it to say %q", batch, err, says)
		}
	}
}
