package saving

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gradus-ml/gradus/internal/words"
)

// share writes a budget: "50 %".
func share(budget float64) string {
	return strconv.FormatFloat(math.Round(budget*1e6)/1e4, 'f', -1, 64) + " %"
}

// noun names a clock in a sentence.
func noun(clock string) string { return words.ClockNamed(clock).Noun }

// factor writes how many times as much.
func factor(f float64) string {
	if f >= 99.95 || f < 0.0995 {
		return strconv.FormatFloat(f, 'g', 3, 64) + "x"
	}
	return strconv.FormatFloat(f, 'f', 2, 64) + "x"
}

// String is the factor with its bound: "1.52x", "at least 2.00x".
func (e Estimate) String() string {
	if e.Bound != "" {
		return string(e.Bound) + " " + factor(e.Factor)
	}
	return factor(e.Factor)
}

// within writes an interval of factors; an end that is open is told as such.
func (i *Interval) within() string {
	switch {
	case i == nil:
		return "one seed: no interval"
	case i.Low == nil && i.High == nil:
		return "any: too noisy to tell"
	case i.Low == nil:
		return "up to " + factor(*i.High)
	case i.High == nil:
		return "from " + factor(*i.Low)
	}
	return factor(*i.Low) + " to " + factor(*i.High)
}

// of names a run.
func (r RunResult) of() string {
	return fmt.Sprintf("%s at %s with seed %d", r.Arm, share(r.Budget), r.Seed)
}

// answer says what was found, in two sentences.
func answer(r Result) []string {
	if r.Primary != nil {
		return primaryAnswer(*r.Primary, r)
	}
	var best *OnClock
	var name string
	var budget float64
	clock := "layer-tokens"
	for _, a := range r.Arms[1:] {
		for _, b := range a.Budgets {
			on := b.On(clock)
			if on != nil && on.Saving != nil && (best == nil || on.Saving.Factor > best.Saving.Factor) {
				best, name, budget = on, a.Name, b.Budget
			}
		}
	}
	if best == nil {
		return []string{"These runs do not tell what any arm saves.", "No comparison was fixed before the runs."}
	}
	return []string{
		fmt.Sprintf("The largest saving is that of %s: for the held-out loss it reached at %s of the budget, %s needs %s.",
			name, share(budget), theBaseline(r.Baseline), needs(clock, best.Saving, r.Confidence, true)),
		"It was picked after the runs, among all arms and budgets, so it is too favourable: no comparison was fixed before.",
	}
}

func primaryAnswer(v Verdict, r Result) []string {
	var parts, open []string
	for _, k := range v.Results {
		if k.Saving == nil {
			continue
		}
		parts = append(parts, needs(k.Clock, k.Saving, r.Confidence, len(parts) == 0))
		if k.Reached && !k.Sure {
			open = append(open, noun(k.Clock))
		}
	}
	first := fmt.Sprintf("What %s saves at %s of the budget cannot be told.", v.Arm, share(v.Budget))
	if len(parts) > 0 {
		first = fmt.Sprintf("For the held-out loss that %s reached at %s of the budget, %s needs %s.", v.Arm, share(v.Budget), theBaseline(r.Baseline), words.List(parts))
	}
	var clocks []string
	for _, k := range v.Primary.Clocks {
		clocks = append(clocks, noun(k))
	}
	aim := fmt.Sprintf("The aim that was fixed before the runs, %s in %s,", factor(v.Aim), words.List(clocks))
	switch {
	case v.Why != "":
		return []string{first, fmt.Sprintf("%s is not reached: %s.", aim, v.Why)}
	case v.Sure:
		return []string{first, aim + " is reached, and no part of an interval lies below it."}
	case v.Reached:
		return []string{first, fmt.Sprintf("%s is reached by the estimates, but less cannot be ruled out in %s.", aim, words.List(open))}
	}
	var short []string
	for _, k := range v.Results {
		if !k.Reached {
			short = append(short, noun(k.Clock))
		}
	}
	return []string{first, fmt.Sprintf("%s is not reached in %s.", aim, words.List(short))}
}

