package cmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/spf13/cobra"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import PROGRAM",
		Short: "Take over what another program has measured",
		Long:  `Import makes an index of another program's files.`,
		RunE:  needTarget("a program"),
	}
	cmd.AddCommand(newImportDeepSpeed())
	return cmd
}

func newImportDeepSpeed() *cobra.Command {
	var o deepspeed.ImportOptions
	var cut corpus.Cut
	var names []string
	var dtype, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "deepspeed PATH --corpus PREFIX (--window N | --documents) --out DIR",
		Short: "Make an index of the files of DeepSpeed's data analyzer",
		Long: `Import deepspeed reads what DeepSpeed's DataAnalyzer has written, of any version,
and makes an index of it, with which everything else of gradus works. PATH is the
directory of one metric, a directory with several such, or one of a metric's files.

It takes NAME_index_to_sample and NAME_index_to_metric, and holds
NAME_sample_to_metric against them if it is there. The samples are those of the
corpus under the cut, in the same order: sample i of the files is sample i of the
corpus. Every sample must occur exactly once.`,
		Example: `  gradus import deepspeed analysis --corpus data/web --documents --out data/web.index
  gradus import deepspeed analysis/vocab_rarity --corpus data/web --window 2048 --out data/web.index`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "corpus", "out"); err != nil {
				return err
			}
			if cmd.Flags().Changed("window") && cut.Window < 1 {
				return fault.Invalidf("--window %d: a window has at least 1 token", cut.Window)
			}
			if err := cut.Validate(); err != nil {
				return fault.Invalidf("%w (--window N or --documents); see '%s --help'", err, cmd.CommandPath())
			}
			form, err := corpus.ParseForm(dtype)
			if err != nil {
				return err
			}
			c, err := corpus.OpenAs(form, names...)
			if err != nil {
				return err
			}
			defer c.Close()
			samples, err := c.Samples(cut)
			if err != nil {
				return err
			}
			result, err := deepspeed.Import(cmd.Context(), args[0], samples, out, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printImported(cmd.OutOrStdout(), out, result)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&names, "corpus", nil, "name of the corpus, as analyze takes it (may be repeated)")
	f.StringVar(&dtype, "dtype", corpus.Auto.String(), "how tokens are stored, as analyze takes it")
	f.StringVar(&out, "out", "", "directory of the index")
	f.IntVar(&cut.Window, "window", 0, "make every N tokens (and one more) a sample")
	f.BoolVar(&cut.Documents, "documents", false, "make every document a sample")
	f.StringSliceVar(&o.Metrics, "metric", nil, "what to import (may be repeated; default: all metrics there are)")
	f.BoolVar(&o.Force, "force", false, "replace an existing index")
	f.IntVar(&o.Workers, "workers", 0, "how many cores to use (default: all)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func printImported(out io.Writer, dir string, r deepspeed.Imported) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "metric\tmin\t50 %\tmax\tdistinct values\tsample_to_metric\t")
	for i, m := range r.Metrics {
		agrees := "not there"
		if m.Checked {
			agrees = "agrees"
		}
		read := r.Manifest.Metrics[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t\n", m.Name, short(read.Min), short(read.Quantiles[50]), short(read.Max), m.Distinct, agrees)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nindex: %s (%d samples, %s)\n", dir, r.Manifest.Samples, r.Manifest.Cut)
	return err
}
