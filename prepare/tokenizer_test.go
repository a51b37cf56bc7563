package prepare

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/tokenizer"
)

// A corpus made with a tokenizer.json keeps the file beside it, gives it up when
// it is made anew with another one, and moves with it.
func TestKeepsTheTokenizer(t *testing.T) {
	dir := t.TempDir()
	load := func(name string) tokenizer.Tokenizer {
		tok, err := tokenizer.New(filepath.Join("..", "tokenizer", "testdata", "hf", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	writeTree(t, dir, map[string]string{"in/a.txt": "Some text, and more.", "in/b.txt": "the end"})
	out := filepath.Join(dir, "in", "out")
	o := Options{Inputs: []string{filepath.Join(dir, "in")}, Tokenizer: load("gpt2")}
	if _, err := Run(context.Background(), out, o); err != nil {
		t.Fatal(err)
	}
	texts := func(prefix string) (all []string) {
		c, err := corpus.Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		tok, err := tokenizer.OfCorpus(c.Paths(), c.Meta().Tokenizer, c.Meta().EndOfDocument)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Documents() {
			start, end := c.Bounds(i)
			tokens := make([]int32, end-start)
			if err := c.Read(tokens, start); err != nil {
				t.Fatal(err)
			}
			all = append(all, string(tok.Decode(nil, tokens)))
		}
		return all
	}
	want := []string{"Some text, and more.", "the end"}
	if got := texts(out); !slices.Equal(got, want) {
		t.Errorf("texts are %q", got)
	}
	// The copy is no input, and is not replaced without being asked.
	if _, err := Run(context.Background(), out, o); err == nil {
		t.Error("an existing corpus is replaced")
	}
	o.Force = true
	o.Tokenizer = load("llama3")
	if _, err := Run(context.Background(), out, o); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(dir, "moved")
	for _, ending := range []string{".bin", ".idx", ".json", ".tokenizer.json"} {
		if err := os.Rename(out+ending, moved+ending); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(moved); !slices.Equal(got, want) {
		t.Errorf("moved, texts are %q", got)
	}

	// A run that fails leaves the old corpus and its tokenizer.
	before, err := os.ReadFile(tokenizer.CorpusFile(moved))
	if err != nil {
		t.Fatal(err)
	}
	o.Inputs, o.Tokenizer = []string{filepath.Join(dir, "in", "missing.txt")}, load("gpt2")
	if _, err := Run(context.Background(), moved, o); err == nil {
		t.Error("a missing input is prepared")
	}
	if after, err := os.ReadFile(tokenizer.CorpusFile(moved)); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the tokenizer beside the old corpus is another one (%v)", err)
	}

	o.Inputs, o.Tokenizer = []string{filepath.Join(dir, "in")}, byteTokenizer(t)
	if _, err := Run(context.Background(), moved, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tokenizer.CorpusFile(moved)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of the tokenizer before: %v", err)
	}
	if got := texts(moved); !slices.Equal(got, want) {
		t.Errorf("as bytes, texts are %q", got)
	}
}
