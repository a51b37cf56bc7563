//go:build !linux

package cmd

import (
	"fmt"
	"os/exec"
	"runtime"
)

// startOn starts a program that runs on as many cores at once as its share of them:
// part i of parts.
func startOn(program *exec.Cmd, i, parts int) error {
	cores := make([]int, runtime.GOMAXPROCS(0))
	program.Env = append(program.Environ(), fmt.Sprintf("GOMAXPROCS=%d", len(shareOf(cores, i, parts))))
	return program.Start()
}
