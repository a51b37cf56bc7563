package program

import (
	"os/exec"
	"syscall"
)

// separate puts the program into a process group of its own, so that all of it
// can be killed and a Ctrl-C is gradus's alone, and has the system kill it if
// gradus is killed. (What the program has started itself then sees its input
// end.)
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
