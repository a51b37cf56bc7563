package train

import (
	"fmt"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the backend "go"
	"github.com/gradus-ml/gradus/internal/fault"
)

// GoBackend is GoMLX's pure-Go backend, as this project configures it: its
// parallel mode can wait on itself for ever.
const GoBackend = "go:ops_sequential"

// A Backend runs graphs. It may serve any number of runs, one after another.
type Backend struct {
	Name    string
	Compute compute.Backend

	// Devices is how many devices there are, and Shards how many parts of a batch
	// run at once, at least Devices: shard i runs on device i modulo Devices. Both
	// are fixed for a backend and its devices, so that a run gives the same bits
	// whatever else the machine does.
	Devices, Shards int

	SlowCompile bool // compiling takes so long that it is done ahead of the step that needs it
	BFloat16    bool // products in bfloat16 are faster than in float32
	Fused       bool // has attention as one operation
}

// OpenBackend returns the backend of a name. Close gives back what it holds.
func OpenBackend(name string) (*Backend, error) {
	if name != "" && name != "go" {
		return nil, fault.Invalidf("no backend %q; there is go", name)
	}
	b, err := compute.NewWithConfig(GoBackend)
	if err != nil {
		return nil, fmt.Errorf("train: backend %s: %w", GoBackend, err)
	}
	// The Go backend runs the element-wise operations of a graph on one core, so two
	// parts of a batch take 0.6 of the time of one on two cores.
	return &Backend{Name: "go", Compute: b, Devices: 1, Shards: 2}, nil
}

// Close gives back the backend's memory and devices.
func (b *Backend) Close() { b.Compute.Finalize() }
