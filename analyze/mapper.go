package analyze

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Mapper makes one pass over blocks of a Job's samples, for one goroutine: the
// map of map and reduce. What it returns depends on the blocks and on what was
// gathered before only, so any runtime may call it, in any order, on any
// machine; scores go where their block says, and statistics are merged.
type Mapper struct {
	job        *Job
	plan       plan
	statistics []metric.Statistic
	from       []int64 // of each statistic: the first token to count
	context    int     // that the statistics want to see before a block
	raw        bool    // nothing but statistics needs the tokens, and those as they are stored
	rawScores  bool    // nothing but scorers needs the tokens, and those as they are stored
	scorers    []metric.Scorer
	close      func() error // once
	reader     *corpus.Reader

	tokens  []int32 // of the block, with the context before it; not if raw
	samples []metric.Sample
	blind   []metric.Sample // the same without tokens, if some metrics are blind and some are not
	sees    bool            // some metrics are not blind
	blinds  bool            // some are
}

// Mapper returns a mapper of a pass. gathered holds, by name, the statistics of
// the whole corpus that earlier passes have gathered.
func (j *Job) Mapper(pass int, gathered map[string]metric.Statistic) (*Mapper, error) {
	m := &Mapper{job: j, plan: j.passes[pass], raw: true, rawScores: true, reader: j.samples.Corpus().NewReader()}
	m.close = sync.OnceValue(m.closeScorers)
	for _, s := range m.plan.statistics {
		own := s.New()
		if d, ok := own.(metric.Dependent); ok {
			if err := d.Bind(gathered); err != nil {
				return nil, err
			}
		}
		m.statistics = append(m.statistics, own)
		m.from = append(m.from, j.base.counted[s.Name()])
		m.context = max(m.context, s.Context())
		_, raw := own.(metric.RawAdder)
		m.raw = m.raw && raw
	}
	source := metric.Source{Meta: j.samples.Corpus().Meta(), Samples: j.samples, Tokenizer: j.tokenizer, Statistics: gathered}
	for _, n := range m.plan.nodes {
		scorer, err := j.nodes[n].metric.Scorer(source)
		if err != nil {
			m.Close()
			return nil, fmt.Errorf("metric %s: %w", j.nodes[n].info.Name, err)
		}
		m.scorers = append(m.scorers, scorer)
		blind := j.nodes[n].info.Blind
		m.blinds, m.sees = m.blinds || blind, m.sees || !blind
		_, raw := scorer.(metric.RawScorer)
		m.raw, m.rawScores = m.raw && blind, m.rawScores && (blind || raw)
	}
	m.rawScores = m.rawScores && !m.raw && len(m.statistics) == 0
	return m, nil
}

// Close ends the scorers that have something to end. It may be called while Map
// runs, which then fails. A second Close does nothing and returns the same.
func (m *Mapper) Close() error { return m.close() }

