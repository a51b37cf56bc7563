package saving

import (
	"fmt"
	"math"
	"slices"
)

// A Result is what Compare found, ready for JSON.
type Result struct {
	Name       string   `json:"name"`
	Question   string   `json:"question"`
	Notes      string   `json:"notes,omitempty"`
	Timed      string   `json:"timed,omitempty"` // how the times were taken
	Answer     []string `json:"answer"`          // in sentences
	Scale      string   `json:"scale"`           // what was trained, on how much: how far the answer reaches
	Warnings   []string `json:"warnings"`        // what to know before believing it
	Baseline   string   `json:"baseline"`
	Unit       string   `json:"unit"`       // of losses: "nats a token"
	Confidence float64  `json:"confidence"` // of intervals
	Clocks     []string `json:"clocks"`     // on which every finished run has an amount
	Seeds      []uint64 `json:"seeds"`
	Expected   int      `json:"runs_expected"`
	Finished   int      `json:"runs_finished"`

	Primary  *Verdict      `json:"primary,omitempty"`
	Arms     []ArmResult   `json:"arms"` // the baseline first
	Controls []Attribution `json:"controls"`
	Runs     []RunResult   `json:"runs"` // every run, by arm, budget and seed
}

// An ArmResult is what came of one arm.
type ArmResult struct {
	Arm
	Budgets []AtBudget `json:"budgets"`           // from small to large
	Reverse []Reverse  `json:"reverse,omitempty"` // where the arm has two budgets or more
}

// AtBudget is what the runs of an arm at one budget came to.
type AtBudget struct {
	Budget   float64   `json:"budget"`
	Runs     int       `json:"runs"`     // finished or not
	Loss     *Spread   `json:"loss"`     // of the finished ones; nil: none is
	Consumed *Amounts  `json:"consumed"` // their mean
	Spent    *Spent    `json:"spent"`    // their mean
	Clocks   []OnClock `json:"clocks"`
}

// OnClock is what an arm at a budget came to on one clock.
type OnClock struct {
	Clock  string    `json:"clock"`
	Amount float64   `json:"amount"`           // mean
	Saving *Estimate `json:"saving,omitempty"` // nil: of the baseline, or nothing to tell it from
	Gain   *Gain     `json:"gain,omitempty"`   // nil: of the baseline, or it has no loss at that amount
}

// A Reverse is what an arm needs to reach the baseline's loss at the full budget: what the
// baseline consumed, divided by that.
type Reverse struct {
	Clock string `json:"clock"`
	Estimate
}

// An Attribution is how much of an arm's gain its control has too.
type Attribution struct {
	Control   string   `json:"control"`
	Of        string   `json:"of"`
	Budget    float64  `json:"budget"`
	Clock     string   `json:"clock"`
	Gain      float64  `json:"gain"`                // of the control at equal cost
	GainOf    float64  `json:"gain_of_arm"`         // of the arm
	Share     *Ratio   `json:"share"`               // Gain / GainOf; nil where the arm's is not significant
	LogSaving *float64 `json:"share_of_log_saving"` // the same of the logarithms of the savings; nil where the arm's interval holds 1
}

// A Verdict is what came of the primary comparison.
type Verdict struct {
	Primary
	Why     string         `json:"why,omitempty"` // it cannot be judged
	Results []ClockVerdict `json:"results"`
	Reached bool           `json:"reached"` // on every clock the estimate is at the aim or beyond
	Sure    bool           `json:"sure"`    // and so is the whole interval
}

// A ClockVerdict is what came of the primary comparison on one clock.
type ClockVerdict struct {
	Clock   string    `json:"clock"`
	Saving  *Estimate `json:"saving"`
	Reached bool      `json:"reached"`
	Sure    bool      `json:"sure"`
}

// On is the result on a clock; nil: there is none.
func (b AtBudget) On(clock string) *OnClock {
	for i := range b.Clocks {
		if b.Clocks[i].Clock == clock {
			return &b.Clocks[i]
		}
	}
	return nil
}

// at is the result of an arm at a budget; nil: there is none.
func (r Result) at(arm string, budget float64) *AtBudget {
	for i := range r.Arms {
		if r.Arms[i].Name != arm {
			continue
		}
		b := r.Arms[i].Budgets
		if k := slices.IndexFunc(b, func(at AtBudget) bool { return at.Budget == budget }); k >= 0 {
			return &b[k]
		}
	}
	return nil
}

// verdict judges the primary comparison; nil where none was fixed.
func verdict(p *Primary, r Result) *Verdict {
	if p == nil {
		return nil
	}
	v := &Verdict{Primary: *p, Results: []ClockVerdict{}}
	at := r.at(p.Arm, p.Budget)
	missing := r.Expected - len(r.Runs)
	for _, run := range r.Runs {
		if run.Status == Unfinished {
			missing++
		}
	}
	switch {
	case at == nil || at.Loss == nil:
		v.Why = "no run of " + p.Arm + " at " + share(p.Budget) + " is finished"
		return v
	case at.Loss.N < at.Runs:
		v.Why = "not every run of " + p.Arm + " at " + share(p.Budget) + " came to a final loss"
	case missing > 0: // who looks before the end, and may stop there, finds more than there is
		v.Why = fmt.Sprintf("%d of %d runs of the study are still to be made", missing, r.Expected)
	}
	v.Reached, v.Sure = v.Why == "", v.Why == ""
	for _, clock := range p.Clocks {
		k := ClockVerdict{Clock: clock}
		if on := at.On(clock); on != nil && on.Saving != nil {
			k.Saving = on.Saving
			aim := p.Aim * (1 - slack) // that much runs of one budget may differ by their last step
			k.Reached = k.Saving.Factor >= aim && k.Saving.Bound != AtMost
			k.Sure = k.Reached && k.Saving.Interval != nil && k.Saving.Interval.Low != nil && *k.Saving.Interval.Low >= aim
		} else if v.Why == "" {
			v.Why = "no saving in " + noun(clock) + " can be told from these runs"
		}
		v.Reached = v.Reached && k.Reached
		v.Sure = v.Sure && k.Sure
		v.Results = append(v.Results, k)
	}
	return v
}

// logShare is log(part) / log(whole) of two savings; nil where one lies beyond what could be
// tested, or whole may be none.
func logShare(part, whole *Estimate) *float64 {
	if part == nil || whole == nil || part.Bound != "" || whole.Bound != "" || whole.Interval == nil || whole.Interval.Holds(1) {
		return nil
	}
	return new(tidy(math.Log(part.Factor) / math.Log(whole.Factor)))
}
