package cmd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gradus-ml/gradus/analyze"
)

func printAnalysis(out io.Writer, r analysisView) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "metric\teasiest\t25 %\t50 %\t75 %\thardest\tunit\t")
	for _, m := range r.Manifest.Metrics {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, short(m.Quantiles[0]),
			short(m.Quantiles[25]), short(m.Quantiles[50]), short(m.Quantiles[75]), short(m.Quantiles[100]), m.Unit)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "pass\tseconds\tsamples/s\ttokens/s\tread\t")
	for _, p := range r.Passes {
		read := "-"
		if p.Bytes > 0 {
			read = formatBytes(p.Bytes)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\t%s\t\n", p.Name, p.Seconds, rate(p.Samples, p.Seconds), rate(p.Tokens, p.Seconds), read)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	extra := ""
	if r.Resumed > 0 {
		extra = fmt.Sprintf(", gone on from sample %d", r.Resumed)
	}
	if r.PeakMemory > 0 {
		extra += ", " + formatBytes(r.PeakMemory) + " of memory at most"
	}
	_, err := fmt.Fprintf(out, "\nindex: %s (%d samples, %s, in %.2f s%s)\n", r.Index, r.Manifest.Samples, r.Manifest.Cut, r.Seconds, extra)
	return err
}

// analyzeProgress shows how far an analysis is, pass by pass.
func analyzeProgress(g *gauge) func(analyze.Progress) {
	var pass string
	var began time.Time        // of the pass
	var first analyze.Progress // what it began with: an earlier process may have done some
	return func(p analyze.Progress) {
		if p.Pass != pass {
			pass, began, first = p.Pass, time.Now(), p
			g.begin(false)
		}
		done, total, unit := p.Tokens, p.TotalTokens, "tokens"
		from := first.Tokens
		if total == 0 {
			done, total, unit, from = p.Samples, p.TotalSamples, "samples", first.Samples
		}
		seconds := time.Since(began).Seconds()
		var speeds []string
		if n := p.Samples - first.Samples; n > 0 {
			speeds = append(speeds, rate(n, seconds)+" samples/s")
		}
		if n := p.Tokens - first.Tokens; n > 0 {
			speeds = append(speeds, rate(n, seconds)+" tokens/s")
		}
		if n := done - from; n > 0 {
			left := time.Duration(seconds / float64(n) * float64(total-done) * float64(time.Second))
			speeds = append(speeds, left.Round(time.Second).String()+" left")
		}
		speed := strings.Join(speeds, ", ")
		g.show(done, total, fmt.Sprintf("%-10s %s", p.Pass, speed),
			fmt.Sprintf("analyze: %s: %s %s; %s", p.Pass, of(done, total), unit, speed))
	}
}
