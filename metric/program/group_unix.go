//go:build linux || darwin || freebsd || netbsd || openbsd

package program

import (
	"os/exec"
	"syscall"
)

// killGroup kills the program and all of its group.
func killGroup(cmd *exec.Cmd) {
	// The group is there as long as one of it is. That there is none is no
	// error; that its number was given to another group meanwhile would take
	// all numbers being used up within a second.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
