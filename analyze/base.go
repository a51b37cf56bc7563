package analyze

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// base is what an index of the beginning of the corpus saves: the tokens it has
// counted are not counted again, and values that follow from the sample alone
// are copied. Values that follow from statistics change with every token of the
// corpus and are made anew, unless the statistics are frozen.
type base struct {
	index      *index.Index // nil without one
	samples    int64
	frozen     bool
	counted    map[string]int64            // statistic: the first token it has not seen
	statistics map[string]metric.Statistic // what it has seen
}

// Extend lets a job go on from the index of a corpus which has since grown at
// its end: same cut, and the same tokens up to where that corpus ended, which
// takes reading them, or an error of kind fault.Mismatch says what differs. The
// index that is made is the same, byte for byte, as one made without it.
//
// If frozen, statistics that the old index keeps are used as they are, so that
// only new samples are scored; the new index then says of how many tokens they
// are, and its values are not those of an analysis of the whole corpus.
func (j *Job) Extend(x *index.Index, frozen bool) error {
	m, c := x.Manifest(), j.samples.Corpus()
	if m.Cut != j.samples.Cut() {
		return fault.Mismatchf("index %s is over samples cut as %s, not as %s; go on with the same cut", x.Path(), m.Cut, j.samples.Cut())
	}
	head, err := c.Head(m.Corpus.Documents, m.Corpus.Tokens)
	if err != nil {
		return fmt.Errorf("index %s: the corpus is not one that it can be extended to: %w", x.Path(), err)
	}
	fingerprint, err := head.Fingerprint()
	if err != nil {
		return err
	}
	if fingerprint != m.Corpus.Fingerprint {
		return fault.Mismatchf("index %s was made of another corpus: the first %d documents of %s have the fingerprint %s, not %s", x.Path(), m.Corpus.Documents, c.Path(), fingerprint, m.Corpus.Fingerprint)
	}
	meta := c.Meta()
	now := index.Corpus{Tokenizer: meta.Tokenizer, Vocabulary: meta.Vocabulary, EndOfDocument: meta.EndOfDocument}
	if m.Corpus.Meaning() != now.Meaning() {
		return fault.Mismatchf("index %s is of %s, the corpus now of %s", x.Path(), m.Corpus.Meaning(), now.Meaning())
	}
	b := base{index: x, samples: m.Samples, frozen: frozen, counted: map[string]int64{}, statistics: map[string]metric.Statistic{}}
	for _, p := range j.passes {
		for _, s := range p.statistics {
			if err := b.take(j, s); err != nil {
				return err
			}
		}
	}
	j.base = b
	for i := range j.nodes {
		switch {
		case !slices.Contains(j.columns, i):
			j.nodes[i].from = j.samples.Len() // as far as what is derived from it needs
		case j.reusable(i):
			j.nodes[i].from = b.samples
		default:
			j.nodes[i].from = 0
		}
	}
	for i := len(j.nodes) - 1; i >= 0; i-- { // what must be scored needs its inputs
		for _, input := range j.nodes[i].inputs {
			j.nodes[input].from = min(j.nodes[input].from, j.nodes[i].from)
		}
	}
	return nil
}

// take loads a statistic, if the index has it.
func (b *base) take(j *Job, s metric.Statistic) error {
	for _, kept := range b.index.Manifest().Statistics {
		if kept.Name != s.Name() {
			continue
		}
		if _, ok := s.(metric.Dependent); ok {
			return nil // what it depends on has changed
		}
		if kept.Tokens < b.index.Manifest().Corpus.Tokens && !b.frozen {
			return nil // was frozen once
		}
		data, err := b.index.Statistic(s.Name())
		if err != nil {
			return err
		}
		total := s.New()
		if err := total.UnmarshalBinary(data); err != nil {
			return fmt.Errorf("index %s: statistic %s: %w", b.index.Path(), s.Name(), err)
		}
		b.statistics[s.Name()], b.counted[s.Name()] = total, kept.Tokens
		if b.frozen {
			b.counted[s.Name()] = j.samples.Corpus().Tokens()
		}
	}
	return nil
}

// reusable reports whether the index has the values of a node.
func (j *Job) reusable(node int) bool {
	n := j.nodes[node]
	for _, s := range n.needs {
		if !j.base.frozen || j.base.statistics[s] == nil {
			return false
		}
	}
	_, ok := j.base.metric(n.info)
	return ok && j.base.sameStatistics(n.needs)
}

// metric returns the column of the index that is the same metric.
func (b *base) metric(info metric.Info) (index.Metric, bool) {
	want := describe(info)
	for _, m := range b.index.Manifest().Metrics {
		same := m.Name == want.Name && m.Spec == want.Spec && m.Content == want.Content && m.Version == want.Version &&
			m.DType == want.DType && m.Descending == want.Descending
		if same && info.Spec != "" || same && m.Unit == want.Unit {
			return m, true
		}
	}
	return index.Metric{}, false
}

// sameStatistics reports whether statistics of the index were gathered from as
// many tokens, so that all its values follow from them.
func (b *base) sameStatistics(names []string) bool {
	tokens := map[int64]bool{}
	for _, s := range b.index.Manifest().Statistics {
		for _, name := range names {
			if s.Name == name {
				tokens[s.Tokens] = true
			}
		}
	}
	return len(tokens) <= 1
}

// tokens returns how many tokens a statistic of the new index has seen.
func (b *base) tokens(j *Job, name string) int64 {
	if b.frozen && b.statistics[name] != nil {
		for _, s := range b.index.Manifest().Statistics {
			if s.Name == name {
				return s.Tokens
			}
		}
	}
	return j.samples.Corpus().Tokens()
}

// firstToCount returns the sample whose block owns the first token that a
// statistic has not seen, and the number of samples if it has seen all.
func (b *base) firstToCount(j *Job, name string) int64 {
	token := b.counted[name]
	switch {
	case token == 0:
		return 0
	case token >= j.samples.Corpus().Tokens():
		return j.samples.Len()
	}
	if n := int64(j.samples.Cut().Window); n > 0 {
		return min(token/n, j.samples.Len()-1)
	}
	return j.samples.Corpus().DocumentAt(token)
}

// copyValues fills the values that the index has of the samples [from, to).
func (b *base) copyValues(ctx context.Context, j *Job, values []*index.Values, from, to int64) error {
	if b.index == nil {
		return nil
	}
	chunk := make([]float64, 1<<14)
	checked := false
	for i, n := range j.columns {
		if j.nodes[n].from == 0 {
			continue
		}
		if !checked { // or damage would get a checksum of its own
			if err := b.index.Check(ctx); err != nil {
				return err
			}
			checked = true
		}
		column, err := b.index.Column(j.nodes[n].info.Name)
		if err != nil {
			return err
		}
		for start := from; start < min(to, b.samples); start += int64(len(chunk)) {
			part := chunk[:min(int64(len(chunk)), min(to, b.samples)-start)]
			column.Values(part, start)
			if err := values[i].WriteAt(part, start); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// name identifies the base in the identity of a job.
func (b *base) name() string {
	if b.index == nil {
		return ""
	}
	m := b.index.Manifest()
	sums := sha256.New()
	for _, metric := range m.Metrics {
		fmt.Fprintln(sums, metric.Name, metric.Values.SHA256)
	}
	for _, s := range m.Statistics {
		fmt.Fprintln(sums, s.Name, s.Tokens, s.SHA256)
	}
	name := fmt.Sprintf("%d samples of %s (%x)", m.Samples, m.Corpus.Fingerprint, sums.Sum(nil)[:8])
	if b.frozen {
		name += ", frozen"
	}
	return name
}
