package metric

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/tokenizer"
	"pgregory.net/rapid"
)

// score gathers the statistics of tokens in one run and scores samples.
func score(t interface{ Fatal(...any) }, m Metric, vocabulary int, tokens []int32, samples ...[]int32) []float64 {
	return scoreIn(t, m, Source{Meta: corpus.Meta{Vocabulary: vocabulary, EndOfDocument: -1}}, tokens, samples...)
}

// scoreIn does the same for a source that lacks nothing but the statistics.
func scoreIn(t interface{ Fatal(...any) }, m Metric, source Source, tokens []int32, samples ...[]int32) []float64 {
	source.Statistics = map[string]Statistic{}
	for _, s := range m.Statistics() {
		if err := s.Add(nil, tokens); err != nil {
			t.Fatal(err)
		}
		source.Statistics[s.Name()] = s
	}
	scorer, err := m.Scorer(source)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, len(samples))
	var batch []Sample
	for i, tokens := range samples {
		batch = append(batch, Sample{ID: int64(i), Len: len(tokens), Tokens: tokens})
	}
	if err := scorer.Score(values, batch); err != nil {
		t.Fatal(err)
	}
	return values
}

// Worked out by hand: of the vocabulary 0..4 the corpus has 0 four times, 1
// twice and 3 once; 2 and 4 count as one, which makes nine in all.
func TestRarityByHand(t *testing.T) {
	tokens := []int32{0, 1, 0, 3, 0, 1, 0}
	got := score(t, Rarity(), 5, tokens, []int32{0}, []int32{1, 1}, []int32{4}, nil, []int32{0, 3})
	want := []float64{math.Log(9. / 4), 2 * math.Log(9./2), math.Log(9), 0, math.Log(9./4) + math.Log(9)}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15*want[i] {
			t.Errorf("sample %d: %v, want %v", i, got[i], want[i])
		}
	}
	// Nothing known of the vocabulary: it ends with the largest token, 3.
	if got := score(t, Rarity(), 0, tokens, []int32{1})[0]; math.Abs(got-math.Log(8./2)) > 1e-15 {
		t.Errorf("without a vocabulary: %v, want ln 4", got)
	}
}

// naiveRarity follows the definition word for word, with a table over the whole
// vocabulary.
func naiveRarity(vocabulary int, tokens, sample []int32) float64 {
	for _, t := range tokens {
		vocabulary = max(vocabulary, int(t)+1)
	}
	counts := make([]float64, vocabulary)
	for _, t := range tokens {
		counts[t]++
	}
	sum := 0.0
	for i := range counts {
		if counts[i] == 0 {
			counts[i] = 1
		}
		sum += counts[i]
	}
	rarity := 0.0
	for _, t := range sample {
		rarity -= math.Log(counts[t] / sum)
	}
	return rarity
}

func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Past 2^20 tokens are counted in a map; seldom here, since the naive
		// table then takes 8 MiB.
		largest := rapid.SampledFrom([]int32{0, 3, 3, 3, 300, 300, 300, 300, 1000, denseTokens + 3}).Draw(t, "largest")
		tokens := rapid.SliceOf(rapid.Int32Range(max(0, largest-300), largest)).Draw(t, "tokens")
		vocabulary := rapid.SampledFrom([]int{0, 1, 301, 1000}).Draw(t, "vocabulary")
		from := rapid.IntRange(0, len(tokens)).Draw(t, "from")
		sample := tokens[from:rapid.IntRange(from, len(tokens)).Draw(t, "to")]

		want := naiveRarity(vocabulary, tokens, sample)
		if got := score(t, Rarity(), vocabulary, tokens, sample)[0]; math.Abs(got-want) > 1e-12*want {
			t.Fatalf("rarity %v, want %v", got, want)
		}
		if got := score(t, Length(), vocabulary, tokens, sample)[0]; got != float64(len(sample)) {
			t.Fatalf("length %v, want %d", got, len(sample))
		}
	})
}

