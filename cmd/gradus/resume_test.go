package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// workshop prepares a corpus and an index in a new directory, and a recipe with
// both techniques that takes about a second.
func workshop(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	stream := keyed.NewKey(1, "words").Stream()
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven wizards box with quartz and jade")
	for i := range 12 {
		var text strings.Builder
		for range 300 {
			text.WriteString(words[stream.Uint64N(uint64(len(words)))] + " ")
		}
		writeFile(t, filepath.Join(dir, "text", fmt.Sprintf("%02d.txt", i)), text.String())
	}
	gradus(t, dir, "prepare", "--tokenizer", "bytes", "--out", "corpus", "text")
	gradus(t, dir, "analyze", "--corpus", "corpus", "--window", "32", "--out", "index")
	writeFile(t, filepath.Join(dir, "recipe.yaml"), `
corpus: corpus
index: index
seed: 7
sample: {window: 32}
batch: {size: 4}
budget: {tokens: 6000, clock: layer-tokens}
curriculum:
  - metric: rarity
    by: percentile
    pace: {kind: root, degree: 2, from: 10, to: 100, step: 10, until: 50%}
  - metric: length
    apply: truncate
    pace: {kind: linear, from: 8, to: 32, step: 8, until: 60%}
routing:
  policy: random-ltd
  layers: inner
  keep: {kind: linear, from: 8, to: 32, step: 8, until: 80%}
model: {kind: gpt, layers: 3, width: 16, heads: 2}
optimizer: {rate: 3e-3}
evaluate: {every: 10%, held_out: 10%}
checkpoint: {every: 7%}
`)
	return dir
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// gradus runs the program, which must succeed, and returns what it printed.
func gradus(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("gradus", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gradus %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// timeless returns a run log with the one thing that may differ left out.
func timeless(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v in %q", name, err, line)
		}
		delete(v, "seconds")
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(again, '\n'))
	}
	return out.String()
}

// weightsOf returns the final weights and moments of a run.
func weightsOf(t *testing.T, run string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(run, "checkpoints", "step-*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s holds no checkpoint (%v)", run, err)
	}
	var all []byte
	for _, file := range []string{"model.safetensors", "optimizer.safetensors"} {
		data, err := os.ReadFile(filepath.Join(names[len(names)-1], file))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// The law of determinism, seen from outside: runs killed with SIGKILL at random
// moments and resumed end with the log and the weights of a run that was not,
// to the last bit.
func TestKilledAndResumed(t *testing.T) {
	dir := workshop(t)
	begun := time.Now()
	gradus(t, dir, "train", "recipe.yaml", "--out", "whole")
	whole := time.Since(begun)
	wantLog, wantWeights := timeless(t, filepath.Join(dir, "whole", "run.jsonl")), weightsOf(t, filepath.Join(dir, "whole"))

	stream := keyed.NewKey(uint64(begun.UnixNano()), "kills").Stream()
	kills := 0
	for round := range 3 {
		out := fmt.Sprintf("killed%d", round)
		for attempt := 0; ; attempt++ {
			if attempt == 200 {
				t.Fatal("200 attempts did not finish the run")
			}
			args := []string{"train", "recipe.yaml", "--out", out}
			if _, err := os.Stat(filepath.Join(dir, out, "run.jsonl")); err == nil {
				args = append(args, "--resume")
			}
			cmd := exec.Command("gradus", args...)
			cmd.Dir = dir
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(stream.Uint64N(uint64(whole))), func() { cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break
			}
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
				t.Fatalf("after %d kills: %v\n%s", kills, err, &stderr)
			}
			kills++
		}
		if got := timeless(t, filepath.Join(dir, out, "run.jsonl")); got != wantLog {
			t.Errorf("round %d: the log differs from the uninterrupted run's", round)
		}
		if !bytes.Equal(weightsOf(t, filepath.Join(dir, out)), wantWeights) {
			t.Errorf("round %d: the weights differ from the uninterrupted run's", round)
		}
	}
	if kills == 0 {
		t.Error("no run was killed")
	}
	t.Logf("%d kills", kills)
}

// Ctrl-C saves, says how to go on and exits with 130; going on ends as if
// nothing had happened.
func TestInterrupted(t *testing.T) {
	dir := workshop(t)
	gradus(t, dir, "train", "recipe.yaml", "--out", "whole")
	cmd := exec.Command("gradus", "train", "recipe.yaml", "--out", "cut")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "cut", "run.jsonl")
	for range 2000 { // until some steps are made
		if text, err := os.ReadFile(log); err == nil && bytes.Count(text, []byte("\n")) > 3 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("exit code %d (%v), want %d\n%s", code, err, exitInterrupted, &stderr)
	}
	if !strings.Contains(stderr.String(), "gradus train recipe.yaml --out cut --resume") {
		t.Errorf("it does not say how to go on:\n%s", &stderr)
	}
	gradus(t, dir, "train", "recipe.yaml", "--out", "cut", "--resume")
	if timeless(t, log) != timeless(t, filepath.Join(dir, "whole", "run.jsonl")) {
		t.Error("the log differs from the uninterrupted run's")
	}
	if !bytes.Equal(weightsOf(t, filepath.Join(dir, "cut")), weightsOf(t, filepath.Join(dir, "whole"))) {
		t.Error("the weights differ from the uninterrupted run's")
	}
}
