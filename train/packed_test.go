package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/internal/naivegpt"
)

// packed cuts the rows of a batch into documents of 1 to most tokens; a fourth of
// the rows' ends is padding.
func packed(b *batch.Batch, most int, seed uint64) *batch.Batch {
	stream := keyed.NewKey(seed, "documents").Stream()
	for range b.Rows {
		document, left := int32(0), 0
		for i := range b.Length {
			if i >= b.Length-b.Length/4 { // padding
				at := len(b.Documents)
				b.Inputs[at], b.Labels[at] = 0, batch.Ignore
				b.Documents, b.Positions = append(b.Documents, -1), append(b.Positions, 0)
				b.Padding++
				continue
			}
			if left == 0 {
				if i > 0 {
					document++
				}
				left = 1 + int(stream.Uint64N(uint64(most)))
				b.Positions = append(b.Positions, 0)
			} else {
				b.Positions = append(b.Positions, b.Positions[len(b.Positions)-1]+1)
			}
			b.Documents = append(b.Documents, document)
			left--
		}
	}
	return b
}

// A step and an evaluation on packed rows have the loss of the definition.
func TestPackedStepAgainstNaive(t *testing.T) {
	e := mustEngine(t, tiny, adam)
	s, err := e.save()
	if err != nil {
		t.Fatal(err)
	}
	naive := naivegpt.New(tiny, s.weights)
	for _, rows := range []int{1, 2, 5} {
		for _, kept := range []int{8, 3} {
			b := packed(someBatch(tiny, curriculum.Shape{Rows: rows, Length: 8, Kept: kept}, uint64(rows)), 4, 9)
			full, dropped := 0.0, 0.0
			for r := range rows {
				part := func(values []int32) []int32 { return values[r*8 : (r+1)*8] }
				row := naivegpt.Row{Inputs: part(b.Inputs), Labels: part(b.Labels), Documents: part(b.Documents), Positions: part(b.Positions)}
				full += naive.Loss(row)
				if b.Kept != nil {
					row.Kept = map[int][]int32{tiny.Routed[0]: b.Kept[0][r*kept : (r+1)*kept]}
				}
				dropped += naive.Loss(row)
			}
			full, dropped = full/float64(b.Targets()), dropped/float64(b.Targets())
			if err := e.load(s); err != nil {
				t.Fatal(err)
			}
			// Evaluation sees every token, also of a batch that has kept positions.
			got, _, err := e.loss([]*batch.Batch{b})
			if err != nil || math.Abs(got-full) > 1e-6*full {
				t.Errorf("%d rows, %d kept: evaluated at %v (%v), the definition gives %v", rows, kept, got, err, full)
			}
			if r, err := e.step(b, 1e-3, 0); err != nil || math.Abs(r.loss-dropped) > 1e-6*dropped {
				t.Errorf("%d rows, %d kept: loss %v (%v), the definition gives %v", rows, kept, r.loss, err, dropped)
			}
		}
	}
}

// A step runs the graphs that compile built for its batch, and no others.
func TestCompileIsAllThatAStepNeeds(t *testing.T) {
	for _, kept := range []int{8, 3} {
		for _, pack := range []bool{false, true} {
			e := mustEngine(t, tiny, adam)
			b := someBatch(tiny, curriculum.Shape{Rows: 3, Length: 8, Kept: kept}, 1)
			if pack {
				b = packed(b, 4, 1)
			}
			in := e.trainingInputs(b, 0)
			for again := range 2 {
				if seconds, ahead, err := e.compile(&in); err != nil || (seconds == 0) != (again > 0) || ahead != 0 {
					t.Fatalf("%d kept, packed %v: compiled in %v seconds, %v ahead: %v", kept, pack, seconds, ahead, err)
				}
			}
			noMore(t, e, in.layout)
			if r, err := e.step(b, 1e-3, 0); err != nil || r.compiled != 0 {
				t.Errorf("%d kept, packed %v: %v, %v", kept, pack, r, err)
			}
		}
	}
}

// noMore lets an engine run the graphs that it has, and compile no others.
func noMore(t *testing.T, e *engine, layouts ...layout) {
	t.Helper()
	all := []*Exec{e.sum, e.squares}
	for _, u := range e.updates {
		all = append(all, u.exec)
	}
	for _, l := range layouts {
		exec, err := e.gradients.of(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, exec)
	}
	for _, exec := range all {
		exec.SetMaxCache(1) // there is one, at least
	}
}

// packing makes the batches of counting with documents in their rows.
type packing struct{ counting }

func (p packing) Make(step int64, rank, world int) (*batch.Batch, error) {
	b, err := p.counting.Make(step, rank, world)
	if err != nil {
		return nil, err
	}
	b.Discarded = 2 * step
	return packed(b, 3, uint64(step)), nil
}

// packedRun is small on packed rows, which cost a rate of their own.
func packedRun(t testing.TB, dir string) Config {
	c := small(t, dir)
	c.Batches = packing{c.Batches.(counting)}
	c.RateFactor = func(step int64) float64 { return math.Sqrt(float64(1 + step%3)) }
	return c
}

// A run on packed rows learns, logs what its rows cost and at what rate it went, and
// goes on with the same bits.
func TestTrainOnPackedRows(t *testing.T) {
	whole, cut := t.TempDir(), t.TempDir()
	c := packedRun(t, whole)
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	log := steps(t, whole)
	for i, s := range log {
		rate := c.Schedule.At(float64(i+1)) * math.Sqrt(float64(1+i%3))
		padding := int64(s.Rows * (s.Length / 4))
		if s.Rate != rate || s.Padding != padding || s.Discarded != 2*int64(i) {
			t.Errorf("step %d: rate %v, %d padding, %d discarded; want %v, %d, %d", s.Step, s.Rate, s.Padding, s.Discarded, rate, padding, 2*i)
		}
	}
	if first, last := log[0].Loss, log[len(log)-1].Loss; last > first-0.3 {
		t.Errorf("the loss goes from %v to %v", first, last)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c = packedRun(t, cut)
	c.Progress = func(p Progress) {
		if p.Step.Step == 7 {
			cancel()
		}
	}
	if _, err := Train(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c = packedRun(t, cut)
	c.Resume = true
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	sameRun(t, cut, whole)
}

// A factor of a half is a schedule of half the rate, in the log and in the weights.
func TestRateFactor(t *testing.T) {
	scheduled, factored := t.TempDir(), t.TempDir()
	c := small(t, scheduled)
	c.Schedule.Peak, c.Schedule.Min = c.Schedule.Peak/2, c.Schedule.Min/2
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	c = small(t, factored)
	c.RateFactor = func(int64) float64 { return 0.5 }
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	sameRun(t, factored, scheduled)

	for _, bad := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		c := small(t, t.TempDir())
		c.RateFactor = func(step int64) float64 {
			if step == 3 {
				return bad
			}
			return 1
		}
		result, err := Train(context.Background(), c)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), fmt.Sprintf("the rate factor of step 3 is %v", bad)) || result.Step != 3 {
			t.Errorf("a factor of %v: %+v, %v", bad, result, err)
		}
	}
}
