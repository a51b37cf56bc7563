package lookup

import (
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/metric"
)

// windows scores windows by the values of the documents they lie in.
type windows struct {
	samples *corpus.Samples
	values  column // of documents
}

// Score gives each window the mean over its tokens of their documents' values.
func (w windows) Score(values []float64, samples []metric.Sample) error {
	c := w.samples.Corpus()
	for i, s := range samples {
		at, end := w.samples.Span(s.ID)
		// The running mean, so that documents of equal values give just that
		// value, and no sum is larger than its parts.
		mean, seen := 0.0, 0.0
		for document := c.DocumentAt(at); at < end; document++ {
			_, until := c.Bounds(document)
			until = min(until, end)
			if until > at { // an empty document has no tokens in any window
				seen += float64(until - at)
				mean += (w.values.Float64(document) - mean) * (float64(until-at) / seen)
				at = until
			}
		}
		values[i] = mean
	}
	return nil
}
