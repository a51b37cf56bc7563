package metric

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

func TestRepetitionByHand(t *testing.T) {
	// Of the pairs 12 23 31 12 23 two repeat an earlier one; of the triples
	// 123 231 312 123 one.
	sample := []int32{1, 2, 3, 1, 2, 3}
	for n, want := range map[int]float64{1: 3. / 6, 2: 2. / 5, 3: 1. / 4, 4: 0, 6: 0, 7: 0, 64: 0} {
		if got := score(t, must(Repetition(n)), 0, nil, sample)[0]; got != want {
			t.Errorf("n=%d: %v, want %v", n, got, want)
		}
	}
	if got := score(t, must(Repetition(0)), 0, nil, make([]int32, 1000))[0]; got != 996./997 {
		t.Errorf("all equal: %v, want 996 of 997", got)
	}
}

func TestRepetitionAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(hostile(), 1, 4).Draw(t, "samples")
		n := rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 64)).Draw(t, "n")
		for i, got := range score(t, must(Repetition(n)), 0, nil, samples...) {
			seen, total := map[string]bool{}, 0
			for from := 0; from+n <= len(samples[i]); from++ {
				seen[fmt.Sprint(samples[i][from:from+n])] = true
				total++
			}
			if want := 1 - float64(len(seen))/float64(max(total, 1)); total > 0 && !near(got, want) || total == 0 && got != 0 {
				t.Fatalf("sample %d: %v, want %v", i, got, want)
			}
		}
	})
}

func TestRepetitionRefuses(t *testing.T) {
	for _, n := range []int{-1, 65} {
		if _, err := Repetition(n); !errors.Is(err, fault.Invalid) {
			t.Errorf("n=%d: %v", n, err)
		}
	}
	if _, err := Builtin().Parse("repetition:n=0"); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
