package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
)

// Measured is the speed of one metric of the program.
type Measured struct {
	Metric string          `json:"metric"` // as it was asked for
	Tokens int64           `json:"tokens,omitempty"`
	Speed  *measure.Spread `json:"tokens_per_second,omitempty"`
	Why    string          `json:"not_measured,omitempty"`
}

// metricWindow is what metrics are measured on: the longest context of the
// paper's models.
const metricWindow = 2048

// A metric is measured on the largest of several beginnings of the corpus that
// takes it no longer than longestRun, judged by the next smaller one; a run
// below shortRun may have spent its time on starting and says nothing yet.
const (
	longestRun = 10 // seconds
	shortRun   = 1  // second
)

// givenUp is when a run is ended that seems to come to no end.
const givenUp = 5 * time.Minute

// measureMetrics runs every metric that the program lists, each alone, with all
// the passes it needs.
func measureMetrics(ctx context.Context, p *program, o options, r *Report) error {
	var sizes []Corpus // ascending
	for _, tokens := range []int64{o.sliceTokens / 2000, o.sliceTokens / 400, o.sliceTokens / 20, o.sliceTokens, r.Corpus.Tokens} {
		c, err := r.Corpus.beginning(ctx, tokens)
		if err != nil {
			return err
		}
		if err := c.warm(); err != nil {
			return err
		}
		sizes = append(sizes, c)
	}
	for _, line := range p.metrics {
		s := specOf(ctx, p, o, line.name, sizes[0])
		m, err := measured(ctx, p, o, s, sizes)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			m = Measured{Metric: s.shown, Why: reason(err)}
			say("%s is not measured: %v", s.shown, err)
		} else {
			say("%s: %s tokens/s over %s tokens", m.Metric, measure.SI(m.Speed.Median), measure.SI(float64(m.Tokens)))
		}
		r.Metrics = append(r.Metrics, m)
	}
	slices.SortStableFunc(r.Metrics, func(a, b Measured) int { return cmp.Compare(b.median(), a.median()) })
	return nil
}

// reason says why a run failed, without what it printed: that names paths.
func reason(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.Error()
	}
	return "it did not end in time"
}

func (m Measured) median() float64 {
	if m.Speed == nil {
		return 0
	}
	return m.Speed.Median
}

// measured runs one metric on the first corpus, and on each larger one while
// it is fast enough; the largest is stated. What takes too long even on the
// first is run once more only.
func measured(ctx context.Context, p *program, o options, s spec, sizes []Corpus) (Measured, error) {
	once := func(c Corpus) (float64, error) {
		text, err := s.text((c.Tokens - 1) / metricWindow)
		if err != nil {
			return 0, err
		}
		ctx, stop := context.WithTimeoutCause(ctx, givenUp, errors.New("it took too long"))
		defer stop()
		run, _, err := p.analyze(ctx, c.prefix, o.dir, "--metric", text, "--window", fmt.Sprint(metricWindow))
		return run.seconds, err
	}
	var c Corpus
	var seconds float64
	var err error
	for _, next := range sizes {
		if seconds > shortRun && seconds*float64(next.Tokens)/float64(c.Tokens) > longestRun {
			break
		}
		c = next
		if seconds, err = once(c); err != nil {
			return Measured{}, err
		}
	}
	runs := o.runs
	if seconds > longestRun {
		runs = 1
	}
	var all []float64
	for range runs {
		if seconds, err = once(c); err != nil {
			return Measured{}, err
		}
		all = append(all, seconds)
	}
	speed := measure.Of(speeds(c.Tokens, all))
	return Measured{Metric: s.shown, Tokens: c.Tokens, Speed: &speed}, nil
}
