package cmd

import (
	"fmt"
	"strings"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/table"
	"github.com/spf13/cobra"
)

func newExportParquet() *cobra.Command {
	var o table.Options
	var from, out, prefix string
	var asJSON, places bool
	cmd := &cobra.Command{
		Use:   "parquet --index DIR --out FILE",
		Short: "Write an index as one Parquet table",
		Long: `Export parquet writes an index as a Parquet file with a row for each sample, in
order of samples, for DuckDB, pandas and the like: the column sample, and one of
each metric's values. --ranks adds rank_METRIC, the sample's place from easy to
hard; --places adds document and offset, where in the corpus the sample begins.`,
		Example: `  gradus export parquet --index data/gosrc.index --out gosrc.parquet
  duckdb -c "SELECT * FROM 'gosrc.parquet' ORDER BY rarity DESC LIMIT 10"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "index", "out"); err != nil {
				return err
			}
			x, err := index.Open(from)
			if err != nil {
				return err
			}
			defer x.Close()
			if places || prefix != "" {
				if o.Samples, err = samplesOf(x, prefix); err != nil {
					return err
				}
				defer o.Samples.Corpus().Close()
			}
			result, err := table.Write(cmd.Context(), x, out, o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "parquet: %s (%d samples, %d bytes): %s\n", out, result.Samples, result.Bytes, strings.Join(result.Columns, ", "))
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "index", "", "directory of the index")
	f.StringVar(&out, "out", "", "file to make")
	f.StringSliceVar(&o.Metrics, "metric", nil, "what to export (may be repeated; default: all metrics)")
	f.BoolVar(&o.Ranks, "ranks", false, "add the rank of each sample by each metric")
	f.BoolVar(&places, "places", false, "add where in the corpus each sample begins")
	f.StringVar(&prefix, "corpus", "", "where the corpus is now, if it was moved (implies --places)")
	f.BoolVar(&o.Force, "force", false, "replace an existing file")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}
