package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Measured is the speed of one metric of the program, over documents.
type Measured struct {
	Metric string  `json:"metric"` // as it was asked for
	Tokens int64   `json:"tokens"` // of the corpus or of its beginning
	Speed  *Spread `json:"tokens_per_second,omitempty"`
	Why    string  `json:"not_measured,omitempty"`
}

// quickTokens is the least speed, in tokens per second, at which a metric is
// measured on the whole corpus and not on its beginning.
const quickTokens = 20e6

// measureMetrics runs every metric that the program lists, each alone, with all
// the passes it needs, over windows of 2,048.
func measureMetrics(ctx context.Context, p *program, o options, r *Report) error {
	slice, err := r.Corpus.beginning(ctx, o.sliceTokens)
	if err != nil {
		return err
	}
	for _, c := range []Corpus{r.Corpus, slice} {
		if err := c.warm(); err != nil {
			return err
		}
	}
	const window = 2048
	specs, err := specsOf(p.metrics, o, slice, window)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if spec.why != "" {
			r.Metrics = append(r.Metrics, Measured{Metric: spec.shown, Why: spec.why})
			continue
		}
		once := func(c Corpus) (float64, error) {
			run, _, err := p.analyze(ctx, c.prefix, o.dir, "--metric", spec.text, "--window", fmt.Sprint(window))
			return run.seconds, err
		}
		c := slice
		first, err := once(c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			_, why, _ := strings.Cut(err.Error(), ": ")
			r.Metrics = append(r.Metrics, Measured{Metric: spec.shown, Why: why})
			say("%s: not measured: %v", spec.shown, err)
			continue
		}
		if float64(c.Tokens)/first > quickTokens && !spec.sliceOnly {
			c = r.Corpus
		}
		var seconds []float64
		for range o.runs {
			s, err := once(c)
			if err != nil {
				return err
			}
			seconds = append(seconds, s)
		}
		speed := spread(speeds(c.Tokens, seconds))
		r.Metrics = append(r.Metrics, Measured{Metric: spec.shown, Tokens: c.Tokens, Speed: &speed})
		say("%s: %s tokens/s over %s tokens", spec.shown, si(speed.Median), si(float64(c.Tokens)))
	}
	slices.SortStableFunc(r.Metrics, func(a, b Measured) int {
		switch {
		case a.Speed == nil || b.Speed == nil:
			return btoi(a.Speed == nil) - btoi(b.Speed == nil)
		default:
			return int(b.Speed.Median - a.Speed.Median)
		}
	})
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
