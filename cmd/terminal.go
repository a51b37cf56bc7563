package cmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// isTerminal reports whether a writer is a terminal, where a line may be drawn
// over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

const (
	linePause = 10 * time.Second
	barPause  = 100 * time.Millisecond
)

// A gauge shows how far long work is: on a terminal a bar for each part, which
// goes away at its end; elsewhere a line every ten seconds, so that short runs
// print nothing and logs stay short.
type gauge struct {
	w    io.Writer
	tty  bool
	bar  *progressbar.ProgressBar
	next time.Time // when the next line is due
}

func newGauge(w io.Writer) *gauge {
	return &gauge{w: w, tty: isTerminal(w), next: time.Now().Add(linePause)}
}

// begin starts a part; bytes writes what is done as an amount of memory.
func (g *gauge) begin(bytes bool) {
	g.close()
	if g.tty {
		g.bar = progressbar.NewOptions64(-1,
			progressbar.OptionSetWriter(g.w),
			progressbar.OptionShowBytes(bytes),
			progressbar.OptionThrottle(barPause),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(),
			progressbar.OptionClearOnFinish())
	}
}

// show says that done of total (0: not known yet) are done, with words beside
// the bar, or instead of it the line.
func (g *gauge) show(done, total int64, words, line string) {
	if g.bar != nil {
		if total > 0 && g.bar.GetMax64() != total {
			g.bar.ChangeMax64(total)
		}
		g.bar.Describe(words)
		g.bar.Set64(done)
		return
	}
	if now := time.Now(); !g.tty && now.After(g.next) {
		g.next = now.Add(linePause)
		fmt.Fprintln(g.w, line)
	}
}

// close takes the bar away.
func (g *gauge) close() {
	if g.bar != nil {
		g.bar.Finish()
		g.bar = nil
	}
}

// of writes how much of a total is done, if the total is known.
func of(done, total int64) string {
	if total <= 0 {
		return fmt.Sprint(done)
	}
	return fmt.Sprintf("%d of %d", done, total)
}
