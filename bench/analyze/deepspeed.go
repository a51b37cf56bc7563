package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
)

//go:embed deepspeed_rarity.py
var deepspeedScript string

// DeepSpeed is what its DataAnalyzer did, in one run.
type DeepSpeed struct {
	Version string     `json:"deepspeed"`
	Torch   string     `json:"torch"`
	Map     [2]float64 `json:"map_seconds"` // of counting and of rarity
	Reduce  [2]float64 `json:"reduce_seconds"`
	Seconds float64    `json:"seconds"` // of all four
	Samples int64      `json:"samples"`
	Mean    float64    `json:"mean"` // of the samples' rarities, cut to whole nats
}

// analyzer is a Python that has DeepSpeed.
type analyzer struct{ python, script, dir string }

// findDeepSpeed returns nil, and why, if the Python cannot import DataAnalyzer.
func findDeepSpeed(ctx context.Context, python, dir string) (*analyzer, string, error) {
	_, err := execute(ctx, python, "-c", "from deepspeed.runtime.data_pipeline.data_sampling.data_analyzer import DataAnalyzer")
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if err != nil {
		say("DeepSpeed is not measured: %v", err) // which may name paths
		return nil, "the Python at hand cannot import its DataAnalyzer", nil
	}
	a := &analyzer{python, filepath.Join(dir, "deepspeed_rarity.py"), filepath.Join(dir, "deepspeed")}
	return a, "", os.WriteFile(a.script, []byte(deepspeedScript), 0o666)
}

// rarity runs the two analyses over the corpus and removes their files.
func (a *analyzer) rarity(ctx context.Context, c Corpus, window, processes int) (DeepSpeed, error) {
	defer os.RemoveAll(a.dir)
	if err := os.RemoveAll(a.dir); err != nil {
		return DeepSpeed{}, err
	}
	result := a.dir + ".json"
	defer os.Remove(result)
	_, err := execute(ctx, a.python, a.script, "--bin", c.prefix+".bin", "--dtype", c.DType,
		"--vocabulary", fmt.Sprint(c.Vocabulary), "--window", fmt.Sprint(window),
		"--processes", fmt.Sprint(processes), "--out", a.dir, "--result", result)
	if err != nil {
		return DeepSpeed{}, fmt.Errorf("DataAnalyzer: %w", err)
	}
	data, err := os.ReadFile(result)
	if err != nil {
		return DeepSpeed{}, err
	}
	return decode[DeepSpeed](data, filepath.Base(a.script))
}
