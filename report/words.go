package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
)

// Names gives every run a name of its own: the one in its log, else the
// fallback of the same place; the second of a name becomes "name (2)".
func Names(runs []*runlog.Log, fallback []string) []string {
	names := make([]string, 0, len(runs))
	for i, log := range runs {
		base := words.Printable(log.Run.Name)
		if base == "" && i < len(fallback) {
			base = words.Printable(fallback[i])
		}
		if base == "" {
			base = "run"
		}
		name := base
		for n := 2; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s (%d)", base, n)
		}
		names = append(names, name)
	}
	return names
}

// describe fills in the sentences of c. They say what was measured, and never
// more: a run that lost is told in the same words as one that won.
func (c *Comparison) describe() {
	others := c.Runs[1:]
	c.warn()
	c.Caveat = c.caveat()
	if c.Target == nil {
		c.Headline = fmt.Sprintf("%s has no finite final held-out loss, so nothing can be measured against it.", c.Baseline)
		return
	}
	var reached int
	var findings []string
	for _, r := range others {
		if r.Reached != nil {
			reached++
		}
		goal := c.goal()
		if len(others) > 1 {
			goal = "it" // which the headline names
		}
		findings = append(findings, finding(r, goal))
	}
	switch {
	case len(others) == 0:
		c.Headline = fmt.Sprintf("%s ended at a held-out loss of %s %s; there is no other run to compare.", c.Baseline, words.Loss(*c.Target), c.Unit)
	case len(others) == 1:
		c.Headline = findings[0]
	case reached == 0:
		c.Headline = fmt.Sprintf("None of %d runs reached %s.", len(others), c.goal())
	default:
		c.Headline = fmt.Sprintf("%d of %d runs reached %s.", reached, len(others), c.goal())
	}
	if len(others) > 1 {
		c.Findings = findings
	}
}

// goal names the target.
func (c *Comparison) goal() string {
	return fmt.Sprintf("%s final held-out loss (%s)", c.baselines(), words.Loss(*c.Target))
}

// baselines is the genitive of the baseline's name.
func (c *Comparison) baselines() string {
	if c.Baseline == "baseline" {
		return "the baseline's"
	}
	return c.Baseline + "'s"
}

// finding says in one sentence how a run came to the goal.
func finding(r Run, goal string) string {
	switch {
	case r.Evaluated == 0:
		return fmt.Sprintf("%s was never evaluated on held-out data, so it cannot be compared.", r.Name)
	case r.Reached == nil && r.Best == nil:
		return fmt.Sprintf("%s did not reach %s: none of its evaluations is finite.", r.Name, goal)
	case r.Reached == nil:
		return fmt.Sprintf("%s did not reach %s: its best was %s, after %s layer-tokens in all.",
			r.Name, goal, words.Loss(*r.Best), clocks()[0].Format(r.Total.LayerTokens))
	}
	var parts []string
	for _, p := range []struct {
		factor, less float64
		noun         string
	}{
		{r.Saving.Factor.LayerTokens, r.Saving.Less.LayerTokens, "layer-tokens"},
		{r.Saving.Factor.Tokens, r.Saving.Less.Tokens, "tokens"},
		{r.Saving.Factor.Seconds, r.Saving.Less.Seconds, "time"},
	} {
		if p.factor != 0 {
			parts = append(parts, share(p.less, p.noun))
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s reached %s.", r.Name, goal)
	}
	return fmt.Sprintf("%s reached %s with %s.", r.Name, goal, words.List(parts))
}

// share says how much less (or more) of something was needed.
func share(less float64, noun string) string {
	percent := math.Round(math.Abs(less))
	switch {
	case percent == 0 && noun == "time":
		return "the same time"
	case percent == 0:
		return "as many " + noun
	case less < 0:
		return fmt.Sprintf("%.0f %% more %s", percent, noun)
	case noun == "time":
		return fmt.Sprintf("%.0f %% less %s", percent, noun)
	default:
		return fmt.Sprintf("%.0f %% fewer %s", percent, noun)
	}
}

// warn lists why the runs may not be comparable, what makes the comparison
// void first.
func (c *Comparison) warn() {
	add := func(format string, args ...any) { c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...)) }
	corpus := func(r Run) string { return words.Brief(r.Log.Corpus) }
	if others := c.differing(corpus); others != "" {
		add("Not comparable: the corpus of %s is %s, that of %s.", c.Baseline, orUnknown(corpus(c.Runs[0])), others)
	}
	parameters := func(r Run) string { return words.Whole(float64(r.Log.Parameters)) }
	if others := c.differing(parameters); others != "" {
		add("Not comparable: the number of parameters of %s is %s, that of %s.", c.Baseline, parameters(c.Runs[0]), others)
	}
	predicts := func(r Run) string { return Unit(r.Log.Predicts) }
	if others := c.differing(predicts); others != "" {
		add("Not comparable: the loss of %s is in %s, that of %s.", c.Baseline, c.Unit, others)
	}
	backend := func(r Run) string { return strings.TrimSpace(r.Log.Backend + " " + r.Log.Precision) }
	if others := c.differing(backend); others != "" {
		add("Times are not comparable: the backend of %s is %s, that of %s.", c.Baseline, orUnknown(backend(c.Runs[0])), others)
	}
	for _, r := range c.Runs {
		if r.Diverged > 0 {
			add("%s diverged: its training loss is not finite at step %s.", r.Name, words.Whole(float64(r.Diverged)))
		}
		if r.Last < r.Log.Steps {
			add("%s is unfinished: its log ends at step %s of %s planned, before its learning rate has decayed.",
				r.Name, words.Whole(float64(r.Last)), words.Whole(float64(r.Log.Steps)))
		}
		if r.Torn {
			add("The log of %s ends in half a line: the run was killed, or is still going on.", r.Name)
		}
	}
}

// differing lists the runs in which a property is not what it is in the
// baseline: "a is 1 and b is 2", or "" where there is none.
func (c *Comparison) differing(property func(Run) string) string {
	var parts []string
	for _, r := range c.Runs[1:] {
		if p := property(r); p != property(c.Runs[0]) {
			parts = append(parts, r.Name+" is "+orUnknown(p))
		}
	}
	return words.List(parts)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// caveat says what the seeds allow to conclude.
func (c *Comparison) caveat() string {
	if len(c.Runs) == 1 {
		return ""
	}
	base := c.Runs[0]
	var finals []float64
	for _, r := range c.Runs {
		if r.Log.Recipe == base.Log.Recipe && base.Log.Recipe != "" && r.Final != nil {
			finals = append(finals, *r.Final)
		}
	}
	if len(finals) > 1 {
		low, high := slices.Min(finals), slices.Max(finals)
		return fmt.Sprintf("%d runs of the baseline's recipe end between %s and %s: differences of that size are noise, and so are savings that rest on them.",
			len(finals), words.Loss(low), words.Loss(high))
	}
	if c.differing(func(r Run) string { return fmt.Sprint(r.Log.Seed) }) != "" {
		return "The seeds differ between the runs: differences below the noise between seeds mean nothing, and these runs do not tell how large that is."
	}
	return "One seed: differences below the noise between seeds mean nothing, and these runs do not tell how large that is."
}
