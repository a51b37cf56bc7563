package saving

import (
	"slices"

	"github.com/gradus-ml/gradus/runlog"
)

// Clocks are the names of what consumption is counted in. The last two are times:
// they depend on the machine, and all others on the runs alone.
func Clocks() []string {
	return []string{"tokens", "layer-tokens", "flops", "steps", "seconds", "wall"}
}

// timed tells whether a clock counts time.
func timed(clock string) bool { return clock == "seconds" || clock == "wall" }

// Amounts is what a run consumed.
type Amounts struct {
	Tokens      float64 `json:"tokens"`
	LayerTokens float64 `json:"layer_tokens"`
	FLOPs       float64 `json:"flops"`
	Steps       float64 `json:"steps"`
	Seconds     float64 `json:"seconds"` // of training steps
	Wall        float64 `json:"wall"`    // Seconds, and waiting for batches and for graphs to be compiled
}

// On is the amount on a clock, of Clocks.
func (a Amounts) On(clock string) float64 {
	switch clock {
	case "tokens":
		return a.Tokens
	case "layer-tokens":
		return a.LayerTokens
	case "flops":
		return a.FLOPs
	case "steps":
		return a.Steps
	case "seconds":
		return a.Seconds
	case "wall":
		return a.Wall
	}
	return 0
}

// consumed is what a run had consumed after its first steps.
func consumed(steps []runlog.Step) Amounts {
	if len(steps) == 0 {
		return Amounts{}
	}
	last := steps[len(steps)-1]
	a := Amounts{
		Tokens: float64(last.Tokens), LayerTokens: min(last.LayerTokens, most), FLOPs: min(last.FLOPs, most),
		Steps: float64(last.Step), Seconds: min(last.Seconds, most),
	}
	a.Wall = a.Seconds
	for _, s := range steps {
		a.Wall += min(s.Waited, most) + min(s.Compile, most)
	}
	return a
}

// mean is the mean of amounts, clock by clock.
func mean(all []Amounts) Amounts {
	var sum Amounts
	for _, a := range all {
		sum.Tokens += a.Tokens
		sum.LayerTokens += a.LayerTokens
		sum.FLOPs += a.FLOPs
		sum.Steps += a.Steps
		sum.Seconds += a.Seconds
		sum.Wall += a.Wall
	}
	n := float64(len(all))
	return Amounts{sum.Tokens / n, sum.LayerTokens / n, sum.FLOPs / n, sum.Steps / n, sum.Seconds / n, sum.Wall / n}
}

// clocks are the clocks on which every finished run has an amount.
func (c *comparison) clocks() []string {
	return slices.DeleteFunc(Clocks(), func(clock string) bool {
		return slices.ContainsFunc(c.runs, func(r RunResult) bool {
			return r.Status == Done && !amount(r.Consumed.On(clock))
		})
	})
}
