//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package program

import "os/exec"

// separate does nothing where there are no process groups.
func separate(*exec.Cmd) {}

// killGroup kills the program; what it has started sees its input end.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
