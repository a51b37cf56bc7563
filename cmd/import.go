package cmd

import (
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/spf13/cobra"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import PROGRAM",
		Short: "Take over what another program has measured, or its configuration",
		Long:  `Import makes an index of another program's files, or a recipe of its configuration.`,
		RunE:  needTarget("a program"),
	}
	cmd.AddCommand(newImportDeepSpeed())
	return cmd
}

// importFlags are the flags of import deepspeed.
type importFlags struct {
	deepspeed.ImportOptions // of an index
	convert                 deepspeed.ConvertOptions
	names                   []string // of the corpus
	cut                     corpus.Cut
	dtype, out              string
	json                    bool
}

func newImportDeepSpeed() *cobra.Command {
	var o importFlags
	cmd := &cobra.Command{
		Use:   "deepspeed PATH",
		Short: "Make an index of DeepSpeed's analysis, or a recipe of its configuration",
		Long: `Import deepspeed takes over two things.

Of what DeepSpeed's DataAnalyzer has written, of any version, it makes an index,
with which everything else of gradus works. PATH is the directory of one metric,
a directory with several such, or one of a metric's files. It takes
NAME_index_to_sample and NAME_index_to_metric, and holds NAME_sample_to_metric
against them if it is there. The samples are those of the corpus under the cut,
in the same order: sample i of the files is sample i of the corpus. Every sample
must occur exactly once.

Of a configuration in JSON (ds_config.json) it makes a recipe that does the same:
data_efficiency, or the older curriculum_learning, with batch size and optimizer.
What became of every key is said on stderr. What neither the file nor the flags
say stands in the recipe as FILL-IN. Its model is your own trainer's (kind
external): 'gradus plan --schedule' shows the recipe at once.`,
		Example: `  gradus import deepspeed analysis --corpus data/web --documents --out data/web.index
  gradus import deepspeed analysis/vocab_rarity --corpus data/web --window 2048 --out data/web.index
  gradus import deepspeed ds_config.json --corpus data/web --index data/web.index --steps 100000 --out web.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			isConfig, err := looksLikeConfig(args[0])
			switch {
			case err != nil:
				return err
			case isConfig:
				return o.runConfig(cmd, args[0])
			default:
				return o.runIndex(cmd, args[0])
			}
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.names, "corpus", nil, "name of the corpus, as analyze takes it (may be repeated for an index)")
	f.StringVar(&o.out, "out", "", "directory of the index; or the recipe, - for stdout")
	f.IntVar(&o.cut.Window, "window", 0, "make every N tokens (and one more) a sample; in a recipe the tokens of a full row")
	f.BoolVar(&o.Force, "force", false, "replace what is there")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")

	f.StringVar(&o.dtype, "dtype", corpus.Auto.String(), "for an index: how tokens are stored, as analyze takes it")
	f.BoolVar(&o.cut.Documents, "documents", false, "for an index: make every document a sample")
	f.StringSliceVar(&o.Metrics, "metric", nil, "for an index: what to import (may be repeated; default: all metrics there are)")
	f.IntVar(&o.Workers, "workers", 0, "for an index: how many cores to use (default: all)")

	f.StringVar(&o.convert.Index, "index", "", "for a recipe: directory of the index")
	f.Var((*wholeNumber)(&o.convert.Steps), "steps", "for a recipe: the budget, in steps")
	f.Var((*wholeNumber)(&o.convert.Tokens), "tokens", "for a recipe: the budget, in tokens (or layer-tokens, with that clock)")
	f.StringVar(&o.convert.Clock, "clock", "", "for a recipe: what the budget counts: steps, tokens or layer-tokens")
	return cmd
}

// misplaced refuses flags that go with the other kind of import.
func misplaced(cmd *cobra.Command, path, is string, names ...string) error {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return fault.Invalidf("--%s: %s is %s, and the flag does not go with one; see '%s --help'", name, path, is, cmd.CommandPath())
		}
	}
	return nil
}

// runIndex makes an index.
func (o *importFlags) runIndex(cmd *cobra.Command, path string) error {
	if err := misplaced(cmd, path, "an analysis", "index", "steps", "tokens", "clock"); err != nil {
		return err
	}
	if err := needFlags(cmd, "corpus", "out"); err != nil {
		return err
	}
	if cmd.Flags().Changed("window") && o.cut.Window < 1 {
		return fault.Invalidf("--window %d: a window has at least 1 token", o.cut.Window)
	}
	if err := o.cut.Validate(); err != nil {
		return fault.Invalidf("%w (--window N or --documents); see '%s --help'", err, cmd.CommandPath())
	}
	form, err := corpus.ParseForm(o.dtype)
	if err != nil {
		return err
	}
	c, err := corpus.OpenAs(form, o.names...)
	if err != nil {
		return err
	}
	defer c.Close()
	samples, err := c.Samples(o.cut)
	if err != nil {
		return err
	}
	result, err := deepspeed.Import(cmd.Context(), path, samples, o.out, o.ImportOptions)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), result)
	}
	return printImported(cmd.OutOrStdout(), o.out, result)
}

func printImported(out io.Writer, dir string, r deepspeed.Imported) error {
	w := rightAligned(out)
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
