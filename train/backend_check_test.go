package train

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestBackendsCheck checks those that GRADUS_BACKENDS names, with commas between;
// without it the Go backend, against itself.
func TestBackendsCheck(t *testing.T) {
	names := os.Getenv("GRADUS_BACKENDS")
	if names == "" {
		names = "go"
	}
	for name := range strings.SplitSeq(names, ",") {
		b, err := OpenBackend(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if err := b.Check(); err != nil {
			t.Error(err)
		}
		t.Logf("%s: %s; on %s; %d devices", b.Name, b.Library, b.On, b.Devices)
		b.Close()
	}
}

// Values that are off by more than rounding are found, and so is a backend that
// computes no numbers.
func TestAgrees(t *testing.T) {
	b, err := goBackend()
	if err != nil {
		t.Fatal(err)
	}
	want, err := checkRun(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		for _, change := range []float32{1e-7, 1e-2, float32(math.NaN())} {
			got := slices.Clone(want)
			got[i] = slices.Clone(want[i])
			for k := range got[i] {
				got[i][k] += change
			}
			if err := b.agrees(got, want); (err == nil) != (change == 1e-7) {
				t.Errorf("values %d, changed by %v: %v", i, change, err)
			}
		}
	}
}
