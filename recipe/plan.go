package recipe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

// curriculum returns the plan's configuration.
func (b *Bound) curriculum(o Options) (curriculum.Config, error) {
	r := b.Recipe
	c := curriculum.Config{
		Seed: r.Seed, Control: curriculum.Control(r.Control),
		Layers: b.Model.Layers, Routed: len(b.Model.Routed), Drop: b.Model.Drop, WholeTokens: r.Compat != "",
		Clock: curriculum.Clock(r.Budget.Clock), Budget: r.BudgetTotal(), Shapes: r.Shapes,
		ScheduleOnly: o.ScheduleOnly, Dir: o.Dir,
	}
	for _, length := range r.Lengths() {
		c.Buckets = append(c.Buckets, curriculum.Bucket{Length: length, Units: r.Units(length)})
	}
	for i := range r.sources() {
		s, err := b.source(i)
		if err != nil {
			return c, err
		}
		c.Sources = append(c.Sources, s)
	}
	var err error
	if r.Batch.Ramp != nil {
		if c.Ramp, err = r.timed("batch.ramp", r.Batch.Ramp); err != nil {
			return c, err
		}
		c.RampUnits = r.unitsAt
	}
	for i, m := range r.Curriculum {
		at := fmt.Sprintf("curriculum[%d]", i)
		if m.Apply == "" {
			if err := b.admit(&c, at, m); err != nil {
				return c, err
			}
			continue
		}
		if c.Length, err = r.timed(at+".pace", m.Pace); err != nil {
			return c, err
		}
		shaper, _ := batch.LookupShaper(m.Apply) // settled
		c.RowsPer = shaper.Rows
	}
	if r.routes() {
		if c.Keep, err = r.timed("routing.keep", r.Routing.Keep); err != nil {
			return c, err
		}
	}
	b.config = c
	return c, nil
}

// source returns a source of the plan without its columns.
func (b *Bound) source(i int) (curriculum.Source, error) {
	r := b.Recipe
	from := r.sources()[i]
	s := curriculum.Source{Name: from.Name}
	if from.Weight != nil {
		var err error
		if s.Weight, err = r.timed(r.sourceAt(i, "weight"), from.Weight); err != nil {
			return s, err
		}
	}
	if b.Sources == nil {
		return s, nil
	}
	bound := &b.Sources[i]
	s.Samples = bound.Samples.Len()
	if bound.HeldOut != nil {
		s.Excluded = bound.HoldsOut
	}
	if r.Sample.Documents { // every window and every image is a unit, and fills its row
		s.Units = bound.Units
	}
	return s, nil
}

// admit adds a metric that admits samples.
func (b *Bound) admit(c *curriculum.Config, at string, m Metric) (err error) {
	r := b.Recipe
	a := curriculum.Admission{Metric: m.Metric, By: curriculum.By(m.By)}
	if a.Pace, err = r.timed(at+".pace", m.Pace); err != nil {
		return err
	}
	if m.Floor != nil {
		if a.Floor, err = r.timed(at+".floor", m.Floor); err != nil {
			return err
		}
	}
	for i := range b.Sources {
		s := &b.Sources[i]
		column, err := b.column(at+".metric", s, m.Metric)
		if err != nil {
			return err
		}
		c.Sources[i].Columns = append(c.Sources[i].Columns, column)
		first := b.Sources[0].Index
		if i == 0 {
			a.Descending = column.Metric().Descending
			continue
		}
		ours, err := first.Column(m.Metric)
		if err != nil {
			return err
		}
		if x, y := ours.Metric(), column.Metric(); x.Descending != y.Descending || x.Version != y.Version || x.Unit != y.Unit {
			return fault.Mismatchf("%s: index %s has version %d of %s (%s) and index %s has version %d (%s): their values do not compare; analyze both alike",
				r.place(at+".metric"), first.Path(), x.Version, m.Metric, x.Unit, s.Index.Path(), y.Version, y.Unit)
		}
	}
	c.Admit = append(c.Admit, a)
	return nil
}

// part takes the name of a curriculum.PartError to pieces.
var part = regexp.MustCompile(`^(sources|admit)\[(\d+)\](\.\w+)?$`)

// planError says where in the recipe the part of a plan stands that an error is
// about.
func (b *Bound) planError(err error) error {
	var p *curriculum.PartError
	if !errors.As(err, &p) {
		return fmt.Errorf("%s: %w", b.Recipe.path, err)
	}
	return fmt.Errorf("%s: %w", b.Recipe.place(b.partAt(p.Part)), err)
}

func (b *Bound) partAt(name string) string {
	r := b.Recipe
	if m := part.FindStringSubmatch(name); m != nil {
		i, _ := strconv.Atoi(m[2])
		if m[1] == "sources" && r.Sources == nil {
			return "curriculum"
		}
		if m[1] == "sources" {
			return fmt.Sprintf("sources[%d]%s", i, m[3])
		}
		return fmt.Sprintf("curriculum[%d]%s", r.admissions()[i], m[3])
	}
	switch name {
	case "ramp":
		return "batch.ramp"
	case "layers":
		return "model.layers"
	case "length":
		if i := slices.IndexFunc(r.Curriculum, func(m Metric) bool { return m.Apply != "" }); i >= 0 {
			return fmt.Sprintf("curriculum[%d].pace", i)
		}
		return "sample"
	case "keep":
		return "routing.keep"
	case "drop":
		return "routing.drop"
	}
	return name
}