// needs says what the baseline needs: "2.31x the training time (95 % interval 1.98x to
// 2.70x)". Only the first of several says what the brackets hold.
func needs(clock string, e *Estimate, confidence float64, first bool) string {
	detail := e.Interval.within()
	if first && e.Interval != nil {
		detail = share(confidence) + " interval " + detail
	}
	if e.Never {
		detail += ", and never reached that loss"
	}
	return fmt.Sprintf("%s the %s (%s)", e, noun(clock), detail)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func theBaseline(name string) string {
	if name == "baseline" {
		return "the baseline"
	}
	return "the baseline (" + name + ")"
}

// unit is what the losses of the baseline are counted in.
func (c *comparison) unit() string {
	for _, r := range c.runs {
		if r.Arm == c.study.Baseline {
			return words.Unit(r.predicts)
		}
	}
	return words.Unit("")
}

// scale says what the baseline was at its full budget, or the largest below that.
func (c *comparison) scale() string {
	var at *RunResult
	for i, r := range c.runs {
		if r.Arm == c.study.Baseline && r.Status == Done && (at == nil || r.Budget <= 1) {
			at = &c.runs[i]
		}
	}
	if at == nil {
		return ""
	}
	return fmt.Sprintf("%s; %s parameters; %s tokens in %s steps at %s of the budget; %s", cmp.Or(at.Model, "a model without a description"), words.Whole(float64(at.Parameters)),
		words.ClockNamed("tokens").Format(at.Consumed.Tokens), words.Whole(at.Consumed.Steps), share(at.Budget), plural(len(c.seeds()), "seed"))
}

// warnings are what to know before believing the result: runs that are not there, seeds
// that do not count, and what makes runs another thing to compare.
func (c *comparison) warnings(r Result) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if missing := r.Expected - len(r.Runs); missing > 0 {
		add("Missing: %d of %d runs of the study.", missing, r.Expected)
	}
	for _, status := range []Status{Diverged, Failed, Unfinished, Unmeasured} {
		var which []string
		for _, run := range r.Runs {
			if run.Status == status {
				which = append(which, run.of())
			}
		}
		if len(which) > 0 {
			add("Without a final loss, so in no mean: %s (%s).", words.List(which), status)
		}
	}
	if len(r.Seeds) == 1 {
		add("One seed: no interval can be told, and differences below the noise between seeds mean nothing.")
	}
	c.warnOfCurve(add)
	c.warnOfPairs(add)
	c.warnOfRuns(add)
	return all
}

// warnOfCurve tells what the baseline's curve lacks.
func (c *comparison) warnOfCurve(add func(string, ...any)) {
	base := c.study.Baseline
	budgets, seeds := c.budget[base], c.whole(base)
	switch {
	case len(budgets) < 2 || len(seeds) == 0:
		add("No seed of %s is finished at two budgets: there is no curve, and no saving can be told.", base)
	case len(budgets) == 2:
		add("The curve of %s has two budgets, and is a straight line between them. The true one sags below it, so savings between the two are overstated.", base)
	}
	if !slices.Contains(budgets, 1) {
		add("%s has no run at 100 %%: there is nothing to tell the reverse from.", base)
	}
	for _, seed := range c.seeds() {
		var without []string
		last := math.Inf(1)
		for _, b := range budgets {
			r, ok := c.done(base, b, seed)
			if !ok {
				without = append(without, share(b))
				continue
			}
			if *r.Final > last {
				add("With seed %d, %s ended higher at %s than at the budget before: its curve is level there.", seed, base, share(b))
			}
			last = *r.Final
		}
		if len(without) > 0 && len(seeds) > 0 {
			does := "is left out of all savings"
			if slices.Contains(seeds, seed) {
				does = "narrows what savings can be tested"
			}
			add("Seed %d %s: %s has no final loss at %s.", seed, does, base, words.List(without))
		}
	}
}

// warnOfPairs tells which seeds an arm at a budget lacks.
func (c *comparison) warnOfPairs(add func(string, ...any)) {
	for _, a := range c.study.Arms[1:] {
		for _, b := range c.budget[a.Name] {
			var without []string
			for _, seed := range c.whole(c.study.Baseline) {
				if _, there := c.losses[place{a.Name, b, seed}]; !there { // one that is there and not done was told
					without = append(without, strconv.FormatUint(seed, 10))
				}
			}
			if len(without) > 0 {
				add("%s at %s was not run with %s.", a.Name, share(b), words.List(prefix("seed ", without)))
			}
		}
	}
}

func prefix(with string, parts []string) []string {
	parts = slices.Clone(parts)
	for i := range parts {
		parts[i] = with + parts[i]
	}
	return parts
}

// warnOfRuns tells in what else the runs differ from the baseline's.
func (c *comparison) warnOfRuns(add func(string, ...any)) {
	var first *RunResult
	for i, r := range c.runs {
		if r.Arm == c.study.Baseline && r.Recipe+r.Model != "" {
			first = &c.runs[i]
			break
		}
	}
	if first == nil {
		return
	}
	for _, p := range []struct {
		text string
		of   func(RunResult) string
	}{
		{"Not comparable: the corpus of %s is %s, that of %s.", func(r RunResult) string { return words.Brief(r.Corpus) }},
		{"Not comparable: the losses of %s are in %s, those of %s.", func(r RunResult) string { return words.Unit(r.predicts) }},
		{"Another model, so not the same initial weights: %s has %s parameters, %s.", func(r RunResult) string { return words.Whole(float64(r.Parameters)) }},
		{"Not the same initial weights: those of %s are %s, those of %s.", func(r RunResult) string { return cmp.Or(words.Brief(r.weights), "drawn") }},
		{"Times are not comparable: the backend of %s is %s, that of %s.", func(r RunResult) string { return r.Backend }},
	} {
		differ := map[string]bool{}
		var others []string
		for _, r := range c.runs {
			if r.Recipe+r.Model == "" || p.of(r) == p.of(*first) {
				continue
			}
			if other := fmt.Sprintf("%s %s", r.Arm, cmp.Or(p.of(r), "unknown")); !differ[other] {
				differ[other] = true
				others = append(others, other)
			}
		}
		if len(others) > 0 {
			add(p.text, c.study.Baseline, cmp.Or(p.of(*first), "unknown"), words.List(others))
		}
	}
}
