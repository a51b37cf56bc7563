package pace

import "math"

// A held pace changes only at multiples of a clock position: it has the value
// that the inner pace has at the last of them.
type held struct {
	inner Stepped
	every lattice
}

// hold returns p held at multiples of every, or p itself if every is 0.
func hold(p Stepped, every float64) Stepped {
	if every == 0 {
		return p
	}
	return &held{p, newLattice(every)}
}

// last returns the last multiple that is at most clock.
func (h *held) last(clock float64) float64 { return h.every.at(h.every.floor(clock)) }

func (h *held) At(clock float64) float64 { return h.inner.At(h.last(clock)) }

func (h *held) Next(clock float64) float64 {
	at := h.last(clock)
	now := h.inner.At(at)
	for {
		change := h.inner.Next(at)
		if math.IsInf(change, 1) {
			return change
		}
		// A cyclic pace may be back where it was by the next multiple.
		at = max(change, h.every.at(h.every.ceil(change)))
		if h.inner.At(at) != now {
			return at
		}
	}
}
