package metric

import (
	"errors"
	"math"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// Worked out by hand. The corpus 0 1 0 1 2 has 0 and 1 twice and 2 once, 01
// twice, 10 and 12 once. With a prior of 1 and three tokens, P without context
// is (1 + 1/3)/5 for 0 and 1 and (1/3)/5 for 2, the occurrence left out.
func TestPerplexityByHand(t *testing.T) {
	tokens := []int32{0, 1, 0, 1, 2}
	product := 4. / 15 * // 0
		((1 + 4./15) / 2) * // 1 after 0
		(4. / 15 / 2) * // 0 after 1
		((1 + 4./15) / 2) * // 1 after 0
		(1. / 15 / 2) // 2 after 1
	two := must(NgramPerplexity(NgramOptions{Order: 2, Prior: 1}))
	got := score(t, two, 3, tokens, tokens, nil, []int32{2}, []int32{1, 2})
	want := []float64{math.Pow(product, -1./5), 1, 15, math.Pow(4./15/30, -1./2)}
	for i := range want {
		if !near(got[i], want[i]) {
			t.Errorf("sample %d: %v, want %v", i, got[i], want[i])
		}
	}
	// The trigrams 010, 101 and 012 occur once each: left out, never.
	product = 4. / 15 * ((1 + 4./15) / 2) * (4. / 15 / 2 / 2) * ((1 + 4./15) / 2 / 1) * (1. / 15 / 2 / 2)
	three := must(NgramPerplexity(NgramOptions{Prior: 1}))
	if got := score(t, three, 3, tokens, tokens)[0]; !near(got, math.Pow(product, -1./5)) {
		t.Errorf("order 3: %v, want %v", got, math.Pow(product, -1./5))
	}
	// Nine times the only token there is: certain without context, but the last
	// one and the last pair have nothing after them.
	product = 1 * (8. / 9) * math.Pow((6+8./9)/8, 7)
	if got := score(t, three, 0, make([]int32, 9), make([]int32, 9))[0]; !near(got, math.Pow(product, -1./9)) {
		t.Errorf("all equal: %v, want %v", got, math.Pow(product, -1./9))
	}
}

// naiveModel follows the definition by recursion, on the naive counts.
type naiveModel struct {
	order, buckets int
	prior          float64
	vocabulary     float64
	total          float64
	tokens         map[int32]float64
	ngrams         map[[2]uint64]uint32
}

// count returns the occurrences of an n-gram, at most those of its parts.
func (m naiveModel) count(gram []int32) float64 {
	switch len(gram) {
	case 0:
		return m.total
	case 1:
		return m.tokens[gram[0]]
	}
	own := float64(m.ngrams[naiveCounter(m.buckets, gram)])
	return min(own, m.count(gram[1:]), m.count(gram[:len(gram)-1]))
}

// p returns the probability of the last token after the others.
func (m naiveModel) p(gram []int32) float64 {
	if len(gram) == 0 {
		return 1 / m.vocabulary
	}
	without := func(n float64) float64 { return max(n-1, 0) }
	return (without(m.count(gram)) + m.prior*m.p(gram[1:])) / (without(m.count(gram[:len(gram)-1])) + m.prior)
}

func naivePerplexity(o NgramOptions, vocabulary int, tokens, sample []int32) float64 {
	m := naiveModel{
		order: o.Order, buckets: o.Buckets, prior: o.Prior, vocabulary: float64(max(vocabulary, 1)),
		tokens: map[int32]float64{}, ngrams: naiveCounts(o.Order, o.Buckets, tokens), total: float64(len(tokens)),
	}
	for _, t := range tokens {
		m.tokens[t]++
		m.vocabulary = max(m.vocabulary, float64(t)+1)
	}
	nats := 0.0
	for i := range sample {
		p := m.p(sample[max(0, i+1-o.Order) : i+1])
		if p > 1 {
			return math.NaN() // nothing is more than certain
		}
		nats -= math.Log(p)
	}
	return math.Exp(nats / float64(max(len(sample), 1)))
}

// In few buckets, so that n-grams share counters; of samples of the corpus and
// of others.
func TestPerplexityAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := hostile().Draw(t, "tokens")
		from := rapid.IntRange(0, len(tokens)).Draw(t, "from")
		samples := [][]int32{tokens, tokens[from:rapid.IntRange(from, len(tokens)).Draw(t, "to")], hostile().Draw(t, "another")}
		o := NgramOptions{
			Order:   rapid.IntRange(1, maxOrder).Draw(t, "order"),
			Buckets: rapid.IntRange(8, 12).Draw(t, "buckets"),
			Prior:   rapid.SampledFrom([]float64{minPrior, 0.5, 16, maxPrior}).Draw(t, "prior"),
		}
		vocabulary := rapid.SampledFrom([]int{0, 1, 301}).Draw(t, "vocabulary")
		for i, got := range score(t, must(NgramPerplexity(o)), vocabulary, tokens, samples...) {
			if want := naivePerplexity(o, vocabulary, tokens, samples[i]); !near(got, want) {
				t.Fatalf("sample %d: %v, want %v", i, got, want)
			}
		}
	})
}

// As long as no two n-grams share a counter the buckets do not matter; and what
// occurs once is no more likely for it than without the higher orders.
func TestPerplexityLeavesOneOut(t *testing.T) {
	tokens := make([]int32, 64)
	for i := range tokens {
		tokens[i] = int32(i)
	}
	one := score(t, must(NgramPerplexity(NgramOptions{Order: 1})), 0, tokens, tokens)[0]
	for order := 2; order <= maxOrder; order++ {
		for _, buckets := range []int{8, 16} {
			// Each context occurs once too, so that nothing but the prior is left.
			got := score(t, must(NgramPerplexity(NgramOptions{Order: order, Buckets: buckets})), 0, tokens, tokens)[0]
			if !near(got, one) {
				t.Errorf("order %d, 2^%d buckets: %v, want %v", order, buckets, got, one)
			}
		}
	}
}

func TestPerplexityShares(t *testing.T) {
	a, b := must(NgramPerplexity(NgramOptions{})), must(NgramPerplexity(NgramOptions{Prior: 3}))
	rare := Rarity().Statistics()[0].Name()
	for i, name := range []string{rare, "ngram-counts-3-22"} {
		if x, y := a.Statistics()[i].Name(), b.Statistics()[i].Name(); x != name || y != name {
			t.Errorf("%s and %s, want %s", x, y, name)
		}
	}
	again, err := Builtin().Parse(a.Info().Spec, b.Info().Spec)
	if err != nil || again[0].Info() != a.Info() || again[1].Info() != b.Info() {
		t.Errorf("%v, %v", again, err)
	}
}

func TestPerplexityRefuses(t *testing.T) {
	for _, spec := range []string{"order=0", "order=6", "buckets=7", "buckets=29", "prior=0", "prior=1e10", "prior=1e-7", "prior=NaN"} {
		if _, err := Builtin().Parse("ngram-perplexity:" + spec); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	for _, o := range []NgramOptions{{Order: -1}, {Order: 6}, {Buckets: 40}, {Prior: -1}, {Prior: math.Inf(1)}} {
		if _, err := NgramPerplexity(o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	m := must(NgramPerplexity(NgramOptions{}))
	for _, have := range []map[string]Statistic{nil, {"token-counts": new(TokenCounts)}} {
		if _, err := m.Scorer(Source{Statistics: have}); !errors.Is(err, fault.Invalid) {
			t.Error(err)
		}
	}
}
