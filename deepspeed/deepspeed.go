// Package deepspeed reads and writes the files in which DeepSpeed's data
// analyzer keeps difficulties, so that its sampler can use an index of ours and
// we the files of its users.
//
// Its nouns: Rows are an open dataset of rows of integers, the format of all
// these files; a Writer makes one. Export writes the metrics of an index, Import
// makes an index of such files. Split says which samples each of DeepSpeed's
// workers and threads has.
//
// A metric m of N samples with V distinct values has a directory m with four
// datasets (each a .bin and an .idx), named after DeepSpeed's:
//
//	m_sample_to_metric                   N rows of one value, in order of samples: the
//	                                     smallest type for all values
//	m_index_to_metric                    V rows of one value, rising: the same type
//	m_index_to_sample                    V rows: the samples with each value, rising: the
//	                                     smallest unsigned type for N-1
//	m_index_to_sample_percentile_merged  the same samples; each row is max(1, V/100) rows of
//	                                     index_to_sample put together
//
// DeepSpeed has integers only and takes smaller for easier. A metric it sums over
// the corpus has one dataset of one row, m_metric_value: ours is
// total_vocab_freq, how often each token occurs.
package deepspeed

import (
	"fmt"
	"math"
	"path"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
)

// What follows a metric's name in the name of its files.
const (
	sampleToMetric   = "_sample_to_metric"
	indexToMetric    = "_index_to_metric"
	indexToSample    = "_index_to_sample"
	percentileMerged = "_index_to_sample_percentile_merged"
	metricValue      = "_metric_value"
)

var endings = []string{sampleToMetric, indexToMetric, indexToSample, percentileMerged, metricValue}

// frequencies is DeepSpeed's name of the token counts.
const frequencies = "total_vocab_freq"

// stampName is the file that Export adds: what the files were made of.
const stampName = "gradus-export.json"

// stampVersion is 1 since the first release.
const stampVersion = 1

// stamp is gradus-export.json, which DeepSpeed does not look for. The original's files
// do not say of which samples they are.
type stamp struct {
	Version int        `json:"version"`
	Corpus  string     `json:"corpus"` // fingerprint
	Cut     corpus.Cut `json:"cut"`
	Exported
}

// ours reports whether a name within an export is one that Export writes.
func ours(name string, dir bool) bool {
	metric, file := path.Split(name)
	metric = strings.TrimSuffix(metric, "/")
	switch {
	case dir:
		return metric == "" // a metric's
	case metric == "":
		return file == stampName || isTemp(file, stampName)
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(file, "."), metric)
	for _, ending := range endings {
		for _, suffix := range []string{".bin", ".idx"} {
			if ok && (rest == ending+suffix || isTemp("."+rest, ending+suffix)) {
				return true
			}
		}
	}
	return false
}

// isTemp reports whether file is what a killed process left of name.
func isTemp(file, name string) bool {
	return strings.HasPrefix(file, "."+name+".") && strings.HasSuffix(file, ".tmp")
}

// prefix is where the files of a metric are, less their kind.
func prefix(dir, metric string) string { return dir + "/" + metric + "/" + metric }

// cut makes a whole number of a value: the fraction is dropped, as the original
// does with rarity.
type cut struct {
	scale  float64 // 1 for whole metrics
	negate bool    // larger is easier
}

func (k cut) of(v float64) int64 {
	n := int64(v * k.scale)
	if k.negate {
		return -n
	}
	return n
}

// within reports whether of is defined for v.
func (k cut) within(v float64) error {
	if s := v * k.scale; !(math.Abs(s) < 1<<63) {
		return fmt.Errorf("%v times %v does not fit 64 bits", v, k.scale)
	}
	return nil
}
