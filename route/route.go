// Package route decides which tokens a middle layer sees.
//
// A Policy draws, for a step and a layer, the positions of each row that are
// kept; the rest pass the layer by unchanged (random layerwise token dropping,
// random-LTD, arXiv 2211.11586, section 3). The draw is a pure function of
// (seed, step, layer, row): it does not depend on ranks, workers or resumes, and
// enters the model as an input, so positions and masks can follow it.
package route

import (
	"math/bits"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// A Draw names one decision: which positions of one row one layer keeps.
type Draw struct {
	Seed  uint64
	Step  int64 // from 0
	Layer int   // index in the model, from 0
	Row   int   // row of the global batch, from 0
}

// A Policy chooses kept positions. Keep fills kept with len(kept) different
// positions of [0, length) in ascending order, and must be a pure function of
// its arguments; 0 < len(kept) <= length.
type Policy interface {
	Keep(kept []int32, length int, d Draw)
}

// RandomLTD keeps a uniformly random subset, drawn anew for every layer and
// every row.
type RandomLTD struct{}

// Keep draws by Floyd's method (Bentley and Floyd, "A sample of brilliance",
// 1987): min(kept, dropped) random numbers, whatever the length.
func (RandomLTD) Keep(kept []int32, length int, d Draw) {
	stream := keyed.NewKey(d.Seed, "route random-ltd", uint64(d.Step), uint64(d.Layer), uint64(d.Row)).Stream()
	// The smaller of the two sets is drawn; the other is what it leaves.
	count, drawn := len(kept), true
	if count > length-count {
		count, drawn = length-count, false
	}
	set := make([]uint64, (length+63)/64)
	for j := length - count; j < length; j++ {
		pick := int(stream.Uint64N(uint64(j) + 1))
		if set[pick/64]>>(pick%64)&1 != 0 {
			pick = j
		}
		set[pick/64] |= 1 << (pick % 64)
	}
	n := 0
	for w, word := range set {
		if !drawn {
			word = ^word
			if rest := length - 64*w; rest < 64 {
				word &= 1<<rest - 1
			}
		}
		for ; word != 0; word &= word - 1 {
			kept[n] = int32(64*w + bits.TrailingZeros64(word))
			n++
		}
	}
}

// Inner returns the layers that random-LTD routes in a model of the given depth:
// all but the first and the last, which see every token. Shallower models than
// three layers have none.
func Inner(layers int) []int {
	var inner []int
	for l := 1; l < layers-1; l++ {
		inner = append(inner, l)
	}
	return inner
}

// Positions draws the kept positions of one step: for each layer [rows, keep]
// flattened, with rows counted from firstRow of the global batch. Its cost grows
// with layers * rows * min(keep, length-keep).
func Positions(p Policy, seed uint64, step int64, layers []int, firstRow, rows, length, keep int) [][]int32 {
	out := make([][]int32, len(layers))
	for i, layer := range layers {
		out[i] = make([]int32, rows*keep)
		for r := range rows {
			p.Keep(out[i][r*keep:(r+1)*keep], length, Draw{seed, step, layer, firstRow + r})
		}
	}
	return out
}
