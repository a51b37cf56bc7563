package corpus

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// corpusOf writes documents of the given lengths and opens them until the end of
// the test; tokens count up, modulo 251.
func corpusOf(t *testing.T, lengths ...int) *Corpus {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, documentsOf(lengths)...)
	return mustOpen(t, prefix)
}

func documentsOf(lengths []int) [][]int32 {
	documents := make([][]int32, len(lengths))
	at := 0
	for i, n := range lengths {
		documents[i] = make([]int32, n)
		for j := range documents[i] {
			documents[i][j] = int32(at % 251)
			at++
		}
	}
	return documents
}

// drawCorpus draws documents of three kinds of corpus: alike, many of them tiny
// or empty, and a few that are far longer than the rest.
func drawCorpus(t *rapid.T, dir string) *Corpus {
	length := rapid.IntRange(0, 40)
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 1:
		length = rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 3))
	case 2:
		length = rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(500, 900))
	}
	lengths := rapid.SliceOfN(length, 1, 120).Draw(t, "lengths")
	prefix := filepath.Join(dir, "c")
	for _, name := range Files(prefix) {
		os.Remove(name)
	}
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, documentsOf(lengths)...)
	c, err := Open(prefix)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return c
}

// A document as long as the whole share is not the held-out text: many short ones
// are, from all over the corpus. (Go's source has one of 3 MB.)
func TestHoldOutPassesOverGiants(t *testing.T) {
	lengths := make([]int, 300)
	for i := range lengths {
		lengths[i] = 100
	}
	for _, giant := range []int{20, 150, 280} {
		lengths[giant] = 4000
	}
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, documentsOf(lengths)...)
	c, err := Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for seed := range uint64(50) {
		h, err := c.HoldOut(0.1, seed, 8)
		if err != nil {
			t.Fatal(err)
		}
		// 10 % of 41,700 tokens are 42 documents of 100.
		if h.Tokens() != 4200 || h.Documents() != 42 || len(h.runs) < 20 {
			t.Fatalf("seed %d: %s in %d runs, want 4200 tokens of 42 documents from many places", seed, h, len(h.runs))
		}
	}
}

func TestHoldOut(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCorpus(t, dir)
		defer c.Close()
		share := rapid.Float64Range(0.001, 0.5).Draw(t, "share")
		seed := rapid.Uint64Range(0, 9).Draw(t, "seed")
		window := rapid.IntRange(1, 64).Draw(t, "window")
		h, err := c.HoldOut(share, seed, window)
		if c.Tokens() == 0 {
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("an empty corpus: %v, %v", h, err)
			}
			return
		}
		starts, ends, longest := map[int64]bool{}, map[int64]bool{}, int64(0)
		for d := range c.Documents() {
			start, end := c.Bounds(d)
			starts[start], ends[end] = true, true
			longest = max(longest, end-start)
		}
		wanted := max(int64(share*float64(c.Tokens())), 1)
		if err != nil {
			// One document more than was asked for may be above a half.
			if !errors.Is(err, fault.Invalid) || wanted+longest-1 <= c.Tokens()/2 {
				t.Fatalf("%d of %d tokens, the longest document has %d: %v", wanted, c.Tokens(), longest, err)
			}
			return
		}
		again, err := c.HoldOut(share, seed, window)
		if err != nil || fmt.Sprint(again.runs) != fmt.Sprint(h.runs) {
			t.Fatalf("asked twice: %v and %v (%v)", h.runs, again.runs, err)
		}
		held, last := make([]bool, c.Tokens()), int64(-1)
		for _, r := range h.runs {
			if r.start <= last || r.end <= r.start || !starts[r.start] || !ends[r.end] {
				t.Fatalf("runs %v are no ascending runs of whole documents with others between them", h.runs)
			}
			last = r.end
			for at := r.start; at < r.end; at++ {
				held[at] = true
			}
		}
		count := int64(0)
		for _, h := range held {
			if h {
				count++
			}
		}
		if h.Tokens() != count || count < wanted || count >= wanted+longest {
			t.Fatalf("%d tokens held out (it says %d), want %d and less than a document of %d more", count, h.Tokens(), wanted, longest)
		}
		documents := int64(0)
		for d := range c.Documents() {
			if start, end := c.Bounds(d); start < end && held[start] {
				documents++
			}
		}
		if n := h.Documents(); n < documents || n > c.Documents() {
			t.Fatalf("%d documents, of which %d have tokens", n, documents)
		}
		for range 20 {
			start := rapid.Int64Range(0, c.Tokens()).Draw(t, "start")
			end := rapid.Int64Range(0, c.Tokens()).Draw(t, "end")
			if got, want := h.Holds(start, end), start < end && slices.Contains(held[start:max(start, end)], true); got != want {
				t.Fatalf("Holds(%d, %d) = %v, want %v; runs %v", start, end, got, want, h.runs)
			}
		}
		checkWindows(t, h, window)
	})
}

