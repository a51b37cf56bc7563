//go:build !xla || !cgo

package train

func openXLA(name, _ string) (*Backend, error) { return nil, notBuilt(name, "xla") }

func installXLA(name string) error { return notBuilt(name, "xla") }
