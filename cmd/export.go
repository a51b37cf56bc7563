package cmd

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/spf13/cobra"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export FORMAT",
		Short: "Write an index or a model in another program's format",
		Long: `Export writes the metrics of an index for other programs: for DeepSpeed's data
sampler, or as one Parquet table. And it writes a trained model for Hugging
Face's library.`,
		RunE: needTarget("a format"),
	}
	cmd.AddCommand(newExportDeepSpeed(), newExportParquet(), newExportHuggingFace())
	return cmd
}

// needTarget is what a verb does that was given no subcommand, or an unknown one.
func needTarget(what string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fault.Invalidf("%s needs %s; see '%s --help'", cmd.Name(), what, cmd.CommandPath())
		}
		return fault.Invalidf("%s: unknown %q; see '%s --help'", cmd.Name(), args[0], cmd.CommandPath())
	}
}

func newExportDeepSpeed() *cobra.Command {
	var o deepspeed.ExportOptions
	var from, out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "deepspeed --index DIR --out DIR",
		Short: "Write the index files that DeepSpeed's data sampler reads",
		Long: `Export deepspeed writes for each metric m of an index, in the directory OUT/m:

  m_sample_to_metric                   the value of each sample
  m_index_to_metric                    the distinct values, rising
  m_index_to_sample                    the samples that have each value
  m_index_to_sample_percentile_merged  the same in 100 to 199 rows

each as a .bin and an .idx, and OUT/total_vocab_freq with the counts of all
tokens if the index keeps them. In DeepSpeed's configuration, name
m_index_to_sample and m_index_to_metric for difficulty_type "value", and
m_index_to_sample_percentile_merged for "percentile".

DeepSpeed has whole numbers only: of other values the fraction is dropped, after
they are multiplied by --scale. It takes smaller for easier: where larger values
are easier they are negated. Sample i is sample i of the index; the trainer must
cut its corpus into the same samples, in the same order.`,
		Example: `  gradus export deepspeed --index data/gosrc.index --out data/deepspeed
  gradus export deepspeed --index data/gosrc.index --metric mean-rarity --scale 1000 --out data/deepspeed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "index", "out"); err != nil {
				return err
			}
			if cmd.Flags().Changed("scale") && !(o.Scale > 0) {
				return fault.Invalidf("--scale %v: it must be a positive number", o.Scale)
			}
			x, err := index.Open(from)
			if err != nil {
				return err
			}
			defer x.Close()
			result, err := deepspeed.Export(cmd.Context(), x, out, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printExported(cmd.OutOrStdout(), out, result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "index", "", "directory of the index")
	f.StringVar(&out, "out", "", "directory to make")
	f.StringSliceVar(&o.Metrics, "metric", nil, "what to export (may be repeated; default: all metrics)")
	f.Float64Var(&o.Scale, "scale", 0, "multiply values that are not whole by this (default 1)")
	f.BoolVar(&o.OldCodes, "old-codes", false, "write the type codes of DeepSpeed before 0.13.3")
	f.BoolVar(&o.Force, "force", false, "replace an existing export")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func printExported(out io.Writer, dir string, r deepspeed.Exported) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "metric\tmin\tmax\tdistinct values\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", m.Name, m.Min, m.Max, m.Distinct)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, m := range r.Metrics {
		if m.Real {
			times := ""
			if m.Scale != 1 {
				times = fmt.Sprintf("multiplied by %s, then ", short(m.Scale))
			}
			fmt.Fprintf(out, "%s is not whole: its values were %scut to whole numbers\n", m.Name, times)
		}
		if m.Negated {
			fmt.Fprintf(out, "%s is negated: its larger values are easier, and DeepSpeed takes smaller for easier\n", m.Name)
		}
	}
	if r.TokenCounts > 0 {
		fmt.Fprintf(out, "total_vocab_freq has the counts of %d tokens\n", r.TokenCounts)
	}
	_, err := fmt.Fprintf(out, "deepspeed: %s (%d samples)\n", dir, r.Samples)
	return err
}