// checkWindows counts how often each token is predicted.
func checkWindows(t *rapid.T, h *HoldOut, window int) {
	spans := h.Windows(window, 0)
	predicted := map[int64]int{}
	total := int64(0)
	for _, s := range spans {
		if n := s[1] - s[0]; n < 2 || n > int64(window)+1 {
			t.Fatalf("span %v with a window of %d", s, window)
		}
		total += s[1] - s[0] - 1
		for at := s[0] + 1; at < s[1]; at++ {
			predicted[at]++
		}
	}
	for _, r := range h.runs {
		for at := r.start; at < r.end; at++ {
			want := 1
			if at == r.start {
				want = 0
			}
			if predicted[at] != want {
				t.Fatalf("token %d of run %v is predicted %d times, want %d", at, r, predicted[at], want)
			}
			delete(predicted, at)
		}
	}
	if len(predicted) > 0 {
		t.Fatalf("tokens %v are predicted and not held out", predicted)
	}

	limit := rapid.Int64Range(1, 2*total+2).Draw(t, "limit")
	chosen := h.Windows(window, limit)
	if total <= limit {
		if !slices.Equal(chosen, spans) {
			t.Fatalf("limit %d: %v, want all that predict %d", limit, chosen, total)
		}
		return
	}
	places := make([]int, len(chosen))
	n := int64(0)
	for i, s := range chosen {
		places[i] = slices.Index(spans, s)
		n += s[1] - s[0] - 1
	}
	if want := max(limit/int64(window), 1); int64(len(chosen)) != want || n > max(limit, int64(window)) {
		t.Fatalf("limit %d, window %d: %d spans that predict %d, want %d spans", limit, window, len(chosen), n, want)
	}
	// An even choice: the gaps between the chosen ones differ by at most one.
	least, most := math.MaxInt, 0
	for i := 1; i < len(places); i++ {
		gap := places[i] - places[i-1]
		least, most = min(least, gap), max(most, gap)
	}
	if places[0] != 0 || least < 1 || most > 0 && most-least > 1 {
		t.Fatalf("limit %d: places %v of %d are not an even choice", limit, places, len(spans))
	}
}

