package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// Size is a GPT and its batch.
type Size struct {
	Name       string `json:"name"`
	Layers     int    `json:"layers"`
	Width      int    `json:"width"`
	Heads      int    `json:"heads"`
	Vocabulary int    `json:"vocabulary"`
	Length     int    `json:"length"` // of full rows
	Rows       int    `json:"rows"`
}

func (s Size) String() string {
	return fmt.Sprintf("%s (%d layers, width %d, %d heads, vocabulary %d; %d rows of %d tokens)", s.Name, s.Layers, s.Width, s.Heads, s.Vocabulary, s.Rows, s.Length)
}

func allSizes() []Size {
	return []Size{
		{"tiny", 4, 16, 2, 257, 16, 2},
		{"small", 6, 64, 2, 257, 128, 8},
		{"medium", 8, 256, 8, 257, 256, 8},
		{"gpt2-small", 12, 768, 12, 50257, 256, 2},
	}
}

func sizeNames() []string {
	var names []string
	for _, s := range allSizes() {
		names = append(names, s.Name)
	}
	return names
}

// wanted returns the sizes asked for.
func (o *options) wanted() ([]Size, error) {
	var sizes []Size
	for name := range strings.SplitSeq(o.sizes, ",") {
		found := false
		for _, s := range allSizes() {
			if s.Name != name {
				continue
			}
			if o.rows > 0 {
				s.Rows = o.rows
			}
			if o.length > 0 {
				s.Length = o.length
			}
			if s.Length%8 != 0 {
				return nil, fmt.Errorf("rows of %d tokens; an eighth of them is kept, so -length must be a multiple of 8", s.Length)
			}
			sizes, found = append(sizes, s), true
		}
		if !found {
			return nil, fmt.Errorf("no size %q; there are %s", name, strings.Join(sizeNames(), ", "))
		}
	}
	return sizes, nil
}

// shape is how much of the full batch a step sees: the rows' length, and the tokens
// of a row that the inner layers keep.
type shape struct{ length, kept int }

// shapes are those that are measured; the first is the baseline.
func (s Size) shapes() []shape {
	l := s.Length
	return []shape{{l, l}, {l, l / 2}, {l, l / 4}, {l, l / 8}, {l / 2, l / 2}, {l / 4, l / 4}}
}

// schedule is the shape of every step of a process.
func (s Size) schedule(o options) []shape {
	var all []shape
	for range o.cycles {
		for _, sh := range s.shapes() {
			for range o.each {
				all = append(all, sh)
			}
		}
	}
	return all
}

const recipeName = "recipe.yaml"

// prepare writes the size's text and its recipe into a directory.
func (s Size) prepare(o options, dir string) error {
	w, err := corpus.Create(filepath.Join(dir, "text"), corpus.Int32)
	if err != nil {
		return err
	}
	defer w.Abort()
	schedule := s.schedule(o)
	stream := keyed.NewKey(o.seed, "bench train "+s.Name).Stream()
	tokens := make([]int32, s.Length*1024)
	for have := 0; have < (len(schedule)*s.Rows+1)*s.Length; have += len(tokens) {
		for i := range tokens {
			tokens[i] = int32(stream.Uint64N(uint64(s.Vocabulary)))
		}
		if err := w.Append(tokens); err != nil {
			return err
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: s.Vocabulary}); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, recipeName), func(w io.Writer) error {
		_, err := io.WriteString(w, s.recipe(o))
		return err
	})
}

// recipe goes through the schedule by two paces, of the length and of the kept tokens.
func (s Size) recipe(o options) string {
	var lengths, kept, until []string
	schedule := s.schedule(o)
	for i := 0; i < len(schedule); i += o.each {
		lengths, kept = append(lengths, fmt.Sprint(schedule[i].length)), append(kept, fmt.Sprint(schedule[i].kept))
		until = append(until, fmt.Sprint(i+o.each-1))
	}
	pace := func(values []string) string {
		return fmt.Sprintf("{kind: steps, values: [%s], until: [%s]}", strings.Join(values, ", "), strings.Join(until[:len(until)-1], ", "))
	}
	return fmt.Sprintf(`corpus: text
seed: %d
sample: {window: %d}
batch: {size: %d}
budget: {steps: %d}
curriculum:
  - {metric: length, apply: truncate, pace: %s}
routing: {policy: random-ltd, layers: inner, keep: %s}
model: {kind: gpt, vocabulary: %d, layers: %d, width: %d, heads: %d}
optimizer: {kind: adamw, rate: 1e-4, decay: constant, betas: [0.9, 0.95], weight_decay: 0.1, clip: 1}
evaluate: {held_out: 0%%}
`, o.seed, s.Length, s.Rows, len(schedule), pace(lengths), pace(kept), s.Vocabulary, s.Layers, s.Width, s.Heads)
}

// freshDir makes a directory for a run.
func freshDir(parent, name string) (string, error) {
	dir := filepath.Join(parent, strings.ReplaceAll(name, ":", "-"))
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o777)
}
