package recipe

import (
	"math/bits"
	"slices"

	"github.com/gradus-ml/gradus/corpus"
)

// Window returns the tokens of a full-length row; 0 for images whose corpus is not
// open yet, if the recipe does not say.
func (r *Recipe) Window() int {
	if r.Sample.Images {
		return r.imageTokens()
	}
	if r.Sample.Documents {
		return r.Sample.Length
	}
	return r.Sample.Window
}

// Cut returns how the corpus is cut into samples.
func (r *Recipe) Cut() corpus.Cut {
	return corpus.Cut{Window: r.Sample.Window, Documents: r.Sample.Documents || r.Sample.Images}
}

// Lengths returns the tokens of a row of each bucket, ascending; the last is the
// Window.
func (r *Recipe) Lengths() []int {
	s, last := r.Sample, r.Window()
	var lengths []int
	switch {
	case s.Arrange == "decompose":
		for n := s.Shortest; n < last; n *= 2 {
			lengths = append(lengths, n)
		}
	case s.Arrange == "bucket" && s.Step > 0:
		for n := s.Step; n < last; n += s.Step {
			lengths = append(lengths, n)
		}
	case s.Arrange == "bucket":
		return slices.Clone(s.Lengths)
	}
	return append(lengths, last)
}

// mostLengths bounds the buckets: each is a shape, and a compiled graph.
const mostLengths = 1 << 10

func (r *Recipe) validateSample() error {
	s := r.Sample
	kinds := 0
	for _, given := range []bool{s.Window > 0, s.Documents, s.Images} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		return r.errorf("sample", "give either window: N (tokens), or documents: true with length: N, or images: true")
	}
	if !s.Documents {
		for _, k := range []struct {
			key   string
			given bool
		}{{"length", s.Length != 0 && !s.Images}, {"arrange", s.Arrange != ""}, {"shortest", s.Shortest != 0}, {"lengths", s.Lengths != nil}, {"step", s.Step != 0}} {
			if k.given {
				return r.errorf("sample."+k.key, "it goes with documents; a window and an image have their length already")
			}
		}
		return nil
	}
	if s.Length < 1 {
		return r.errorf("sample", "documents need length: N, the tokens of the longest row")
	}
	if s.Shortest != 0 && s.Arrange != "decompose" {
		return r.errorf("sample.shortest", "it goes with 'arrange: decompose', not with %s", s.Arrange)
	}
	if (s.Lengths != nil || s.Step != 0) && s.Arrange != "bucket" {
		at := "sample.lengths"
		if s.Lengths == nil {
			at = "sample.step"
		}
		return r.errorf(at, "it goes with 'arrange: bucket', not with %s", s.Arrange)
	}
	switch s.Arrange {
	case "decompose":
		return r.validateDecompose()
	case "bucket":
		return r.validateBucket()
	}
	return nil
}

func (r *Recipe) validateDecompose() error {
	s := r.Sample
	switch {
	case s.Shortest == 0:
		return r.errorf("sample", "decompose needs shortest: N, the tokens of the shortest part of a document (a power of two, such as 64)")
	case bits.OnesCount(uint(s.Shortest)) != 1:
		return r.errorf("sample.shortest", "it is %d; it must be a power of two, such as %d", s.Shortest, 1<<(bits.Len(uint(s.Shortest))-1))
	case bits.OnesCount(uint(s.Length)) != 1:
		return r.errorf("sample.length", "it is %d; to decompose documents it must be a power of two, such as %d", s.Length, 1<<(bits.Len(uint(s.Length))-1))
	case s.Shortest > s.Length:
		return r.errorf("sample.shortest", "it is %d, more than the length of %d; lower it", s.Shortest, s.Length)
	}
	return nil
}

func (r *Recipe) validateBucket() error {
	s := r.Sample
	switch {
	case (s.Lengths == nil) == (s.Step == 0):
		return r.errorf("sample", "bucket needs either lengths: [..], the tokens of its rows, or step: N for all multiples of N")
	case s.Step != 0 && s.Length%s.Step != 0:
		return r.errorf("sample.length", "it is %d, no multiple of the step of %d; take %d or %d", s.Length, s.Step, s.Length/s.Step*s.Step, (s.Length/s.Step+1)*s.Step)
	case s.Step != 0 && s.Length/s.Step > mostLengths:
		return r.errorf("sample.step", "%d tokens in steps of %d are %d lengths, more than %d; raise it", s.Length, s.Step, s.Length/s.Step, mostLengths)
	case s.Step != 0:
		return nil
	}
	for i, n := range s.Lengths {
		if n < 1 || i > 0 && n <= s.Lengths[i-1] {
			return r.errorf("sample.lengths", "they are %v; they must ascend from 1 or more", s.Lengths)
		}
	}
	if len(s.Lengths) == 0 || s.Lengths[len(s.Lengths)-1] != s.Length {
		return r.errorf("sample.lengths", "they are %v; the last must be the length, %d", s.Lengths, s.Length)
	}
	return nil
}

