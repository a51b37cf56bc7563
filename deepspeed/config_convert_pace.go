package deepspeed

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// curriculum returns the section of the metrics, empty if nothing is paced.
func (d *draft) curriculum() string {
	d.note("data_efficiency.data_sampling.curriculum_learning.curriculum_metrics", Changed,
		"samples let in at the same time are served equally often; the original draws each batch anew from clusters, in proportion to their sizes")
	var b strings.Builder
	for i := range d.config.Metrics {
		m := &d.config.Metrics[i]
		if apply := m.applies(); apply != "" {
			d.length(&b, m, apply)
		} else if m.Clustered {
			d.admission(&b, m)
		} else {
			d.note(m.Key, LeftOut, "single_cluster lets every sample in from the start: DeepSpeed only tells the trainer the difficulty, and no batch depends on it")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "curriculum:\n" + b.String()
}

// length writes a metric that sets how long rows are.
func (d *draft) length(b *strings.Builder, m *ConfigMetric, apply string) {
	rest := ""
	if apply == "reshape" {
		rest = "    rest: drop\n"
		d.note(m.Key, Changed, "apply: reshape; a row of W tokens becomes floor(W/length) rows and what is left over is dropped. "+
			"The original adds the last tokens of each row once more, then cuts the rows to about as many tokens as before, to an even number of rows; rest: overlap keeps all of those")
	} else if m.Key != legacyKey {
		d.note(m.Key, Kept, "metric: length, apply: truncate")
	}
	if m.Clustered {
		d.note(m.Key+".clustering_type", LeftOut, "with another word than single_cluster DeepSpeed also chooses samples by an index of this name; add a metric by value for that")
	} else {
		d.note(m.Key+".clustering_type", Kept, "every sample is let in")
	}
	d.note(m.Key+".difficulty_type", NoEffect, "a length is a number of tokens")
	fmt.Fprintf(b, "  - metric: length\n    apply: %s\n    pace: %s\n%s", apply, d.pace(m, true), rest)
	d.lengths = m.levels()
}

// admission writes a metric that chooses samples.
func (d *draft) admission(b *strings.Builder, m *ConfigMetric) {
	d.indexed = true
	name := strings.ToLower(m.Name)
	renamed := ""
	if name != m.Name {
		renamed = ", in small letters as names in an index are"
	}
	d.note(m.Key, Kept, "metric: %s%s; the index must have this column: import the original's files ('gradus import deepspeed'), or 'gradus analyze --metric %[1]s=%[3]s'", scalar(name), renamed, m.like())
	d.note(m.Key+".clustering_type", Kept, "the difficulty chooses samples")
	switch {
	case m.By == "percentile":
		d.note(m.Key+".difficulty_type", Changed, "by: percentile; true ones, of all samples with equal values together. The original cuts the order of the samples into max_difficulty parts of equal size, through equal values, and the last part takes what the division leaves")
		if m.To != 100 {
			d.note(m.Key+".max_difficulty", Changed, "by percentile it is the number of parts, so difficulties and step are multiplied by 100/%s", numberText(m.To))
		}
	case m.rarity():
		d.note(m.Key+".difficulty_type", Changed, "by: value. The original's rarity is the sum of -ln p over the tokens cut to a whole number, so a bound of d lets in all below d+1; the metric rarity keeps the fraction, and d lets in those up to d. An index imported from the original's files has its numbers. mean-rarity, the sum divided by the tokens, needs bounds of its own")
	default:
		d.note(m.Key+".difficulty_type", Kept, "by: value")
	}
	fmt.Fprintf(b, "  - metric: %s\n    by: %s\n    pace: %s\n", scalar(name), m.By, d.pace(m, m.By == "percentile"))
}

// like suggests what computes a metric of such a name.
func (m *ConfigMetric) like() string {
	name := strings.ToLower(m.Name)
	long := strings.Contains(name, "seqlen") || strings.Contains(name, "length")
	switch {
	case long && m.rarity():
		return "formula:length*1e6+rarity" // length first, then rarity, as the original's seqlen_vocab_rarity
	case m.rarity():
		return "rarity"
	case long:
		return "length"
	}
	return "METRIC"
}

// pace writes the pace of a metric, and the notes on its keys. positive says that
// it must not give 0.
func (d *draft) pace(m *ConfigMetric, positive bool) string {
	config := m.Key + ".schedule_config"
	switch {
	case m.still():
		d.note(m.Key+".min_difficulty", Kept, "value: %s", numberText(m.percent(m.From)))
		d.note(m.Key+".max_difficulty", Kept, "it is reached from the start")
		d.note(m.Key+".schedule_type", Kept, "kind: constant; DeepSpeed asks its schedule only while the difficulty is below max_difficulty, and starts at min_difficulty")
		d.note(config, NoEffect, "the difficulty never moves")
		return fmt.Sprintf("{kind: constant, value: %s}", numberText(m.percent(m.From)))
	case m.Schedule == ScheduleDiscrete:
		return d.discrete(m)
	case m.Schedule == ScheduleCustom:
		d.note(m.Key+".min_difficulty", LeftOut, "as schedule_type")
		d.note(m.Key+".max_difficulty", LeftOut, "as schedule_type; the original holds still once it is reached")
		d.note(m.Key+".schedule_type", LeftOut, "the function stands in the trainer's code; register it with pace.Register under a name, and write that as kind")
		d.note(config, LeftOut, "as schedule_type")
		return fmt.Sprintf("{kind: %s, clock: steps}  # the name of a pace of one's own, from %s to %s", FillIn, numberText(m.percent(m.From)), numberText(m.percent(m.To)))
	}
	from := m.From
	if positive {
		from = min(d.aligned(m.Key+".min_difficulty", m.From, m.first(), m.Quantum), m.To)
	}
	p := curve{degree: m.Degree, from: m.percent(from), to: m.percent(m.To), step: m.percent(m.Quantum), begin: -1, until: m.Steps - 1}
	d.note(m.Key+".min_difficulty", Kept, "from: %s", numberText(p.from))
	d.note(m.Key+".max_difficulty", Kept, "to: %s", numberText(p.to))
	d.note(m.Key+".schedule_type", Kept, "kind: %s", p.kind())
	d.note(config+".root_degree", Kept, "degree: %s", numberText(m.Degree))
	d.note(config+".difficulty_step", Kept, "step: %s%s", numberText(p.step), late(m.To, m.Quantum, "total_curriculum_step"))
	d.note(config+".total_curriculum_step", Kept, "begin: -1, until: %s: the original counts its steps from 1; each step has the same value", numberText(p.until))
	return p.String()
}

// discrete writes a pace of kind steps.
func (d *draft) discrete(m *ConfigMetric) string {
	config := m.Key + ".schedule_config"
	values, last, what := slices.Clone(m.Values), m.Last, "those that come into force"
	if m.applies() == "" {
		values, last = rising(values, last)
		what += ", without those that would take samples back"
	}
	for i := range values {
		values[i] = m.percent(values[i])
	}
	until := make([]float64, len(last))
	for i := range last {
		until[i] = last[i] - 1
	}
	d.note(m.Key+".min_difficulty", NoEffect, "the first of schedule_config.difficulty takes its place at once")
	d.note(m.Key+".max_difficulty", Kept, "values end with the first that reaches it")
	d.note(m.Key+".schedule_type", Kept, "kind: steps")
	d.note(config+".difficulty", Kept, "values: %s: %s", listText(values), what)
	d.note(config+".max_step", Kept, "until: %s: one less, for the original counts its steps from 1", listText(until))
	if len(values) == 1 {
		return fmt.Sprintf("{kind: constant, value: %s}", numberText(values[0]))
	}
	return fmt.Sprintf("{kind: steps, values: %s, until: %s, clock: steps}", listText(values), listText(until))
}

// aligned returns where a pace that must not give 0 begins. The first value is
// what the original rounds to.
func (d *draft) aligned(key string, from, first, quantum float64) float64 {
	switch {
	case first > 0:
		return from
	case from > 0:
		d.compat = false
		d.note(key, Changed, "rounded down to a multiple of %s it is 0, with which DeepSpeed 0.19.6 begins; without compat the pace begins at %[1]s", numberText(quantum))
		return from
	}
	d.note(key, Changed, "DeepSpeed begins at 0, with nothing to train on; the pace begins at %s", numberText(quantum))
	return quantum
}

// late says that a pace ends after its moment.
func late(to, quantum float64, moment string) string {
	if math.Mod(to, quantum) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s is no multiple of it and comes after %s, as in the original", numberText(to), moment)
}

// curve is a linear or a root pace in steps.
type curve struct {
	degree, from, to, step, begin, until float64
}

func (p curve) kind() string {
	if p.degree == 1 {
		return "linear"
	}
	return "root"
}

// String writes it as a recipe does.
func (p curve) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{kind: %s, ", p.kind())
	if p.degree != 1 {
		fmt.Fprintf(&b, "degree: %s, ", numberText(p.degree))
	}
	fmt.Fprintf(&b, "from: %s, to: %s, step: %s, ", numberText(p.from), numberText(p.to), numberText(p.step))
	if p.begin != 0 {
		fmt.Fprintf(&b, "begin: %s, ", numberText(p.begin))
	}
	fmt.Fprintf(&b, "until: %s, clock: steps}", numberText(p.until))
	return b.String()
}
