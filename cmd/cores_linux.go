package cmd

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startOn starts a program that may run on its share of the cores only: part i of
// parts. The program finds as many cores as it has, and its graphs use no others.
func startOn(program *exec.Cmd, i, parts int) error {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return program.Start() // a system that does not tell: share by time
	}
	var cores []int
	for c := range len(all) * 64 {
		if all.IsSet(c) {
			cores = append(cores, c)
		}
	}
	var own unix.CPUSet
	for _, c := range shareOf(cores, i, parts) {
		own.Set(c)
	}
	// A program inherits the cores of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &own); err != nil {
		return program.Start()
	}
	defer unix.SchedSetaffinity(0, &all)
	return program.Start()
}
