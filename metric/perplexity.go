package metric

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// NgramOptions are the parameters of NgramPerplexity.
type NgramOptions struct {
	// Order is the longest n-gram that is counted: a token is predicted from
	// up to Order-1 tokens before it. 1 to 5; default 3.
	Order int
	// Buckets is the logarithm to base 2 of the number of counters for each
	// order above 1, 4 bytes each for every worker: 8 to 28; default 22, which
	// are 16 MiB.
	Buckets int
	// Prior is how many observations the estimate of the next lower order is
	// worth: 1e-6 to 1e9; default 16.
	Prior float64
}

// NgramPerplexity returns the metric "ngram-perplexity": the perplexity
//
//	exp(-(1/n) Σ ln P(w))
//
// of a sample's n tokens w under an n-gram model of the corpus itself, leaving
// out the occurrence that is predicted: the number of equally likely tokens
// among which one would be as undecided; 1 for a sample without tokens.
//
// The model is the hierarchical one of MacKay and Peto, "A hierarchical
// Dirichlet language model" (Natural Language Engineering 1, 1995), §4, with
// one prior α for all orders. For a token w after the tokens u, of which u' are
// all but the first,
//
//	P(w|u) = (c(uw) - 1 + α P(w|u')) / (c(u) - 1 + α),
//
// where c counts occurrences in the corpus, its documents laid end to end (c(u)
// the one at the very end too, which nothing follows). Without context, c(u) is
// the number of all tokens and P(w|u') is 1/V, V being the vocabulary as in
// Rarity. The 1 that is subtracted is the occurrence itself, which is in the
// corpus: left in, each n-gram that occurs once would look certain. u are the
// Order-1 tokens before w, or as many as the sample has there: none for its
// first token.
//
// Counts of single tokens are exact. Those of longer n-grams come from
// NgramCounts and are too large where several n-grams share a counter. No n-gram
// occurs more often than the two shorter ones in it, so a count is cut to
// theirs, which keeps P at most 1 and rare tokens exact. What remains makes rare
// n-grams look more frequent, and values smaller. Of 1.8 million tokens of Go
// source with 430,000 distinct trigrams, in windows of 128, the values of the
// default are half of them within 2% of the exact ones; those of 2^20 buckets
// within 10%, of 2^18 within 32%. The order of the samples suffers less: its rank
// correlation with the exact one is 0.9995, 0.997 and 0.98. Give a corpus with
// more distinct n-grams than buckets more.
//
// Options out of range are an error of kind fault.Invalid.
func NgramPerplexity(o NgramOptions) (Metric, error) {
	info := perplexityInfo
	if o != (NgramOptions{}) {
		o = o.withDefaults()
		info.Spec = fmt.Sprintf("%s:order=%d,buckets=%d,prior=%v", info.Spec, o.Order, o.Buckets, o.Prior)
	}
	return newPerplexity(info, o.withDefaults())
}

// withDefaults fills in what is not given. A prior of 16 is within a tenth of the
// best power of two for the perplexity of Go's source, in bytes and in r50k,
// with orders 2, 3 and 5; small corpora of many tokens (Tiny Shakespeare in
// r50k) would like it larger.
func (o NgramOptions) withDefaults() NgramOptions {
	if o.Order == 0 {
		o.Order = 3
	}
	if o.Buckets == 0 {
		o.Buckets = 22
	}
	if o.Prior == 0 {
		o.Prior = 16
	}
	return o
}

var perplexityInfo = Info{
	Name:    "ngram-perplexity",
	Spec:    "ngram-perplexity",
	Version: 1,
	Unit:    "equally likely tokens",
	Kind:    Real,
	Summary: "perplexity under an n-gram model of the rest of the corpus (MacKay and Peto 1995)",
}

func perplexityDefinition() Definition {
	return Definition{
		Name:    perplexityInfo.Name,
		Summary: perplexityInfo.Summary,
		Keys: []Key{
			{"order", "longest n-gram, 1 to 5, default 3"},
			{"buckets", "logarithm to base 2 of the counters of an order, 8 to 28, default 22"},
			{"prior", "observations that the lower order is worth, default 16"},
		},
		Make: func(args *Args) (Metric, error) {
			var none NgramOptions
			none = none.withDefaults()
			return newPerplexity(args.Info(perplexityInfo), NgramOptions{
				Order:   args.Int("order", none.Order, 1, maxOrder),
				Buckets: args.Int("buckets", none.Buckets, minBuckets, maxBuckets),
				Prior:   args.Float("prior", none.Prior, 0),
			})
		},
	}
}

// Within these bounds no probability is below 1e-140: even of the largest
// counts, 2^63, five orders have 1e-25 each, and 1/V is 1e-10.
const minPrior, maxPrior = 1e-6, 1e9

