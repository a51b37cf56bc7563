package recipe

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
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
	Index       string   `json:"index,omitempty"` // checksum of the metrics that admit
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
		return nil, fmt.Errorf("a plan is not whole without what it was made of: %w", err)
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
			metrics, err := json.Marshal(b.admitting(s.Index))
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

// admitting returns the metrics of an index that admit samples: it may get others
// while a run goes on.
func (b *Bound) admitting(x *index.Index) []index.Metric {
	return slices.DeleteFunc(slices.Clone(x.Manifest().Metrics), func(m index.Metric) bool { return !slices.Contains(b.Metrics(), m.Name) })
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

// anew is what to do about a plan of something else.
const anew = "go on from one of its checkpoints with --from in another directory, or start anew"

// madeBy reports a plan of another recipe than the one with a hash.
func (m *madeOf) madeBy(recipe, dir string) error {
	if m.Recipe != recipe {
		return fault.Mismatchf("%s was made by another recipe (%s, this one is %s); resume with the recipe it began with, %s", dir, m.Recipe, recipe, anew)
	}
	return nil
}

// same reports what differs between what a plan would be made of and what the one
// in dir was.
func (m *madeOf) same(then *madeOf, dir string) error {
	if err := then.madeBy(m.Recipe, dir); err != nil {
		return err
	}
	switch {
	case m.hash() == then.hash():
		return nil
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
