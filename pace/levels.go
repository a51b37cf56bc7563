package pace

import "math"

// levels are the values of a pace that goes from one value to another: the
// multiples of a step between them, and the last value itself. Level numbers
// first, first+1, ..., last are those of the lattice.
//
// A pace that falls is kept as its mirror image, which rises: every value
// changes its sign. So from <= to here.
type levels struct {
	lattice
	from, to    float64
	first, last float64
	falling     bool
}

func newLevels(from, to, step float64, round Rounding) levels {
	l := levels{lattice: newLattice(step), from: from, to: to, falling: from > to}
	if l.falling {
		l.from, l.to = -from, -to
	}
	l.last = l.ceil(l.to)
	switch {
	case from == to:
		l.first = l.last
	case round == RoundDown:
		l.first = l.floor(l.from)
	default:
		l.first = l.ceil(l.from)
	}
	return l
}

// value returns the value of a level.
func (l *levels) value(k float64) float64 {
	v := min(l.at(k), l.to)
	if l.falling {
		return 0 - v // not -v: a pace that falls to 0 ends at 0, not at -0
	}
	return v
}

// stairs say which level holds at which share of the way. They are the levels
// that a curve has reached, and each stands at an exact place.
//
// A curve is computed with errors in its last bits, so close to a level it may
// be above, below and above again. There, within noise of the level, one place
// decides: that which a bisection over all of the way finds. Nowhere else does
// the error matter. So the level never falls as the share rises.
type stairs struct {
	levels
	curve  Curve
	span   float64 // to - from
	onward bool    // the curve goes on past share 1, until it reaches the last level
	far    float64 // a share at which the last level holds; 1 unless onward
	slack  float64 // a level counts as reached that far below it
	noise  float64 // more than the error of the curve's value; 0: it has none that matters
}

// newStairs returns the stairs of a curve. An exact curve never falls as it is
// computed, to the last bit.
func newStairs(l levels, curve Curve, onward, exact bool) *stairs {
	s := &stairs{levels: l, curve: curve, span: l.to - l.from, onward: onward, far: 1}
	if !exact {
		scale := max(math.Abs(l.from), math.Abs(l.to))
		s.slack, s.noise = scale*0x1p-40, scale*0x1p-44
	}
	if onward && s.first < s.last {
		for !s.reaches(s.last, s.far) { // at +Inf it does
			s.far *= 2
		}
	}
	return s
}

// height returns the curve's value, before it is rounded.
func (s *stairs) height(share float64) float64 {
	switch {
	case share <= 0:
		return s.from
	case share >= 1 && !s.onward:
		return s.at(s.last)
	}
	// The conversion keeps the compiler from fusing the multiplication with the
	// addition, which would round otherwise on arm64 than on amd64.
	v := float64(s.curve(share)*s.span) + s.from
	if share >= 1 {
		v = max(v, s.to)
	}
	return v
}

// reaches tells whether the computed curve has reached level k.
func (s *stairs) reaches(k, share float64) bool { return s.height(share)+s.slack >= s.at(k) }

// level returns the level that holds at a share of the way.
func (s *stairs) level(share float64) float64 {
	if s.first >= s.last {
		return s.last
	}
	v := s.height(share) + s.slack
	k := s.floor(v)
	if s.noise > 0 {
		switch {
		case s.at(k) > v-s.noise && share < s.place(k):
			k--
		case s.at(k+1) <= v+s.noise && share >= s.place(k+1):
			k++
		}
	}
	return min(max(k, s.first), s.last)
}

// place returns the smallest share at which level k holds.
func (s *stairs) place(k float64) float64 {
	switch {
	case k <= s.first:
		return math.Inf(-1)
	case k > s.last:
		return math.Inf(1)
	}
	return first(0, s.far, func(share float64) bool { return s.reaches(k, share) })
}

// next returns the smallest share at which a higher level holds than at a share;
// +Inf if none does.
func (s *stairs) next(share float64) float64 { return s.place(s.level(share) + 1) }
