package batch_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
)

// FuzzTokens makes batches of a corpus with any bytes for tokens: each is made of
// tokens, or the error says that the file is corrupt.
func FuzzTokens(f *testing.F) {
	const tokens = 60
	prefix := filepath.Join(f.TempDir(), "c")
	w, err := corpus.Create(prefix, corpus.Int32)
	if err != nil {
		f.Fatal(err)
	}
	defer w.Abort()
	for _, n := range []int{7, 30, 2, 21} {
		if err := w.Append(make([]int32, n)); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		f.Fatal(err)
	}
	for _, at := range []int{-1, 3, 4*17 + 3, 4*59 + 3} {
		seed := make([]byte, 4*tokens)
		if at >= 0 {
			seed[at] = 0x80
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw := make([]byte, 4*tokens)
		copy(raw, data)
		if err := os.WriteFile(prefix+".bin", raw, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := corpus.Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		negative := false
		for i := 3; i < len(raw); i += 4 {
			negative = negative || raw[i]&0x80 != 0
		}
		// A document's parts of 16 inputs and fewer hold every token, as a label
		// or an input.
		s := newSetting(t, batch.ReshapeOverlap{}, []batch.Source{packed(16)(t, c)}, func(c *curriculum.Config) { c.Buckets[0].Units = 1 })
		failed := false
		for step := range s.Plan.Steps() {
			b, err := s.maker.Make(step, 0, 1)
			if err != nil {
				failed = true
				if !errors.Is(err, fault.Corrupt) {
					t.Fatal(err)
				}
				continue
			}
			for i := range b.Inputs {
				if b.Inputs[i] < 0 || b.Labels[i] < batch.Ignore {
					t.Fatalf("step %d, position %d: input %d, label %d", step, i, b.Inputs[i], b.Labels[i])
				}
			}
		}
		if failed != negative {
			t.Fatalf("a negative token: %v; an error: %v", negative, failed)
		}
	})
}
