package dirlock

import (
	"errors"
	"runtime"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A locked directory is refused until its holder lets go.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	first, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "darwin" {
		if _, err := Lock(dir); !errors.Is(err, fault.Invalid) {
			t.Fatalf("second lock: error %v, want an invalid input", err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
