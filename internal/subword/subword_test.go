package subword

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// letters is a BPE model of a few letters and drawn merges.
func letters(t *rapid.T) (*BPE, [][3]int32) {
	m := &BPE{Vocabulary: map[string]int32{}, Unknown: None}
	texts := []string{}
	for _, c := range "abcé" {
		m.Vocabulary[string(c)] = int32(len(texts))
		texts = append(texts, string(c))
	}
	var rules [][3]int32
	for range rapid.IntRange(0, 20).Draw(t, "merges") {
		left := rapid.IntRange(0, len(texts)-1).Draw(t, "left")
		right := rapid.IntRange(0, len(texts)-1).Draw(t, "right")
		text := texts[left] + texts[right]
		made, ok := m.Vocabulary[text]
		if !ok {
			made = int32(len(texts))
			m.Vocabulary[text] = made
			texts = append(texts, text)
		}
		pair := [3]int32{int32(left), int32(right), made}
		if slices.ContainsFunc(rules, func(r [3]int32) bool { return r[0] == pair[0] && r[1] == pair[1] }) {
			continue
		}
		m.Merge(pair[0], pair[1], made)
		rules = append(rules, pair)
	}
	return m.Ready(), rules
}

// naiveBPE merges the first rule that applies, leftmost, again and again.
func naiveBPE(m *BPE, rules [][3]int32, piece string) []int32 {
	var tokens []int32
	for _, c := range piece {
		if id, ok := m.Vocabulary[string(c)]; ok {
			tokens = append(tokens, id)
		}
	}
again:
	for _, r := range rules {
		for i := range len(tokens) - 1 {
			if tokens[i] == r[0] && tokens[i+1] == r[1] {
				tokens = append(append(tokens[:i:i], r[2]), tokens[i+2:]...)
				goto again
			}
		}
	}
	return tokens
}

func TestBPEIsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, rules := letters(t)
		e := NewEncoder(m)
		for range 3 { // and what was seen is remembered right
			piece := rapid.StringMatching(`[abcéx]{1,30}`).Draw(t, "piece")
			for range 2 {
				got := e.Encode(nil, []byte(piece))
				if want := naiveBPE(m, rules, piece); !slices.Equal(got, want) {
					t.Fatalf("%q: %v, want %v by %v", piece, got, want, rules)
				}
			}
		}
	})
}

// Pieces that differ only in their ends, or by zeros, are not taken for each other.
func TestSeenPiecesAreExact(t *testing.T) {
	m := (&BPE{Vocabulary: map[string]int32{"\x00": 0, "a": 1, "b": 2}, Unknown: None, Bytewise: true}).Ready()
	e := NewEncoder(m)
	rapid.Check(t, func(t *rapid.T) {
		piece := []byte(rapid.StringMatching(`[ab\x00]{1,26}`).Draw(t, "piece"))
		want := make([]int32, len(piece))
		for i, b := range piece {
			want[i] = map[byte]int32{0: 0, 'a': 1, 'b': 2}[b]
		}
		if got := e.Encode(nil, piece); !slices.Equal(got, want) {
			t.Fatalf("%q: %v", piece, got)
		}
	})
}

func TestUnknown(t *testing.T) {
	vocabulary := map[string]int32{"a": 0, "b": 1, "?": 9}
	fallback := new([256]int32)
	for i := range fallback {
		fallback[i] = int32(1000 + i)
	}
	partly := *fallback
	partly[0xa9] = None // of é
	for _, k := range []struct {
		model *BPE
		want  []int32
	}{
		{&BPE{Unknown: None}, []int32{0, 1}},
		{&BPE{Unknown: 9}, []int32{0, 9, 9, 1, 9}},
		{&BPE{Unknown: 9, Fuse: true}, []int32{0, 9, 1, 9}},
		{&BPE{Unknown: 9, Fallback: fallback}, []int32{0, 1000 + 'x', 1195, 1169, 1, 1000 + 'y'}},
		{&BPE{Unknown: 9, Fallback: &partly}, []int32{0, 1000 + 'x', 9, 1, 1000 + 'y'}},
	} {
		k.model.Vocabulary = vocabulary
		if got := NewEncoder(k.model.Ready()).Encode(nil, []byte("axéby")); !slices.Equal(got, k.want) {
			t.Errorf("%+v: %v, want %v", k.model.Unknown, got, k.want)
		}
	}
}

