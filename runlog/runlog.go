// Package runlog records a training run: one [Run] says what was trained, and
// one [Step] for each training step says what it consumed and what came of it.
// The [Log] of a run is the only thing a report reads.
//
// # The file
//
// A run log is JSON lines in UTF-8: one object a line, each line ended by "\n".
//
//	{"run":{"version":1,"name":"baseline", ... }}
//	{"step":1,"tokens":2048,"layer_tokens":2048, ... }
//	{"step":2,"tokens":4096,"layer_tokens":4096, ... }
//
// The first line holds the Run, under the key "run". Every other line holds a
// Step; steps follow each other without gaps from 1, and what a step counts
// cumulatively (tokens, layer_tokens, flops, seconds) never falls. Every key
// must stand, except "difficulty" and "held_out" which stand where they apply, and
// "padding" and "discarded" which are left out at 0; an unknown key is an error, so
// that a misspelt one is not lost in silence.
// The order of the keys and the white space within a line are free. No line is
// longer than 1 MiB.
//
// Numbers are written with the fewest digits that read back to the same bits.
// JSON has no NaN and no infinity, but runs diverge: in loss, grad_norm,
// held_out, held_out_raw and difficulty these are the strings "NaN", "Inf" and "-Inf".
//
// A line is written by a single call, and only ever at the end of the file. So
// a process killed at any moment leaves whole lines and, at worst, a torn last
// one without its "\n", which [Read] leaves out and reports, and [Resume] cuts
// off. All other damage is an error of kind fault.Corrupt.
//
// # Versions
//
// Version 1 is the first. A log of a later version is refused with
// fault.Mismatch: reading it half would give half a report.
package runlog

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Version is the format that this package writes, and the newest it reads.
const Version = 1

// FileName is what a run directory calls its log.
const FileName = "run.jsonl"

// Clocks are the names a Run's Clock may have: what its budget, its paces and
// its learning rate are counted in.
func Clocks() []string { return []string{"steps", "tokens", "layer-tokens"} }

// Run says what was trained: the first line of a log.
type Run struct {
	Version    int     `json:"version"`    // of the format; Create fills it in
	Name       string  `json:"name"`       // what a report calls the run
	Recipe     string  `json:"recipe"`     // hash of the recipe
	Corpus     string  `json:"corpus"`     // fingerprint of the corpus
	Seed       uint64  `json:"seed"`       // of every draw of the run
	Model      string  `json:"model"`      // one line for people
	Parameters int64   `json:"parameters"` // trained numbers in the model
	Steps      int64   `json:"steps"`      // planned
	Clock      string  `json:"clock"`      // one of Clocks
	Budget     float64 `json:"budget"`     // planned, counted in Clock
	Backend    string  `json:"backend"`    // what computed it
	Rate       float64 `json:"rate"`       // peak learning rate

	Weights   string `json:"weights,omitempty"`   // SHA-256 of the trained weights it began with; empty: drawn ones
	Precision string `json:"precision,omitempty"` // of matrix products; empty: float32
	Predicts  string `json:"predicts,omitempty"`  // what a loss is the mean over, such as "image"; empty: token
}

// Step says what one training step consumed and what came of it: every line
// of a log but the first.
type Step struct {
	Step        int64              // steps completed, this one included; from 1
	Tokens      int64              // cumulative: tokens consumed
	LayerTokens float64            // cumulative: tokens each layer saw, summed over layers, divided by layers
	FLOPs       float64            // cumulative: floating-point operations of training, forward and backward
	Seconds     float64            // cumulative: spent in training steps; no evaluation, no compilation
	Stage       int                // of the curriculum, from 0
	Difficulty  map[string]float64 // admitted difficulty by metric; nil without a curriculum
	Length      int                // tokens in a row of the batch
	Rows        int                // rows of the batch
	Kept        int                // tokens of a row that the middle layers see; Length when none is dropped
	Padding     int64              // positions of the batch that hold no input of a sample; they predict nothing
	Discarded   int64              // inputs of the step's samples that no row of the batch holds
	Rate        float64            // learning rate of this step, as it was used
	Loss        float64            // mean training loss, nats a token; NaN and Inf of a diverged run are kept
	GradNorm    float64            // of the whole gradient, before clipping
	HeldOut     *float64           // held-out loss after this step, nats a token; nil when not evaluated
	HeldOutRaw  *float64           // the same of the weights themselves, where HeldOut is that of their average; else nil
	Accuracy    *float64           // share of the held-out labels that the model finds likeliest; nil when not evaluated, or not counted
	Waited      float64            // seconds before this step in which the loop had no batch to go on with; not in Seconds
	Compile     float64            // seconds before this step in which it waited for its graphs to be compiled; not in Seconds
	// CompileAhead is the seconds that compiling took since the step before, for which
	// no step waited: of the graphs of steps to come, and of evaluations.
	CompileAhead float64
	Digest       string // of the ids of this step, all ranks: curriculum.Digest
}

