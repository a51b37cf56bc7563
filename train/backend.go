package train

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the backend "go"
	"github.com/gradus-ml/gradus/internal/fault"
)

// GoBackend is GoMLX's pure-Go backend, as this project configures it: its
// parallel mode can wait on itself for ever.
const GoBackend = "go:ops_sequential"

// A Backend runs graphs. It may serve any number of runs, one after another.
type Backend struct {
	Name    string // go, xla:cpu or xla:cuda
	Library string // what computes, with its version
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
	what string // in a line
	open func(name, plugin string) (*Backend, error)
}

// kinds lists the backends, the default first.
func kinds() []kind {
	return []kind{
		{"go", "pure Go, on the cores of this machine; needs nothing installed", openGo},
		{"xla:cpu", "XLA compiled for the cores of this machine; needs a PJRT plugin", openXLA},
		{"xla:cuda", "XLA on NVIDIA GPUs; needs a PJRT plugin and CUDA's libraries", openXLA},
	}
}

// OpenBackend opens a backend by its name: "go" (also if empty), "xla:cpu" or
// "xla:cuda". A name of XLA may be followed by the path of the plugin to load, as in
// "xla:cpu:/opt/pjrt_c_api_cpu_plugin.so"; without one it is looked for where go-xla's
// installer puts it and in the directories of PJRT_PLUGIN_LIBRARY_PATH. The error
// says what is missing and how to get it.
func OpenBackend(name string) (*Backend, error) {
	if name == "" || name == GoBackend {
		name = "go"
	}
	for _, k := range kinds() {
		if name == k.name {
			return k.open(name, "")
		}
		plugin, found := strings.CutPrefix(name, k.name+":")
		if !found {
			continue
		}
		if k.name == "go" || plugin == "" {
			return nil, fault.Invalidf("backend %q: after %s may stand the path of a plugin, if it is an XLA backend", name, k.name)
		}
		path, err := filepath.Abs(plugin)
		if err != nil {
			return nil, fmt.Errorf("backend %s: %w", name, err)
		}
		return k.open(k.name, path)
	}
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return nil, fault.Invalidf("unknown backend %q; there are %s, and 'gradus backends' says which of them work here",
		name, strings.Join(names, ", "))
}

// openGo opens GoMLX's pure-Go backend.
func openGo(name, _ string) (*Backend, error) {
	c, err := compute.NewWithConfig(GoBackend)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", name, err)
	}
	// The Go backend runs the element-wise operations of a graph on one core, so two
	// parts of a batch take 0.6 of the time of one on two cores.
	return &Backend{Name: name, Library: "GoMLX, " + simd, On: "two cores of this machine", Compute: c, Devices: 1, Shards: 2}, nil
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
