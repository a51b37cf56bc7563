package deepspeed

import (
	"math"
	"slices"
	"strings"
)

// A ConfigMetric is one metric of a curriculum and the schedule of its
// difficulty.
type ConfigMetric struct {
	Name      string // as the file has it; "seqlen_truncate" for the section curriculum_learning
	Key       string // path of its section
	By        string // value or percentile; empty if it does not filter
	Clustered bool   // the difficulty chooses samples; else it only reaches the trainer
	From, To  float64
	Schedule  string // one of the Schedule constants
	// Of linear and root schedules.
	Steps   float64 // at step number Steps, counted from 1, the difficulty is To
	Quantum float64 // the difficulty is rounded down to a multiple of it
	Degree  float64 // 1 for linear
	// Of a discrete schedule: Values[i] holds up to step Last[i], counted from 1.
	// Only what comes into force is in them: the difficulty stays at the
	// first value that is at least To.
	Values []float64
	Last   []float64 // one fewer than Values
}

// The schedules that DeepSpeed has.
const (
	ScheduleLinear   = "fixed_linear"
	ScheduleRoot     = "fixed_root"
	ScheduleDiscrete = "fixed_discrete"
	ScheduleCustom   = "custom" // a function in the trainer's code
)

// maxMetrics is far above what anybody combines.
const maxMetrics = 100

// singleCluster is the clustering_type that does not filter.
const singleCluster = "single_cluster"

// applies returns how the metric shapes batches: truncate, reshape, or empty.
// The trainers that read the original's difficulty know these two names.
func (m *ConfigMetric) applies() string {
	switch m.Name {
	case "seqlen_truncate":
		return "truncate"
	case "seqlen_reshape":
		return "reshape"
	}
	return ""
}

// still reports whether the difficulty never moves: the original only asks its
// schedule while the difficulty is below its maximum, and starts at the
// minimum.
func (m *ConfigMetric) still() bool { return m.From >= m.To }

// percent returns a difficulty as the recipe has it: by percentile the original
// counts parts of the samples, of which there are To.
func (m *ConfigMetric) percent(difficulty float64) float64 {
	switch {
	case m.By != "percentile":
		return difficulty
	case difficulty >= m.To:
		return 100
	}
	return difficulty * 100 / m.To
}

// rarity reports whether a metric is named like vocabulary rarity.
func (m *ConfigMetric) rarity() bool {
	name := strings.ToLower(m.Name)
	return strings.Contains(name, "rarity") || name == "voc" || name == "vocab"
}

// readMetrics reads data_sampling.curriculum_learning.
func (c *Config) readMetrics(s *section) {
	s.note("data_cluster_path", LeftOut, "clusters are not written to files: a plan is one order of all samples")
	s.require("DeepSpeed needs it where enabled is true: a section with a section for each metric", "curriculum_metrics")
	metrics := s.sub("curriculum_metrics")
	s.unknown()
	if metrics == nil {
		return
	}
	if n := len(metrics.object.members); n > maxMetrics {
		s.fail("curriculum_metrics", "it has %d metrics; give at most %d", n, maxMetrics)
		return
	}
	for _, member := range metrics.object.members {
		if sub := metrics.sub(member.key); sub != nil {
			c.Metrics = append(c.Metrics, readMetric(sub, member.key))
		} else {
			metrics.fail(member.key, "it must be a section, {...}")
		}
	}
	c.oneLength(metrics)
}

// oneLength holds that one metric at most sets the length.
func (c *Config) oneLength(s *section) {
	lengths := 0
	for _, m := range c.Metrics {
		if m.applies() != "" {
			lengths++
		}
	}
	if lengths > 1 {
		s.reader.errorf(s.place.line, s.path, "%d curricula set the length of the same batch (seqlen_truncate, seqlen_reshape, or the section curriculum_learning); leave one", lengths)
	}
}

// readMetric reads the section of one metric.
func readMetric(s *section, name string) ConfigMetric {
	m := ConfigMetric{Name: name, Key: s.path}
	s.require("write schedule_based, or single_cluster for a metric that does not choose samples", "clustering_type")
	m.Clustered = s.text("clustering_type") != singleCluster
	if m.Clustered {
		s.require("write value or percentile", "difficulty_type")
	}
	m.By = s.text("difficulty_type")
	if m.By != "" && m.By != "value" && m.By != "percentile" {
		s.fail("difficulty_type", "it is %s; DeepSpeed has value and percentile", show(m.By))
	}
	if !m.Clustered {
		m.By = ""
	}
	s.note("index_to_sample_path", LeftOut, "a recipe names an index instead: 'gradus import deepspeed' makes one of these files, 'gradus analyze' of the corpus")
	s.note("index_to_metric_path", LeftOut, "as index_to_sample_path")
	readSchedule(s, &m)
	s.unknown()
	if m.By == "percentile" && !(m.To > 0) {
		s.fail("max_difficulty", "it is %s; by percentile it is the number of equal parts of the samples, such as 100", numberText(m.To))
	}
	return m
}

// readLegacy reads the section curriculum_learning, which older versions have.
func (c *Config) readLegacy(s *section) {
	if s == nil {
		return
	}
	s.require("write true or false: DeepSpeed fails without it", "enabled")
	if !s.flag("enabled", false) {
		s.reader.notes.add(s.path, s.place, NoEffect, "enabled is not true: DeepSpeed discards the section")
		return
	}
	s.note("enabled", Kept, "the section is in force")
	s.require("write seqlen, the only one there is", "curriculum_type")
	if kind := s.text("curriculum_type"); kind != "seqlen" {
		s.fail("curriculum_type", "it is %s; DeepSpeed has seqlen only", show(kind))
	}
	s.note("curriculum_type", Kept, "metric: length, apply: truncate. DeepSpeed hands the length to the model, which truncates; here the batch comes truncated, evaluation excepted")
	m := ConfigMetric{Name: "seqlen_truncate", Key: s.path}
	readSchedule(s, &m)
	s.unknown()
	c.Metrics = append(c.Metrics, m)
	c.oneLength(s)
}

