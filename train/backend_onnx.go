//go:build onnx && cgo

package train

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	onnx "github.com/gomlx/compute-onnx"
	"github.com/gomlx/compute-onnx/support/onnxruntime"
)

// onnxLibrary names the variable with the path of ONNX Runtime's library.
const onnxLibrary = "ONNXRUNTIME_SHARED_LIBRARY_PATH"

// opened is the library of this process; ONNX Runtime keeps the first that it opened.
var opened struct {
	sync.Mutex
	library string
}

// openONNX opens ONNX Runtime on the processor. library is the path of its library;
// empty: it is looked for.
func openONNX(name, library string) (*Backend, error) {
	library, err := findONNX(name, library)
	if err != nil {
		return nil, err
	}
	opened.Lock()
	defer opened.Unlock()
	if opened.library != "" && opened.library != library {
		return nil, fmt.Errorf("backend %s: this process has opened %s, and cannot open %s beside it", name, opened.library, library)
	}
	c, err := onnx.New(library + ",cpu")
	if err != nil {
		return nil, fmt.Errorf("backend %s: %s is no ONNX Runtime that can be used here; %s: %w", name, library, howToInstallONNX, short(err))
	}
	opened.library = library
	return &Backend{
		Name: name, Library: "ONNX Runtime " + c.(*onnx.Backend).Version(), Path: library, On: fmt.Sprintf("all %d cores of this machine", runtime.NumCPU()),
		Compute: c, Devices: 1, Shards: 1, SlowCompile: true,
	}, nil
}

// findONNX returns the absolute path of the library that is named, or else installed.
func findONNX(name, library string) (string, error) {
	if library == "" {
		library = os.Getenv(onnxLibrary)
	}
	if library == "" {
		dir, err := onnxruntime.GetInstallPath()
		if err != nil {
			return "", fmt.Errorf("backend %s: %w", name, err)
		}
		file, err := onnxruntime.GetLibFilename()
		if err != nil {
			return "", fmt.Errorf("backend %s: %w", name, err)
		}
		library = filepath.Join(dir, file)
		if _, err := os.Stat(library); err != nil {
			return "", fmt.Errorf("backend %s: ONNX Runtime is not installed; %s", name, howToInstallONNX)
		}
	}
	if _, err := os.Stat(library); err != nil {
		return "", fmt.Errorf("backend %s: its library: %w", name, err)
	}
	return filepath.Abs(library)
}

const howToInstallONNX = "install it with 'gradus backends --install onnx', or name a library you have (the Python package onnxruntime has one): " +
	"--backend onnx:/path/to/libonnxruntime.so"

// installONNX downloads ONNX Runtime to where findONNX looks.
func installONNX(string) error {
	if _, err := onnxruntime.Install(onnxruntime.DefaultVersion, false, "", "", false); err != nil {
		return fmt.Errorf("ONNX Runtime could not be downloaded: %w", short(err))
	}
	return nil
}
