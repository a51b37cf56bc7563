package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed torch_gpt.py
var torchScript string

// torch is PyTorch, with the same model.
type torch struct{ python, script string }

func (t *torch) name() string { return "torch" }

// findTorch returns nil, and why, if the Python cannot import it.
func findTorch(ctx context.Context, o options) (contender, string) {
	out, err := exec.CommandContext(ctx, o.python, "-c", "import torch; print(torch.__version__)").Output()
	if err != nil {
		say("PyTorch is not measured: %v", err)
		return nil, "PyTorch: the Python at hand cannot import torch"
	}
	say("PyTorch %s", strings.TrimSpace(string(out)))
	script := filepath.Join(o.dir, "torch_gpt.py")
	if err := os.WriteFile(script, []byte(torchScript), 0o666); err != nil {
		return nil, err.Error()
	}
	return &torch{o.python, script}, ""
}

func (t *torch) run(ctx context.Context, o options, s Size, dir string) (timed, error) {
	var schedule []string
	for _, sh := range s.schedule(o) {
		schedule = append(schedule, fmt.Sprintf("%d:%d", sh.length, sh.kept))
	}
	args := []string{t.script, "--layers", fmt.Sprint(s.Layers), "--width", fmt.Sprint(s.Width), "--heads", fmt.Sprint(s.Heads),
		"--vocabulary", fmt.Sprint(s.Vocabulary), "--length", fmt.Sprint(s.Length), "--rows", fmt.Sprint(s.Rows),
		"--threads", fmt.Sprint(o.threads), "--seed", fmt.Sprint(o.seed), "--schedule", strings.Join(schedule, ",")}
	if o.compile {
		args = append(args, "--compile")
	}
	if o.precision == "bfloat16" {
		args = append(args, "--bfloat16")
	}
	return answer(exec.CommandContext(ctx, t.python, args...))
}
