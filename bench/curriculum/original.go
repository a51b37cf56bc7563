package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/curriculum"
)

//go:embed original.py
var originalScript string

//go:embed order.py
var orderScript string

// original is a Python with DeepSpeed's data sampler, or with NumPy alone.
type original struct {
	python, dir string
	name        string // what is measured, with its version
	numpy       bool
}

// findOriginal returns nil, and why, if the Python has neither.
func findOriginal(ctx context.Context, o options) (*original, string, error) {
	for _, look := range []struct{ name, line string }{
		{"DeepSpeed", "import os; os.environ['DS_ACCELERATOR'] = 'cpu'; import torch, deepspeed; " +
			"from deepspeed.runtime.data_pipeline.data_sampling.data_sampler import DeepSpeedDataSampler; " +
			"print('DeepSpeed', deepspeed.__version__ + ', torch', torch.__version__)"},
		{"NumPy", "import numpy; print('NumPy', numpy.__version__)"},
	} {
		if o.numpy && look.name != "NumPy" {
			continue
		}
		out, err := exec.CommandContext(ctx, o.python, "-c", look.line).Output()
		if ctx.Err() != nil {
			return nil, "", ctx.Err()
		}
		if err != nil {
			say("%s is not measured: the Python at hand cannot import it: %v", look.name, err)
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		found := &original{python: o.python, dir: o.dir, name: lines[len(lines)-1], numpy: look.name == "NumPy"}
		for name, text := range map[string]string{"original.py": originalScript, "order.py": orderScript} {
			if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o666); err != nil {
				return nil, "", err
			}
		}
		return found, "", nil
	}
	return nil, "the Python at hand has neither DeepSpeed nor NumPy", nil
}

// schedule is what an original is asked to follow.
type schedule struct {
	index   string
	metrics string
	by      curriculum.By
	stages  int
	hold    int // the level at which it stays
	every   int // steps of a level
	enter   int // steps to make before it is ready
}

// start starts the original; its first answer is of the steps to enter.
func (a *original) start(ctx context.Context, o options, s schedule) (*contender, Walked, error) {
	levels, err := difficulties(s.by, s.stages)
	if err != nil {
		return nil, Walked{}, err
	}
	for i := range levels {
		if s.by == curriculum.Percentile {
			levels[i] = float64(i + 1) // it counts percentiles in parts of the last
		}
	}
	text, err := json.Marshal(levels)
	if err != nil {
		return nil, Walked{}, err
	}
	args := []string{filepath.Join(a.dir, "original.py"), "--index", s.index, "--metrics", s.metrics, "--by", string(s.by),
		"--levels", string(text), "--hold", fmt.Sprint(s.hold), "--every", fmt.Sprint(s.every), "--enter", fmt.Sprint(s.enter),
		"--units", fmt.Sprint(o.units), "--seed", fmt.Sprint(o.seed), "--scratch", filepath.Join(a.dir, "original")}
	if a.numpy {
		args = append(args, "--numpy")
	}
	return start[Walked](ctx, o.dir, a.python, args...)
}
