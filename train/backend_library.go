//go:build (xla || onnx) && cgo

package train

import (
	"errors"
	"strings"
)

// short drops the stack that errors of the backends' libraries print.
func short(err error) error { return errors.New(strings.SplitN(err.Error(), "\n", 2)[0]) }
