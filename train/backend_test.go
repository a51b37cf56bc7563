package train

import (
	"errors"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func TestOpenBackendNames(t *testing.T) {
	for _, name := range []string{"", "go", GoBackend} {
		b, err := OpenBackend(name)
		if err != nil {
			t.Fatalf("OpenBackend(%q): %v", name, err)
		}
		if b.Name != "go" || b.Devices != 1 || b.Shards != 2 || b.SlowCompile || b.BFloat16 || b.Fused {
			t.Errorf("OpenBackend(%q) = %+v", name, b)
		}
		b.Close()
	}
	for _, name := range []string{"Go", "cuda", "xla", "xla:", "xla:tpu", "go:", "go:/x.so", "xla:cpu:", "gox", "onnx:"} {
		_, err := OpenBackend(name)
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("OpenBackend(%q): %v; want an error of kind Invalid", name, err)
		}
	}
}

// A plugin that is not there is no wrong usage: the same command works elsewhere.
func TestOpenBackendWithoutPlugin(t *testing.T) {
	for _, name := range []string{"xla:cpu", "xla:cuda", "onnx"} {
		missing := t.TempDir() + "/missing.so"
		_, err := OpenBackend(name + ":" + missing)
		if err == nil || errors.Is(err, fault.Invalid) {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), missing) && !strings.Contains(err.Error(), "-tags ") {
			t.Errorf("%s: the error does not say what is missing: %v", name, err)
		}
	}
}

func TestEnough(t *testing.T) {
	b := &Backend{Name: "xla:cuda"}
	other := errors.New("PJRT error (code=3): INVALID_ARGUMENT: shape")
	if b.enough(nil) != nil || b.enough(other) != other {
		t.Error("enough changed an error that is not about memory")
	}
	full := errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes")
	err := b.enough(full)
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "accumulate") || !strings.Contains(err.Error(), "xla:cuda") {
		t.Errorf("enough: %v", err)
	}
}
