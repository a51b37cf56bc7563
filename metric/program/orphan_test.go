//go:build linux || darwin || freebsd || netbsd || openbsd

package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/metric"
)

// hanging waits until a program that hangs has said its number and that of its
// child.
func hanging(t *testing.T, file string) (pids [2]int) {
	t.Helper()
	for range 1000 {
		text, _ := os.ReadFile(file)
		if n, _ := fmt.Sscan(string(text), &pids[0], &pids[1]); n == 2 {
			return pids
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the program did not start")
	return pids
}

// gone waits until there is no such process, or only its zombie.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 1000 {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, ok := strings.Cut(string(stat), ") "); ok && state[0] == 'Z' || syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}

// After the timeout, nothing of the program's group is left.
func TestTimeoutKillsAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	t.Setenv("GRADUS_TEST_FILE", file)
	p, err := New(command(t, "hangs"), Options{Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := score(p, metric.Source{}, samples(3)); err == nil || !strings.Contains(err.Error(), "no number for 500ms") {
		t.Error(err)
	}
	for _, pid := range hanging(t, file) {
		gone(t, pid)
	}
}

// Close ends a Score under way at once, and the program with it.
func TestCloseWhileScoring(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pids")
	t.Setenv("GRADUS_TEST_FILE", file)
	for _, o := range []Options{{}, {Processes: 1}, {Once: true}} {
		p, err := New(command(t, "hangs"), o)
		if err != nil {
			t.Fatal(err)
		}
		var scorers []metric.Scorer
		failed := make(chan error)
		for range 2 {
			scorer, err := p.Scorer(metric.Source{})
			if err != nil {
				t.Fatal(err)
			}
			scorers = append(scorers, scorer)
			// More than the pipe holds, so that it is also being written to. One
			// of the two only waits, if there is but one process.
			go func() { failed <- scorer.Score(make([]float64, 3000), samples(3000)) }()
		}
		pids := hanging(t, file)
		for _, scorer := range scorers {
			if err := scorer.(io.Closer).Close(); err != nil {
				t.Error(err)
			}
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		for _, pid := range pids {
			gone(t, pid)
		}
		os.Remove(file)
	}
}

// A gradus that is killed takes a hanging program with it.
func TestKilledGradus(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the program only sees its input end")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pids")
	gradus := exec.Command(self)
	gradus.Env = append(os.Environ(), manner+"=gradus", "GRADUS_TEST_FILE="+file, "GRADUS_TEST_COMMAND=exec '"+self+"'")
	if err := gradus.Start(); err != nil {
		t.Fatal(err)
	}
	pids := hanging(t, file)
	if err := gradus.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	gradus.Wait()
	gone(t, pids[0])
	syscall.Kill(pids[1], syscall.SIGKILL) // its own child, which reads nothing
}
