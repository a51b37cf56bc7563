package recipe

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/train"
)

// A directory that keeps a plan keeps beside it what the plan was made of, so
// that another run can go on from it when the corpora have grown since.
const madeOfName = "made-of.json"

// madeOf is what a plan was made of.
type madeOf struct {
	Format  int            `json:"format"`
	Recipe  string         `json:"recipe"` // hash
	Sources []madeOfSource `json:"sources"`
	From    *madeOfEarlier `json:"from,omitempty"`
}

type madeOfSource struct {
	Name        string   `json:"name,omitempty"`
	Fingerprint string   `json:"fingerprint"`
	Documents   int64    `json:"documents"`
	Tokens      int64    `json:"tokens"`
	Index       string   `json:"index,omitempty"` // checksum of its metrics
	Held        *heldOut `json:"held,omitempty"`
}

// heldOut says how a source's held-out text was chosen. A run that goes on from
// another keeps its choice, also where the corpus has grown: what was held out
// must never be trained on, or losses would not compare.
type heldOut struct {
	Documents int64   `json:"documents"` // of the corpus when it was chosen
	Tokens    int64   `json:"tokens"`
	Share     float64 `json:"share"`
	Seed      uint64  `json:"seed"`
	Window    int     `json:"window"`
}

type madeOfEarlier struct {
	Plan string `json:"plan"` // what that run's plan was made of: a hash
	Step int64  `json:"step"`
}

const madeOfFormat = 1

// hash names everything a plan follows from.
func (m *madeOf) hash() string {
	text, err := json.Marshal(m)
	if err != nil { // plain values only
		panic(fmt.Sprintf("recipe: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func readMadeOf(dir string) (*madeOf, error) {
	path := filepath.Join(dir, madeOfName)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m madeOf
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fault.Corruptf("%s: %w", path, err)
	}
	if m.Format != madeOfFormat {
		return nil, fault.Mismatchf("%s: format %d; this program reads format %d", path, m.Format, madeOfFormat)
	}
	return &m, nil
}

func (m *madeOf) write(dir string) error {
	return atomicfile.Write(filepath.Join(dir, madeOfName), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	})
}

// describe returns what the plan is made of.
func (b *Bound) describe() (*madeOf, error) {
	m := &madeOf{Format: madeOfFormat, Recipe: b.Recipe.Hash()}
	for i := range b.Sources {
		s := &b.Sources[i]
		fingerprint, err := s.Corpus.Fingerprint()
		if err != nil {
			return nil, err
		}
		of := madeOfSource{Name: s.Name, Fingerprint: fingerprint, Documents: s.Corpus.Documents(), Tokens: s.Corpus.Tokens(), Held: s.held}
		if s.Index != nil {
			metrics, err := json.Marshal(s.Index.Manifest().Metrics)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(metrics)
			of.Index = hex.EncodeToString(sum[:8])
		}
		m.Sources = append(m.Sources, of)
	}
	if b.origin != nil {
		m.From = &madeOfEarlier{b.origin.made.hash(), b.origin.step}
	}
	return m, nil
}

// keep settles the plan's identity: what it is made of, which a directory that
// keeps it remembers.
func (b *Bound) keep(c *curriculum.Config, dir string) error {
	now, err := b.describe()
	if err != nil {
		return err
	}
	if curriculum.Kept(dir) {
		then, err := readMadeOf(dir)
		if err != nil {
			return err
		}
		if b.origin == nil {
			now.From = then.From
		}
		if err := now.same(then, dir); err != nil {
			return err
		}
	} else if err := now.write(dir); err != nil {
		return err
	}
	c.Identity = now.hash()
	return nil
}

// same reports what differs between what a plan would be made of and what the one
// in dir was.
func (m *madeOf) same(then *madeOf, dir string) error {
	const anew = "go on from one of its checkpoints with --from in another directory, or start anew"
	switch {
	case m.hash() == then.hash():
		return nil
	case m.Recipe != then.Recipe:
		return fault.Mismatchf("%s was made by another recipe (%s, this one is %s); resume with the recipe it began with, %s", dir, then.Recipe, m.Recipe, anew)
	case len(m.Sources) != len(then.Sources):
		return fault.Mismatchf("%s was made of %d sources, and there are %d; %s", dir, len(then.Sources), len(m.Sources), anew)
	}
	for i, s := range m.Sources {
		name := cmp.Or(s.Name, "the corpus")
		switch was := then.Sources[i]; {
		case s.Fingerprint != was.Fingerprint:
			return fault.Mismatchf("%s was made from another corpus: %s had %d tokens (%s), and has %d (%s); %s",
				dir, name, was.Tokens, was.Fingerprint, s.Tokens, s.Fingerprint, anew)
		case s.Index != was.Index:
			return fault.Mismatchf("%s was made from another index of %s; %s", dir, name, anew)
		}
	}
	return fault.Mismatchf("%s goes on from another run or step; %s", dir, anew)
}

// An origin is the earlier run that a plan goes on from.
type origin struct {
	checkpoint string
	step       int64
	recipe     *Recipe
	made       *madeOf
	plan       *curriculum.Plan
	reached    *curriculum.Reached
	sources    []originSource // of the earlier run
	of         []int          // which of them each source of this run is; -1: none
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
	run := filepath.Dir(filepath.Dir(path))
	o := &origin{checkpoint: path, step: st.Step}
	b.origin = o
	if o.recipe, err = Load(filepath.Join(run, FileName)); err != nil {
		return fmt.Errorf("the run of %s: %w", path, err)
	}
	if o.recipe.Hash() != st.Recipe {
		return fault.Mismatchf("%s was made by recipe %s, and %s is %s", path, st.Recipe, o.recipe.Path(), o.recipe.Hash())
	}
	dir := filepath.Join(run, PlanDir)
	if o.made, err = readMadeOf(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the run of %s keeps no plan, so nobody can say what it has served: %w", path, err)
	} else if err != nil {
		return err
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
	o.reached = o.plan.Reached(st.Step)
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
		if k < 0 && len(b.Sources) == 1 && len(o.made.Sources) == 1 {
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
		if !b.origin.reached.Done(k, id) {
			return false
		}
	}
	return low < high
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

// Origin says which run a plan goes on from, and what becomes of its samples.
type Origin struct {
	Checkpoint string              `json:"checkpoint"`
	Recipe     string              `json:"recipe"` // hash of the earlier one
	Name       string              `json:"name"`
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
		Checkpoint: o.checkpoint, Recipe: o.recipe.Hash(), Name: o.recipe.Name, Position: o.reached.Position,
		Recut: o.recipe.Cut() != b.Recipe.Cut(), Carry: b.Plan.Carry(b.was, b.done),
	}
}
