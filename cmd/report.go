package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/report"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/spf13/cobra"
)

func newReport() *cobra.Command {
	var out, baseline, svgDir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report RUN... --out FILE.html",
		Short: "Compare runs: one page of what was saved, with the curves",
		Long: `Report reads the logs of training runs and writes one HTML page that compares
them: what each run needed, on every clock, to reach the final held-out loss of
the baseline, the curves of the loss, and how each run was paced. The page loads
nothing and runs no script. The figures also go beside it, each as an SVG file.

A RUN is the directory of a run, which holds ` + runlog.FileName + `, or such a file itself.
The first is the baseline unless --baseline names another. Runs are called what
their recipes call them; a second run of the same name becomes "name (2)".

The comparison is printed too: as a Markdown table, or with --json as JSON.`,
		Example: `  gradus report runs/baseline runs/composed --out report.html
  gradus report runs/* --baseline baseline --out report.html --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// The ending is asked for so that no slip overwrites a log.
			if ext := filepath.Ext(out); ext != ".html" && ext != ".htm" {
				return fault.Invalidf("--out is %q, want the name of a page to write, as in --out report.html", out)
			}
			if !cmd.Flags().Changed("svg-dir") {
				svgDir = strings.TrimSuffix(out, filepath.Ext(out)) + "-svg"
			}
			runs, names, err := readRuns(args)
			if err != nil {
				return err
			}
			base := 0
			if baseline != "" {
				if base = slices.Index(names, baseline); base < 0 {
					return fault.Invalidf("--baseline %s: there is no such run, only %s", baseline, strings.Join(names, ", "))
				}
			}
			comparison, err := report.Compare(runs, names, base)
			if err != nil {
				return err
			}
			svgs, err := report.Write(cmd.Context(), report.Output{
				Page: out, SVGDir: svgDir, Command: "gradus report " + commandLine(args, out, baseline),
			}, runs, names, comparison)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					report.Comparison
					Page string   `json:"page"`
					SVGs []string `json:"svgs"`
				}{comparison, out, svgs})
			}
			if err := comparison.Table(cmd.OutOrStdout()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nreport: %s\n", out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the HTML page to write")
	cmd.Flags().StringVar(&baseline, "baseline", "", "name of the run to compare with (default: the first)")
	cmd.Flags().StringVar(&svgDir, "svg-dir", "", `directory for the figures (default: beside the page; "" for none)`)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	return cmd
}

// readRuns reads the logs that the arguments name, and names the runs.
func readRuns(args []string) ([]*runlog.Log, []string, error) {
	var runs []*runlog.Log
	var fallback []string
	for _, arg := range args {
		path, name := arg, strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg))
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			path = filepath.Join(arg, runlog.FileName)
			if abs, err := filepath.Abs(arg); err == nil {
				name = filepath.Base(abs)
			}
		}
		log, err := runlog.Read(path)
		if err != nil {
			return nil, nil, err
		}
		runs = append(runs, log)
		fallback = append(fallback, name)
	}
	return runs, report.Names(runs, fallback), nil
}

// commandLine spells the arguments that a report depends on for a shell.
func commandLine(runs []string, out, baseline string) string {
	words := append(slices.Clone(runs), "--out", out)
	if baseline != "" {
		words = append(words, "--baseline", baseline)
	}
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ")
}

// shellWord quotes a word where a shell would not take it as it is.
func shellWord(w string) string {
	plain := func(r rune) bool { return strings.ContainsRune("_-./=:,+@%", r) || isAlphanumeric(r) }
	if w != "" && strings.TrimFunc(w, plain) == "" {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