// Unigram finds the best of all ways to cut a piece.
func TestUnigramIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := append([]string{"", "a", "b"}, rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]{2,4}`), 0, 8, rapid.ID).Draw(t, "texts")...)
		scores := make([]float64, len(texts))
		for i := range scores {
			scores[i] = -float64(rapid.IntRange(1, 1000).Draw(t, "score")) / 7
		}
		piece := rapid.StringMatching(`[ab]{1,10}`).Draw(t, "piece")
		got := NewEncoder(NewUnigram(texts, scores, 0, nil)).Encode(nil, []byte(piece))
		sum, text := 0.0, ""
		for _, id := range got {
			sum += scores[id]
			text += texts[id]
		}
		best := math.Inf(-1)
		var try func(rest string, so float64)
		try = func(rest string, so float64) {
			if rest == "" {
				best = max(best, so)
			}
			for i := 1; i < len(texts); i++ {
				if strings.HasPrefix(rest, texts[i]) {
					try(rest[len(texts[i]):], so+scores[i])
				}
			}
		}
		try(piece, 0)
		if text != piece || math.Abs(sum-best) > 1e-9 {
			t.Fatalf("%q: %v with %v, the best is %v", piece, got, sum, best)
		}
	})
}

func TestUnigramUnknown(t *testing.T) {
	texts, scores := []string{"<unk>", "a", "ab"}, []float64{0, -1, -3}
	for piece, want := range map[string][]int32{"ab": {2}, "axyab": {1, 0, 2}, "日本": {0}, "b": {0}, "aba": {2, 1}} {
		if got := NewEncoder(NewUnigram(append([]string{""}, texts[1:]...), scores, 0, nil)).Encode(nil, []byte(piece)); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", piece, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	m := &WordPiece{Vocabulary: map[string]int32{"un": 1, "##aff": 2, "##able": 3, "a": 4, "##é": 5}, Prefix: "##", Unknown: 0, Longest: 12}
	for piece, want := range map[string][]int32{"unaffable": {1, 2, 3}, "unaffected": {0}, "aé": {4, 5}, "é": {0}, strings.Repeat("a", 13): {0}} {
		if got := NewEncoder(m).Encode([]int32{7}, []byte(piece)); !slices.Equal(got, append([]int32{7}, want...)) {
			t.Errorf("%q: %v, want %v", piece, got, want)
		}
	}
	w := &WordLevel{Vocabulary: map[string]int32{"a": 1}, Unknown: 0}
	if got := NewEncoder(w).Encode(nil, []byte("a")); !slices.Equal(got, []int32{1}) {
		t.Errorf("a word: %v", got)
	}
	if got := NewEncoder(w).Encode(nil, []byte("b")); !slices.Equal(got, []int32{0}) {
		t.Errorf("an unknown word: %v", got)
	}
	w.Unknown = None
	if got := NewEncoder(w).Encode(nil, []byte("b")); len(got) != 0 {
		t.Errorf("an unknown word without a token: %v", got)
	}
}

// The table holds what a map holds.
func TestPairTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table pairTable
		naive := map[uint64]string{}
		for range rapid.IntRange(0, 3000).Draw(t, "puts") {
			left, right := rapid.Int32Range(0, 60).Draw(t, "left"), rapid.Int32Range(0, 60).Draw(t, "right")
			rank := rapid.Int32().Draw(t, "rank")
			table.put(pairKey(left, right), rank, left)
			naive[pairKey(left, right)] = fmt.Sprint(rank, left)
		}
		for left := range int32(62) {
			for right := range int32(62) {
				got := ""
				if r := table.get(pairKey(left, right)); r != nil {
					got = fmt.Sprint(r.rank, r.made)
				}
				if want := naive[pairKey(left, right)]; got != want {
					t.Fatalf("%d, %d: %q, want %q", left, right, got, want)
				}
			}
		}
	})
}
