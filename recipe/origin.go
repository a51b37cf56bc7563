package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// An origin is the earlier run that a plan goes on from.
type origin struct {
	checkpoint string
	step       int64
	recipe     *Recipe
	made       *madeOf
	plan       *curriculum.Plan
	reached    *curriculum.Reached
	units      map[int]*curriculum.ReachedUnits // of the earlier run's sources, where they are asked for
	sources    []originSource                   // of the earlier run
	of         []int                            // which of them each source of this run is; -1: none
}

type originSource struct {
	samples *corpus.Samples // as they were
	units   arrange.Arrangement
}

func (o *origin) close() error {
	var errs []error
	if o.plan != nil {
		errs = append(errs, o.plan.Close())
	}
	for _, s := range o.sources {
		if s.units != nil {
			errs = append(errs, s.units.Close())
		}
	}
	return errors.Join(errs...)
}

// PlanDir is where a run keeps its plan, in its directory.
const PlanDir = "plan"

// FileName is the recipe that a run keeps in its directory.
const FileName = "recipe.yaml"

// openOrigin opens the run of a checkpoint, or of the newest in a run's
// directory, over the sources of this one.
func (b *Bound) openOrigin(path string) (err error) {
	if newest, err := train.LatestCheckpoint(path); err == nil && newest != "" {
		path = newest
	}
	st, err := train.ReadCheckpointState(path)
	if err != nil {
		return err
	}
	run := filepath.Join(path, "..", "..") // of whatever is a path of it, with a slash at its end too
	o := &origin{units: map[int]*curriculum.ReachedUnits{}, checkpoint: path, step: st.Step}
	b.origin = o
	if o.recipe, err = Load(filepath.Join(run, FileName)); err != nil {
		return fmt.Errorf("the run of %s: %w", path, err)
	}
	o.recipe.image = b.Recipe.image
	if o.recipe.Hash() != st.Recipe {
		return fault.Mismatchf("%s was made by recipe %s, and %s is %s", path, st.Recipe, o.recipe.Path(), o.recipe.Hash())
	}
	dir := filepath.Join(run, PlanDir)
	if o.made, err = readMadeOf(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the run of %s keeps no plan, so nobody can say what it has served: %w", path, err)
	} else if err != nil {
		return err
	}
	if have, want := len(o.made.Sources), len(o.recipe.sources()); have != want {
		return fault.Corruptf("%s has %d sources, and %s %d", filepath.Join(dir, madeOfName), have, o.recipe.Path(), want)
	}
	if err := b.matchSources(dir); err != nil {
		return err
	}
	old := &Bound{Recipe: o.recipe, Model: o.recipe.ModelConfig(max(st.Model.Vocabulary, 1))}
	c, err := old.curriculum(Options{Dir: dir})
	if err != nil {
		return err
	}
	for i := range c.Sources {
		c.Sources[i].Samples = o.sources[i].samples.Len()
		if o.recipe.Sample.Documents {
			c.Sources[i].Units = o.sources[i].units
		}
	}
	c.Identity = o.made.hash()
	if o.plan, err = curriculum.Open(c); err != nil {
		return err
	}
	if st.Step < o.plan.First() || st.Step > o.plan.Steps() {
		return fault.Corruptf("%s is of step %d, and the plan of its run has steps %d to %d", path, st.Step, o.plan.First(), o.plan.Steps())
	}
	if err := o.served(filepath.Join(run, runlog.FileName)); err != nil {
		return err
	}
	o.reached = o.plan.Reached(st.Step)
	return nil
}

// served holds that the earlier run's log has what its plan serves: a plan that was
// removed and made anew may be another one.
func (o *origin) served(path string) error {
	if o.step == o.plan.First() {
		return nil
	}
	line, err := runlog.ReadStep(path, o.step)
	if err != nil {
		return err
	}
	if now := curriculum.Digest(o.step-1, o.plan.Sampler().At(nil, o.step-1)); now != line.Digest {
		return fault.Mismatchf("%s has digest %s at step %d, and its plan serves %s: the plan was made anew and is another, so nobody can say what the run has served",
			path, line.Digest, o.step, now)
	}
	return nil
}