// readSchedule reads what the metrics of both sections have.
func readSchedule(s *section, m *ConfigMetric) {
	s.require("DeepSpeed needs both difficulties and schedule_type", "min_difficulty", "max_difficulty", "schedule_type")
	m.From, _ = s.number("min_difficulty")
	m.To, _ = s.number("max_difficulty")
	for _, key := range []string{"min_difficulty", "max_difficulty"} {
		if v, ok := s.number(key); ok && v < 0 {
			s.fail(key, "it is %s; it must not be negative", numberText(v))
		}
	}
	m.Schedule = s.text("schedule_type")
	config := s.sub("schedule_config")
	need := func(keys ...string) bool {
		if config == nil {
			s.fail("schedule_config", "it is missing; schedule_type %s needs it, with %s", m.Schedule, strings.Join(keys, ", "))
			return false
		}
		config.require("schedule_type "+m.Schedule+" needs it", keys...)
		return true
	}
	switch m.Schedule {
	case ScheduleLinear, ScheduleRoot:
		keys := []string{"total_curriculum_step", "difficulty_step"}
		if m.Schedule == ScheduleRoot {
			keys = append(keys, "root_degree")
		}
		if need(keys...) {
			readRoot(config, m)
		}
	case ScheduleDiscrete:
		if need("difficulty", "max_step") {
			readDiscrete(config, m)
		}
	case ScheduleCustom:
	case "":
		s.fail("schedule_type", "it is empty; DeepSpeed has %s", schedules)
	default:
		s.fail("schedule_type", "it is %s; DeepSpeed has %s", show(m.Schedule), schedules)
	}
	config.unknown()
}

const schedules = ScheduleLinear + ", " + ScheduleRoot + ", " + ScheduleDiscrete + " and " + ScheduleCustom

func readRoot(s *section, m *ConfigMetric) {
	steps, _ := s.whole("total_curriculum_step", 1)
	quantum, _ := s.whole("difficulty_step", 1)
	m.Steps, m.Quantum, m.Degree = float64(steps), float64(quantum), 1
	if m.Schedule == ScheduleRoot {
		degree, ok := s.number("root_degree")
		if ok && degree < 1 {
			s.fail("root_degree", "it is %s; it must be at least 1 (1 is linear, 2 the square root)", numberText(degree))
		}
		m.Degree = degree
	}
}

func readDiscrete(s *section, m *ConfigMetric) {
	values, _ := s.numbers("difficulty")
	last, _ := s.numbers("max_step")
	if len(last) == 0 || len(values) != len(last)+1 {
		s.fail("max_step", "it has %d steps and difficulty %d values; each value but the last needs the step up to which it holds, and there must be one at least", len(last), len(values))
		return
	}
	for i, v := range values {
		if v < 0 {
			s.fail("difficulty", "item %d is %s; it must not be negative", i+1, numberText(v))
		}
	}
	m.Values, m.Last = inForce(values, last, m.To)
}

// inForce returns the part of a discrete schedule that is ever in force. A
// value whose moment does not lie beyond all moments before it never is, nor
// is what follows a value of at least to.
func inForce(values, last []float64, to float64) (v, until []float64) {
	end := 0.0
	for i, value := range values {
		if i < len(last) {
			step := math.Floor(last[i])
			if step <= end {
				continue
			}
			end = step
		}
		v = append(v, value)
		if i == len(last) || value >= to {
			break
		}
		until = append(until, end)
	}
	return v, until
}

// rising returns values without falls and without repeats, and their moments:
// the original never takes back a sample that it has let in.
func rising(values, last []float64) (v, until []float64) {
	for i, value := range values {
		if n := len(v); n > 0 && value <= v[n-1] {
			if i < len(last) {
				until[n-1] = last[i]
			} else {
				until = until[:n-1]
			}
			continue
		}
		v = append(v, value)
		if i < len(last) {
			until = append(until, last[i])
		}
	}
	return slices.Clip(v), slices.Clip(until)
}

// first returns the difficulty at step 1, as the original rounds it.
func (m *ConfigMetric) first() float64 {
	switch {
	case m.still():
		return m.From
	case m.Schedule == ScheduleDiscrete:
		return m.Values[0]
	case m.Schedule == ScheduleCustom:
		return m.From
	}
	return firstMultiple(math.Pow(1/m.Steps, 1/m.Degree)*(m.To-m.From)+m.From, m.Quantum, m.To)
}

// firstMultiple rounds down to a multiple of a quantum.
func firstMultiple(value, quantum, most float64) float64 {
	value = math.Floor(value)
	return min(value-math.Mod(value, quantum), most)
}

// levels returns how many values the difficulty goes through, at most.
func (m *ConfigMetric) levels() float64 {
	switch {
	case m.still() || m.Schedule == ScheduleCustom:
		return 1
	case m.Schedule == ScheduleDiscrete:
		return float64(len(m.Values))
	}
	return levels(m.From, m.To, m.Quantum)
}

// levels counts the multiples of a quantum from the one at or below from to the
// one at or above to.
func levels(from, to, quantum float64) float64 {
	return math.Ceil(to/quantum) - math.Floor(from/quantum) + 1
}