// refuseNoEffect refuses percentiles that are none, and paces by value that begin
// above the most difficult sample: they admit everything at once.
func (b *Bound) refuseNoEffect() error {
	r := b.Recipe
	for k, i := range r.admissions() {
		a, at := b.config.Admit[k], fmt.Sprintf("curriculum[%d].pace", i)
		if a.By == curriculum.Percentile {
			for _, s := range b.Plan.Stages() {
				if d := s.Difficulty[k]; !(d > 0 && d <= 100) {
					return r.errorf(at, "at step %d the pace is at the percentile %v; it must lie above 0 and at most at 100", s.First, d)
				}
			}
			continue
		}
		if b.Sources == nil || a.Floor.Pace != nil {
			continue
		}
		most := b.largest(r.Curriculum[i].Metric)
		if from := b.Plan.Stages()[0].Difficulty[k]; from > most {
			return r.errorf(at, "it begins at %v, and the largest %s of a sample is %v, so every sample is admitted at once and the pace has no effect; "+
				"begin below that, or write 'by: percentile'", from, a.Metric, most)
		}
		var values []float64
		for _, s := range b.Plan.Stages() {
			values = append(values, s.Difficulty[k])
		}
		if enough, end := beyond(values, most); end > enough {
			const says = "it goes on to %v, and the largest %s of a sample is %v: everything is admitted from %v on; lower its 'to' to that"
			if a.Metric == "length" {
				return r.errorf(at, says, end, a.Metric, most, enough)
			}
			b.warn(at, says, end, a.Metric, most, enough)
		}
	}
	return b.refusePadding()
}

// refusePadding refuses a length that goes on to grow when the longest document
// fits: it would add nothing but padding.
func (b *Bound) refusePadding() error {
	r := b.Recipe
	shaped := slices.IndexFunc(r.Curriculum, func(m Metric) bool { return m.Apply != "" })
	if b.Sources == nil || shaped < 0 || !r.Sample.Documents || len(r.Lengths()) > 1 || r.Sample.Arrange == "pack" {
		return nil
	}
	longest := int64(0)
	for i := range b.Sources {
		samples := b.Sources[i].Samples
		for id := range samples.Len() {
			start, end := samples.Span(id)
			longest = max(longest, end-start-1)
		}
	}
	var lengths []float64
	for _, s := range b.Plan.Shapes() {
		lengths = append(lengths, float64(s.Length))
	}
	if enough, end := beyond(lengths, float64(longest)); end > enough {
		return r.errorf(fmt.Sprintf("curriculum[%d].pace", shaped), "it goes on to rows of %v tokens, and the longest document takes %d: from %v on they grow by padding only; lower its 'to' to that",
			end, longest, enough)
	}
	return nil
}

// beyond returns the smallest of some values that is not below most, and the
// largest of all; equal, or 0 where none is: there is nothing beyond what is
// enough.
func beyond(values []float64, most float64) (enough, end float64) {
	for _, v := range values {
		if v >= most && (enough == 0 || v < enough) {
			enough = v
		}
		end = max(end, v)
	}
	if enough == 0 {
		return 0, 0
	}
	return enough, end
}

// largest returns the largest value that a metric has in any source.
func (b *Bound) largest(metric string) float64 {
	var values []float64
	for i := range b.Sources {
		if column, err := b.Sources[i].Index.Column(metric); err == nil {
			values = append(values, column.Metric().Max)
		}
	}
	return slices.Max(values)
}

// warn adds a warning about a place of the recipe.
func (b *Bound) warn(at, format string, args ...any) {
	b.Warnings = append(b.Warnings, b.Recipe.place(at)+": "+fmt.Sprintf(format, args...))
}

// warnings looks for what is allowed and perhaps not meant.
func (b *Bound) warnings() {
	r, end := b.Recipe, b.Plan.End()
	r.eachPace(func(at string, p *Pace) error {
		t, err := r.timed(at, p)
		stepped, ok := t.Pace.(pace.Stepped)
		if err != nil || !ok || at == "routing.keep" && !r.routes() {
			return nil
		}
		last := end.On(t.Clock)
		if next := stepped.Next(last); next-last > 0 && next < maxMoment {
			b.warn(at, "the run ends at %.0f %s with the pace at %v, and it would go on to change at %.0f; it never reaches its end", last, t.Clock, t.At(last), next)
		}
		return nil
	})
	stages := b.Plan.Stages()
	for i := range r.sources() {
		if !slices.ContainsFunc(stages, func(s curriculum.Stage) bool { return s.Weights == nil || s.Weights[i] > 0 }) {
			b.warn(r.sourceAt(i, "weight"), "the weight is 0 from the first step to the last, so nothing of the source is served")
		}
	}
	floor := func(a curriculum.Admission) bool { return a.Floor.Pace != nil }
	if admit := b.config.Admit; b.Sources != nil && len(admit) > 0 && !slices.ContainsFunc(admit, floor) && stages[0].Pool == b.Plan.Pool() {
		b.warn("curriculum", "all %d units are admitted from the first step on, so no metric changes the order", b.Plan.Pool())
	}
}

// maxMoment is later than any run.
const maxMoment = 1e300
