//go:build darwin || freebsd || netbsd || openbsd

package program

import (
	"os/exec"
	"syscall"
)

// separate puts the program into a process group of its own, so that all of it
// can be killed and a Ctrl-C is gradus's alone.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
