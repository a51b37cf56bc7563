package prepare

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// Stopping in the middle leaves nothing, whichever stage is under way.
func TestCancel(t *testing.T) {
	dir := t.TempDir()
	tree := map[string]string{}
	for _, name := range "abcdefghijklmnopqrst" {
		tree[string(name)+".jsonl"] = strings.Repeat(`{"text":"some text"}`+"\n", 2000)
	}
	writeTree(t, dir, tree)
	for _, after := range []int{0, 1, 10} {
		made := t.TempDir()
		ctx, cancel := context.WithCancel(context.Background())
		if after == 0 {
			cancel()
		}
		blocks := 0
		_, err := Run(ctx, filepath.Join(made, "out"), Options{
			Inputs: []string{dir}, Tokenizer: byteTokenizer(t), Workers: 2,
			Progress: func(Progress) {
				if blocks++; blocks == after {
					cancel()
				}
			},
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %d blocks: %v", after, err)
		}
		nothingLeft(t, made)
	}
}

// Standard input that never comes does not hold up the end.
func TestCancelWaitingForInput(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	made := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.WriteString(out, `{"text":"x"}`+"\n") // read before the wait begins
		cancel()
	}()
	_, err := Run(ctx, filepath.Join(made, "out"), Options{Inputs: []string{"-"}, Stdin: in, Format: JSONL, Tokenizer: byteTokenizer(t)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	nothingLeft(t, made)
}

// A failing input is not taken for a damaged or a short one.
func TestFailingInput(t *testing.T) {
	broken := errors.New("broken wire")
	for _, start := range []string{"", "text", gzipped("text")[:15]} {
		made := t.TempDir()
		in := io.MultiReader(strings.NewReader(start), failing{broken})
		_, err := Run(context.Background(), filepath.Join(made, "out"), Options{Inputs: []string{"-"}, Stdin: in, Tokenizer: byteTokenizer(t)})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard input") {
			t.Errorf("after %q: %v", start, err)
		}
		nothingLeft(t, made)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"a.txt": "one", "b.txt": "three"})
	var last Progress
	o := Options{Inputs: []string{filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.txt")}, Tokenizer: byteTokenizer(t), Progress: func(p Progress) {
		if p.Bytes < last.Bytes || p.Documents < last.Documents || p.Tokens < last.Tokens {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}}
	if _, err := Run(context.Background(), filepath.Join(dir, "out"), o); err != nil {
		t.Fatal(err)
	}
	if want := (Progress{Bytes: 8, Total: 8, Documents: 2, Tokens: 10}); last != want {
		t.Errorf("the last progress is %+v, want %+v", last, want)
	}
	last = Progress{}
	o.Inputs, o.Stdin = append(o.Inputs, "-"), strings.NewReader("x")
	if _, err := Run(context.Background(), filepath.Join(dir, "out2"), o); err != nil {
		t.Fatal(err)
	}
	if want := (Progress{Bytes: 9, Documents: 3, Tokens: 12}); last != want {
		t.Errorf("with standard input the last progress is %+v, want %+v", last, want)
	}
}
