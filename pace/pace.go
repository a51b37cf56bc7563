// Package pace provides functions from the clock to a value: how difficult a
// sample may be, how long a sequence is, how many tokens a middle layer keeps,
// how much a source of a mixture weighs.
//
// A Pace is pure: its value at a clock position depends on nothing else, so a
// run may be resumed, re-drawn or asked about any moment. The clock counts
// steps, tokens or layer-tokens; a pace does not care which.
//
// # Kinds
//
// Linear and root paces are those of DeepSpeed Data Efficiency (arXiv
// 2212.03597, section 3.1) and of sequence-length warmup (arXiv 2108.06084),
// with one correction: they never start below From. Beside them there are an
// exponential, a sigmoid, a cosine and a cyclic pace, values with moments
// (steps) and a constant; Definitions lists them with their parameters, and
// Register adds one of one's own.
//
// # Exactness
//
// The value of a pace that goes from From to To is rounded to a multiple of
// Step, so it is a staircase. Its stairs stand at exact positions: between two
// of them the value never flickers, whatever the last bits of math.Pow or
// math.Exp, and Next finds the first float64 at which it differs. Linear paces
// and square roots are computed as the original computes them, to the bit. The
// other curves reach a level a trillionth of the value early, so that a level
// that falls on a whole step is reached at that step on every platform, although
// the mathematical functions of two platforms may differ in their last bits.
package pace

import "math"

// A Pace gives the value in force at a position of the clock. At must be a pure
// function; the position is 0 when the run starts and never negative.
type Pace interface {
	At(clock float64) float64
}

// A Stepped pace knows where its value changes next, so that a plan need not try
// every step. Every pace of this package is one, except a Func.
type Stepped interface {
	Pace
	// Next returns the smallest position after clock at which the value is not
	// the one at clock, or +Inf if it never changes again.
	Next(clock float64) float64
}

// Func is a Pace written as a function.
type Func func(clock float64) float64

// At calls f.
func (f Func) At(clock float64) float64 { return f(clock) }

// Constant is the Pace that stays where it is.
type Constant float64

// At returns c.
func (c Constant) At(float64) float64 { return float64(c) }

// Next returns +Inf.
func (c Constant) Next(float64) float64 { return math.Inf(1) }
