package pace

import "math"

// first returns the smallest float64 in (low, high] for which ok holds, given
// that it fails at low, holds at high and changes once. It asks 64 times at most.
func first(low, high float64, ok func(float64) bool) float64 {
	lo, hi := ordinal(low), ordinal(high)
	for uint64(hi)-uint64(lo) > 1 { // hi > lo: the difference fits in 64 bits
		if mid := lo + int64((uint64(hi)-uint64(lo))/2); ok(float(mid)) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return float(hi)
}

// ordinal numbers the float64 in ascending order; 0 and -0 are both number 0.
func ordinal(f float64) int64 {
	n := int64(math.Float64bits(f))
	if n < 0 {
		n = math.MinInt64 - n
	}
	return n
}

// float is the inverse of ordinal.
func float(n int64) float64 {
	if n < 0 {
		n = math.MinInt64 - n
	}
	return math.Float64frombits(uint64(n))
}

// A way is a stretch of the clock.
type way struct{ begin, until float64 }

// share returns how much of the way is done: 0 at begin, 1 at until, less or
// more outside. It never falls as the clock rises, for a difference and a
// quotient are rounded correctly.
func (w *way) share(clock float64) float64 { return (clock - w.begin) / (w.until - w.begin) }

// clock returns the smallest position after a position at which the share is at
// least the given one; after has less.
func (w *way) clock(share, after float64) float64 {
	at := w.begin + float64(share*(w.until-w.begin)) // and a few roundings beside it
	margin := max(math.Abs(at), math.Abs(w.begin)) * 0x1p-51
	high := at
	for w.share(high) < share {
		high = at + margin
		margin *= 2
	}
	if math.IsInf(high, 1) {
		return high
	}
	if low := at - margin; low > after && w.share(low) < share {
		after = low
	}
	return first(after, high, func(x float64) bool { return w.share(x) >= share })
}
