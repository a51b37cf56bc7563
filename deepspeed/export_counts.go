package deepspeed

import (
	"errors"
	"math"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// tokenCounts returns the counts of all tokens if the index keeps them, or nil.
func tokenCounts(x *index.Index) (*metric.TokenCounts, error) {
	counts := new(metric.TokenCounts)
	data, err := x.Statistic(counts.Name())
	if errors.Is(err, fault.Invalid) { // it has none
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return counts, counts.UnmarshalBinary(data)
}

// frequencies writes total_vocab_freq: one row with the count of each token of
// the vocabulary, 0 for those that do not occur. It returns the row's length,
// which is more than the vocabulary (0: unknown) if a token is.
//
// The original counts the tokens of all samples, and so those that neighbouring
// windows share twice; ours are counted once.
func (e *exporter) frequencies(counts *metric.TokenCounts, vocabulary int) (int64, error) {
	length, high := int64(vocabulary), int64(0)
	for token, n := range counts.All() {
		length, high = max(length, int64(token)+1), max(high, n)
	}
	if length == 0 {
		return 0, nil
	}
	if length > math.MaxInt32 {
		return 0, fault.Invalidf("the corpus has the token %d, and a row of DeepSpeed's format holds the counts of %d", length-1, longestRow)
	}
	if err := os.Mkdir(filepath.Join(e.dir, frequencies), 0o777); err != nil {
		return 0, err
	}
	w, err := e.create(frequencies, metricValue, 0, high)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	row := make([]int64, 0, piece) // not yet written
	next := int64(0)
	put := func(token, n int64) error {
		for ; next <= token; next++ {
			if len(row) == cap(row) {
				if err := w.Append(row); err != nil {
					return err
				}
				row = row[:0]
			}
			row = append(row, 0)
		}
		row[len(row)-1] = n
		return nil
	}
	for token, n := range counts.All() {
		if err := put(int64(token), n); err != nil {
			return 0, err
		}
	}
	if next < length {
		if err := put(length-1, 0); err != nil {
			return 0, err
		}
	}
	return length, errors.Join(w.Append(row), w.EndRow(), w.Commit())
}
