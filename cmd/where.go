package cmd

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

// whereFlags are the flags of where.
type whereFlags struct {
	sample   string
	document int64
	source   string
	json     bool
}

func newWhere() *cobra.Command {
	var o whereFlags
	cmd := &cobra.Command{
		Use:   "where RECIPE (--sample ID | --document D [--source NAME])",
		Short: "Show which steps train on a sample or a document",
		Long: `Where prints every step of a recipe's plan that trains on one sample, or on any
part of one document, with its place in the global batch and how many of its
tokens the batch takes in. The ids of samples are those that sample and inspect
print; documents count from 0 in the order of the corpus. Where a recipe mixes
sources, a sample is NAME:ID, and a document needs --source. RECIPE may also be
the directory of a run, which keeps its plan.

It goes through the ids of all steps, so it needs no run, and takes time in
proportion to the number of steps: about a minute for a million steps of 512.`,
		Example: `  gradus where recipes/small.yaml --sample 4711
  gradus where recipes/mixture.yaml --sample web:4711
  gradus where recipes/mixture.yaml --document 12 --source code`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			byDocument := cmd.Flags().Changed("document")
			switch {
			case byDocument == cmd.Flags().Changed("sample"):
				return fault.Invalidf("--sample is needed, or --document, and not both; see '%s --help'", cmd.CommandPath())
			case o.source != "" && !byDocument:
				return fault.Invalidf("--source goes with --document; a sample of source %s is written --sample %[1]s:ID", o.source)
			}
			b, err := openRecipe(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer b.Close()
			t, err := o.target(b, byDocument)
			if err != nil {
				return err
			}
			gauge := newGauge(cmd.ErrOrStderr())
			gauge.begin(false)
			v, err := viewUses(cmd.Context(), b, t, func(step int64) {
				gauge.show(step, b.Plan.Steps(), "steps", fmt.Sprintf("where: %s steps", of(step, b.Plan.Steps())))
			})
			gauge.close()
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), v)
			}
			return printUses(cmd.OutOrStdout(), v)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.sample, "sample", "", "the sample's id, NAME:ID where there are several sources")
	f.Int64Var(&o.document, "document", 0, "the document's number, from 0")
	f.StringVar(&o.source, "source", "", "with --document: name or number of its source")
	f.BoolVar(&o.json, "json", false, "print the steps as JSON")
	return cmd
}

// target returns the tokens that the flags name.
func (o *whereFlags) target(b *recipe.Bound, byDocument bool) (target, error) {
	if !byDocument {
		source, sample, err := parseID(b, "sample", o.sample)
		if err != nil {
			return target{}, err
		}
		s := &b.Sources[source]
		if n := s.Samples.Len(); sample >= n {
			return target{}, fault.Invalidf("--sample %s; %s has samples 0 to %d", o.sample, corpusWords(s.Name), n-1)
		}
		t := target{source: source, name: "sample " + idText(b, globalID(source, sample)), samples: [2]int64{sample, sample + 1}}
		t.start, t.end = s.Samples.Span(sample)
		return t, nil
	}
	flag := "source " + o.source
	if o.source == "" {
		flag = fmt.Sprintf("document %d", o.document)
	}
	source, err := parseSource(b, flag, o.source)
	if err != nil {
		return target{}, err
	}
	s := &b.Sources[source]
	if n := s.Corpus.Documents(); o.document < 0 || o.document >= n {
		return target{}, fault.Invalidf("--document %d; %s has documents 0 to %d", o.document, corpusWords(s.Name), n-1)
	}
	t := target{source: source, document: true, name: "document " + strconv.FormatInt(o.document, 10)}
	if s.Name != "" {
		t.name += " of " + s.Name
	}
	t.start, t.end = s.Corpus.Bounds(o.document)
	t.samples = [2]int64{o.document, o.document + 1}
	if !s.Samples.Cut().Documents {
		t.samples = overlapping(s.Samples, t.start, t.end)
	}
	return t, nil
}

// corpusWords names a source in a message.
func corpusWords(name string) string {
	if name == "" {
		return "the corpus"
	}
	return "source " + name
}

func printUses(out io.Writer, v usesView) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s  %s\n", v.Target, v.Sample.placeView)
	printMeasures(&b, "    ", v.Sample.Metrics)
	switch {
	case len(v.Uses) == 0 && v.HeldOut:
		fmt.Fprintln(&b, "it is held out for evaluation; no step trains on it")
	case len(v.Uses) == 0:
		fmt.Fprintf(&b, "none of the %d steps trains on it\n", v.Steps)
	default:
		fmt.Fprintf(&b, "used %d times in %d steps\n\n", len(v.Uses), v.Steps)
		w := rightAligned(&b)
		units := v.manyUnits()
		fmt.Fprint(w, "step\tplace\ttokens\t")
		if units {
			fmt.Fprint(w, "unit\t")
		}
		fmt.Fprintln(w)
		for _, u := range v.Uses {
			fmt.Fprintf(w, "%d\t%d\t%d\t", u.Step, u.Place, u.Tokens)
			if units {
				fmt.Fprintf(w, "%s\t", u.Called)
			}
			fmt.Fprintln(w)
		}
		w.Flush()
	}
	_, err := out.Write(b.Bytes())
	return err
}
