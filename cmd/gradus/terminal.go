package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal reports whether a writer is a terminal, where a line may be drawn
// over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// count writes a number for people: 950, 12.3k, 4.56M, 7.8G.
func count(n int64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v := float64(n) / unit.size; v >= 1 {
			return fmt.Sprintf("%.3g%s", v, unit.name)
		}
	}
	return fmt.Sprint(n)
}
