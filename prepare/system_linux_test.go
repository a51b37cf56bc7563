package prepare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk that fills up, for which a limit on the size of files stands in: it
// needs no rights, and write fails in the same places. The limit holds for a
// process, so the test runs itself again in one of its own.
func TestDiskFull(t *testing.T) {
	if made := os.Getenv("PREPARE_FULL_DISK"); made != "" {
		runOnFullDisk(t, made)
		return
	}
	made := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), "PREPARE_FULL_DISK="+made)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "refused with: write corpus") {
		t.Errorf("%v\n%s", err, out)
	}
	nothingLeft(t, made)
}

func runOnFullDisk(t *testing.T, made string) {
	signal.Ignore(syscall.SIGXFSZ)
	// 20 documents of 300 bytes: 12 kB of tokens, 434 bytes of index.
	text := strings.Repeat(fmt.Sprintf("{\"text\":%q}\n", strings.Repeat("x", 300)), 20)
	for _, limit := range []uint64{0, 300, 5000, 11000} {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: 1 << 40}); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), filepath.Join(made, "out"), Options{
			Inputs: []string{"-"}, Stdin: strings.NewReader(text), Format: JSONL, Tokenizer: byteTokenizer(t),
		})
		if err == nil {
			t.Errorf("12 kB were written with a limit of %d bytes", limit)
			continue
		}
		fmt.Println("refused with:", err)
	}
}

// A named pipe that nobody writes to makes even its opening wait.
func TestCancelWaitingForPipe(t *testing.T) {
	dir, made := t.TempDir(), t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no named pipes here:", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := Run(ctx, filepath.Join(made, "out"), Options{Inputs: []string{pipe}, Tokenizer: byteTokenizer(t)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	nothingLeft(t, made)
	// What waits for the pipe is let go.
	if f, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		f.Close()
	}
}

// A pipe that is named is read, and makes the total unknown.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip("no named pipes here:", err)
	}
	go os.WriteFile(pipe, []byte("from a pipe"), 0o666)
	out := filepath.Join(dir, "out")
	_, err := Run(context.Background(), out, Options{Inputs: []string{pipe}, Tokenizer: byteTokenizer(t), Progress: func(p Progress) {
		if p.Total != 0 {
			t.Errorf("a total of %d", p.Total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := documents(t, out); !slices.Equal(got, []string{"from a pipe"}) {
		t.Errorf("documents are %q", got)
	}
}
