package saving

import (
	"math"

	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
)

// Status says how a run came out.
type Status string

// The outcomes. Only a run that is Done has a final loss.
const (
	Done       Status = "done"
	Unfinished Status = "unfinished"    // its log ends before its last step: its rate has not decayed
	Diverged   Status = "diverged"      // a loss is no finite number
	Unmeasured Status = "not evaluated" // it has no held-out loss after its last step
	Failed     Status = "failed"        // the study says that it ended early
)

// A RunResult is one run as the page lists it.
type RunResult struct {
	Arm      string   `json:"arm"`
	Budget   float64  `json:"budget"`
	Seed     uint64   `json:"seed"`
	Status   Status   `json:"status"`
	Why      string   `json:"why,omitempty"` // of a run that failed
	Final    *float64 `json:"final"`         // held-out loss after the last step; nil unless Done
	FinalRaw *float64 `json:"final_raw,omitempty"`
	Accuracy *float64 `json:"accuracy,omitempty"`
	Consumed Amounts  `json:"consumed"`
	Steps    int64    `json:"steps_planned"`
	Spent    Spent    `json:"spent"`
	Digest   string   `json:"digest,omitempty"` // of the sample ids of the last step
	Recipe   string   `json:"recipe,omitempty"`
	Corpus   string   `json:"corpus,omitempty"`
	Model    string   `json:"model,omitempty"`
	Backend  string   `json:"backend,omitempty"` // and the precision, unless float32

	Parameters int64   `json:"parameters"`
	Rate       float64 `json:"rate"` // peak learning rate
	predicts   string
	weights    string
}

// Spent is what a run cost beside its clocks, or did not use.
type Spent struct {
	Padding   float64 `json:"padding"`       // share of the batches' positions that held nothing
	Discarded float64 `json:"discarded"`     // share of the samples' tokens that no batch held
	Waited    float64 `json:"waited"`        // seconds of waiting for batches
	Compile   float64 `json:"compile"`       // seconds of waiting for graphs to be compiled
	Ahead     float64 `json:"compile_ahead"` // seconds of compiling for which no step waited
}

// spent sums up steps.
func spent(steps []runlog.Step) (s Spent) {
	var positions, padding, discarded float64
	for _, step := range steps {
		positions += float64(step.Rows) * float64(step.Length)
		padding += float64(step.Padding)
		discarded += float64(step.Discarded)
		s.Waited += min(step.Waited, most)
		s.Compile += min(step.Compile, most)
		s.Ahead += min(step.CompileAhead, most)
	}
	padding = min(padding, positions)
	if padding > 0 {
		s.Padding = tidy(padding / positions)
	}
	if discarded > 0 {
		s.Discarded = tidy(discarded / (positions - padding + discarded))
	}
	return s
}

// meanSpent is the mean of what runs spent, of which there is at least one.
func meanSpent(all []Spent) Spent {
	var sum Spent
	for _, s := range all {
		sum.Padding += s.Padding
		sum.Discarded += s.Discarded
		sum.Waited += s.Waited
		sum.Compile += s.Compile
		sum.Ahead += s.Ahead
	}
	n := float64(len(all))
	return Spent{tidy(sum.Padding / n), tidy(sum.Discarded / n), sum.Waited / n, sum.Compile / n, sum.Ahead / n}
}

// outcome reads what came of a run.
func outcome(run Run) RunResult {
	r := RunResult{Arm: run.Arm, Budget: run.Budget, Seed: run.Seed, Why: words.Printable(run.Failed), Status: Failed}
	if run.Log == nil {
		return r
	}
	head, steps := run.Log.Run, run.Log.Steps
	r.Steps, r.Parameters, r.Rate = head.Steps, head.Parameters, head.Rate
	r.Recipe, r.Corpus, r.Model = words.Printable(head.Recipe), words.Printable(head.Corpus), words.Printable(head.Model)
	r.Backend = words.Printable(head.Backend + " " + head.Precision)
	r.predicts, r.weights = head.Predicts, head.Weights
	r.Consumed, r.Spent = consumed(steps), spent(steps)
	var last runlog.Step
	if n := len(steps); n > 0 {
		last = steps[n-1]
		r.Digest = words.Printable(last.Digest)
	}
	switch {
	case diverged(steps):
		r.Status = Diverged
	case run.Failed != "":
		r.Status = Failed
	case last.Step < head.Steps || last.Step == 0:
		r.Status = Unfinished
	case last.HeldOut == nil:
		r.Status = Unmeasured
	default:
		r.Status, r.Final, r.Accuracy = Done, last.HeldOut, last.Accuracy
		if last.HeldOutRaw != nil && math.Abs(*last.HeldOutRaw) <= most {
			r.FinalRaw = last.HeldOutRaw
		}
	}
	return r
}

// most is what any number of a log counts as if it is larger, so that sums and squares of
// many stay finite.
const most = 1e60

// diverged tells whether a loss of a run, held out or not, is no finite number, or none
// that training can have led to.
func diverged(steps []runlog.Step) bool {
	sane := func(loss float64) bool { return math.Abs(loss) <= most }
	for _, s := range steps {
		if !sane(s.Loss) || s.HeldOut != nil && !sane(*s.HeldOut) {
			return true
		}
	}
	return false
}
