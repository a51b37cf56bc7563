package metric

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"pgregory.net/rapid"
)

func TestEffectiveLengthByHand(t *testing.T) {
	padded := []int32{9, 9, 4, 9, 9, 9, 0, 9}
	for _, c := range []struct {
		pad int32
		end int
		n   float64
	}{
		{-1, 9, 5},  // 9 4 9 0 9
		{-1, -1, 8}, // no end of document
		{-1, 7, 8},  // none here
		{9, 9, 2},   // 4 0
		{0, 9, 7},   // the end of document is a token like others
	} {
		source := Source{Meta: corpus.Meta{EndOfDocument: c.end}}
		if got := scoreIn(t, EffectiveLength(c.pad), source, nil, padded)[0]; got != c.n {
			t.Errorf("pad %d, end of document %d: %v, want %v", c.pad, c.end, got, c.n)
		}
	}
}

// Against lists of words: padding is what is left out of a text.
func TestEffectiveLengthAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sample := hostile().Draw(t, "sample")
		pad, end := rapid.Int32Range(0, 3).Draw(t, "pad"), rapid.IntRange(-1, 3).Draw(t, "end")
		source := Source{Meta: corpus.Meta{EndOfDocument: end}}
		text := strings.Trim(fmt.Sprint(sample), "[]") + " "
		if len(sample) == 0 {
			text = ""
		}
		var kept []string
		for _, word := range strings.Fields(text) {
			if word != fmt.Sprint(pad) {
				kept = append(kept, word)
			}
		}
		if got := scoreIn(t, EffectiveLength(pad), source, nil, sample)[0]; got != float64(len(kept)) {
			t.Fatalf("pad %d: %v, want %d", pad, got, len(kept))
		}
		text = " " + text
		for twice := fmt.Sprintf(" %d %d ", end, end); strings.Contains(text, twice); {
			text = strings.ReplaceAll(text, twice, twice[:len(twice)/2]+" ")
		}
		if got := scoreIn(t, EffectiveLength(-1), source, nil, sample)[0]; got != float64(len(strings.Fields(text))) {
			t.Fatalf("end of document %d: %v, want %d", end, got, len(strings.Fields(text)))
		}
	})
}