// A corpus of long documents does not lose more than it must: each piece of the
// share would be a document far longer than the piece.
func TestHoldOutOfLongDocuments(t *testing.T) {
	lengths := make([]int, 60)
	for i := range lengths {
		lengths[i] = 1000
	}
	h, err := corpusOf(t, lengths...).HoldOut(0.05, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	if h.Tokens() != 3000 {
		t.Errorf("%s are held out, want 3000 tokens of 60000", h)
	}
}

// Where a piece begins in a document that the piece before it took, it goes on
// behind that one, and no document counts twice.
func TestHoldOutOfNeighbours(t *testing.T) {
	lengths := make([]int, 40)
	for i := range lengths {
		lengths[i] = 25 + i*7%11
	}
	c := corpusOf(t, lengths...)
	for seed := range uint64(1000) {
		h, err := c.HoldOut(0.45, seed, 2) // 22 pieces of 24 tokens in strata of 54
		if err != nil {
			t.Fatal(err)
		}
		last, documents := int64(-1), int64(0)
		for _, r := range h.runs {
			if r.start <= last {
				t.Fatalf("seed %d: runs %v", seed, h.runs)
			}
			last = r.end
		}
		for d := range c.Documents() {
			if h.Holds(c.Bounds(d)) {
				documents++
			}
		}
		if h.Documents() != documents {
			t.Fatalf("seed %d: %s; they are %d documents", seed, h, documents)
		}
	}
}

// Held-out text comes from all over the corpus, and from elsewhere for another seed.
func TestHoldOutIsSpread(t *testing.T) {
	lengths := make([]int, 3000)
	for i := range lengths {
		lengths[i] = 20
	}
	c := corpusOf(t, lengths...)
	seen := map[string]bool{}
	for seed := range uint64(20) {
		h, err := c.HoldOut(0.1, seed, 8)
		if err != nil {
			t.Fatal(err)
		}
		var quarters [4]int64
		for d := range c.Documents() {
			if h.Holds(c.Bounds(d)) {
				quarters[d*4/c.Documents()]++
			}
		}
		for q, n := range quarters {
			if n < 70 || n > 80 {
				t.Errorf("seed %d: %d documents of quarter %d are held out, want about 75", seed, n, q)
			}
		}
		seen[fmt.Sprint(h.runs)] = true
	}
	if len(seen) != 20 {
		t.Errorf("20 seeds make %d different choices", len(seen))
	}
}

func TestHoldOutOfFewDocuments(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		share   float64
		want    string // of the tokens held out; else of the error
	}{
		{[]int{100}, 0.02, "would take 100 of 100 tokens (it has 1 documents)"},
		{[]int{50, 50}, 0.5, "50"},
		{[]int{50, 50}, 0.01, "50"},
		{[]int{1, 1}, 0.5, "1"},
		{[]int{0, 0, 4, 0, 4, 0}, 0.1, "4"},
		{[]int{10, 90}, 0.5, "would take"},
		{[]int{0, 0}, 0.5, "is empty"},
		{[]int{50, 50}, 0.51, "at most 50%"},
		{[]int{50, 50}, 0, "above 0"},
		{[]int{50, 50}, math.NaN(), "above 0"},
	} {
		h, err := corpusOf(t, c.lengths...).HoldOut(c.share, 3, 4)
		switch {
		case err != nil && (!errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v of %v: %v, want %s", c.share, c.lengths, err, c.want)
		case err == nil && fmt.Sprint(h.Tokens()) != c.want:
			t.Errorf("%v of %v: %s, want %s", c.share, c.lengths, h, c.want)
		}
	}
	if _, err := corpusOf(t, 50, 50).HoldOut(0.5, 3, 0); !errors.Is(err, fault.Invalid) {
		t.Errorf("a window of 0: %v", err)
	}
}

func TestAllIsHeldOut(t *testing.T) {
	c := corpusOf(t, 5, 0, 6)
	h := c.All()
	if h.Tokens() != 11 || h.Documents() != 3 || !h.Holds(10, 11) || h.Holds(11, 12) {
		t.Errorf("all of 11 tokens: %s", h)
	}
	if got, want := fmt.Sprint(h.Windows(4, 0)), "[[0 5] [4 9] [8 11]]"; got != want {
		t.Errorf("windows %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(h.Windows(4, 10)), "[[0 5] [4 9] [8 11]]"; got != want {
		t.Errorf("windows of 10 predicted tokens at most: %s, want %s", got, want)
	}
	if got := corpusOf(t, 0).All().Windows(4, 3); len(got) != 0 {
		t.Errorf("windows of nothing: %v", got)
	}
}

// The choice depends on the documents, not on the files they are in.
func TestHoldOutOfParts(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		lengths := rapid.SliceOfN(rapid.IntRange(0, 30), 2, 60).Draw(t, "lengths")
		documents := documentsOf(lengths)
		cut := rapid.IntRange(1, len(lengths)-1).Draw(t, "cut")
		base := filepath.Join(dir, fmt.Sprint(n))
		writePair(t, base+"whole", Uint8, Meta{EndOfDocument: -1}, documents...)
		writePair(t, base+"part0", Uint8, Meta{EndOfDocument: -1}, documents[:cut]...)
		writePair(t, base+"part1", Uint16, Meta{EndOfDocument: -1}, documents[cut:]...)
		var runs [2]string
		for i, pattern := range []string{"whole", "part?"} {
			c, err := Open(base + pattern)
			if err != nil {
				t.Fatal(err)
			}
			h, err := c.HoldOut(0.2, 7, 4)
			if err == nil {
				runs[i] = fmt.Sprint(h.runs)
			}
			c.Close()
		}
		if runs[0] != runs[1] {
			t.Fatalf("of the whole %s, of parts %s", runs[0], runs[1])
		}
	})
}
