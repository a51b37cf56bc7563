package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// ofTokens is a corpus that has a number of tokens in one document, and no file.
func ofTokens(n int64) *Corpus {
	c := &Corpus{parts: []*part{{name: "c"}}}
	c.parts[0].setEven(Uint8, 1, n)
	if err := c.join(); err != nil {
		panic(err)
	}
	return c
}

// Windows of N: every one has N+1 tokens, the next begins with the last token
// of the one before, so that every token but the first is a target once.
func TestWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := rapid.Int64Range(2, 1<<50).Draw(t, "tokens")
		window := rapid.Int64Range(1, min(tokens-1, 1<<31-1)).Draw(t, "window")
		s, err := ofTokens(tokens).Samples(Cut{Window: int(window)})
		if err != nil {
			t.Fatal(err)
		}
		if first, _ := s.Span(0); first != 0 {
			t.Errorf("the first window begins at %d", first)
		}
		_, last := s.Span(s.Len() - 1)
		if rest := tokens - last; rest < 0 || rest >= window {
			t.Errorf("%d tokens are left after the last window", rest)
		}
		id := rapid.Int64Range(0, s.Len()-1).Draw(t, "id")
		start, end := s.Span(id)
		if end-start != window+1 {
			t.Errorf("window %d is [%d, %d)", id, start, end)
		}
		if id+1 < s.Len() {
			if next, _ := s.Span(id + 1); next != end-1 {
				t.Errorf("window %d ends at %d, the next begins at %d", id, end, next)
			}
		}
	})
}

// 2^40 tokens, the largest corpus anyone has announced.
func TestWindowsOfHugeCorpus(t *testing.T) {
	s, err := ofTokens(1 << 40).Samples(Cut{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	if start, end := s.Span(s.Len() - 1); s.Len() != 1<<40-1 || start != 1<<40-2 || end != 1<<40 {
		t.Errorf("%d windows, the last [%d, %d)", s.Len(), start, end)
	}
}

func TestSamplesRefuse(t *testing.T) {
	for _, k := range []struct {
		tokens int64
		cut    Cut
		says   string
	}{
		{10, Cut{}, "give a window"},
		{10, Cut{Window: -1}, "-1 tokens"},
		{10, Cut{Window: 4, Documents: true}, "choose one"},
		{10, Cut{Window: 10}, "a window of 10 needs 10+1 tokens, and corpus c has 10; choose a window of at most 9"},
		{10, Cut{Window: math.MaxInt}, "at most 9"},
		{1, Cut{Window: 1}, "too few"},
		{0, Cut{Window: 1}, "too few"},
	} {
		if _, err := ofTokens(k.tokens).Samples(k.cut); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%d tokens, %+v: %v, want %q", k.tokens, k.cut, err, k.says)
		}
	}
}

func TestDocumentSamples(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, []int32{1, 2}, nil, []int32{3})
	c := mustOpen(t, prefix)
	s, err := c.Samples(Cut{Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	var got [][2]int64
	for id := range s.Len() {
		start, end := s.Span(id)
		got = append(got, [2]int64{start, end})
	}
	if want := [][2]int64{{0, 2}, {2, 2}, {2, 3}}; !slices.Equal(got, want) {
		t.Errorf("samples are %v, want %v", got, want)
	}
	if s.Corpus() != c || s.Cut() != (Cut{Documents: true}) {
		t.Errorf("cut %v of %s", s.Cut(), s.Corpus().Path())
	}
}

func TestCutForms(t *testing.T) {
	for cut, want := range map[Cut]string{
		{Window: 256}:     `window 256 {"window":256}`,
		{Documents: true}: `documents {"documents":true}`,
	} {
		b, err := json.Marshal(cut)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(cut, " ", string(b)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// An id or document outside is a mistake of the program, as with a slice.
func TestOutsidePanics(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, []int32{1, 2}, []int32{3})
	c := mustOpen(t, prefix)
	s, err := c.Samples(Cut{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int64{-1, 2} {
		for what, call := range map[string]func(int64) (int64, int64){"Bounds": c.Bounds, "Span": s.Span} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s(%d) does not panic", what, i)
					}
				}()
				call(i)
			}()
		}
	}
}