func (m *Mapper) closeScorers() error {
	var errs []error
	for i, s := range m.scorers {
		if c, ok := s.(io.Closer); ok {
			if err := c.Close(); err != nil {
				errs = append(errs, fmt.Errorf("metric %s: %w", m.job.nodes[m.plan.nodes[i]].info.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Statistics returns what was gathered since the mapper was made or was last
// asked, and goes on with empty ones.
func (m *Mapper) Statistics() []metric.Statistic {
	gathered := m.statistics
	m.statistics = nil
	for _, s := range gathered {
		m.statistics = append(m.statistics, s.New())
	}
	return gathered
}

// Scores are the values of a block of samples.
type Scores struct {
	Block  Block
	Tokens int64 // that the block owns: each token of the corpus has one owner
	Bytes  int64 // read
	// Values has for each column of the index the values of the block's
	// samples, or nil where another pass scores them.
	Values [][]float64
}

// Map scores the samples of a block and adds the block's tokens to the
// statistics. An error names the metric and the sample.
func (m *Mapper) Map(b Block) (Scores, error) {
	s := m.job.samples
	if b.Start < 0 || b.Start >= b.End || b.End > s.Len() {
		return Scores{}, fault.Invalidf("samples %d to %d were asked for; there are %d", b.Start, b.End, s.Len())
	}
	first, _ := s.Span(b.Start)
	_, last := s.Span(b.End - 1)
	scores := Scores{Block: b, Tokens: m.owned(b) - first}
	if m.raw {
		var err error
		if scores.Bytes, err = m.countRaw(first, m.owned(b)); err != nil {
			return Scores{}, err
		}
		scores.Values, err = m.score(b, func(*metric.Sample, int64, int64) {}, metric.Scorer.Score)
		return scores, err
	}
	size := s.Corpus().DType().Size()
	if values, done, err := m.scoreRaw(b, first, last); done || err != nil {
		scores.Values, scores.Bytes = values, (last-first)*size
		return scores, err
	}
	start := first - min(int64(m.context), first)
	if len(m.statistics) > 0 {
		last = max(last, m.owned(b))
	}
	m.resize(last - start)
	scores.Bytes = (last - start) * size
	err := m.reader.Read(m.tokens, start)
	if err == nil {
		err = m.count(start, first, m.owned(b))
	}
	if err != nil {
		return Scores{}, err
	}
	scores.Values, err = m.score(b, func(sample *metric.Sample, from, to int64) {
		sample.Tokens = m.tokens[from-start : to-start : to-start]
	}, metric.Scorer.Score)
	return scores, err
}

// scoreRaw scores a block whose tokens [first, last) nobody needs as int32,
// unless they lie in several parts of the corpus, or are of a type that a scorer
// does not take.
func (m *Mapper) scoreRaw(b Block, first, last int64) (values [][]float64, done bool, err error) {
	if !m.rawScores || first == last {
		return nil, false, nil
	}
	raw, dtype, err := m.reader.ReadRaw(first, last-first)
	if err != nil || int64(len(raw)) < (last-first)*dtype.Size() {
		return nil, false, err
	}
	for i, n := range m.plan.nodes {
		if !m.job.nodes[n].info.Blind && !m.scorers[i].(metric.RawScorer).ScoreRaw(nil, nil, dtype) {
			return nil, false, nil
		}
	}
	values, err = m.score(b, func(s *metric.Sample, start, end int64) {
		size := dtype.Size()
		s.Raw = raw[(start-first)*size : (end-first)*size : (end-first)*size]
	}, func(scorer metric.Scorer, values []float64, samples []metric.Sample) error {
		scorer.(metric.RawScorer).ScoreRaw(values, samples, dtype)
		return nil
	})
	return values, true, err
}

// resize makes room for n tokens.
func (m *Mapper) resize(n int64) {
	if int64(cap(m.tokens)) < n {
		m.tokens = make([]int32, n)
	}
	m.tokens = m.tokens[:n]
}

// owned returns where the tokens that are counted with a block end: where the
// next block begins.
func (m *Mapper) owned(b Block) int64 {
	if b.End == m.job.samples.Len() {
		return m.job.samples.Corpus().Tokens()
	}
	next, _ := m.job.samples.Span(b.End)
	return next
}

// rawPiece is read at a time when tokens are counted as they are stored: what
// stays in a core's second-level cache.
const rawPiece = 64 << 10

// countRaw adds the tokens [start, end) to the statistics as they are stored,
// widened only where a statistic does not take their type. It returns the bytes
// read.
func (m *Mapper) countRaw(start, end int64) (int64, error) {
	read := int64(0)
	for i, s := range m.statistics {
		for at := max(start, m.from[i]); at < end; {
			raw, dtype, err := m.reader.ReadRaw(at, min(end-at, rawPiece))
			if err != nil {
				return read, err
			}
			n := int64(len(raw)) / dtype.Size()
			if !s.(metric.RawAdder).AddRaw(raw, dtype) {
				m.resize(n)
				if err := m.reader.Read(m.tokens, at); err != nil {
					return read, err
				}
				if err := s.Add(nil, m.tokens); err != nil {
					return read, m.countError(s, at, at+n, err)
				}
			}
			at, read = at+n, read+int64(len(raw))
		}
	}
	return read, nil
}

// count adds the tokens [first, end) to the statistics; m.tokens begins with
// the token at.
func (m *Mapper) count(at, first, end int64) error {
	for i, s := range m.statistics {
		start := max(first, m.from[i])
		if start >= end {
			continue
		}
		context := m.tokens[max(start-at-int64(s.Context()), 0) : start-at]
		if err := s.Add(context, m.tokens[start-at:end-at]); err != nil {
			return m.countError(s, start, end, err)
		}
	}
	return nil
}

func (m *Mapper) countError(s metric.Statistic, start, end int64, err error) error {
	return fmt.Errorf("tokens %d to %d of corpus %s: %s: %w", start, end, m.job.samples.Corpus().Path(), s.Name(), err)
}

// score measures the samples of a block by the metrics of the pass. give gives a
// sample its tokens, and ask has a scorer that is not blind score them.
func (m *Mapper) score(b Block, give func(s *metric.Sample, start, end int64), ask func(metric.Scorer, []float64, []metric.Sample) error) ([][]float64, error) {
	j := m.job
	values := make([][]float64, len(j.nodes))
	m.samples = slices.Grow(m.samples[:0], int(b.End-b.Start))[:b.End-b.Start]
	for i := range m.samples {
		id := b.Start + int64(i)
		start, end := j.samples.Span(id)
		m.samples[i] = metric.Sample{ID: id, Len: int(end - start)}
		if m.sees {
			give(&m.samples[i], start, end)
		}
	}
	if m.blind = m.samples; m.sees && m.blinds {
		m.blind = slices.Clone(m.samples)
		for i := range m.blind {
			m.blind[i].Tokens, m.blind[i].Raw = nil, nil
		}
	}
	for i, n := range m.plan.nodes {
		node := &j.nodes[n]
		if b.End <= node.from {
			continue
		}
		samples, score := m.samples, ask
		if node.info.Blind {
			samples, score = m.blind, metric.Scorer.Score
		}
		if len(node.inputs) > 0 {
			samples = withInputs(samples, values, node.inputs)
		}
		values[n] = make([]float64, len(samples))
		if err := score(m.scorers[i], values[n], samples); err != nil {
			return nil, fmt.Errorf("metric %s: %w", node.info.Name, err)
		}
	}
	columns := make([][]float64, len(j.columns))
	for i, n := range j.columns {
		columns[i] = values[n]
	}
	return columns, nil
}

// withInputs returns the samples with the values of other metrics.
func withInputs(samples []metric.Sample, values [][]float64, inputs []int) []metric.Sample {
	with := make([]metric.Sample, len(samples))
	all := make([]float64, len(samples)*len(inputs))
	for i, s := range samples {
		s.Inputs = all[i*len(inputs):][:len(inputs):len(inputs)]
		for k, n := range inputs {
			s.Inputs[k] = values[n][i]
		}
		with[i] = s
	}
	return with
}
