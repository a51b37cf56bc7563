package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/recipe"
)

// A run goes on from another's checkpoint with another recipe, over a corpus that
// has grown: nothing of the earlier run's pass is lost or repeated, the log goes
// on, and a kill and a resume change nothing.
func TestGoOn(t *testing.T) {
	dir := workshop(t)
	gradus(t, dir, "train", "recipe.yaml", "--out", "first")
	checkpoints, err := filepath.Glob(filepath.Join(dir, "first", "checkpoints", "step-*"))
	if err != nil || len(checkpoints) < 2 {
		t.Fatalf("checkpoints %v, %v", checkpoints, err)
	}
	from, err := filepath.Rel(dir, checkpoints[0])
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer("tokens: 2500", "tokens: 6000", "from: 10, to: 100, step: 10, until: 50%", "from: 50, to: 100, step: 25, until: 30%").Replace(string(text))
	writeFile(t, filepath.Join(dir, "other.yaml"), other)

	// The corpus grows, under its name.
	for _, name := range []string{"90.txt", "91.txt", "92.txt"} {
		writeFile(t, filepath.Join(dir, "text", name), strings.Repeat("a new text of other words ", 30))
	}
	gradus(t, dir, "prepare", "--tokenizer", "bytes", "--out", "corpus", "--force", "text")
	gradus(t, dir, "analyze", "--corpus", "corpus", "--window", "32", "--out", "index", "--force")

	var plan struct {
		Origin recipe.Origin `json:"from"`
		Run    struct {
			Steps int64 `json:"steps"`
		} `json:"run"`
	}
	if err := json.Unmarshal([]byte(gradus(t, dir, "plan", "other.yaml", "--from", from, "--json")), &plan); err != nil {
		t.Fatal(err)
	}
	o := plan.Origin
	if o.Position.Steps == 0 || o.Served == 0 || o.Waiting == 0 || o.New == 0 || o.Dropped+o.Unreached+o.First != o.Waiting {
		t.Errorf("the plan says %+v of the earlier run", o)
	}
	words := gradus(t, dir, "plan", "other.yaml", "--from", from)
	for _, want := range []string{"goes on from", "come first", "lost"} {
		if !strings.Contains(words, want) {
			t.Errorf("the plan does not say %q:\n%s", want, words)
		}
	}

	gradus(t, dir, "train", "other.yaml", "--out", "whole", "--from", from)
	whole := timeless(t, filepath.Join(dir, "whole", "run.jsonl"))
	old := strings.Split(strings.TrimSpace(timeless(t, filepath.Join(dir, "first", "run.jsonl"))), "\n")
	now := strings.Split(strings.TrimSpace(whole), "\n")
	n := int(o.Position.Steps)
	if !slices.Equal(old[1:n+1], now[1:n+1]) {
		t.Error("the log does not begin with the earlier run's steps")
	}
	if int64(len(now)-1) != plan.Run.Steps {
		t.Errorf("%d steps logged, %d planned", len(now)-1, plan.Run.Steps)
	}
	gradus(t, dir, "check", "whole")
	gradus(t, dir, "check", "--deep", "whole", filepath.Join("whole", "plan"))
	if words := gradus(t, dir, "inspect", filepath.Join("whole", "plan")); !strings.Contains(words, "shapes to compile") {
		t.Errorf("inspect of a kept plan prints:\n%s", words)
	}

	// Killed again and again, it ends the same.
	for kills := 0; ; kills++ {
		args := []string{"train", "other.yaml", "--out", "killed", "--from", from}
		if _, err := os.Stat(filepath.Join(dir, "killed", "run.jsonl")); err == nil {
			args = []string{"train", "other.yaml", "--out", "killed", "--resume"}
		}
		cmd, stderr := notYet(dir, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if kills < 4 {
			time.Sleep(time.Duration(40+60*kills) * time.Millisecond)
			cmd.Process.Signal(syscall.SIGKILL)
		}
		if err := cmd.Wait(); err == nil {
			break
		} else if kills >= 4 {
			t.Fatalf("%v\n%s", err, stderr)
		}
	}
	if timeless(t, filepath.Join(dir, "killed", "run.jsonl")) != whole {
		t.Error("a run that was killed has another log")
	}
	if !bytes.Equal(weightsOf(t, filepath.Join(dir, "killed")), weightsOf(t, filepath.Join(dir, "whole"))) {
		t.Error("a run that was killed has other weights")
	}

	// Another corpus is no growth.
	writeFile(t, filepath.Join(dir, "text", "00.txt"), "changed at its beginning")
	gradus(t, dir, "prepare", "--tokenizer", "bytes", "--out", "corpus", "--force", "text")
	gradus(t, dir, "analyze", "--corpus", "corpus", "--window", "32", "--out", "index", "--force")
	cmd, stderr := notYet(dir, "plan", "other.yaml", "--from", from)
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitMismatch {
		t.Errorf("a changed corpus: %v\n%s", err, stderr)
	}
}

// notYet is the program, not yet begun.
func notYet(dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("gradus", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	return cmd, &stderr
}
