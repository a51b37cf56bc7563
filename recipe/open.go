package recipe

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// A Bound is a recipe bound to its corpora and indexes: everything that can be
// said of a run before it begins.
type Bound struct {
	Recipe  *Recipe
	Sources []BoundSource // in the order of the ids; none in a plan of the schedule only
	Plan    *curriculum.Plan
	// Model is the network. Of an external one only Layers, Context and Routed are
	// known, and nothing can be counted but tokens.
	Model model.Config
	// Warnings say, with the lines of the recipe, what is allowed and perhaps not
	// meant.
	Warnings []string

	config     curriculum.Config // that Plan was compiled from
	masking    *batch.Masking    // nil: no token is masked
	origin     *origin           // the run it goes on from; nil: none
	evaluation *corpus.Corpus    // for evaluation only; nil: there is none
	onlyHeld   *corpus.HoldOut   // all of evaluation
}

// Options say how a recipe is opened.
type Options struct {
	// ScheduleOnly compiles stages and shapes and opens no file: neither corpora
	// nor indexes need to be there, and the plan has no samples.
	ScheduleOnly bool
	// Dir keeps the plan's files; empty: temporary ones that vanish with the
	// process. A plan that it holds already is opened, if it is the recipe's.
	Dir string
	// From is a checkpoint of an earlier run, or the run's directory, that the plan
	// goes on from; empty: none. Corpora may have grown at their ends since then.
	From string
}

// Open binds a recipe. What it opens stays mapped until Close. What cannot be
// compiled is an error of kind fault.Invalid with the line of the recipe; an
// index of another corpus, or corpora of different tokenizers, fault.Mismatch.
func Open(ctx context.Context, r *Recipe, o Options) (_ *Bound, err error) {
	bound := *r // what the corpora say is not the caller's
	b := &Bound{Recipe: &bound}
	r = b.Recipe
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if !o.ScheduleOnly {
		if err := b.open(o); err != nil {
			return nil, err
		}
	} else if r.Window() == 0 {
		return nil, r.errorf("sample", "a plan without its corpus does not know how large images are; give length: N, the patches of an image and one")
	} else {
		b.Model = r.ModelConfig(max(r.Model.Vocabulary, 1))
	}
	c, err := b.curriculum(o)
	if err != nil {
		return nil, err
	}
	if b.origin != nil {
		c.From = &curriculum.Origin{Position: b.origin.reached.Position, Done: b.done, Units: b.unitsReached}
	}
	if o.Dir != "" {
		if err := b.keep(&c, o.Dir); err != nil {
			return nil, err
		}
	}
	if b.Plan, err = curriculum.Compile(ctx, c); err != nil {
		return nil, b.planError(err)
	}
	for i := range b.Sources {
		if err := b.Sources[i].Units.Finish(); err != nil {
			return nil, fmt.Errorf("%s: %w", r.place("sample"), err)
		}
	}
	if err := b.refuseNoEffect(); err != nil {
		return nil, err
	}
	if r.Optimizer != nil {
		if s, _ := b.Schedule(); s.Validate() != nil {
			return nil, r.invalid("optimizer", s.Validate())
		}
	}
	b.warnings()
	return b, nil
}

// open opens the corpora and indexes, and settles the model.
func (b *Bound) open(o Options) error {
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o777); err != nil {
			return err
		}
	}
	var made *madeOf // the plan that is kept; nil: none is
	if curriculum.Kept(o.Dir) {
		var err error
		if made, err = readMadeOf(o.Dir); err != nil {
			return err
		}
		if err := made.madeBy(b.Recipe.Hash(), o.Dir); err != nil { // before what lies there is read as this recipe's
			return err
		}
	}
	if err := b.openSources(o.Dir); err != nil {
		return err
	}
	if err := b.setModel(); err != nil {
		return err
	}
	if made != nil { // a plan that goes on from another holds out what that did
		for i := range b.Sources {
			if i < len(made.Sources) && made.Sources[i].Held != nil {
				if err := b.holdOutAsBefore(&b.Sources[i], made.Sources[i].Held); err != nil {
					return err
				}
			}
		}
	}
	if o.From != "" {
		if err := b.openOrigin(o.From); err != nil {
			return err
		}
	}
	if err := b.checkAlways(); err != nil {
		return err
	}
	return b.holdOut()
}

// Close releases the files.
func (b *Bound) Close() error {
	var errs []error
	if b.Plan != nil {
		errs = append(errs, b.Plan.Close())
	}
	if b.origin != nil {
		errs = append(errs, b.origin.close())
	}
	for i := range b.Sources {
		errs = append(errs, b.Sources[i].close())
	}
	if b.evaluation != nil {
		errs = append(errs, b.evaluation.Close())
	}
	return errors.Join(errs...)
}

// holdOut opens the text to evaluate on.
func (b *Bound) holdOut() (err error) {
	r := b.Recipe
	if r.Evaluate.Corpus == nil {
		share := r.Evaluate.HeldOut.Of(1)
		for i := range b.Sources {
			if share == 0 {
				break
			}
			s := &b.Sources[i]
			if s.HeldOut != nil {
				continue // as before
			}
			if b.origin != nil && b.origin.of[i] >= 0 {
				b.warn("evaluate.held_out", "the earlier run held nothing of %s out and may have trained on what is held out now, so losses on it come out too low; "+
					"evaluate on a corpus of its own", s.words())
			}
			s.held = &heldOut{s.Corpus.Documents(), s.Corpus.Tokens(), share, r.heldOutSeed(), r.Window()}
			if s.HeldOut, err = s.Corpus.HoldOut(share, r.heldOutSeed(), r.Window()); err != nil {
				return fmt.Errorf("%s: %w", r.place("evaluate.held_out"), err)
			}
		}
		return nil
	}
	if b.evaluation, err = r.openCorpus(b.Sources[0].Corpus.Form(), r.Evaluate.Corpus); err != nil {
		return fmt.Errorf("%s: %w", r.place("evaluate.corpus"), err)
	}
	if err := b.agree("evaluate.corpus", "the corpus for evaluation", b.evaluation.Meta()); err != nil {
		return err
	}
	b.onlyHeld = b.evaluation.All()
	return nil
}

// Samples returns how many samples the corpora have together.
func (b *Bound) Samples() int64 {
	n := int64(0)
	for i := range b.Sources {
		n += b.Sources[i].Samples.Len()
	}
	return n
}

// Source returns the source of an id, and the unit.
func (b *Bound) Source(id int64) (s *BoundSource, unit int64, err error) {
	i, unit := curriculum.Split(id)
	if id < 0 || i >= len(b.Sources) {
		return nil, 0, fault.Invalidf("id %d is of source %d; there are %d, counted from 0", id, i, len(b.Sources))
	}
	return &b.Sources[i], unit, nil
}

// Metrics returns the names of the plan's difficulties.
func (b *Bound) Metrics() []string {
	var names []string
	for _, i := range b.Recipe.admissions() {
		names = append(names, b.Recipe.Curriculum[i].Metric)
	}
	return names
}

// admissions returns which metrics of the curriculum admit samples.
func (r *Recipe) admissions() []int {
	var at []int
	for i := range r.Curriculum {
		if r.Curriculum[i].Apply == "" {
			at = append(at, i)
		}
	}
	return at
}
