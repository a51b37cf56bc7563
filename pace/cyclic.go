package pace

import (
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Shape is how a cyclic pace comes back to where it began.
type Shape string

const (
	// Sawtooth rises to To in each cycle and falls back at once. Every level has
	// the same share of the cycle.
	Sawtooth Shape = "sawtooth"
	// Triangle rises to To and falls back at the same speed.
	Triangle Shape = "triangle"
	// Wave is Triangle along a cosine: slow at both ends.
	Wave Shape = "cosine"
)

// NewCyclic returns the pace that goes from From to To so many times between
// Begin and Until, and holds To after that: the length curriculum of dataset
// decomposition (arXiv 2405.13226), or a weight that comes and goes. It needs a
// Step. An empty shape is Sawtooth.
//
// Triangle and Wave end on their last rise, so that of n cycles the last is half
// as long as the others, without its way back. From may be above To.
func NewCyclic(r Ramp, cycles int, shape Shape) (Stepped, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	legs := float64(cycles)
	switch {
	case r.Step == 0:
		return nil, fault.Invalidf("step is 0; a cyclic pace needs one (1 gives whole numbers)")
	case cycles < 1 || cycles > mostCycles:
		return nil, fault.Invalidf("cycles is %d; it must be from 1 to %d", cycles, mostCycles)
	case (r.Until-r.Begin)/legs < max(math.Abs(r.Begin), math.Abs(r.Until))*0x1p-40:
		return nil, fault.Invalidf("cycles is %d, too many between begin (%v) and until (%v) to tell apart", cycles, r.Begin, r.Until)
	}
	l := newLevels(r.From, r.To, r.Step, r.Round)
	if l.first >= l.last {
		return Constant(l.value(l.last)), nil
	}
	// A leg climbs the numbers of the levels: 0 is the first.
	top, curve, exact := l.last-l.first, Curve(straight), true
	back := true
	switch shape {
	case "", Sawtooth:
		top, back = top+1, false // the last level has its share of time, too
	case Triangle:
	case Wave:
		curve, exact = cosineCurve, false
	default:
		return nil, fault.Invalidf("shape is %q; there are %s, %s and %s", shape, Sawtooth, Triangle, Wave)
	}
	if back {
		legs = 2*legs - 1
	}
	numbers := newStairs(newLevels(0, top, 1, RoundUp), curve, false, exact)
	return hold(&cyclic{way{r.Begin, r.Until}, l, numbers, legs, back}, r.Every), nil
}

const mostCycles = 1 << 20

// A cyclic pace is a row of legs. A leg goes over all levels, upwards, or, every
// other one if there is a way back, downwards.
type cyclic struct {
	way
	levels
	numbers *stairs // of the level, counted from where the leg begins
	legs    float64
	back    bool
}

// leg returns the number of the leg that holds a clock position.
func (c *cyclic) leg(clock float64) float64 {
	i := math.Floor(c.share(clock) * c.legs)
	switch { // the product rounds: i may be one off
	case c.edge(i) > clock:
		i--
	case c.edge(i+1) <= clock:
		i++
	}
	return min(max(i, 0), c.legs-1)
}

// edge returns where leg i begins, and leg i-1 ends.
func (c *cyclic) edge(i float64) float64 {
	if i == c.legs {
		return c.until
	}
	return c.begin + float64((c.until-c.begin)*(i/c.legs))
}

// stretch returns the stretch of leg i.
func (c *cyclic) stretch(i float64) way { return way{c.edge(i), c.edge(i + 1)} }

func (c *cyclic) At(clock float64) float64 {
	i := c.leg(clock)
	w := c.stretch(i)
	n := min(c.numbers.level(w.share(clock)), c.last-c.first)
	if c.back && math.Mod(i, 2) == 1 {
		return c.value(c.last - n)
	}
	return c.value(c.first + n)
}

func (c *cyclic) Next(clock float64) float64 {
	now := c.At(clock)
	for i := c.leg(clock); ; i++ {
		w := c.stretch(i)
		if share := c.numbers.next(w.share(clock)); !math.IsInf(share, 1) {
			if x := w.clock(share, clock); x < w.until && c.At(x) != now {
				return x
			}
		}
		if c.At(w.until) != now { // the next leg has begun, or the pace has ended
			return w.until
		}
		if i == c.legs-1 {
			return math.Inf(1)
		}
		clock = w.until
	}
}