func TestRarityWithoutCounts(t *testing.T) {
	if _, err := Rarity().Scorer(Source{}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// bytesTokenizer has a token for every byte.
func bytesTokenizer(t interface{ Fatal(...any) }) func() tokenizer.Tokenizer {
	bytes, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	return func() tokenizer.Tokenizer { return bytes }
}

// hostile draws samples as a corpus may have them: empty, of one token, all
// equal, of few different or many, beyond the vocabulary, long.
func hostile() *rapid.Generator[[]int32] {
	few, bytes, all := rapid.Int32Range(0, 3), rapid.Int32Range(0, 256), rapid.Int32Range(0, math.MaxInt32)
	return rapid.OneOf(
		rapid.SliceOfN(all, 0, 1),
		rapid.Map(rapid.IntRange(0, 300), func(n int) []int32 { return make([]int32, n) }),
		rapid.SliceOf(few), rapid.SliceOf(bytes), rapid.SliceOf(all),
		rapid.SliceOf(rapid.OneOf(few, all)),
		rapid.SliceOf(rapid.Int32Range(denseTokens-2, denseTokens+2)),
		rapid.Custom(func(t *rapid.T) []int32 { // a long one costs rapid three draws
			n, from := rapid.IntRange(0, 5000).Draw(t, "n"), rapid.Int32Range(0, 1000).Draw(t, "from")
			period := rapid.IntRange(1, 5000).Draw(t, "period")
			tokens := make([]int32, n)
			for i := range tokens {
				tokens[i] = from + int32(i%period*(i%7))
			}
			return tokens
		}),
	)
}

// near reports whether two values are the same but for rounding.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

// must returns a metric that was made without error.
func must(m Metric, err error) Metric {
	if err != nil {
		panic(err)
	}
	return m
}

// What every metric has to keep, ours and a stranger's alike.
func TestConformance(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	seen := map[string]bool{}
	all, err := Builtin().Parse(Builtin().Names()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		info := m.Info()
		if !name.MatchString(info.Name) || seen[info.Name] {
			t.Errorf("name %q", info.Name)
		}
		seen[info.Name] = true
		if info.Version < 1 || info.Unit == "" || info.Summary == "" || info != m.Info() {
			t.Errorf("%+v", info)
		}
		tokens := []int32{5, 1, 5, 2, 70000}
		samples := [][]int32{nil, {5}, {1, 2, 70000}, {5, 5, 5, 5}, nil}
		source := Source{Meta: corpus.Meta{EndOfDocument: 5}, Tokenizer: bytesTokenizer(t)}
		one, two := scoreIn(t, m, source, tokens, samples...), scoreIn(t, m, source, tokens, samples...)
		for i, v := range one {
			if v != two[i] || v-v != 0 {
				t.Errorf("%s: sample %d: %v, then %v", info.Name, i, v, two[i])
			}
			if info.Kind == Whole && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
				t.Errorf("%s: %v is no whole value", info.Name, v)
			}
		}
		if one[0] != one[4] {
			t.Errorf("%s: the value of a sample depends on those before", info.Name)
		}
	}
}

func TestParse(t *testing.T) {
	metrics, err := Builtin().Parse("rarity", " hard = mean-rarity ")
	if err != nil || metrics[0].Info().Name != "rarity" || metrics[1].Info().Name != "hard" || metrics[1].Info().Spec != "mean-rarity" {
		t.Errorf("%v, %v", metrics, err)
	}
	known := strings.Join(Builtin().Names(), ", ")
	for spec, say := range map[string]string{
		"rarty":    `unknown metric "rarty"; did you mean rarity? (known: ` + known + `)`,
		"x=rarty":  `unknown metric "rarty"; did you mean rarity? (known: ` + known + `)`,
		"entropy":  `unknown metric "entropy" (known: ` + known + `)`,
		"":         `unknown metric "" (known: ` + known + `)`,
		"length:a": `metric length:a: "a": length takes no parameters`,
	} {
		if _, err := Builtin().Parse(spec); !errors.Is(err, fault.Invalid) || err.Error() != say {
			t.Errorf("%v, want %s", err, say)
		}
	}
}

func TestNamesHaveHyphens(t *testing.T) {
	if strings.Contains(strings.Join(Builtin().Names(), " "), "_") {
		t.Error("names have hyphens, not underscores")
	}
}

// A scorer that takes tokens as they are stored gives the same bits as from
// int32.
func TestScoreRaw(t *testing.T) {
	all, err := Builtin().Parse(Builtin().Names()...)
	if err != nil {
		t.Fatal(err)
	}
	scorers := 0
	rapid.Check(t, func(t *rapid.T) {
		dtype := rapid.SampledFrom([]corpus.DType{corpus.Uint8, corpus.Uint16, corpus.Int32}).Draw(t, "type")
		largest := map[corpus.DType]int32{corpus.Uint8: 255, corpus.Uint16: 65535, corpus.Int32: 99999}[dtype]
		tokens := rapid.SliceOf(rapid.Int32Range(0, largest)).Draw(t, "tokens")
		var samples []Sample
		for range rapid.IntRange(0, 5).Draw(t, "samples") {
			one := rapid.SliceOfN(rapid.Int32Range(0, largest), 0, 20).Draw(t, "sample")
			var raw []byte
			for _, x := range one {
				raw = append(raw, []byte{byte(x), byte(x >> 8), byte(x >> 16), byte(x >> 24)}[:dtype.Size()]...)
			}
			samples = append(samples, Sample{ID: int64(len(samples)), Len: len(one), Tokens: one, Raw: raw})
		}
		for _, m := range all {
			source := Source{Meta: corpus.Meta{Vocabulary: 300, Tokenizer: "bytes"}, Tokenizer: bytesTokenizer(t), Statistics: map[string]Statistic{}}
			for _, s := range m.Statistics() {
				if err := s.Add(nil, tokens); err != nil {
					t.Fatal(err)
				}
				source.Statistics[s.Name()] = s
			}
			scorer, err := m.Scorer(source)
			if err != nil {
				t.Fatal(err)
			}
			r, ok := scorer.(RawScorer)
			if !ok {
				continue
			}
			scorers++
			want, got := make([]float64, len(samples)), make([]float64, len(samples))
			if err := scorer.Score(want, samples); err != nil {
				t.Fatal(err)
			}
			if took := r.ScoreRaw(got, samples, dtype); took != (dtype.Size() < 4) || took && !slices.Equal(got, want) {
				t.Fatalf("%s: %v, %v, want %v", m.Info().Name, took, got, want)
			}
		}
	})
	if scorers == 0 {
		t.Error("no metric takes tokens as they are stored")
	}
}