// Log is a run log in memory.
type Log struct {
	Run   Run
	Steps []Step // Steps[i].Step == i+1
	Torn  bool   // the file ends in half a line, which is left out of Steps
}

// check says what is wrong with a run, or nil.
func (r Run) check() error {
	switch {
	case !slices.Contains(Clocks(), r.Clock):
		return fmt.Errorf("clock is %q, want one of %q", r.Clock, Clocks())
	case !counts(r.Budget):
		return fmt.Errorf("budget is %v, want a finite number, 0 or more", r.Budget)
	case !counts(r.Rate):
		return fmt.Errorf("rate is %v, want a finite number, 0 or more", r.Rate)
	case r.Parameters < 0:
		return fmt.Errorf("parameters is %d, want 0 or more", r.Parameters)
	case r.Steps < 0:
		return fmt.Errorf("steps is %d, want 0 or more", r.Steps)
	}
	return nil
}

// check says what is wrong with s as the step after prev (the zero Step before
// the first), or nil.
func (s Step) check(prev Step) error {
	if s.Step != prev.Step+1 {
		return fmt.Errorf("step is %d, want %d: steps follow each other from 1", s.Step, prev.Step+1)
	}
	if s.Tokens < prev.Tokens {
		return fmt.Errorf("tokens falls from %d to %d, but is cumulative", prev.Tokens, s.Tokens)
	}
	for _, c := range []struct {
		key       string
		prev, now float64
	}{
		{"layer_tokens", prev.LayerTokens, s.LayerTokens},
		{"flops", prev.FLOPs, s.FLOPs},
		{"seconds", prev.Seconds, s.Seconds},
	} {
		if !counts(c.now) {
			return fmt.Errorf("%s is %v, want a finite number, 0 or more", c.key, c.now)
		}
		if c.now < c.prev {
			return fmt.Errorf("%s falls from %v to %v, but is cumulative", c.key, c.prev, c.now)
		}
	}
	switch {
	case s.Stage < 0:
		return fmt.Errorf("stage is %d, want 0 or more", s.Stage)
	case s.Rows < 0:
		return fmt.Errorf("rows is %d, want 0 or more", s.Rows)
	case s.Length < 0:
		return fmt.Errorf("length is %d, want 0 or more", s.Length)
	case s.Kept < 0 || s.Kept > s.Length:
		return fmt.Errorf("kept is %d, want 0 to length, which is %d", s.Kept, s.Length)
	case s.Padding < 0 || s.Padding > 0 && !holds(s.Rows, s.Length, s.Padding):
		return fmt.Errorf("padding is %d, want 0 to rows times length, which are %d and %d", s.Padding, s.Rows, s.Length)
	case s.Discarded < 0:
		return fmt.Errorf("discarded is %d, want 0 or more", s.Discarded)
	case !counts(s.Rate):
		return fmt.Errorf("rate is %v, want a finite number, 0 or more", s.Rate)
	case !counts(s.Waited):
		return fmt.Errorf("waited is %v, want a finite number, 0 or more", s.Waited)
	case !counts(s.Compile):
		return fmt.Errorf("compile is %v, want a finite number, 0 or more", s.Compile)
	case !counts(s.CompileAhead):
		return fmt.Errorf("compile_ahead is %v, want a finite number, 0 or more", s.CompileAhead)
	case s.Accuracy != nil && !(*s.Accuracy >= 0 && *s.Accuracy <= 1):
		return fmt.Errorf("accuracy is %v, want 0 to 1", *s.Accuracy)
	}
	return nil
}

// holds tells whether rows of a length have n positions together, n at least 1. Their
// product, which a file may make too large for 64 bits, is not taken.
func holds(rows, length int, n int64) bool {
	return length > 0 && (n-1)/int64(length) < int64(rows)
}

// counts tells whether f can be an amount: finite and not negative.
func counts(f float64) bool { return f >= 0 && !math.IsInf(f, 1) }

// line is the JSON of a value as the log holds it: on one line, "\n" included.
func line(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(b)+1 > maxLine {
		return nil, fault.Invalidf("the line has %d bytes, at most %d may stand: shorten its strings", len(b)+1, maxLine)
	}
	return append(b, '\n'), nil
}
