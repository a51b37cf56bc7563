package cmd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/dirlock"
)

// A run that begins in a directory which another one has taken leaves it as it is.
func TestTrainInATakenDirectory(t *testing.T) {
	dir := workshop(t)
	out := filepath.Join(dir, "run")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	lock, err := dirlock.Lock(out)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	cmd, stderr := training(dir, "run")
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(stderr.String(), "another process is writing it") {
		t.Errorf("%v: %s", err, stderr)
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) > 0 {
		t.Errorf("it holds %v (%v), and was empty", entries, err)
	}
}

// Of runs that begin at once in one new directory one goes on, whole.
func TestTrainAtOnce(t *testing.T) {
	dir := workshop(t)
	type process struct {
		cmd    *exec.Cmd
		stderr *bytes.Buffer
	}
	var all []process
	for range 3 {
		cmd, stderr := training(dir, "run")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, process{cmd, stderr})
	}
	done := 0
	for _, p := range all {
		switch err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() {
		case exitDone:
			done++
		case exitUsage:
		default:
			t.Errorf("%v: %s", err, p.stderr)
		}
	}
	if done != 1 {
		t.Errorf("%d runs came to their end, want 1", done)
	}
	gradus(t, dir, "check", "run")
}
