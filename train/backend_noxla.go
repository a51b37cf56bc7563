//go:build !xla || !cgo

package train

import "fmt"

// openXLA says that there is no XLA in this build.
func openXLA(name, _ string) (*Backend, error) {
	return nil, fmt.Errorf("backend %s: this gradus was built without XLA; with a C compiler, build one that has it: "+
		"CGO_ENABLED=1 go build -tags xla ./cmd/gradus", name)
}
