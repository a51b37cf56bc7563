package main

import (
	"context"
	"fmt"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/curriculum"
)

// Change is what a change of difficulty costs, in seconds.
type Change struct {
	Samples int64         `json:"samples"`
	Metrics int           `json:"metrics"`
	By      curriculum.By `json:"by"`
	Stages  int           `json:"stages"`

	// Gradus makes all stages before the run: the plan from the index, and the
	// sampler.
	Plan  measure.Spread `json:"plan_seconds"`
	Each  measure.Spread `json:"plan_seconds_per_stage"`
	Step  measure.Spread `json:"gradus_change_seconds"` // the step that begins a stage, median
	Most  measure.Spread `json:"gradus_change_seconds_max"`
	Other measure.Spread `json:"gradus_other_seconds"` // a step that begins none, median

	// The original makes a cluster while training waits. The mean, since its
	// changes differ.
	Original      *measure.Spread `json:"original_change_seconds,omitempty"`
	OriginalMost  *measure.Spread `json:"original_change_seconds_max,omitempty"`
	OriginalOther *measure.Spread `json:"original_other_seconds,omitempty"`
	// How many times longer training waits at a change of the original, beyond a
	// step without one; and with our plan counted in.
	OverStep *measure.Spread `json:"original_over_gradus_step,omitempty"`
	OverAll  *measure.Spread `json:"original_over_gradus_step_and_plan,omitempty"`
}

// changeEvery is the steps of a stage: one that changes, and others.
const changeEvery = 4

// measureChanges walks whole curricula with a change every few steps. With two
// metrics there are a tenth: each costs the original several sorts of all samples.
func measureChanges(ctx context.Context, o options, a *original, r *Report) error {
	for _, samples := range o.changeSamples {
		dir, err := prepareIndex(ctx, o, samples)
		if err != nil {
			return err
		}
		if err := warm(dir); err != nil {
			return err
		}
		for _, c := range []Change{
			{Metrics: 1, By: curriculum.Percentile, Stages: o.changeStages},
			{Metrics: 1, By: curriculum.Value, Stages: o.changeStages},
			{Metrics: 2, By: curriculum.Percentile, Stages: max(o.changeStages/10, 5)},
		} {
			c.Samples = samples
			if err := c.measure(ctx, o, a, dir); err != nil {
				return err
			}
			r.Changes = append(r.Changes, c)
		}
	}
	return nil
}

func (c *Change) measure(ctx context.Context, o options, a *original, dir string) error {
	var plan, each, step, most, other, original, originalMost, originalOther, overStep, overAll []float64
	for round := range o.runs {
		planned, ours, err := c.ours(ctx, o, dir)
		if err != nil {
			return err
		}
		whole := planned.Compile + planned.Sampler
		plan, each = append(plan, whole), append(each, whole/float64(planned.Stages))
		step, most, other = append(step, ours.Change.Median), append(most, ours.Change.Max), append(other, ours.Other.Median)
		line := ""
		if a != nil && round < o.originalRuns {
			it, err := c.theirs(ctx, o, a, dir)
			if err != nil {
				return err
			}
			original, originalMost, originalOther = append(original, it.Change.Mean), append(originalMost, it.Change.Max), append(originalOther, it.Other.Median)
			wait := it.Change.Mean - it.Other.Median
			overStep = append(overStep, wait/ours.Change.Mean)
			overAll = append(overAll, wait/(ours.Change.Mean+whole/float64(planned.Stages)))
			line = fmt.Sprintf("; the original %.1f ms", 1e3*it.Change.Mean)
		}
		say("%s samples, %d metrics by %s, round %d: a change takes %.0f us, of the plan %.2f ms%s", measure.SI(float64(c.Samples)), c.Metrics, c.By, round+1,
			1e6*ours.Change.Median, 1e3*whole/float64(planned.Stages), line)
	}
	c.Plan, c.Each, c.Step, c.Most, c.Other = measure.Of(plan), measure.Of(each), measure.Of(step), measure.Of(most), measure.Of(other)
	if len(original) > 0 {
		s := []measure.Spread{measure.Of(original), measure.Of(originalMost), measure.Of(originalOther), measure.Of(overStep), measure.Of(overAll)}
		c.Original, c.OriginalMost, c.OriginalOther, c.OverStep, c.OverAll = &s[0], &s[1], &s[2], &s[3], &s[4]
	}
	return nil
}

func (c *Change) ours(ctx context.Context, o options, dir string) (Planned, Walked, error) {
	ours, ready, err := startSelf[Planned](ctx, o.dir, "plan", "-index", dir, "-metrics", metricNames(c.Metrics), "-by", string(c.By),
		"-stages", fmt.Sprint(c.Stages), "-every", fmt.Sprint(changeEvery), "-units", fmt.Sprint(o.units), "-seed", fmt.Sprint(o.seed))
	if err != nil {
		return ready, Walked{}, err
	}
	defer ours.close()
	walked, err := ask[Walked](ours, "walk")
	return ready, walked, err
}

func (c *Change) theirs(ctx context.Context, o options, a *original, dir string) (Walked, error) {
	theirs, _, err := a.start(ctx, o, schedule{index: dir, metrics: metricNames(c.Metrics), by: c.By, stages: c.Stages, hold: c.Stages - 1, every: changeEvery})
	if err != nil {
		return Walked{}, err
	}
	defer theirs.close()
	return ask[Walked](theirs, "walk", c.Stages*changeEvery)
}
