package recipe

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// Batches returns the maker of the plan's batches.
func (b *Bound) Batches() (*batch.Maker, error) {
	r := b.Recipe
	c := batch.Config{Plan: b.Plan, Routing: b.routing(), Seed: r.Seed}
	for i := range b.Sources {
		c.Sources = append(c.Sources, batch.Source{Samples: b.Sources[i].Samples, Units: b.Sources[i].Units})
	}
	for _, m := range r.Curriculum {
		if m.Apply != "" {
			c.Shaper, _ = batch.LookupShaper(m.Apply)
		}
	}
	c.Masking, c.Images = b.masking, b.images()
	maker, err := batch.NewMaker(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	return maker, nil
}

// RateFactor returns by what the learning rate of a step is multiplied.
func (b *Bound) RateFactor(step int64) float64 {
	r := b.Recipe
	factor, err := batch.RateFactor(r.Batch.Rate, b.Plan.BatchAt(step).Units, r.BaseUnits())
	if err != nil { // settled, and both numbers are positive
		panic(fmt.Sprintf("recipe: %v", err))
	}
	return factor
}

// evaluationRows is the batch size of evaluations: they keep no gradients, and
// two of them run at once.
const evaluationRows = 8

// evaluationTokens is about how many tokens a batch of images has in an
// evaluation; one has few.
const evaluationTokens = 2048

// held is held-out text.
type held struct {
	corpus *corpus.Corpus
	text   *corpus.HoldOut
}

// heldOut returns the held-out text of every source, or that of the corpus for
// evaluation.
func (b *Bound) heldOut() []held {
	var texts []held
	if b.evaluation != nil {
		return append(texts, held{b.evaluation, b.onlyHeld})
	}
	for i := range b.Sources {
		if s := &b.Sources[i]; s.HeldOut != nil {
			texts = append(texts, held{s.Corpus, s.HeldOut})
		}
	}
	return texts
}

// HeldOut says how much text is held out for evaluation; empty: none.
func (b *Bound) HeldOut() string {
	var words []string
	for _, h := range b.heldOut() {
		if b.Recipe.Sample.Images {
			words = append(words, fmt.Sprintf("%d images", h.text.Documents()))
			continue
		}
		words = append(words, h.text.String())
	}
	return strings.Join(words, " + ")
}

// Evaluation returns the held-out text in batches, source by source; none if
// nothing is held out. A limit on its tokens is shared out in proportion.
func (b *Bound) Evaluation() ([]*batch.Batch, error) {
	texts := b.heldOut()
	total := int64(0)
	for _, h := range texts {
		total += h.text.Tokens()
	}
	var batches []*batch.Batch
	for _, h := range texts {
		limit := b.Recipe.Evaluate.Tokens
		if limit > 0 && len(texts) > 1 {
			limit = max(int64(float64(limit)*float64(h.text.Tokens())/float64(total)), 1)
		}
		more, err := b.evaluationOf(h, limit)
		if err != nil {
			return nil, err
		}
		batches = append(batches, more...)
	}
	return batches, nil
}

// evaluationOf returns the batches of some held-out text or images, of which at
// most limit tokens.
func (b *Bound) evaluationOf(h held, limit int64) ([]*batch.Batch, error) {
	window := b.Recipe.Window()
	if !b.Recipe.Sample.Images {
		return batch.Evaluation(h.corpus, h.text, window, evaluationRows, limit, b.masking)
	}
	images := 0
	if limit > 0 {
		images = int(min(max(limit/int64(window), 1), math.MaxInt32))
	}
	return batch.EvaluationImages(h.corpus, h.text, window, max(evaluationRows, evaluationTokens/window), images)
}

// Fingerprint names the text of the run: the corpora, and the one it is evaluated
// on where that is another.
func (b *Bound) Fingerprint() (string, error) {
	var texts []string
	for i := range b.Sources {
		text, err := b.Sources[i].Corpus.Fingerprint()
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	name := strings.Join(texts, " + ")
	if b.evaluation == nil {
		return name, nil
	}
	text, err := b.evaluation.Fingerprint()
	return name + " evaluated on " + text, err
}

// StepsUntil returns how many steps of the run an amount is: a share is of the budget,
// and reached by the first step that does not end before it; a number counts steps.
// What is not positive, or more than the run has, is an error of kind fault.Invalid.
func (b *Bound) StepsUntil(a Amount) (int64, error) {
	first, steps := b.Plan.First(), b.Plan.Steps()
	n := int64(a.Value)
	if a.Percent {
		moment, clock := a.Of(b.Recipe.BudgetTotal()), curriculum.Clock(b.Recipe.Budget.Clock)
		n = first + 1 + int64(sort.Search(int(steps-first-1), func(i int) bool { return b.Plan.PositionAt(first+1+int64(i)).On(clock) >= moment }))
	}
	switch {
	case !(a.Value > 0) || a.Percent && a.Value > 100 || a.Value > float64(math.MaxInt32):
		return 0, fault.Invalidf("%s: %s of its run is no step; give a share above 0 and up to 100%%, or a number of steps", b.Recipe.path, a)
	case float64(n) != a.Value && !a.Percent:
		return 0, fault.Invalidf("%s: %s is no number of steps; give a whole one, or a share such as 5%%", b.Recipe.path, a)
	case n > steps || n <= first:
		return 0, fault.Invalidf("%s: step %d is not of its run, which has the steps %d to %d", b.Recipe.path, n, first+1, steps)
	}
	return n, nil
}

// OptimizerConfig returns AdamW's settings. The recipe must have an optimizer.
func (r *Recipe) OptimizerConfig() train.Optimizer {
	o := r.Optimizer
	return train.Optimizer{Beta1: o.Betas[0], Beta2: o.Betas[1], Epsilon: o.Epsilon, Decay: *o.WeightDecay, Clip: *o.Clip}
}

// schedule returns the learning rate's schedule for a run that ends at a total of
// its clock. The recipe must have an optimizer.
func (r *Recipe) schedule(total float64) train.Schedule {
	o := r.Optimizer
	s := train.Schedule{
		Peak: o.Rate, Min: *o.MinRate, Warmup: o.Warmup.Of(total),
		Total: total, Decay: train.Decay(o.Decay), Fall: train.Fall(o.Fall),
	}
	if o.Cooldown != nil {
		s.Cooldown = o.Cooldown.Of(total)
	}
	return s
}

// Schedule returns the learning rate's schedule and the clock that it follows. On
// another clock than the budget's it ends where the plan does. The recipe must
// have an optimizer.
func (b *Bound) Schedule() (train.Schedule, curriculum.Clock) {
	r := b.Recipe
	if clock := curriculum.Clock(r.Optimizer.Clock); clock != "" {
		return r.schedule(b.Plan.End().On(clock)), clock
	}
	return r.schedule(r.BudgetTotal()), curriculum.Clock(r.Budget.Clock)
}

// average returns which average of the weights is kept.
func (r *Recipe) average() train.Average {
	a := r.Optimizer.Average
	if a == nil {
		return train.Average{}
	}
	return train.Average{Kind: train.AverageKind(a.Kind), Decay: a.Decay, Last: a.Last}
}

// Predicts returns what a loss is the mean over, as runlog.Run.Predicts has it:
// empty for tokens.
func (r *Recipe) Predicts() string {
	switch r.Model.Kind {
	case model.BERT:
		return "masked token"
	case model.ViT:
		return "image"
	}
	return ""
}

// Training returns what train.Train needs, for a run in dir. A recipe for a
// trainer of one's own is an error of kind fault.Invalid.
func (b *Bound) Training(dir string) (train.Config, error) {
	r := b.Recipe
	if r.External() {
		return train.Config{}, r.errorf("model.kind", "it is external: a trainer of your own takes the batches, and gradus cannot run it; "+
			"write 'kind: gpt' with width, heads and an optimizer to train here")
	}
	fingerprint, err := b.Fingerprint()
	if err != nil {
		return train.Config{}, err
	}
	maker, err := b.Batches()
	if err != nil {
		return train.Config{}, err
	}
	evaluation, err := b.Evaluation()
	if err != nil {
		return train.Config{}, err
	}
	total := r.BudgetTotal()
	c := train.Config{
		Dir: dir,
		Run: runlog.Run{
			Name: r.Name, Recipe: r.Hash(), Corpus: fingerprint, Seed: r.Seed,
			Model: b.Model.String(), Parameters: b.Model.Parameters(), Steps: b.Plan.Steps(),
			Clock: r.Budget.Clock, Budget: total, Backend: train.GoBackend, Rate: r.Optimizer.Rate,
			Predicts: r.Predicts(),
		},
		Tokenizer: b.Sources[0].Corpus.Meta().Tokenizer, Model: b.Model, Optimizer: r.OptimizerConfig(), Average: r.average(), Accumulate: r.Batch.Accumulate,
		Plan: b.Plan, Clock: curriculum.Clock(r.Budget.Clock), Metrics: b.Metrics(),
		Batches: maker, Evaluation: evaluation,
		EvaluateEvery: r.Evaluate.Every.Of(total), CheckpointEvery: r.Checkpoint.Every.Of(total), KeepCheckpoints: r.Checkpoint.Keep,
	}
	c.Schedule, c.RateClock = b.Schedule()
	if r.Stop != nil {
		c.StopAbove = r.Stop.Above
	}
	if r.Learns() {
		routing := b.routing()
		c.Learner = &routing
	}
	if r.weights != nil {
		c.Weights, c.Run.Weights = r.weights.Path, r.weights.Digest
	}
	if b.origin != nil {
		c.From = b.origin.checkpoint
	}
	if !slices.Contains([]string{"", "none"}, r.Batch.Rate) {
		c.RateFactor = b.RateFactor
	}
	return c, nil
}
