package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/spf13/cobra"
)

// checked is what check says of one path.
type checked struct {
	Path  string `json:"path"`
	Kind  string `json:"kind,omitempty"`
	OK    bool   `json:"ok"`
	What  string `json:"what,omitempty"`
	Error string `json:"error,omitempty"`
}

// checkOptions are the flags of check that the kinds of file look at.
type checkOptions struct {
	deep   bool
	share  float64
	seed   uint64
	corpus string
	dtype  string
}

func newCheck() *cobra.Command {
	var o checkOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Prove that files which gradus makes are whole",
		Long: `Check reads everything at each PATH and proves what can be proven:

  corpus      the prefix: the structure, and tokens within the vocabulary
  index       the directory: checksums, finite values, sorted permutations
  recipe      the file: that it can be run, with its corpus and index
  run         the directory: the log's order, each checkpoint, and that steps of
              the log are those of the plan, if the corpus is at hand
  run log     the file: that steps follow each other and nothing is damaged
  checkpoint  the directory, or RUN/checkpoints/best: checksums, and weights of the
              model's shapes
  weights     the directory, exported or saved by transformers: that they are all
              that their config.json needs

With --deep, a random share of an index's samples is measured again and compared
bit for bit; the corpus, and what else decides a metric's values, must be where
it was.

It goes on after a failure. The exit code is 3 if a file is corrupt, 4 if files do
not belong together.`,
		Example: `  gradus check data/gosrc data/gosrc.index runs/*
  gradus check --deep --share 0.05 data/gosrc.index`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(o.share > 0 && o.share <= 1) {
				return fault.Invalidf("--share %v: it must be above 0 and at most 1", o.share)
			}
			results := make([]checked, len(args))
			var failures []error
			for i, path := range args {
				var err error
				results[i], err = checkPath(cmd.Context(), path, o)
				if errors.Is(err, context.Canceled) {
					return err
				}
				failures = append(failures, err)
				if !asJSON && err == nil {
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "ok  %s: %s\n", path, results[i].What); err != nil {
						return err
					}
				}
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), results); err != nil {
					return err
				}
			}
			return errors.Join(failures...)
		},
	}
	addDType(cmd, &o.dtype)
	cmd.Flags().BoolVar(&o.deep, "deep", false, "measure a random share of an index's samples again")
	cmd.Flags().Float64Var(&o.share, "share", 0.01, "with --deep: how many of the samples, from 0 to 1")
	cmd.Flags().Uint64Var(&o.seed, "seed", 1, "with --deep: which of them")
	cmd.Flags().StringVar(&o.corpus, "corpus", "", "with --deep: where the corpus of an index is, if not where the index says")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	return cmd
}

func checkPath(ctx context.Context, path string, o checkOptions) (checked, error) {
	r := checked{Path: path}
	a, at, err := artifactAt(path)
	if err == nil {
		r.Kind = a.name
		r.What, err = a.check(ctx, at, o)
	}
	if err != nil {
		r.Error = err.Error()
		return r, err
	}
	r.OK = true
	return r, nil
}

func checkCorpus(ctx context.Context, path string, o checkOptions) (string, error) {
	c, err := openCorpus(o.dtype, path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		return "", err
	}
	if m := c.Meta(); tokenizer.FromFile(m.Tokenizer) {
		if _, err := tokenizer.OfCorpus(c.Paths(), m.Tokenizer, m.EndOfDocument); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("corpus of %d documents, %d tokens", c.Documents(), c.Tokens()), ctx.Err()
}

func checkIndex(ctx context.Context, path string, o checkOptions) (string, error) {
	x, err := index.Open(path)
	if err != nil {
		return "", err
	}
	defer x.Close()
	if err := x.Check(ctx); err != nil {
		return "", err
	}
	m := x.Manifest()
	what := fmt.Sprintf("index of %d samples (%s): %s", m.Samples, m.Cut, strings.Join(x.Metrics(), ", "))
	if !o.deep {
		return what, nil
	}
	proven, err := proveIndex(ctx, x, o)
	return what + proven, err
}

// proveIndex measures some samples of an index again.
func proveIndex(ctx context.Context, x *index.Index, o checkOptions) (string, error) {
	var specs, foreign []string
	known := metric.Definitions()
	for _, m := range x.Manifest().Metrics {
		name, _, _ := strings.Cut(m.Spec, ":")
		if !slices.Contains(known.Names(), name) { // of another program, or of none
			foreign = append(foreign, m.Name)
			continue
		}
		specs = append(specs, m.Name+"="+m.Spec)
	}
	said := ""
	if len(foreign) > 0 {
		said = fmt.Sprintf("; %s cannot be measured again: it was not made by a metric that this program knows", strings.Join(foreign, ", "))
	}
	if len(specs) == 0 {
		return said, nil
	}
	measured, err := known.Parse(specs...)
	if err != nil {
		return "", fmt.Errorf("index %s: measure again: %w", x.Path(), err)
	}
	samples, err := samplesOf(x, o.corpus)
	if err != nil {
		return "", err
	}
	defer samples.Corpus().Close()
	job, err := analyze.NewJob(samples, measured)
	if err != nil {
		return "", err
	}
	n, err := job.Prove(ctx, x, o.share, o.seed)
	return fmt.Sprintf("; %d samples measured again%s", n, said), err
}
