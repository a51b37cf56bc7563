package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/gradus-ml/gradus/bench/measure"
)

// Measured is a size on all contenders.
type Measured struct {
	Size
	Parameters int64    `json:"parameters"`
	Results    []Result `json:"results"`
}

// Result is a size on one contender.
type Result struct {
	Contender string  `json:"contender"`
	Library   string  `json:"library"`
	Shapes    []Shape `json:"shapes"` // as Size.shapes
	// Waited is the share of the time of steps in which the loop had no batch; nil of
	// PyTorch, whose batches are made beforehand.
	Waited *measure.Spread `json:"waited,omitempty"`
}

// Shape is what steps of a shape took. Spreads are over the rounds, of medians of
// the steps of a round.
type Shape struct {
	Length  int            `json:"length"`
	Kept    int            `json:"kept"`
	FLOPs   float64        `json:"flops"` // of a step
	Seconds measure.Spread `json:"seconds"`
	Tokens  measure.Spread `json:"tokens_per_second"`
	// Theory is the share of the FLOPs per token that the shape saves of the
	// baseline's, Saved the share of the time per token, and Quotient Saved over Theory.
	// Nil of the baseline, and where shorter rows save nothing to speak of.
	Theory   float64         `json:"theory"`
	Saved    *measure.Spread `json:"saved,omitempty"`
	Quotient *measure.Spread `json:"quotient,omitempty"`
	Compile  *measure.Spread `json:"compile_seconds,omitempty"`
	OfTorch  *measure.Spread `json:"of_torch,omitempty"` // tokens/s over PyTorch's of the same round
}

// measureSize runs every contender once a round, each round beginning with another.
func measureSize(ctx context.Context, o options, s Size, contenders []contender) (Measured, error) {
	m := Measured{Size: s}
	dir, err := freshDir(o.dir, s.Name)
	if err != nil {
		return m, err
	}
	if err := s.prepare(o, dir); err != nil {
		return m, err
	}
	told := make([][]timed, len(contenders)) // by contender and round
	for round := range o.runs {
		for i := range contenders {
			k := (i + round) % len(contenders)
			own, err := freshDir(dir, contenders[k].name())
			if err != nil {
				return m, err
			}
			t, err := contenders[k].run(ctx, o, s, own)
			if err != nil {
				return m, fmt.Errorf("%s: %w", contenders[k].name(), err)
			}
			if len(t.Steps) != len(s.schedule(o)) {
				return m, fmt.Errorf("%s made %d steps, and was asked for %d", contenders[k].name(), len(t.Steps), len(s.schedule(o)))
			}
			if err := os.RemoveAll(own); err != nil { // a checkpoint may be large
				return m, err
			}
			told[k] = append(told[k], t)
			say("round %d of %d: %s, %.0f tokens/s", round+1, o.runs, contenders[k].name(), float64(s.Rows*s.Length)/seconds(s, o, t)[0])
		}
	}
	m.results(o, contenders, told)
	return m, nil
}

// results condenses what the contenders told.
func (m *Measured) results(o options, contenders []contender, told [][]timed) {
	var flops []float64 // of a step of each shape, as gradus counts
	var torch [][]float64
	for k, rounds := range told {
		if _, ours := contenders[k].(backend); ours {
			flops, m.Parameters = m.flops(o, rounds[0]), rounds[0].Parameters
		} else {
			torch = each(rounds, func(t timed) []float64 { return seconds(m.Size, o, t) })
		}
	}
	for k, rounds := range told {
		_, ours := contenders[k].(backend)
		r := Result{Contender: contenders[k].name(), Library: rounds[0].Library}
		times := each(rounds, func(t timed) []float64 { return seconds(m.Size, o, t) })
		for i, sh := range m.shapes() {
			tokens := float64(m.Rows * sh.length)
			out := Shape{Length: sh.length, Kept: sh.kept, FLOPs: flops[i], Seconds: measure.Of(times[i])}
			out.Tokens = measure.Of(apply(times[i], func(t float64) float64 { return tokens / t }))
			if i > 0 {
				scale := float64(m.Length) / float64(sh.length) // to the baseline's tokens
				out.Theory = 1 - scale*flops[i]/flops[0]
				saved := make([]float64, len(times[i]))
				for round := range saved {
					saved[round] = 1 - scale*times[i][round]/times[0][round]
				}
				spread := measure.Of(saved)
				out.Saved = &spread
				if sh.kept < sh.length {
					quotient := measure.Of(apply(saved, func(x float64) float64 { return x / out.Theory }))
					out.Quotient = &quotient
				}
			}
			if ours {
				compile := measure.Of(each(rounds, func(t timed) []float64 { return compiles(m.Size, t) })[i])
				out.Compile = &compile
				if torch != nil {
					of := measure.Ratios(torch[i], times[i])
					out.OfTorch = &of
				}
			}
			r.Shapes = append(r.Shapes, out)
		}
		if ours {
			waited := measure.Of(apply(rounds, waitedShare))
			r.Waited = &waited
		}
		m.Results = append(m.Results, r)
	}
}

// seconds is the median time of each shape's steps. The first time through the shapes
// does not count, for graphs are compiled while steps go on, nor does the first step of
// a shape after another, which finds the memory as that one left it.
func seconds(s Size, o options, t timed) []float64 {
	all := make([][]float64, len(s.shapes()))
	for i, st := range t.Steps {
		if i >= o.each*len(all) && i%o.each > 0 {
			k := i / o.each % len(all)
			all[k] = append(all[k], st.Seconds)
		}
	}
	return apply(all, func(v []float64) float64 {
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	})
}

// flops are those of a step of each shape.
func (m *Measured) flops(o options, t timed) []float64 {
	out := make([]float64, len(m.shapes()))
	for i := range out {
		out[i] = t.Steps[i*o.each].FLOPs
	}
	return out
}

// compiles is what the graphs of each shape took to compile.
func compiles(s Size, t timed) []float64 {
	out := make([]float64, len(s.shapes()))
	for _, st := range t.Steps {
		out[slices.Index(s.shapes(), shape{st.Length, st.Kept})] += st.Compile
	}
	return out
}

// waitedShare is the share of the time of steps and waiting that was waiting, after
// the first step.
func waitedShare(t timed) float64 {
	var waited, all float64
	for _, st := range t.Steps[1:] {
		waited += st.Waited
		all += st.Waited + st.Seconds
	}
	return waited / all
}

func apply[A, B any](values []A, f func(A) B) []B {
	out := make([]B, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}

// each turns what every round has of every shape into what every shape has of every
// round.
func each(rounds []timed, f func(timed) []float64) [][]float64 {
	var out [][]float64
	for _, t := range rounds {
		for i, v := range f(t) {
			if len(out) == i {
				out = append(out, nil)
			}
			out[i] = append(out[i], v)
		}
	}
	return out
}
