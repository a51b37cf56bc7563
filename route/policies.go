package route

import (
	"math/bits"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// RandomLTD keeps a uniformly random subset, drawn anew for every step, layer and
// row (random-LTD, arXiv 2211.11586, section 3).
type RandomLTD struct{}

// Keep draws min(kept, dropped) random numbers, whatever the length.
func (RandomLTD) Keep(kept []int32, length int, d Draw) {
	subset(kept, length, d.key("route random-ltd", d.Layer).Stream())
}

// Shared keeps a uniformly random subset, drawn anew for every step and row, and
// the same in all layers of a span (TREAD, arXiv 2501.04765: a token
// that is dropped takes one route past all of them).
type Shared struct{}

// Keep is that of RandomLTD, of another key.
func (Shared) Keep(kept []int32, length int, d Draw) {
	subset(kept, length, d.key("route shared", d.Span).Stream())
}

// Shares is true.
func (Shared) Shares() bool { return true }

// Constant keeps a uniformly random subset that is the same at every step: drawn
// once for each layer and row. As more are kept of rows of one length, those that
// were kept stay. It is a control, which shows what it brings to draw anew.
type Constant struct{}

// Keep takes the first of a random order of all positions.
func (Constant) Keep(kept []int32, length int, d Draw) {
	stream := keyed.NewKey(d.Seed, "route constant", uint64(d.Layer), uint64(d.Row)).Stream()
	order := make([]int32, length)
	for i := range order {
		order[i] = int32(i)
	}
	var words [2048 / 64]uint64
	set := bitset(words[:], length)
	for i := range kept { // Fisher and Yates, as far as needed
		j := i + int(stream.Uint64N(uint64(length-i)))
		order[i], order[j] = order[j], order[i]
		set[order[i]/64] |= 1 << (order[i] % 64)
	}
	members(kept, set, length, true)
}

// subset fills kept with a uniformly random subset of [0, length), ascending, by
// Floyd's method (Bentley and Floyd, "A sample of brilliance", 1987).
func subset(kept []int32, length int, stream *keyed.Stream) {
	// The smaller of the two sets is drawn; the other is what it leaves.
	count, drawn := len(kept), true
	if count > length-count {
		count, drawn = length-count, false
	}
	var words [2048 / 64]uint64
	set := bitset(words[:], length)
	for j := length - count; j < length; j++ {
		pick := int(stream.Uint64N(uint64(j) + 1))
		if set[pick/64]>>(pick%64)&1 != 0 {
			pick = j
		}
		set[pick/64] |= 1 << (pick % 64)
	}
	members(kept, set, length, drawn)
}

// bitset returns an empty set of numbers below length, in words if they are enough.
func bitset(words []uint64, length int) []uint64 {
	n := (length + 63) / 64
	if n > len(words) {
		return make([]uint64, n)
	}
	return words[:n]
}

// members lists the numbers below length that are in a set, or those that are not,
// ascending.
func members(list []int32, set []uint64, length int, in bool) {
	n := 0
	for w, word := range set {
		if !in {
			word = ^word
			if rest := length - 64*w; rest < 64 {
				word &= 1<<rest - 1
			}
		}
		for ; word != 0; word &= word - 1 {
			list[n] = int32(64*w + bits.TrailingZeros64(word))
			n++
		}
	}
}
