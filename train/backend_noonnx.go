//go:build !onnx || !cgo

package train

func openONNX(name, _ string) (*Backend, error) { return nil, notBuilt(name, "onnx") }

func installONNX(name string) error { return notBuilt(name, "onnx") }
