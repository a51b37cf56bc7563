package train

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// A disk that fills up, for which a limit on the size of files stands in. The
// limit holds for a process, so the test runs itself again in one of its own.
func TestDiskFull(t *testing.T) {
	dir := os.Getenv("TRAIN_FULL_DISK")
	if dir == "" {
		dir = t.TempDir()
		path := saved(t, dir, 2, 1)
		cmd := exec.Command(os.Args[0], "-test.run=^TestDiskFull$")
		cmd.Env = append(os.Environ(), "TRAIN_FULL_DISK="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		intact(t, dir, path)
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	// model.safetensors has 14 kB, optimizer.safetensors 28, state.json 1.
	for _, limit := range []uint64{0, 100, 5000, 20000} {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: 1 << 40}); err != nil {
			t.Fatal(err)
		}
		if path, err := writeCheckpoint(dir, CheckpointState{Step: 2}, tiny, bits(tiny.Params(), 2), 2); err == nil {
			t.Errorf("with files of at most %d bytes %s is written", limit, path)
		}
	}
}
