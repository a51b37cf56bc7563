package analyze

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"pgregory.net/rapid"
)

// Blocks partition the samples, and hold no more tokens than asked for unless
// one sample does.
func TestBlocks(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "c"), 0, text(300)...)
	rapid.Check(t, func(t *rapid.T) {
		cut := corpus.Cut{Documents: true}
		if w := rapid.IntRange(0, 50).Draw(t, "window"); w > 0 {
			cut = corpus.Cut{Window: w}
		}
		s := open(t, filepath.Join(base, "c"), cut)
		defer s.Corpus().Close()
		limit := rapid.IntRange(1, 500).Draw(t, "tokens")
		from := rapid.Int64Range(0, s.Len()).Draw(t, "from")
		to := rapid.Int64Range(from, s.Len()).Draw(t, "to")
		next := from
		for b := range Blocks(s, from, to, func() int { return limit }) {
			first, _ := s.Span(b.Start)
			_, last := s.Span(b.End - 1)
			if b.Start != next || b.End <= b.Start || last-first > int64(limit) && b.End-b.Start > 1 {
				t.Fatalf("%+v with %d tokens after %d", b, last-first, next)
			}
			next = b.End
		}
		if next != to {
			t.Fatalf("the blocks end at %d of %d", next, to)
		}
	})
}

// inOrder takes results in order, runs ahead by little, and reports the error
// of the first job that failed.
func TestInOrder(t *testing.T) {
	jobs := func(yield func(int) bool) {
		for i := range 1000 {
			if !yield(i) {
				return
			}
		}
	}
	for _, workers := range []int{1, 2, 7} {
		var started, taken atomic.Int64
		next, ahead := 0, int64(0)
		do := func(w, i int) (int, error) {
			if w < 0 || w >= workers {
				return 0, fmt.Errorf("worker %d", w)
			}
			started.Add(1)
			return 2 * i, nil
		}
		err := inOrder(context.Background(), workers, jobs, do, func(v int) error {
			if v != 2*next {
				return fmt.Errorf("%d came when it was %d's turn", v/2, next)
			}
			next++
			ahead = max(ahead, started.Load()-taken.Add(1))
			return nil
		})
		if err != nil || next != 1000 {
			t.Errorf("%d workers: %d results, %v", workers, next, err)
		}
		if ahead > int64(3*workers+2) {
			t.Errorf("%d workers ran %d jobs ahead", workers, ahead)
		}
		failing := func(_, i int) (int, error) {
			if i >= 500 {
				return 0, fmt.Errorf("job %d", i)
			}
			return i, nil
		}
		if err := inOrder(context.Background(), workers, jobs, failing, func(int) error { return nil }); err == nil || err.Error() != "job 500" {
			t.Errorf("%d workers: %v", workers, err)
		}
		full := errors.New("disk full")
		if err := inOrder(context.Background(), workers, jobs, do, func(v int) error {
			if v >= 600 {
				return full
			}
			return nil
		}); err != full {
			t.Errorf("%d workers: %v", workers, err)
		}
		expired, cancel := context.WithCancel(context.Background())
		cancel()
		if err := inOrder(expired, workers, jobs, do, func(int) error { return nil }); err != context.Canceled {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
}
