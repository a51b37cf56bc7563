package main

import (
	"context"
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/bench/measure"
)

// Rarity is the two-pass rarity over windows of one size, each contender's speed
// in tokens of the corpus per second of the whole job.
type Rarity struct {
	Window  int            `json:"window"`
	Tokens  int64          `json:"tokens"`
	Samples int64          `json:"samples"`
	Gradus  Contest        `json:"gradus"`           // from the start of the process to its end
	Inside  measure.Spread `json:"gradus_in_run"`    // the same by its own clock, without starting the process
	Passes  []Passed       `json:"gradus_passes"`    // where that time goes
	Bare    Contest        `json:"bare"`             // its two loops only
	OfBare  measure.Spread `json:"gradus_over_bare"` // round by round
	Aim     float64        `json:"aim_over_bare"`
	// The same with the bare loop as a process from start to end, which maps
	// the tokens too.
	Process   Contest        `json:"bare_process"`
	OfProcess measure.Spread `json:"gradus_over_bare_process"`

	DeepSpeed     *Contest        `json:"deepspeed,omitempty"` // its maps and reduces only
	DeepSpeedPart int64           `json:"deepspeed_tokens,omitempty"`
	OverDeepSpeed *measure.Spread `json:"gradus_over_deepspeed,omitempty"`
	Versions      string          `json:"deepspeed_version,omitempty"`
	NoDeepSpeed   string          `json:"no_deepspeed,omitempty"` // why it was not measured
}

// Contest is the seconds of one contender and its speed.
type Contest struct {
	Seconds measure.Spread `json:"seconds"`
	Speed   measure.Spread `json:"tokens_per_second"`
}

// Passed is a pass of the analysis.
type Passed struct {
	Name    string         `json:"name"`
	Seconds measure.Spread `json:"seconds"`
}

func contest(tokens int64, seconds []float64) Contest {
	return Contest{measure.Of(seconds), measure.Of(speeds(tokens, seconds))}
}

// aimOverBare is the share of the bare loop's speed that issue 3 asks for.
const aimOverBare = 0.6

// measureRarity runs gradus, the bare loop and DeepSpeed in rounds.
func measureRarity(ctx context.Context, p *program, o options, r *Report) error {
	deepspeed, why, err := findDeepSpeed(ctx, o.python, o.dir)
	if err != nil {
		return err
	}
	part, err := r.Corpus.beginning(ctx, o.deepspeedTokens)
	if err != nil {
		return err
	}
	eightfold, err := r.Corpus.times(ctx, 8)
	if err != nil {
		return err
	}
	for _, window := range []int{128, 2048} {
		m, err := rarityOf(ctx, p, o, r.Corpus, part, window, deepspeed)
		if err != nil {
			return err
		}
		m.NoDeepSpeed = why
		r.Rarity = append(r.Rarity, m)
	}
	// Once more with eight times the tokens, where starting and syncing weigh
	// least; DeepSpeed would take many minutes.
	for _, window := range []int{128, 2048} {
		m, err := rarityOf(ctx, p, o, eightfold, eightfold, window, nil)
		if err != nil {
			return err
		}
		r.Rarity = append(r.Rarity, m)
	}
	return nil
}

func rarityOf(ctx context.Context, p *program, o options, c, part Corpus, window int, deepspeed *analyzer) (Rarity, error) {
	if err := c.warm(); err != nil {
		return Rarity{}, err
	}
	m := Rarity{Window: window, Tokens: c.Tokens, Aim: aimOverBare}
	var ours, inside, bare, process, ds []float64
	passes := map[string][]float64{}
	var names []string
	for round := range o.runs {
		run, a, err := p.analyze(ctx, c.prefix, o.dir, "--metric", "rarity", "--window", fmt.Sprint(window))
		if err != nil {
			return m, err
		}
		b, bareRun, err := helper[Bare](ctx, "bare", "-bin", c.prefix+".bin", "-dtype", c.DType,
			"-window", fmt.Sprint(window), "-vocabulary", fmt.Sprint(c.Vocabulary), "-workers", fmt.Sprint(p.workers))
		if err != nil {
			return m, err
		}
		mean := a.Manifest.Metrics[0].Mean
		if int64(b.Samples) != a.Manifest.Samples || math.Abs(b.Mean-mean) > 1e-9*mean {
			return m, fmt.Errorf("window %d: gradus measured %d samples of %v nats on average, the bare loop %d of %v: not the same work", window, a.Manifest.Samples, mean, b.Samples, b.Mean)
		}
		m.Samples = a.Manifest.Samples
		ours, inside = append(ours, run.seconds), append(inside, a.Seconds)
		bare, process = append(bare, b.Seconds), append(process, bareRun.seconds)
		for _, pass := range a.Passes {
			if passes[pass.Name] == nil {
				names = append(names, pass.Name)
			}
			passes[pass.Name] = append(passes[pass.Name], pass.Seconds)
		}
		line := fmt.Sprintf("%d tokens, window %d, round %d: gradus %.3f s, bare %.3f s", c.Tokens, window, round+1, run.seconds, b.Seconds)
		if deepspeed != nil && round < o.deepspeedRuns {
			d, err := deepspeed.rarity(ctx, part, window, p.workers)
			if err != nil {
				return m, err
			}
			// It counts shared tokens twice and cuts to whole nats, so its mean is
			// half a nat below; a small part may have other frequencies.
			if want := (part.Tokens - 1) / int64(window); d.Samples != want || part.Tokens == c.Tokens && math.Abs(d.Mean+0.5-mean) > 0.01*mean {
				return m, fmt.Errorf("window %d: DeepSpeed measured %d samples of %v nats, gradus %v: not the same work", window, d.Samples, d.Mean, mean)
			}
			ds = append(ds, d.Seconds)
			m.Versions = "DeepSpeed " + d.Version + ", torch " + d.Torch
			line += fmt.Sprintf(", DeepSpeed %.3f s", d.Seconds)
		}
		say("%s", line)
	}
	m.Gradus, m.Inside, m.Bare = contest(c.Tokens, ours), measure.Of(speeds(c.Tokens, inside)), contest(c.Tokens, bare)
	m.OfBare, m.Process, m.OfProcess = measure.Ratios(bare, ours), contest(c.Tokens, process), measure.Ratios(process, ours)
	for _, name := range names {
		m.Passes = append(m.Passes, Passed{name, measure.Of(passes[name])})
	}
	if len(ds) > 0 {
		d := contest(part.Tokens, ds)
		over := measure.Ratios(speeds(c.Tokens, ours), speeds(part.Tokens, ds))
		m.DeepSpeed, m.DeepSpeedPart, m.OverDeepSpeed = &d, part.Tokens, &over
	}
	return m, nil
}
