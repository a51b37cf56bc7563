package cmd

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
// both techniques and a batch ramp that takes half a second where nothing else runs.
func workshop(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	stream := keyed.NewKey(1, "words").Stream()
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven wizards box with quartz and jade")
	for i := range 40 {
		var text strings.Builder
		for range 60 {
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
batch: {size: 4, ramp: {kind: linear, from: 2, to: 4, step: 2, until: 40%}}
budget: {tokens: 2500, clock: layer-tokens}
curriculum:
  - metric: rarity
    by: percentile
    pace: {kind: root, degree: 2, from: 10, to: 100, step: 10, until: 50%}
  - metric: length
    apply: truncate
    pace: {kind: linear, from: 16, to: 32, step: 16, until: 60%}
routing:
  policy: random-ltd
  layers: inner
  keep: {kind: linear, from: 16, to: 32, step: 16, until: 80%}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 3e-3}
evaluate: {every: 20%, held_out: 3%}
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

// timeless returns a run log with the times left out, which may differ.
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
		for _, key := range []string{"seconds", "waited", "compile", "compile_ahead"} {
			delete(v, key)
		}
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

// The law of determinism, seen from outside: a run that was killed or stopped at
// any moment and went on ends with the log and the weights of one that was not,
// to the last bit.
func TestResume(t *testing.T) {
	dir := workshop(t)
	gradus(t, dir, "train", "recipe.yaml", "--out", "whole")
	whole := filepath.Join(dir, "whole")
	wantLog, wantWeights := timeless(t, filepath.Join(whole, "run.jsonl")), weightsOf(t, whole)
	same := func(t *testing.T, run string) {
		t.Helper()
		if timeless(t, filepath.Join(run, "run.jsonl")) != wantLog {
			t.Errorf("%s: the log differs from the uninterrupted run's", filepath.Base(run))
		}
		if !bytes.Equal(weightsOf(t, run), wantWeights) {
			t.Errorf("%s: the weights differ from the uninterrupted run's", filepath.Base(run))
		}
	}

	// Three runs, each killed with SIGKILL up to four times and then left to end.
	// A kill strikes a little after the log has reached a random step, so it hits
	// on a fast machine and on a slow one.
	t.Run("killed", func(t *testing.T) {
		stream := keyed.NewKey(uint64(time.Now().UnixNano()), "kills").Stream()
		steps := strings.Count(wantLog, "\n") - 1
		kills := 0
		for round := range 3 {
			out := filepath.Join(dir, fmt.Sprint("killed", round))
			for attempt := 0; ; attempt++ {
				cmd, stderr := training(dir, out)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				if attempt < 4 {
					made := stepsLogged(out)
					target := made + int(stream.Uint64N(uint64(max(steps-made, 1))))
					for len(ended) == 0 && stepsLogged(out) < target {
						time.Sleep(time.Millisecond)
					}
					time.Sleep(time.Duration(stream.Uint64N(uint64(20 * time.Millisecond))))
					cmd.Process.Kill()
				}
				err := <-ended
				if err == nil {
					break
				}
				if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
					t.Fatalf("after %d kills: %v\n%s", kills, err, stderr)
				}
				kills++
			}
			same(t, out)
		}
		if kills == 0 {
			t.Error("no run was killed")
		}
		t.Logf("%d kills", kills)
	})

	// Ctrl-C saves, says how to go on and exits with 130.
	t.Run("interrupted", func(t *testing.T) {
		var out string
		var stderr *bytes.Buffer
		for attempt := 0; ; attempt++ {
			out = filepath.Join(dir, fmt.Sprint("cut", attempt))
			var cmd *exec.Cmd
			cmd, stderr = training(dir, out)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for range 2000 { // until some steps are made
				if stepsLogged(out) > 2 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			cmd.Process.Signal(os.Interrupt)
			err := cmd.Wait()
			if err == nil && attempt < 5 {
				continue // it ended before the signal came
			}
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Fatalf("exit code %d (%v), want %d\n%s", code, err, exitInterrupted, stderr)
			}
			break
		}
		if want := "gradus train recipe.yaml --out " + out + " --resume"; !strings.Contains(stderr.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, stderr)
		}
		gradus(t, dir, "train", "recipe.yaml", "--out", out, "--resume")
		same(t, out)
	})
}

// stepsLogged returns how many whole steps the log of a run has.
func stepsLogged(run string) int {
	text, err := os.ReadFile(filepath.Join(run, "run.jsonl"))
	if err != nil {
		return 0
	}
	return max(bytes.Count(text, []byte("\n"))-1, 0)
}

// training is the program that begins a run in a directory, or goes on with it.
func training(dir, out string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("gradus", "train", "recipe.yaml", "--out", out)
	if _, err := os.Stat(filepath.Join(out, "run.jsonl")); err == nil {
		cmd.Args = append(cmd.Args, "--resume")
	}
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	return cmd, &stderr
}
