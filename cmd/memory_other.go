//go:build !unix || solaris || aix || illumos

package cmd

// peakMemory returns 0 where the system does not tell.
func peakMemory() int64 { return 0 }
