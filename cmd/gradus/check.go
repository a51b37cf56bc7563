package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
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

func newCheck() *cobra.Command {
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
  checkpoint  the directory: checksums, and weights of the model's shapes

It goes on after a failure. The exit code is 3 if a file is corrupt, 4 if files do
not belong together.`,
		Example: `  gradus check data/gosrc data/gosrc.index runs/*`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			results := make([]checked, len(args))
			var failures []error
			for i, path := range args {
				var err error
				results[i], err = checkPath(cmd.Context(), path)
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
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON")
	return cmd
}

func checkPath(ctx context.Context, path string) (checked, error) {
	r := checked{Path: path}
	a, err := artifactAt(path)
	if err == nil {
		r.Kind = a.name
		r.What, err = a.check(ctx, path)
	}
	if err != nil {
		r.Error = err.Error()
		return r, err
	}
	r.OK = true
	return r, nil
}

func checkCorpus(ctx context.Context, path string) (string, error) {
	c, err := corpus.Open(path)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		return "", err
	}
	return fmt.Sprintf("corpus of %d documents, %d tokens", c.Documents(), c.Tokens()), ctx.Err()
}

func checkIndex(ctx context.Context, path string) (string, error) {
	x, err := index.Open(path)
	if err != nil {
		return "", err
	}
	defer x.Close()
	if err := x.Check(ctx); err != nil {
		return "", err
	}
	m := x.Manifest()
	return fmt.Sprintf("index of %d samples (%s): %s", m.Samples, m.Cut, strings.Join(x.Metrics(), ", ")), nil
}
