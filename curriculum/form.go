package curriculum

import (
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Form is what a batch of one bucket looks like.
type Form struct {
	Shape
	Bucket int     `json:"bucket"`
	Units  int     `json:"units"` // samples, packs or chunks a batch serves
	Share  float64 `json:"share"` // of the stage's steps that serve this bucket
	Pool   int64   `json:"pool"`  // units admitted

	cost    cost
	mix     []float64 // share of each source in the bucket's units
	mixLane lane
	mixCuts []uint64
}

// forms fills the batches of a stage: shapes, and how often each bucket is served.
func (w *walk) forms(s *Stage, r reading) error {
	longest := w.Buckets[len(w.Buckets)-1].Length
	length, err := whole("length", r.length, longest, "the window")
	if err != nil {
		return &PartError{"length", err}
	}
	keep := longest
	if !math.IsInf(r.keep, 1) {
		if keep, err = whole("kept tokens", r.keep, longest, "the window"); err != nil {
			return &PartError{"keep", err}
		}
	}
	units, err := w.sizes(r.ramp, s.First)
	if err != nil {
		return err
	}
	pools := w.known(s)
	mix, err := w.mixture(s, pools, length)
	if err != nil {
		return err
	}
	sum := 0.0
	for b, bucket := range w.Buckets {
		if len(w.Buckets) > 1 && bucket.Length > length || len(mix[b]) == 0 {
			continue
		}
		f := Form{Bucket: b, Units: units[b], mix: mix[b], Pool: -1}
		f.Rows, f.Length = units[b], min(bucket.Length, length)
		if w.RowsPer != nil {
			f.Rows *= w.RowsPer(bucket.Length, f.Length)
		}
		if f.Rows < 1 || f.Rows > maxStepTokens/f.Length {
			return invalid("length", "a batch of %d rows of %d tokens; it must have at least one row and at most %d tokens", f.Rows, f.Length, maxStepTokens)
		}
		f.Kept = min(keep, f.Length)
		f.cost = w.cost(f.Shape)
		// Steps in proportion to tokens, divided by the tokens of a step.
		for _, x := range mix[b] {
			f.Share += x
		}
		f.Share /= float64(units[b]) * float64(bucket.Length)
		sum += f.Share
		s.Batches = append(s.Batches, f)
	}
	if !(sum > 0) {
		return invalid("length", "at step %d rows may have %d tokens, and no unit is that short; raise 'from' of the length to at least %d",
			s.First, length, w.Buckets[0].Length)
	}
	for i := range s.Batches {
		s.Batches[i].Share /= sum
	}
	return nil
}

// sizes returns the units of a batch of each bucket, at a value of the ramp.
func (w *walk) sizes(ramp float64, step int64) ([]int, error) {
	units := make([]int, len(w.Buckets))
	if w.Ramp.Pace != nil && (!(ramp >= 1 && ramp <= maxStepTokens) || ramp != math.Trunc(ramp)) {
		return nil, invalid("ramp", "the pace is at %v at step %d; the size of a batch is a whole number from 1 on, so use a whole 'from' and 'step'", ramp, step)
	}
	for b, bucket := range w.Buckets {
		switch {
		case w.Ramp.Pace == nil:
			units[b] = bucket.Units
			continue
		case w.RampUnits == nil:
			units[b] = int(ramp)
		default:
			units[b] = w.RampUnits(int(ramp), bucket.Length)
		}
		if units[b] < 1 || units[b] > bucket.Units {
			return nil, invalid("ramp", "the pace is at %v at step %d, so a batch has %d rows of %d tokens; the size of the batch allows 1 to %d",
				ramp, step, units[b], bucket.Length, bucket.Units)
		}
	}
	return units, nil
}

// mixture returns what share of the inputs served comes from each source, in each
// bucket: a source's weight, spread over its open buckets as its admitted inputs
// are. A bucket that holds nothing gets nil. Until pools are known all buckets
// count alike: that only serves to find the levels.
func (w *walk) mixture(s *Stage, pools [][]int64, length int) ([][]float64, error) {
	mix := make([][]float64, len(w.Buckets))
	for i := range w.Sources {
		inputs, total := make([]float64, len(w.Buckets)), 0.0
		for b, bucket := range w.Buckets {
			if len(w.Buckets) > 1 && bucket.Length > length {
				continue
			}
			inputs[b] = 1
			if pools != nil && len(w.Buckets) > 1 {
				inputs[b] = float64(pools[i][b]) * float64(bucket.Length)
			}
			total += inputs[b]
		}
		weight := 1.0
		if s.Weights != nil {
			weight = s.Weights[i]
		}
		if total == 0 && weight > 0 && w.Buckets[0].Length <= length {
			return nil, invalid(sourcePart(i, ""), "%snothing of at most %d tokens is admitted at step %d; raise 'from' of a pace or of the length, or give the source no weight there",
				w.Sources[i].prefix(), length, s.First)
		}
		for b, x := range inputs {
			if x == 0 || weight == 0 {
				continue
			}
			if mix[b] == nil {
				mix[b] = make([]float64, len(w.Sources))
			}
			mix[b][i] = weight * x / total
		}
	}
	return mix, nil
}

// known returns the pools at the last known level that admits no more than the
// stage does, so that a bucket which is served is never empty; nil: not known.
func (w *walk) known(s *Stage) [][]int64 {
	if w.Pools == nil || len(w.Buckets) == 1 { // then shares are the weights
		return nil
	}
	at := 0
	for l := range w.Levels {
		if w.Levels[l].equal(level{s.Difficulty, s.Floor}) {
			return w.Pools[l]
		}
		if !slices.ContainsFunc(indices(s.Difficulty), func(m int) bool { return w.Levels[l].Difficulty[m] > s.Difficulty[m] }) {
			at = l
		}
	}
	return w.Pools[at]
}

func indices[T any](list []T) []int {
	at := make([]int, len(list))
	for i := range at {
		at[i] = i
	}
	return at
}

// whole returns a pace's value as a number of tokens in [1, most].
func whole(what string, v float64, most int, bound string) (int, error) {
	switch {
	case math.IsNaN(v) || v < 1:
		return 0, fault.Invalidf("%s: the pace gives %v tokens; it must give at least 1", what, v)
	case v > float64(most):
		return 0, fault.Invalidf("%s: the pace gives %v tokens, more than %s of %d; lower its 'to'", what, v, bound, most)
	case v != math.Trunc(v):
		return 0, fault.Invalidf("%s: the pace gives %v tokens; use a whole 'from' and 'step'", what, v)
	}
	return int(v), nil
}
