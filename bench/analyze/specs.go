package main

import (
	"io"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/npy"
)

// spec is a metric as the program is asked for it.
type spec struct {
	text      string // of --metric
	shown     string // the same without paths
	sliceOnly bool   // its files fit the beginning of the corpus only
	why       string // not empty if it cannot be measured
}

// specsOf gives the metrics that need something small arguments for it.
func specsOf(metrics []metricLine, o options, c Corpus, window int) ([]spec, error) {
	var specs []spec
	for _, m := range metrics {
		s := spec{text: m.name, shown: m.name}
		switch m.name {
		case "formula":
			s.text = "formula:length * 1e6 + rarity"
			s.shown = s.text
		case "lookup":
			values := filepath.Join(o.dir, "lookup.npy")
			if err := writeValues(values, (c.Tokens-1)/int64(window)); err != nil {
				return nil, err
			}
			s.text, s.shown, s.sliceOnly = "lookup:"+values, "lookup:FILE.npy", true
		case "exec":
			s.text = "exec:" + o.python + ` -c "import sys; [print(len(l.split()), flush=True) for l in sys.stdin]"`
			s.shown = "exec: a line of Python"
			s.sliceOnly = true
		case "model-loss":
			s.why = "needs a checkpoint: give -checkpoint"
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// writeValues writes n numbers for lookup.
func writeValues(path string, n int64) error {
	return atomicfile.Write(path, func(out io.Writer) error {
		w, err := npy.NewWriter(out, npy.Float64, n)
		if err != nil {
			return err
		}
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i * 7919 % 10007)
		}
		if err := w.Floats(values); err != nil {
			return err
		}
		return w.Close()
	})
}
