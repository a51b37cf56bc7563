package experiment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// check proves the recipes of what is to be run: every plan is compiled, and for each
// arm corpora and indexes are opened once. They must be those of the runs that are done.
func (c Config) check(ctx context.Context, o Outcome, todo []int) error {
	opened := map[string]string{} // fingerprints by the names of corpora
	seen := map[string]bool{}     // arms
	for _, i := range todo {
		s := o.Cells[i]
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if s.Recipe.Window() > 0 {
			b, err := recipe.Open(ctx, s.Recipe, recipe.Options{ScheduleOnly: true})
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			b.Close()
		}
		if seen[s.Arm] {
			continue
		}
		seen[s.Arm] = true
		if err := c.checkTexts(ctx, s, opened); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return sameTexts(o.Cells, opened)
}

// checkTexts opens the corpora and indexes of a cell.
func (c Config) checkTexts(ctx context.Context, s Status, opened map[string]string) error {
	b, err := recipe.Open(ctx, s.Recipe, recipe.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	for _, w := range b.Warnings {
		if c.Warn != nil {
			c.Warn(w)
		}
	}
	if b.HeldOut() == "" {
		return fault.Invalidf("nothing is held out to compare arms by; give evaluate.held_out or evaluate.corpus")
	}
	name := textsName(s.Recipe)
	if opened[name] == "" {
		opened[name], err = b.Fingerprint()
	}
	return err
}

// textsName names the corpora of a recipe, and the one it is evaluated on.
func textsName(r *recipe.Recipe) string {
	return textsOf(r).String() + " | " + r.Evaluate.Corpus.String()
}

// sameTexts holds that runs whose recipes name the same corpora were trained on the
// same text, and that it is the one that lies there now; opened has its fingerprints, by
// name.
func sameTexts(cells []Status, opened map[string]string) error {
	first := map[string]Status{}
	for _, s := range cells {
		if s.Log == nil {
			continue
		}
		name := textsName(s.Recipe)
		if now := opened[name]; now != "" && now != s.Log.Run.Corpus {
			return fault.Mismatchf("%s was made from another corpus (%s) than lies there now (%s); bring that one back, or give another --out", s.Dir, s.Log.Run.Corpus, now)
		}
		was, ok := first[name]
		if ok && was.Log.Run.Corpus != s.Log.Run.Corpus {
			return fault.Mismatchf("%s was made from another corpus (%s) than %s (%s); move one of them away to make it anew", s.Dir, s.Log.Run.Corpus, was.Dir, was.Log.Run.Corpus)
		}
		if !ok {
			first[name] = s
		}
	}
	return nil
}

// notes says what arms have not in common with the baseline that the reader of a
// comparison should know.
func notes(s *Study, cells []Cell) []string {
	var notes []string
	model := func(r *recipe.Recipe) string {
		c := r.ModelConfig(max(r.Model.Vocabulary, 1))
		c.Routed, c.Drop, c.Shared = nil, nil, false // routing changes no weights
		return fmt.Sprintf("%+v", c)
	}
	base, told := cells[0], []string{s.Baseline}
	for _, c := range cells {
		if slices.Contains(told, c.Arm) {
			continue
		}
		told = append(told, c.Arm)
		if model(c.Recipe) != model(base.Recipe) {
			notes = append(notes, fmt.Sprintf("%s has another model than %s, so runs of one seed do not begin with the same weights.", c.Arm, s.Baseline))
		}
	}
	return notes
}

// A Cost is what a run takes, from its beginning to its end.
type Cost struct {
	Steps       int64   `json:"steps"`
	Tokens      int64   `json:"tokens"`
	LayerTokens float64 `json:"layer_tokens"`
	FLOPs       float64 `json:"flops,omitempty"`   // 0: not known without the corpus
	Seconds     float64 `json:"seconds,omitempty"` // estimated by the runs that are done; 0: none is
}

// Costs finds what the cells cost that are not done. Corpora need not be there.
func (o *Outcome) Costs(ctx context.Context) error {
	vocabulary := map[string]int{} // by the names of corpora
	for i := range o.Cells {
		s := &o.Cells[i]
		if s.Over() {
			continue
		}
		name := textsName(s.Recipe)
		if _, tried := vocabulary[name]; !tried || s.Recipe.Window() == 0 {
			b, err := recipe.Open(ctx, s.Recipe, recipe.Options{})
			switch {
			case errors.Is(err, fs.ErrNotExist):
				vocabulary[name] = 0
			case err != nil:
				return fmt.Errorf("%s: %w", s.Name, err)
			default:
				vocabulary[name] = b.Model.Vocabulary
				s.Cost = costOf(b, b.Model.Vocabulary)
				b.Close()
			}
		}
		if s.Cost != nil || s.Recipe.Window() == 0 {
			continue
		}
		b, err := recipe.Open(ctx, s.Recipe, recipe.Options{ScheduleOnly: true})
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		s.Cost = costOf(b, max(vocabulary[name], s.Recipe.Model.Vocabulary))
		b.Close()
	}
	o.estimate()
	return nil
}

// costOf adds up a plan. A vocabulary of 0 is one that is not known.
func costOf(b *recipe.Bound, vocabulary int) *Cost {
	end := b.Plan.End()
	c := &Cost{Steps: b.Plan.Steps(), Tokens: end.Tokens, LayerTokens: end.LayerTokens()}
	m := b.Model
	if vocabulary == 0 && !b.Recipe.Sample.Images {
		return c
	}
	if !b.Recipe.Sample.Images {
		m.Vocabulary = vocabulary
	}
	for step := range b.Plan.Steps() {
		s := b.Plan.BatchAt(step).Shape
		c.FLOPs += m.FLOPs(s.Rows, s.Length, s.Kept)
	}
	return c
}

// estimate guesses how long the runs take by those that are done: by their seconds a
// FLOP, of the same arm where there is one.
func (o *Outcome) estimate() {
	type sum struct{ seconds, flops float64 }
	arms, all := map[string]sum{}, sum{}
	for _, s := range o.Cells {
		if s.State != Done || len(s.Log.Steps) == 0 { // a log may say that it has none
			continue
		}
		last := s.Log.Steps[len(s.Log.Steps)-1]
		seconds := last.Seconds
		for _, step := range s.Log.Steps {
			seconds += step.Waited + step.Compile
		}
		of := arms[s.Arm]
		arms[s.Arm] = sum{of.seconds + seconds, of.flops + last.FLOPs}
		all = sum{all.seconds + seconds, all.flops + last.FLOPs}
	}
	for i := range o.Cells {
		by := all
		if of, ok := arms[o.Cells[i].Arm]; ok {
			by = of
		}
		if c := o.Cells[i].Cost; c != nil && by.flops > 0 {
			c.Seconds = c.FLOPs * by.seconds / by.flops
		}
	}
}
