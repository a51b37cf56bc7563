package curriculum

import (
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

// A Clock is what a run's time is counted in. Curricula and routing change how
// many tokens a step costs, so the three differ; budgets, paces and
// learning-rate decay all follow the one that the recipe names.
type Clock string

// The clocks.
const (
	Steps       Clock = "steps"        // optimizer updates
	Tokens      Clock = "tokens"       // tokens that enter the first layer
	LayerTokens Clock = "layer-tokens" // tokens summed over layers, divided by layers
)

// ParseClock returns the clock of a name.
func ParseClock(name string) (Clock, error) {
	if c := Clock(name); slices.Contains([]Clock{Steps, Tokens, LayerTokens}, c) {
		return c, nil
	}
	return "", fault.Invalidf("unknown clock %q; there are steps, tokens and layer-tokens", name)
}

// A Position is how far a run has come, on every clock at once.
type Position struct {
	Steps    int64
	Tokens   int64
	LayerSum int64 // tokens summed over the layers; exact, where LayerTokens is a ratio
	Layers   int
}

// LayerTokens returns the position in layer-tokens.
func (p Position) LayerTokens() float64 { return float64(p.LayerSum) / float64(max(p.Layers, 1)) }

// On returns the position on one clock.
func (p Position) On(c Clock) float64 {
	switch c {
	case Steps:
		return float64(p.Steps)
	case Tokens:
		return float64(p.Tokens)
	default:
		return p.LayerTokens()
	}
}

// plus returns the position after n more steps that cost c each.
func (p Position) plus(n int64, c cost) Position {
	p.Steps += n
	p.Tokens += n * c.tokens
	p.LayerSum += n * c.layerSum
	return p
}

// A cost is what one step adds to a position.
type cost struct{ tokens, layerSum int64 }

// A Timed pace counts on a clock of its own. The zero Timed is no pace.
type Timed struct {
	pace.Pace
	Clock Clock // empty: the plan's
}

// A Shape is the size of a batch: what a compiled graph is compiled for.
type Shape struct {
	Rows   int `json:"rows"`   // sequences
	Length int `json:"length"` // tokens in each
	Kept   int `json:"kept"`   // tokens that a routed layer sees, if Config.Drop is nil; Length if it sees all
}

// Tokens returns the tokens that enter the first layer.
func (s Shape) Tokens() int64 { return int64(s.Rows) * int64(s.Length) }