// mostStepTokens is curriculum's bound on a batch, checked here before rows are
// multiplied by lengths.
const mostStepTokens = 1 << 28

func (r *Recipe) validateBatch() error {
	if err := r.validateSize(); err != nil {
		return err
	}
	return r.validateRamp()
}

// validateRamp holds that a ramp goes up to the size of the batch, no more and no
// less: the optimizer's rate is for that size, and plain runs are counted with it.
func (r *Recipe) validateRamp() error {
	b, at := r.Batch, "batch.ramp"
	if b.Ramp == nil {
		return nil
	}
	key, size, least, what := "size", b.Size, 1, "rows"
	if b.Tokens != 0 {
		key, size, least, what = "tokens", b.Tokens, max(r.Window(), 1), "tokens"
	}
	if err := r.wholeNumbers(at, b.Ramp, what); err != nil {
		return err
	}
	named := b.Ramp.named()
	switch {
	case named == nil: // a kind of one's own; the plan will say
		return nil
	case slices.Min(named) < float64(least):
		return r.errorf(at, "it has %v %s; a step takes at least %d, one row of full length, so raise its 'from'", slices.Min(named), what, least)
	case slices.Max(named) != float64(size):
		return r.errorf(at, "it goes up to %v %s, and batch.%s is %d; make the two the same", slices.Max(named), what, key, size)
	}
	return nil
}

func (r *Recipe) validateSize() error {
	b, full := r.Batch, max(r.Window(), 1)
	switch {
	case b.Size == 0 && b.Tokens == 0:
		return r.errorf("batch.size", "it is 0 or missing; give size: N, the rows of a step, or tokens: N, and as many rows as fit are taken")
	case b.Size > mostStepTokens/full:
		return r.errorf("batch.size", "a batch of %d samples of %d tokens is more than %d tokens", b.Size, full, mostStepTokens)
	case b.Tokens == 0 && b.AtLeast != 0:
		return r.errorf("batch.at_least", "it bounds the rows that fit into tokens; give tokens, or leave it out")
	case b.Tokens == 0 && b.AtMost != 0:
		return r.errorf("batch.at_most", "it bounds the rows that fit into tokens; give tokens, or leave it out")
	case b.Tokens == 0:
		return nil
	case b.Tokens > mostStepTokens:
		return r.errorf("batch.tokens", "it is %d; it must be at most %d", b.Tokens, mostStepTokens)
	case b.Tokens < full:
		return r.errorf("batch.tokens", "it is %d, and a row of full length has %d; raise it", b.Tokens, full)
	case b.AtMost != 0 && b.AtLeast > b.AtMost:
		return r.errorf("batch.at_least", "it is %d, and at_most is %d; lower it", b.AtLeast, b.AtMost)
	case b.Size != 0 && b.Rate == "none":
		return r.errorf("batch.size", "beside tokens it is the number of rows that the learning rate is for, and 'rate' is none; leave it out, or write 'rate: linear'")
	}
	return nil
}

// Units returns how many units a step serves of the bucket whose rows have so
// many tokens; where the batch is ramped, at the end of the ramp.
func (r *Recipe) Units(length int) int {
	if r.Batch.Tokens == 0 {
		return r.unitsAt(r.Batch.Size, length)
	}
	return r.unitsAt(r.Batch.Tokens, length)
}

// unitsAt is Units for a step of another size: in tokens if the recipe gives those,
// else in rows of full length.
func (r *Recipe) unitsAt(size, length int) int {
	b := r.Batch
	if b.Tokens == 0 {
		return size * r.Window() / length
	}
	n := max(size/length, b.AtLeast)
	if b.AtMost > 0 {
		n = min(n, b.AtMost)
	}
	return n
}

// BaseUnits returns the units of a step for which the optimizer's rate is meant.
func (r *Recipe) BaseUnits() int {
	if r.Batch.Size > 0 {
		return r.Batch.Size
	}
	return r.Units(r.Window())
}
