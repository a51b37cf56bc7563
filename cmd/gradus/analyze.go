package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/metric/formula"
	"github.com/gradus-ml/gradus/metric/program"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

func newAnalyze() *cobra.Command {
	var o analyze.Options
	var prefix, out string
	var cut corpus.Cut
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "analyze --corpus PREFIX (--window N | --documents) --out DIR",
		Short: "Measure how hard every sample of a corpus is",
		Long: `Analyze measures every sample of a corpus by metrics and makes an index: a
directory with each sample's values, all samples in order of each metric, and a
manifest that says what it was made of. The arrays are .npy files, which NumPy
maps too.

A sample is a window of N+1 tokens of the concatenated documents (N inputs and
the N targets one place further), or one document.

The index is the same for any number of workers. It appears under its name when
it is complete, or not at all.

Metrics:
` + describeMetrics(),
		Example: `  gradus analyze --corpus data/gosrc --window 256 --out data/gosrc.index
  gradus analyze --corpus data/web --documents --metric rarity --out data/web.index`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "corpus", "out"); err != nil {
				return err
			}
			if cmd.Flags().Changed("window") && cut.Window < 1 {
				return fault.Invalidf("--window %d: a window has at least 1 token", cut.Window)
			}
			if err := cut.Validate(); err != nil {
				return fault.Invalidf("%w (--window N or --documents); see '%s --help'", err, cmd.CommandPath())
			}
			var err error
			if o.Metrics, err = metrics().Parse(names...); err != nil {
				return err
			}
			c, err := corpus.Open(prefix)
			if err != nil {
				return err
			}
			defer c.Close()
			samples, err := c.Samples(cut)
			if err != nil {
				return err
			}
			g := newGauge(cmd.ErrOrStderr())
			o.Progress = analyzeProgress(g)
			result, err := analyze.Run(cmd.Context(), samples, out, o)
			g.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printAnalysis(cmd.OutOrStdout(), result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&prefix, "corpus", "", "name of the corpus, without ending")
	f.StringVar(&out, "out", "", "directory of the index")
	f.IntVar(&cut.Window, "window", 0, "make every N tokens (and one more) a sample")
	f.BoolVar(&cut.Documents, "documents", false, "make every document a sample")
	f.StringArrayVar(&names, "metric", []string{"length", "rarity"}, "what to measure (may be repeated)")
	f.BoolVar(&o.Force, "force", false, "replace an existing index")
	f.IntVar(&o.Workers, "workers", 0, "how many cores to use (default: all)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// metrics lists what --metric knows.
func metrics() metric.Registry {
	return append(metric.Builtin(), formula.Definition(), program.Definition(), train.LossDefinition())
}

func describeMetrics() string {
	var lines strings.Builder
	w := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	for _, m := range metrics() {
		fmt.Fprintf(w, "  %s\t%s\n", m.Name, m.Summary)
	}
	w.Flush()
	return strings.TrimSuffix(lines.String(), "\n")
}

func printAnalysis(out io.Writer, r analyze.Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "metric\tmin\t25 %\t50 %\t75 %\tmax\tunit\t")
	for _, m := range r.Manifest.Metrics {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Name, short(m.Min),
			short(m.Quantiles[25]), short(m.Quantiles[50]), short(m.Quantiles[75]), short(m.Max), m.Unit)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "pass\tseconds\tsamples/s\ttokens/s\t")
	for _, p := range r.Passes {
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\t\n", p.Name, p.Seconds, rate(p.Samples, p.Seconds), rate(p.Tokens, p.Seconds))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nindex: %s (%d samples, %s, in %.2f s)\n", r.Index, r.Manifest.Samples, r.Manifest.Cut, r.Seconds)
	return err
}

// analyzeProgress shows how far an analysis is, pass by pass.
func analyzeProgress(g *gauge) func(analyze.Progress) {
	var pass string
	var began time.Time // of the pass
	return func(p analyze.Progress) {
		if p.Pass != pass {
			pass, began = p.Pass, time.Now()
			g.begin(false)
		}
		done, total, unit := p.Tokens, p.TotalTokens, "tokens"
		if total == 0 {
			done, total, unit = p.Samples, p.TotalSamples, "samples"
		}
		seconds := time.Since(began).Seconds()
		var speeds []string
		if p.Samples > 0 {
			speeds = append(speeds, rate(p.Samples, seconds)+" samples/s")
		}
		if p.Tokens > 0 {
			speeds = append(speeds, rate(p.Tokens, seconds)+" tokens/s")
		}
		speed := strings.Join(speeds, ", ")
		g.show(done, total, fmt.Sprintf("%-10s %s", p.Pass, speed),
			fmt.Sprintf("analyze: %s: %s %s; %s", p.Pass, of(done, total), unit, speed))
	}
}
