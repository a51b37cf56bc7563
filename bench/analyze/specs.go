package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/npy"
)

// spec is a metric as the program is asked for it.
type spec struct {
	shown string                              // on the page, without paths
	text  func(samples int64) (string, error) // of --metric, for a corpus of so many samples
}

// specOf gives a metric that needs something small arguments for it.
func specOf(ctx context.Context, p *program, o options, name string, crumb Corpus) spec {
	plain := func(text string) spec {
		return spec{text, func(int64) (string, error) { return text, nil }}
	}
	switch name {
	case "formula":
		return plain("formula:length * 1e6 + rarity")
	case "lookup":
		return spec{"lookup:file=FILE.npy", func(samples int64) (string, error) {
			path := filepath.Join(o.dir, fmt.Sprintf("lookup-%d.npy", samples))
			return "lookup:file=" + path, writeValues(path, samples)
		}}
	case "exec":
		line := `exec:send=tokens,%s -c "import sys, json; [print(len(json.loads(l)['tokens'])) for l in sys.stdin]"`
		return spec{fmt.Sprintf(line, "python3"), func(int64) (string, error) { return fmt.Sprintf(line, o.python), nil }}
	case "model-loss":
		return spec{"model-loss:checkpoint=DIR (2 layers, width 32, context 128)", func(int64) (string, error) {
			dir, err := trained(ctx, p, o.dir, crumb)
			return "model-loss:checkpoint=" + dir, err
		}}
	default:
		return plain(name)
	}
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

// trained returns the directory of a small model with the corpus's vocabulary.
// Two steps are enough: how fast it scores does not depend on what it knows.
func trained(ctx context.Context, p *program, dir string, c Corpus) (string, error) {
	run := filepath.Join(dir, "model")
	if _, err := os.Stat(run); err == nil {
		return run, nil
	}
	name, err := filepath.Abs(c.prefix)
	if err != nil {
		return "", err
	}
	recipe := filepath.Join(dir, "model.yaml")
	text := fmt.Sprintf(`name: bench
corpus: %[1]q
seed: 1
sample: {window: 128}
batch: {size: 2}
budget: {steps: 2}
model: {kind: gpt, layers: 2, width: 32, heads: 2}
optimizer: {rate: 1e-3}
evaluate: {corpus: %[1]q}
`, name)
	if err := os.WriteFile(recipe, []byte(text), 0o666); err != nil {
		return "", err
	}
	_, err = execute(ctx, p.path, "train", recipe, "--out", run)
	return run, err
}
