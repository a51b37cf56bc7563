package main

import (
	"context"
	"fmt"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/curriculum"
)

// Drawing is batches one after the other, from the middle of a plan.
type Drawing struct {
	Samples int64 `json:"samples"`
	Stages  int64 `json:"stages"`
	Units   int   `json:"ids_a_batch"`

	Gradus   measure.Spread  `json:"gradus_ids_per_second"`
	Copy     measure.Spread  `json:"copy_ids_per_second"`   // of a table shuffled beforehand
	Gather   measure.Spread  `json:"gather_ids_per_second"` // at shuffled places of an array
	OfCopy   measure.Spread  `json:"gradus_of_copy"`
	OfGather measure.Spread  `json:"gradus_of_gather"`
	Original *measure.Spread `json:"original_ids_per_second,omitempty"`
	Over     *measure.Spread `json:"gradus_over_original,omitempty"`

	First   measure.Spread `json:"first_batch_seconds"` // of a sequence
	Compile float64        `json:"compile_seconds"`
	Sampler float64        `json:"sampler_seconds"`

	// Memory that is no page of a file, the peak; and pages of files.
	Own         float64 `json:"own_bytes,omitempty"`
	Mapped      float64 `json:"mapped_bytes,omitempty"`
	OriginalOwn float64 `json:"original_own_bytes,omitempty"`
	Random      Random  `json:"random"`
}

// Random is single steps of the whole plan, in random order; seconds.
type Random struct {
	Calls  int            `json:"calls_a_round"`
	Median measure.Spread `json:"median_seconds"`
	P99    measure.Spread `json:"p99_seconds"`
	Max    measure.Spread `json:"max_seconds"`
	// The same in processor time: without waiting for other programs.
	UsedMedian measure.Spread `json:"processor_median_seconds"`
	UsedP99    measure.Spread `json:"processor_p99_seconds"`
	UsedMax    measure.Spread `json:"processor_max_seconds"`
}

// aimRandom is what issue 4 allows a random step, in seconds.
const aimRandom = 1e-3

// bareRounds is how much more the bare loops do in a round: they take a small
// part of the time.
const bareRounds = 8

// measureDrawing draws from plans of all sizes.
func measureDrawing(ctx context.Context, o options, a *original, r *Report) error {
	for _, samples := range o.samples {
		for _, stages := range o.stages {
			d, err := drawing(ctx, o, a, samples, stages)
			if err != nil {
				return err
			}
			r.Drawing = append(r.Drawing, d)
		}
	}
	return nil
}

func drawing(ctx context.Context, o options, a *original, samples, stages int64) (Drawing, error) {
	d := Drawing{Samples: samples, Stages: stages, Units: o.units}
	steps := int64(o.steps) / stages * stages
	args := []string{"plan", "-stages", fmt.Sprint(stages), "-every", fmt.Sprint(steps / stages), "-units", fmt.Sprint(o.units), "-seed", fmt.Sprint(o.seed)}
	dir := ""
	if o.computed {
		a = nil
		args = append(args, "-samples", fmt.Sprint(samples))
		if err := room(o.dir, 12*samples+1e9); err != nil {
			return d, err
		}
	} else {
		var err error
		if dir, err = prepareIndex(ctx, o, samples); err != nil {
			return d, err
		}
		if err := warm(dir); err != nil {
			return d, err
		}
		args = append(args, "-index", dir, "-metrics", metricNames(1))
	}
	ours, ready, err := startSelf[Planned](ctx, o.dir, args...)
	if err != nil {
		return d, err
	}
	defer ours.close()
	d.Compile, d.Sampler = ready.Compile, ready.Sampler
	ours.memory.peaks() // of compiling
	bare, _, err := startSelf[struct{}](ctx, o.dir, "bare", "-samples", fmt.Sprint(samples), "-units", fmt.Sprint(o.units), "-seed", fmt.Sprint(o.seed))
	if err != nil {
		return d, err
	}
	defer bare.close()
	var theirs *contender
	if a != nil {
		half := int(stages) / 2
		s := schedule{index: dir, metrics: metricNames(1), by: curriculum.Percentile, stages: int(stages), hold: half - 1, every: 1, enter: half}
		if theirs, _, err = a.start(ctx, o, s); err != nil {
			return d, err
		}
		defer theirs.close()
		theirs.memory.peaks()
	}
	if err := d.rounds(o, ours, bare, theirs, steps); err != nil {
		return d, err
	}
	d.Own, d.Mapped = ours.memory.peaks()
	if theirs != nil {
		d.OriginalOwn, _ = theirs.memory.peaks()
	}
	return d, d.random(o, ours)
}

// rounds draws in turns.
func (d *Drawing) rounds(o options, ours, bare, theirs *contender, steps int64) error {
	var gradus, first, copied, gathered, original []float64
	for round := range o.runs {
		mine, err := ask[Drawn](ours, "from", steps/2+int64(round*o.round), o.round)
		if err != nil {
			return err
		}
		first = append(first, mine.First)
		gradus = append(gradus, mine.speed())
		for _, b := range []struct {
			request string
			speeds  *[]float64
		}{{"copy", &copied}, {"gather", &gathered}} {
			loop, err := ask[Drawn](bare, b.request, bareRounds*o.round)
			if err != nil {
				return err
			}
			*b.speeds = append(*b.speeds, loop.speed())
		}
		line := ""
		if theirs != nil && round < o.originalRuns {
			it, err := ask[Drawn](theirs, "draw", o.originalRound)
			if err != nil {
				return err
			}
			original = append(original, it.speed())
			line = ", the original " + measure.SI(it.speed())
		}
		say("%s samples, %d stages, round %d: gradus %s ids/s, copy %s, gather %s%s", measure.SI(float64(d.Samples)), d.Stages, round+1,
			measure.SI(mine.speed()), measure.SI(copied[round]), measure.SI(gathered[round]), line)
	}
	d.Gradus, d.First, d.Copy, d.Gather = measure.Of(gradus), measure.Of(first), measure.Of(copied), measure.Of(gathered)
	d.OfCopy, d.OfGather = measure.Ratios(gradus, copied), measure.Ratios(gradus, gathered)
	if len(original) > 0 {
		speed, over := measure.Of(original), measure.Ratios(gradus, original)
		d.Original, d.Over = &speed, &over
	}
	return nil
}

func (d Drawn) speed() float64 { return float64(d.IDs) / d.Seconds }

// random asks for single steps.
func (d *Drawing) random(o options, ours *contender) error {
	var wall, used [3][]float64
	for range o.runs {
		a, err := ask[Asked](ours, "at", o.calls)
		if err != nil {
			return err
		}
		for i, t := range [2]Timed{a.Wall, a.Processor} {
			into := [2]*[3][]float64{&wall, &used}[i]
			into[0], into[1], into[2] = append(into[0], t.Median), append(into[1], t.P99), append(into[2], t.Max)
		}
	}
	d.Random = Random{o.calls, measure.Of(wall[0]), measure.Of(wall[1]), measure.Of(wall[2]), measure.Of(used[0]), measure.Of(used[1]), measure.Of(used[2])}
	say("%s samples, %d stages: a random step takes %s, 99%% at most %s; %s of the processor", measure.SI(float64(d.Samples)), d.Stages,
		duration(d.Random.Median.Median), duration(d.Random.P99.Median), duration(d.Random.UsedP99.Median))
	return nil
}
