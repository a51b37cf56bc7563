package recipe

import (
	"context"
	"errors"
	"fmt"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// A Bound is a recipe bound to its corpus and index: everything that can be said
// of a run before it begins.
type Bound struct {
	Recipe  *Recipe
	Corpus  *corpus.Corpus
	Samples *corpus.Samples
	Index   *index.Index // nil if no metric admits samples
	HeldOut *corpus.HoldOut
	Plan    *curriculum.Plan
	Model   model.Config

	evaluation *corpus.Corpus // that HeldOut is of
}

// Open binds a recipe. What it opens stays mapped until Close.
func Open(r *Recipe) (b *Bound, err error) {
	b = &Bound{Recipe: r}
	defer func() {
		if err != nil {
			b.Close()
			b = nil
		}
	}()
	form, err := corpus.ParseForm(r.form())
	if err != nil {
		return b, r.errorf("dtype", "%w", err)
	}
	if b.Corpus, err = corpus.OpenAs(form, r.find(r.Corpus, corpus.Exists)); err != nil {
		return b, fmt.Errorf("%s: %w", r.place("corpus"), err)
	}
	if b.Samples, err = b.Corpus.Samples(r.Cut()); err != nil {
		return b, fmt.Errorf("%s: %w", r.place("sample"), err)
	}
	vocabulary := b.Corpus.Meta().Vocabulary
	if r.Model.Vocabulary != 0 {
		vocabulary = r.Model.Vocabulary
	}
	if vocabulary == 0 {
		return b, r.errorf("model", "the corpus does not say how large its vocabulary is; name it in vocabulary")
	}
	if have := b.Corpus.Meta().Vocabulary; vocabulary < have {
		return b, r.errorf("model.vocabulary", "it is %d and the corpus has %d tokens", vocabulary, have)
	}
	b.Model = r.ModelConfig(vocabulary)
	if err := b.Model.Validate(); err != nil {
		return b, r.invalid("model", err)
	}
	if err := b.holdOut(); err != nil {
		return b, err
	}
	c, err := b.curriculum()
	if err != nil {
		return b, err
	}
	if b.Plan, err = curriculum.Compile(context.TODO(), c); err != nil {
		return b, fmt.Errorf("%s: %w", r.path, err)
	}
	return b, nil
}

// Close releases the files.
func (b *Bound) Close() error {
	var errs []error
	if b.Plan != nil {
		errs = append(errs, b.Plan.Close())
	}
	if b.Index != nil {
		errs = append(errs, b.Index.Close())
	}
	if b.evaluation != nil && b.evaluation != b.Corpus {
		errs = append(errs, b.evaluation.Close())
	}
	if b.Corpus != nil {
		errs = append(errs, b.Corpus.Close())
	}
	return errors.Join(errs...)
}

// Window returns the tokens of a full-length row.
func (r *Recipe) Window() int {
	if r.Sample.Documents {
		return r.Sample.Length
	}
	return r.Sample.Window
}

// Cut returns how the corpus is cut into samples.
func (r *Recipe) Cut() corpus.Cut {
	return corpus.Cut{Window: r.Sample.Window, Documents: r.Sample.Documents}
}

// ModelConfig returns the model for a vocabulary.
func (r *Recipe) ModelConfig(vocabulary int) model.Config {
	c := model.Config{
		Vocabulary: vocabulary, Context: r.Window(), Layers: r.Model.Layers, Width: r.Model.Width, Heads: r.Model.Heads,
		Untied: r.Model.Head == "untied",
	}
	if r.routes() {
		c.Routed = route.Inner(c.Layers)
		if list := r.Routing.Layers.List; list != nil {
			c.Routed = list
		}
	}
	return c
}

// routes reports whether any layer drops tokens.
func (r *Recipe) routes() bool { return r.Routing != nil && r.Routing.Policy != "none" }

// OptimizerConfig returns AdamW's settings.
func (r *Recipe) OptimizerConfig() train.Optimizer {
	o := r.Optimizer
	return train.Optimizer{Beta1: o.Betas[0], Beta2: o.Betas[1], Epsilon: o.Epsilon, Decay: *o.WeightDecay, Clip: *o.Clip}
}

// Schedule returns the learning rate's schedule.
func (r *Recipe) Schedule() train.Schedule {
	total := r.BudgetTotal()
	return train.Schedule{
		Peak: r.Optimizer.Rate, Min: *r.Optimizer.MinRate, Warmup: r.Optimizer.Warmup.Of(total),
		Total: total, Decay: train.Decay(r.Optimizer.Decay),
	}
}

// holdOut opens the text to evaluate on.
func (b *Bound) holdOut() (err error) {
	r := b.Recipe
	if r.Evaluate.Corpus == "" {
		share := r.Evaluate.HeldOut.Of(1)
		if share == 0 {
			return nil
		}
		b.evaluation = b.Corpus
		if b.HeldOut, err = b.Corpus.HoldOut(share, r.Seed, r.Window()); err != nil {
			return fmt.Errorf("%s: %w", r.place("evaluate.held_out"), err)
		}
		return nil
	}
	if b.evaluation, err = corpus.OpenAs(b.Corpus.Form(), r.find(r.Evaluate.Corpus, corpus.Exists)); err != nil {
		return fmt.Errorf("%s: %w", r.place("evaluate.corpus"), err)
	}
	ours, theirs := b.Corpus.Meta(), b.evaluation.Meta()
	if ours.Tokenizer != theirs.Tokenizer {
		return r.errorf("evaluate.corpus", "it was prepared with tokenizer %q and the corpus with %q", theirs.Tokenizer, ours.Tokenizer)
	}
	b.HeldOut = b.evaluation.All()
	return nil
}

// curriculum returns the plan's configuration.
func (b *Bound) curriculum() (curriculum.Config, error) {
	r := b.Recipe
	c := curriculum.Config{
		Seed: r.Seed, Buckets: []curriculum.Bucket{{Length: r.Window(), Units: r.Batch.Size}},
		Layers: b.Model.Layers, Routed: len(b.Model.Routed),
		Clock: curriculum.Clock(r.Budget.Clock), Budget: r.BudgetTotal(), Shapes: r.Shapes,
	}
	source := curriculum.Source{Samples: b.Samples.Len()}
	if b.HeldOut != nil && b.evaluation == b.Corpus || r.Sample.Documents {
		source.Excluded = func(id int64) bool { return b.HoldsOut(id) || b.predictsNothing(id) }
	}
	for i, m := range r.Curriculum {
		at := fmt.Sprintf("curriculum[%d]", i)
		p, err := r.pace(at+".pace", m.Pace)
		if err != nil {
			return c, err
		}
		if m.Apply != "" {
			c.Length = curriculum.Timed{Pace: p}
			shaper, _ := batch.LookupShaper(m.Apply)
			c.RowsPer = shaper.Rows
			continue
		}
		if err := b.openIndex(at); err != nil {
			return c, err
		}
		column, err := b.Index.Column(m.Metric)
		if err != nil {
			return c, fmt.Errorf("%s: %w", r.place(at+".metric"), err)
		}
		c.Admit = append(c.Admit, curriculum.Admission{Metric: m.Metric, By: curriculum.By(m.By), Pace: curriculum.Timed{Pace: p}, Descending: column.Metric().Descending})
		source.Columns = append(source.Columns, column)
	}
	if r.routes() {
		p, err := r.pace("routing.keep", r.Routing.Keep)
		if err != nil {
			return c, err
		}
		c.Keep = curriculum.Timed{Pace: p}
	}
	c.Sources = []curriculum.Source{source}
	return c, nil
}

// openIndex opens the index once a metric at a place of the recipe needs it.
func (b *Bound) openIndex(at string) (err error) {
	r := b.Recipe
	switch {
	case b.Index != nil:
		return nil
	case r.Index == "":
		return r.errorf(at, "it needs an index; run 'gradus analyze --corpus %s' and name its directory in index", r.Corpus)
	}
	if b.Index, err = index.Open(r.find(r.Index, index.Is)); err != nil {
		return fmt.Errorf("%s: %w", r.place("index"), err)
	}
	if err := b.Index.Matches(b.Samples); err != nil {
		return fmt.Errorf("%s: %w", r.place("index"), err)
	}
	return nil
}

// HoldsOut reports whether a sample, wholly or in part, is held out for
// evaluation.
func (b *Bound) HoldsOut(id int64) bool {
	return b.HeldOut != nil && b.evaluation == b.Corpus && b.HeldOut.Holds(b.Samples.Span(id))
}

// predictsNothing reports whether a sample is a document of fewer than two
// tokens: a batch of nothing else would have no loss.
func (b *Bound) predictsNothing(id int64) bool {
	start, end := b.Samples.Span(id)
	return end-start < 2
}

// Metrics returns the names of the plan's difficulties.
func (b *Bound) Metrics() []string {
	var names []string
	for _, m := range b.Recipe.Curriculum {
		if m.Apply == "" {
			names = append(names, m.Metric)
		}
	}
	return names
}

// Batches returns the maker of the plan's batches.
func (b *Bound) Batches() (*batch.Maker, error) {
	source := batch.Source{Samples: b.Samples}
	if r := b.Recipe; r.Sample.Documents {
		var err error
		if source.Units, err = arrange.Pad(b.Samples, r.Window()); err != nil {
			return nil, err
		}
	}
	c := batch.Config{Sources: []batch.Source{source}, Plan: b.Plan, Policy: route.RandomLTD{}, Routed: b.Model.Routed, Seed: b.Recipe.Seed}
	for _, m := range b.Recipe.Curriculum {
		if m.Apply != "" {
			c.Shaper, _ = batch.LookupShaper(m.Apply)
		}
	}
	return batch.NewMaker(c)
}

// evaluationRows is the batch size of evaluations: they keep no gradients, and
// two of them run at once.
const evaluationRows = 8

// Evaluation returns the held-out text in batches; none if nothing is held out.
func (b *Bound) Evaluation() ([]*batch.Batch, error) {
	if b.HeldOut == nil {
		return nil, nil
	}
	return batch.Evaluation(b.evaluation, b.HeldOut, b.Recipe.Window(), evaluationRows, b.Recipe.Evaluate.Tokens)
}

// Fingerprint names the text of the run: the corpus, and the one it is evaluated
// on where that is another.
func (b *Bound) Fingerprint() (string, error) {
	text, err := b.Corpus.Fingerprint()
	if err != nil || b.evaluation == nil || b.evaluation == b.Corpus {
		return text, err
	}
	evaluation, err := b.evaluation.Fingerprint()
	return text + " evaluated on " + evaluation, err
}

// Training returns what train.Train needs, for a run in dir.
func (b *Bound) Training(dir string) (train.Config, error) {
	r := b.Recipe
	fingerprint, err := b.Fingerprint()
	if err != nil {
		return train.Config{}, err
	}
	maker, err := b.Batches()
	if err != nil {
		return train.Config{}, fmt.Errorf("%s: %w", r.path, err)
	}
	evaluation, err := b.Evaluation()
	if err != nil {
		return train.Config{}, err
	}
	total := r.BudgetTotal()
	return train.Config{
		Dir: dir,
		Run: runlog.Run{
			Name: r.Name, Recipe: r.Hash(), Corpus: fingerprint, Seed: r.Seed,
			Model: b.Model.String(), Parameters: b.Model.Parameters(), Steps: b.Plan.Steps(),
			Clock: r.Budget.Clock, Budget: total, Backend: train.GoBackend, Rate: r.Optimizer.Rate,
		},
		Model: b.Model, Optimizer: r.OptimizerConfig(), Schedule: r.Schedule(),
		Plan: b.Plan, Clock: curriculum.Clock(r.Budget.Clock), Metrics: b.Metrics(),
		Batches: maker, Evaluation: evaluation,
		EvaluateEvery: r.Evaluate.Every.Of(total), CheckpointEvery: r.Checkpoint.Every.Of(total), KeepCheckpoints: r.Checkpoint.Keep,
	}, nil
}
