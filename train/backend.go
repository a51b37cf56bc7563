package train

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the backend "go"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
)

// GoBackend is GoMLX's pure-Go backend, as this project configures it: its
// parallel mode can wait on itself for ever.
const GoBackend = "go:ops_sequential"

// A Backend runs graphs. It may serve any number of runs, one after another.
type Backend struct {
	Name    string // go, onnx, xla:cpu or xla:cuda
	Library string // what computes, with its version
	Path    string // of the library's file; empty: it is part of this program
	On      string // what it computes on, in words
	Compute compute.Backend

	// Devices is how many devices there are, and Shards how many parts of a batch
	// run at once, at least Devices: shard i runs on device i modulo Devices. Both
	// are fixed for a backend and its devices, so that a run gives the same bits
	// whatever else the machine does.
	Devices, Shards int

	SlowCompile bool // compiling takes so long that it is done ahead of the step that needs it
	BFloat16    bool // products in bfloat16 are faster than in float32
	Fused       bool // has attention as one operation, with its gradient
}

// Close gives back the backend's memory and devices. Tensors on it must not be used
// after.
func (b *Backend) Close() { b.Compute.Finalize() }

// A kind is one of the backends there are.
type kind struct {
	name string
	open func(name, library string) (*Backend, error)
	// install gets its library where open looks for it; nil: there is none.
	install  func(name string) error
	bfloat16 bool // the precision, if a run does not choose one
}

// kinds lists the backends, the default first.
func kinds() []kind {
	return []kind{
		{name: "go", open: openGo},
		{name: "onnx", open: openONNX, install: installONNX},
		{name: "xla:cpu", open: openXLA, install: installXLA},
		{name: "xla:cuda", open: openXLA, install: installXLA, bfloat16: true},
	}
}

// Backends lists the names that OpenBackend takes, the default first.
func Backends() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// OpenBackend opens a backend by its name: "go" (also if empty), "onnx", "xla:cpu" or
// "xla:cuda". All but the first may be followed by the path of the library to load, as
// in "xla:cpu:/opt/pjrt_c_api_cpu_plugin.so" or "onnx:/opt/libonnxruntime.so". Without
// one it is looked for where InstallBackend puts it, and where the environment says:
// the directories of PJRT_PLUGIN_LIBRARY_PATH, the file of
// ONNXRUNTIME_SHARED_LIBRARY_PATH. The error says what is missing and how to get it.
func OpenBackend(name string) (*Backend, error) {
	k, library, err := parseBackend(name)
	if err != nil {
		return nil, err
	}
	if library != "" {
		if library, err = filepath.Abs(library); err != nil {
			return nil, fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return k.open(k.name, library)
}

// parseBackend returns the kind of backend that a name asks for, and the library.
func parseBackend(name string) (k kind, library string, err error) {
	if name == "" || name == GoBackend {
		name = "go"
	}
	for _, k := range kinds() {
		if name == k.name {
			return k, "", nil
		}
		library, found := strings.CutPrefix(name, k.name+":")
		if !found {
			continue
		}
		if k.install == nil || library == "" {
			return k, "", fault.Invalidf("backend %q: after the name may stand a colon and the path of a library, and go has none", name)
		}
		return k, library, nil
	}
	return kind{}, "", unknownBackend(name)
}

// Compute sets the backend of a run, by the name that OpenBackend takes, and the
// precision of its matrix products: float32, bfloat16, or empty, which is bfloat16 on
// xla:cuda and float32 elsewhere. Weights, sums and losses are float32 in either.
// The run log names both. It opens nothing.
func (c *Config) Compute(backend, precision string) error {
	k, _, err := parseBackend(backend)
	if err != nil {
		return err
	}
	switch precision {
	case "":
		c.BFloat16 = k.bfloat16
	case "float32", "bfloat16":
		c.BFloat16 = precision == "bfloat16"
	default:
		return fault.Invalidf("unknown precision %q; there are float32 and bfloat16", precision)
	}
	if c.BFloat16 && k.name == "onnx" {
		return fault.Invalidf("ONNX Runtime has no products in bfloat16 on the processor; ask for --precision float32")
	}
	c.Backend, c.Run.Backend, c.Run.Precision = backend, k.name, ""
	if k.name == "go" {
		c.Run.Backend = GoBackend
	}
	if c.BFloat16 {
		c.Run.Precision = "bfloat16"
	}
	return nil
}

func unknownBackend(name string) error {
	meant := ""
	if nearest, edits := spell.Nearest(name, Backends()); edits <= 2 {
		meant = fmt.Sprintf(" (did you mean %s?)", nearest)
	}
	return fault.Invalidf("unknown backend %q%s; there are %s, and 'gradus backends' says which of them work here",
		name, meant, strings.Join(Backends(), ", "))
}

// notBuilt says that this program has no such backend, and how to build one that has.
func notBuilt(name, tag string) error {
	return fmt.Errorf("backend %s: this program was built without it; with a C compiler, build one that has it: "+
		"CGO_ENABLED=1 GOEXPERIMENT=simd go build -tags %s ./cmd/gradus", name, tag)
}

// InstallBackend downloads the library of a backend, by the installer of the module
// that uses it, into the user's library directory (on Linux under ~/.local/lib).
func InstallBackend(name string) error {
	k, library, err := parseBackend(name)
	if err != nil {
		return err
	}
	if library != "" {
		return fault.Invalidf("backend %q names its library; give the name alone to install one", name)
	}
	if k.install == nil {
		return nil
	}
	if err := k.install(name); err != nil {
		return err
	}
	b, err := k.open(name, "")
	if err != nil {
		return fmt.Errorf("installed, but: %w", err)
	}
	b.Close()
	return nil
}

// openGo opens GoMLX's pure-Go backend.
func openGo(name, _ string) (*Backend, error) {
	c, err := compute.NewWithConfig(GoBackend)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	// The Go backend runs the element-wise operations of a graph on one core, so two
	// parts of a batch take 0.6 of the time of one on two cores.
	return &Backend{Name: name, Library: "GoMLX " + simd, On: "two cores of this machine", Compute: c, Devices: 1, Shards: 2}, nil
}

// enough explains an error of a backend that ran out of memory; it returns others
// as they are.
func (b *Backend) enough(err error) error {
	if err == nil || !strings.Contains(err.Error(), "RESOURCE_EXHAUSTED") && !strings.Contains(strings.ToLower(err.Error()), "out of memory") {
		return err
	}
	return fmt.Errorf("%s has not enough memory for this batch: raise 'batch: accumulate' (the same result from smaller parts), "+
		"or lower batch.size, the length or the model's size; checkpoints stay as they are: %w", b.Name, err)
}