func newPerplexity(info Info, o NgramOptions) (Metric, error) {
	if !(o.Prior >= minPrior && o.Prior <= maxPrior) {
		return nil, fault.Invalidf("prior=%v: a number from %v to %v is needed", o.Prior, minPrior, maxPrior)
	}
	p := perplexity{info: info, options: o}
	if o.Order == 1 {
		return p, nil
	}
	var err error
	p.counts, err = NewNgramCounts(o.Order, o.Buckets)
	return p, err
}

type perplexity struct {
	info    Info
	options NgramOptions
	counts  *NgramCounts // empty; nil for order 1
}

func (p perplexity) Info() Info { return p.info }

func (p perplexity) Statistics() []Statistic {
	if p.counts == nil {
		return []Statistic{new(TokenCounts)}
	}
	return []Statistic{new(TokenCounts), p.counts.New()}
}

func (p perplexity) Scorer(source Source) (Scorer, error) {
	tokens, ok := source.Statistics[new(TokenCounts).Name()].(*TokenCounts)
	if !ok {
		return nil, fault.Invalidf("%s needs the statistic %s", p.info.Name, new(TokenCounts).Name())
	}
	s := &perplexityScorer{NgramOptions: p.options, beyond: map[int32]int64{}}
	if p.counts != nil {
		if s.counts, ok = source.Statistics[p.counts.Name()].(*NgramCounts); !ok {
			return nil, fault.Invalidf("%s needs the statistic %s", p.info.Name, p.counts.Name())
		}
	}
	vocabulary := int64(max(source.Meta.Vocabulary, 1))
	for token, n := range tokens.All() {
		vocabulary = max(vocabulary, int64(token)+1)
		if token >= denseTokens {
			s.beyond[token] = n
			continue
		}
		for int(token) > len(s.unigrams) {
			s.unigrams = append(s.unigrams, 0)
		}
		s.unigrams = append(s.unigrams, n)
	}
	s.uniform = s.Prior / float64(vocabulary)
	s.total = float64(max(tokens.Total()-1, 0)) + s.Prior
	return s, nil
}

// perplexityScorer works on a run of tokens at a time, one order after the
// other: no token waits for the one before it, and cache misses overlap.
type perplexityScorer struct {
	NgramOptions
	counts   *NgramCounts
	unigrams []int64 // counts of tokens below denseTokens
	beyond   map[int32]int64
	uniform  float64 // α P of the order below 1
	total    float64 // denominator of order 1

	hashes [ngramChunk + maxOrder]uint64
	looked [ngramChunk + maxOrder]uint32  // counts of one order as counted
	seen   [ngramChunk + maxOrder]int64   // the same, cut to what is possible
	p      [ngramChunk + maxOrder]float64 // under the orders so far
}

func (s *perplexityScorer) Score(values []float64, samples []Sample) error {
	for i, sample := range samples {
		values[i] = math.Exp(s.nats(sample.Tokens) / float64(max(len(sample.Tokens), 1)))
	}
	return nil
}

// nats returns the sum of -ln P over the tokens of a sample. Logarithms are
// taken of products, which costs one in about 30 tokens; where a product ends
// depends on the sample alone.
func (s *perplexityScorer) nats(tokens []int32) float64 {
	sum, product := 0.0, 1.0
	for from := 0; from < len(tokens); from += ngramChunk {
		begin := max(0, from-s.Order+1)
		run := tokens[begin:min(from+ngramChunk, len(tokens))]
		s.predict(run)
		for _, p := range s.p[from-begin : len(run)] {
			if product *= p; product < 1e-150 {
				sum -= math.Log(product)
				product = 1
			}
		}
	}
	return sum - math.Log(product)
}

// predict sets s.p[i] to the probability of run[i] after up to Order-1 tokens
// of the run before it.
func (s *perplexityScorer) predict(run []int32) {
	hashes, looked, seen, p := s.hashes[:len(run)], s.looked[:len(run)], s.seen[:len(run)], s.p[:len(run)]
	for i, t := range run {
		n := int64(0)
		if uint(t) < uint(len(s.unigrams)) {
			n = s.unigrams[t]
		} else {
			n = s.beyond[t]
		}
		seen[i] = n
		p[i] = (float64(max(n-1, 0)) + s.uniform) / s.total
	}
	hashTokens(hashes, run)
	for order := 2; order <= min(s.Order, len(run)); order++ {
		extendHashes(hashes, run, order)
		s.counts.look(looked[order-1:], order, hashes[order-1:])
		// From the end: the counts before are still those of the order below,
		// of the context and, at i itself, of the n-gram without its first.
		for i := len(run) - 1; i >= order-1; i-- {
			context := seen[i-1]
			n := min(int64(looked[i]), context, seen[i])
			p[i] = (float64(max(n-1, 0)) + s.Prior*p[i]) / (float64(max(context-1, 0)) + s.Prior)
			seen[i] = n
		}
	}
}