// matchSources finds the earlier run's sources among those of this one, by name,
// and holds that each begins with what it was.
func (b *Bound) matchSources(dir string) error {
	o := b.origin
	o.sources = make([]originSource, len(o.made.Sources))
	for i := range b.Sources {
		s := &b.Sources[i]
		k := slices.IndexFunc(o.made.Sources, func(was madeOfSource) bool { return was.Name == s.Name })
		if k < 0 && len(o.made.Sources) == 1 && (len(b.Sources) == 1 || o.made.Sources[0].Name == "" && begins(s.Corpus, o.made.Sources[0])) {
			k = 0 // it has got a name, or lost it
		}
		o.of = append(o.of, k)
		if k < 0 {
			continue
		}
		was := o.made.Sources[k]
		at := b.Recipe.place(b.Recipe.sourceAt(i, "corpus"))
		head, err := s.Corpus.Head(was.Documents, was.Tokens)
		if err != nil {
			return fmt.Errorf("%s: it is not the earlier run's, grown: %w", at, err)
		}
		fingerprint, err := head.Fingerprint()
		if err != nil {
			return err
		}
		if fingerprint != was.Fingerprint {
			return fault.Mismatchf("%s: its first %d documents are not those of the run in %s: their fingerprint is %s, not %s; "+
				"a corpus may grow at its end, and otherwise give the source another name", at, was.Documents, dir, fingerprint, was.Fingerprint)
		}
		samples, err := head.Samples(o.recipe.Cut())
		if err != nil {
			return err
		}
		o.sources[k].samples = samples
		if o.recipe.Sample.Documents && o.recipe.Sample.Arrange == "pack" {
			o.sources[k].units, err = arrange.OpenPack(samples, o.recipe.Sample.Length, packDir(dir, k))
		} else {
			o.sources[k].units, err = o.recipe.arrange(samples, "")
		}
		if err != nil {
			return err
		}
		if was.Held != nil && s.Corpus != nil {
			if err := b.holdOutAsBefore(s, was.Held); err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
		}
	}
	for k, s := range o.sources {
		if s.samples == nil {
			return fault.Mismatchf("%s: the earlier run had a source %q, and this recipe has none; keep it, with weight 0 if nothing of it is to be served",
				b.Recipe.place("sources"), o.made.Sources[k].Name)
		}
	}
	return nil
}

// begins reports whether a corpus is what a source was, or that and more.
func begins(c *corpus.Corpus, was madeOfSource) bool {
	head, err := c.Head(was.Documents, was.Tokens)
	if err != nil {
		return false
	}
	fingerprint, err := head.Fingerprint()
	return err == nil && fingerprint == was.Fingerprint
}

// holdOutAsBefore holds out what the earlier run did.
func (b *Bound) holdOutAsBefore(s *BoundSource, was *heldOut) error {
	head, err := s.Corpus.Head(was.Documents, was.Tokens)
	if err != nil {
		return err
	}
	s.HeldOut, err = head.HoldOut(was.Share, was.Seed, was.Window)
	s.held = was
	return err
}

// samplesOf returns which of the earlier run's samples hold a part of a sample of
// this one: [low, high), of the earlier run's source k; none: it is new.
func (b *Bound) samplesOf(source int, sample int64) (k int, low, high int64) {
	o := b.origin
	if k = o.of[source]; k < 0 {
		return k, 0, 0
	}
	was := o.sources[k].samples
	if b.Recipe.Cut() == was.Cut() {
		return k, sample, min(sample+1, max(was.Len(), sample))
	}
	start, end := b.Sources[source].Samples.Span(sample)
	tokens := was.Corpus().Tokens()
	if start >= tokens {
		return k, 0, 0
	}
	end = min(end, tokens)
	if was.Cut().Documents {
		return k, was.Corpus().DocumentAt(start), was.Corpus().DocumentAt(max(start, end-1)) + 1
	}
	window := int64(was.Cut().Window)
	return k, min(start/window, was.Len()), min((max(end-2, start))/window+1, was.Len())
}

// done and was answer curriculum's questions about a sample of this run. One that
// is cut otherwise than before is done if all its parts are.
func (b *Bound) done(source int, sample int64) bool {
	k, low, high := b.samplesOf(source, sample)
	for id := low; id < high; id++ {
		if !b.origin.reached.Done(k, id) && !b.origin.empty(k, id) {
			return false
		}
	}
	return low < high
}

// empty reports whether a sample of the earlier run has no inputs, so that no unit
// held it and it is nowhere to be served.
func (o *origin) empty(k int, sample int64) bool {
	start, end := o.sources[k].samples.Span(sample)
	return end-start < 2
}

func (b *Bound) was(source int, sample int64) bool {
	k, low, high := b.samplesOf(source, sample)
	for id := low; id < high; id++ {
		if b.origin.reached.Admitted(k, id) {
			return true
		}
	}
	return false
}

// unitsReached returns what the earlier run did with the units of a source, where
// their ids have stayed: parts of documents that are cut alike.
func (b *Bound) unitsReached(source int) *curriculum.ReachedUnits {
	o, now := b.origin, b.Recipe.Sample
	was := o.recipe.Sample
	k := o.of[source]
	if k < 0 || now.Arrange != "decompose" || was.Arrange != now.Arrange || was.Length != now.Length || was.Shortest != now.Shortest {
		return nil
	}
	if o.units[k] == nil {
		o.units[k] = o.reached.Units(k)
	}
	return o.units[k]
}

// Origin says which run a plan goes on from, and what becomes of its samples.
type Origin struct {
	Checkpoint string              `json:"checkpoint"`
	Recipe     string              `json:"recipe"` // hash of the earlier one
	Run        string              `json:"run"`    // directory of the run
	Position   curriculum.Position `json:"position"`
	Recut      bool                `json:"recut,omitempty"` // its samples were cut otherwise
	curriculum.Carry
}

// Origin returns the earlier run; nil: the plan begins at the beginning, or was
// opened from its directory. It looks at every sample.
func (b *Bound) Origin() *Origin {
	o := b.origin
	if o == nil {
		return nil
	}
	return &Origin{
		Checkpoint: o.checkpoint, Recipe: o.recipe.Hash(), Run: filepath.Dir(filepath.Dir(o.checkpoint)), Position: o.reached.Position,
		Recut: o.recipe.Cut() != b.Recipe.Cut(), Carry: b.Plan.Carry(b.was, b.done),
	}
}
