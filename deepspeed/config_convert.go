package deepspeed

import (
	"math"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Draft is the text of a recipe, in YAML. It has FillIn where neither the
// configuration nor the options say what the recipe must; reading it fails there.
type Draft string

// FillIn stands in a Draft for what is to be filled in.
const FillIn = "FILL-IN"

// ConvertOptions say what a recipe needs and a configuration does not have. The
// zero of a field leaves it to be filled in, or to the default named.
type ConvertOptions struct {
	Corpus string // prefix
	Index  string // directory
	// Window is the tokens of a full row; default: the longest length or the
	// most kept tokens that the configuration goes to.
	Window int
	// Steps or Tokens is the budget; at most one.
	Steps, Tokens int64
	// Clock of the budget; default: steps with Steps, layer-tokens with
	// routing, otherwise tokens. Paces count steps whatever it is.
	Clock string
}

func (o ConvertOptions) validate() error {
	switch {
	case o.Window < 0 || o.Steps < 0 || o.Tokens < 0:
		return fault.Invalidf("window %d, steps %d, tokens %d: none may be negative", o.Window, o.Steps, o.Tokens)
	case o.Steps > 0 && o.Tokens > 0:
		return fault.Invalidf("the budget is either %d steps or %d tokens; give one", o.Steps, o.Tokens)
	case !slices.Contains([]string{"", "steps", "tokens", "layer-tokens"}, o.Clock):
		return fault.Invalidf("unknown clock %q; there are steps, tokens and layer-tokens", o.Clock)
	case o.Tokens > 0 && o.Clock == "steps", o.Steps > 0 && o.Clock != "" && o.Clock != "steps":
		return fault.Invalidf("the clock counts %s, so the budget must too", o.Clock)
	}
	return nil
}

// Convert returns a recipe that says what the configuration says, for a
// trainer of one's own (model kind external), and notes on every key of the
// file, in its order. The same configuration and options give the same bytes.
func (c *Config) Convert(o ConvertOptions) (Draft, []Note, error) {
	if err := o.validate(); err != nil {
		return "", nil, err
	}
	d := &draft{config: c, options: o, notes: slices.Clone(c.notes), compat: true}
	if err := d.setWindow(); err != nil {
		return "", nil, err
	}
	curriculum := d.curriculum()
	routing := d.routing()
	d.compat = d.compat && curriculum+routing != ""
	d.head()
	d.sample()
	d.batch()
	d.budget(routing != "")
	d.write("%s%s", curriculum, routing)
	d.shapes()
	d.model()
	d.optimizer()
	d.line("evaluate: {held_out: 0}", "the trainer's own; no sample is kept back")
	return Draft(d.text.String()), d.notes.sorted(), nil
}

// draft is a recipe being written.
type draft struct {
	config  *Config
	options ConvertOptions
	text    strings.Builder
	notes   notes
	window  int     // tokens of a full row; 0: to be filled in
	indexed bool    // some metric admits samples
	compat  bool    // rounding like the original's works
	lengths float64 // that the pace of the length goes through; 0: no pace
	kept    float64 // numbers of kept tokens; 0: no routing
}

// note says what became of a key, if the file has it.
func (d *draft) note(key string, kind NoteKind, format string, args ...any) {
	if at, ok := d.config.places[key]; ok {
		d.notes.add(key, at, kind, format, args...)
	}
}

// say notes something that no key says.
func (d *draft) say(kind NoteKind, format string, args ...any) {
	d.notes.add("", place{}, kind, format, args...)
}

// setWindow finds the tokens of a full row, and holds that all paces stay
// within them.
func (d *draft) setWindow() error {
	c := d.config
	longest, key := 0.0, ""
	for i := range c.Metrics {
		m := &c.Metrics[i]
		if m.applies() != "" && m.longest() > longest {
			longest, key = m.longest(), m.Key+".max_difficulty"
		}
	}
	if r := c.Routing; r != nil && max(r.From, r.To) > longest {
		longest, key = max(r.From, r.To), keepKey+".max_value"
	}
	if longest > maxBatch {
		return fault.Invalidf("%s:%d: %s: it is %s; no row is so long", c.Name, c.places[key].line, key, numberText(longest))
	}
	longest = math.Ceil(longest)
	switch {
	case d.options.Window > 0:
		d.window = d.options.Window
		if float64(d.window) < longest {
			return fault.Invalidf("%s:%d: %s: the pace goes to %s tokens, and the window is %d; give a window of at least that, or lower it",
				c.Name, c.places[key].line, key, numberText(longest), d.window)
		}
		return nil
	case longest > 0:
		d.window = int(longest)
		d.say(Assumed, "a full row has %d tokens: the most that a pace goes to (%s)", d.window, key)
	case c.Dynamic != nil:
		d.window = int(c.Dynamic.Tokens)
		d.say(Assumed, "the longest row has %d tokens: the most that a pack holds", d.window)
	default:
		d.say(Missing, "sample: how many tokens a full row has")
	}
	return nil
}

// longest returns the largest length that a metric goes to.
func (m *ConfigMetric) longest() float64 {
	if m.Schedule == ScheduleDiscrete && !m.still() {
		return slices.Max(m.Values)
	}
	return max(m.From, m.To)
}

func (d *draft) head() {
	c := d.config
	d.write("# Converted from a DeepSpeed configuration; the notes of the conversion say what became of each key.\n")
	d.line("corpus: "+orFillIn(d.options.Corpus), missing(d.options.Corpus, "prefix of the corpus, such as data/web for data/web.bin and .idx"))
	if d.options.Corpus == "" {
		d.say(Missing, "corpus: where the tokens are")
	}
	if d.indexed || d.options.Index != "" {
		d.line("index: "+orFillIn(d.options.Index), missing(d.options.Index, "directory that 'gradus analyze' or 'gradus import deepspeed' wrote for this corpus"))
		if d.options.Index == "" {
			d.say(Missing, "index: where the metrics of the corpus are")
		}
	}
	d.write("seed: %d\n", c.Seed)
	d.note("data_efficiency.seed", Changed, "seed: %d; the same number, other draws", c.Seed)
	if c.places["data_efficiency.seed"].line == 0 {
		d.say(Assumed, "seed: %d, as DeepSpeed takes it", c.Seed)
	}
	if d.compat {
		d.write("compat: deepspeed\n")
		d.say(Assumed, "compat: deepspeed counts and rounds as the original: the layer-tokens of a row down to a whole number, and paces down to a multiple of step even below 'from'; leave it out for exact counts and lengths that never fall below 'from'")
	}
	if len(c.Metrics) == 0 && c.Routing == nil && c.Dynamic == nil {
		d.say(Assumed, "nothing of data efficiency is on in this file: the recipe is the baseline, all samples in random order at full length")
	}
}

func (d *draft) sample() {
	if d.config.Dynamic == nil {
		d.line("sample: {window: "+d.windowText()+"}", missing(d.windowText(), "tokens of a full row"))
		return
	}
	lengths := []float64{float64(d.window)}
	for n := d.window; n%2 == 0 && n >= 64 && len(lengths) < 8; {
		n /= 2
		lengths = append(lengths, float64(n))
	}
	slices.Reverse(lengths)
	d.write("sample: {documents: true, length: %d, arrange: bucket, lengths: %s}\n", d.window, listText(lengths))
	d.say(Assumed, "sample.lengths: rows are padded to the next of %s tokens; choose those that fit the corpus", listText(lengths))
}

func (d *draft) windowText() string {
	if d.window == 0 {
		return FillIn
	}
	return numberText(float64(d.window))
}

func (d *draft) budget(routed bool) {
	clock := d.options.Clock
	switch {
	case clock != "":
	case d.options.Steps > 0:
		clock = "steps"
	case routed:
		clock = "layer-tokens"
	default:
		clock = "tokens"
	}
	amount, unit := max(d.options.Steps, d.options.Tokens), "tokens"
	if clock == "steps" {
		unit = "steps"
	}
	if amount > 0 {
		d.write("budget: {%s: %d, clock: %s}\n", unit, amount, clock)
	} else {
		d.line("budget: {"+unit+": "+FillIn+", clock: "+clock+"}", "when the run ends")
		d.say(Missing, "budget: when the run ends; DeepSpeed leaves it to the trainer")
	}
	if len(d.config.Metrics) > 0 {
		d.note("data_efficiency.data_sampling.num_epochs", Changed, "the budget ends the run; the original's sampler ends after %d passes over as many samples as there are, which is no promise that each is seen", d.config.Epochs)
	}
}

// shapes allows what the paces need, where that is more than a recipe's default.
func (d *draft) shapes() {
	const usual = 16
	n := d.lengths + d.kept
	if d.lengths > 0 && d.kept > 0 {
		n-- // each change of one of them makes one shape more
	}
	if n > usual {
		d.line("shapes: "+numberText(n), "at most; a trainer that compiles a graph for each wants fewer: raise 'step'")
		d.say(Assumed, "shapes: the lengths and numbers of kept tokens that the paces go through, %s at most", numberText(n))
	}
}

func (d *draft) model() {
	if r := d.config.Routing; r != nil {
		d.write("model: {kind: external, layers: %d}\n", r.Layers)
		d.note(ltdKey+".total_layer_num", Kept, "model.layers: %d", r.Layers)
		return
	}
	d.line("model: {kind: external, layers: 1}", "every layer sees every token, so their number counts for nothing")
}
