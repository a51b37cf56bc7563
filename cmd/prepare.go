package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/spf13/cobra"
)

func newPrepare() *cobra.Command {
	var o prepare.Options
	var out, tok, end string
	var images imageFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "prepare --tokenizer NAME|FILE --out PREFIX INPUT... | prepare --images --out PREFIX INPUT...",
		Short: "Turn text into a corpus of tokens, or images into one of pixels",
		Long: `Prepare turns text into a corpus: PREFIX.bin and PREFIX.idx as Megatron-LM and
DeepSpeed read them, and PREFIX.json with what was known about the text.

An INPUT is a file, a directory (everything in and under it but hidden entries),
a glob (quote it; ** stands for any number of directories), or - for standard
input. A text file is one document; a file named .jsonl or .ndjson has one a
line. Either may be compressed with gzip or zstd. Binary files are left out. A
file named .parquet has a document a row, in the column that --field names (with
dots where it lies inside others); of it only that column is read.

The tokenizer is bytes, r50k (GPT-2's), or a tokenizer.json file of Hugging Face.
Text is encoded without special tokens: what looks like one is text, and none is
added but the one that ends a document. The file is copied to
PREFIX.tokenizer.json, where 'gradus inspect' finds it.

The documents come in the order of the inputs, within a directory by path, and
the corpus is the same for any number of workers. It appears under its name when
it is complete, or not at all.

With --images an INPUT is a file of images in IDX format, as MNIST's (its labels
lie beside it, or are an INPUT too), or a directory that has a directory of PNG and
JPEG files for each class. Each document of the corpus is an image then: a token a
pixel and channel, and its class behind them. Classes are numbered by the names of
their directories. Images of another size than --size are cut to its proportions,
around the middle, and scaled. 'gradus analyze --documents' works on pixels as on
any tokens; of the hundreds that an image has, the class is one, and weighs as one.`,
		Example: `  gradus prepare --tokenizer bytes --out data/gosrc --include '*.go' "$(go env GOROOT)/src"
  gradus prepare --tokenizer r50k --out data/web --field content web-*.jsonl.zst
  gradus prepare --tokenizer llama/tokenizer.json --field meta.body --out data/part 'part-*.parquet'
  zcat dump.gz | gradus prepare --tokenizer r50k --out data/dump -
  gradus prepare --images --out data/fashion train-images-idx3-ubyte.gz
  gradus prepare --images --size 224 --out data/flowers flowers/train`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := images.check(cmd); err != nil {
				return err
			}
			if images.on {
				return images.prepare(cmd, out, prepare.ImageOptions{Inputs: args, Force: o.Force, Workers: o.Workers}, asJSON)
			}
			if err := needFlags(cmd, "tokenizer", "out"); err != nil {
				return err
			}
			if o.Tokenizer, err = openTokenizer(tok, end); err != nil {
				return err
			}
			o.Inputs, o.Stdin = args, cmd.InOrStdin()
			g := newGauge(cmd.ErrOrStderr())
			o.Progress = prepareProgress(g)
			result, err := prepare.Run(cmd.Context(), out, o)
			g.close()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), result)
			}
			return printPrepared(cmd.OutOrStdout(), result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&tok, "tokenizer", "", "how text becomes tokens: "+strings.Join(tokenizer.Names(), ", ")+", or a tokenizer.json file")
	f.StringVar(&end, "end-of-document", "", "the `TOKEN` of a tokenizer.json that ends a document (default: its eos_token, or the usual one that it has)")
	images.add(cmd)
	f.StringVar(&out, "out", "", "name of the corpus, without ending")
	f.StringVar((*string)(&o.Format), "format", string(prepare.Auto), "what inputs are: jsonl, parquet, text, or auto to go by their names")
	f.StringVar(&o.Field, "field", "text", "field of a JSONL object, or column of a Parquet file, that has the text")
	f.StringArrayVar(&o.Include, "include", nil, "of files found in directories, take only those matching this glob (may be repeated)")
	f.StringArrayVar(&o.Exclude, "exclude", nil, "leave out files and directories matching this glob (may be repeated)")
	f.Int64Var(&o.Split, "split", 0, "cut text files into documents of about `BYTES` bytes, at blank lines (default: each file is one document)")
	f.BoolVar(&o.SkipBadLines, "skip-bad-lines", false, "count JSONL lines that cannot be used, and go on")
	f.BoolVar(&o.Force, "force", false, "replace an existing corpus")
	f.IntVar(&o.Workers, "workers", 0, "how many tokenize, or decode, at once (default: all cores)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// openTokenizer opens a tokenizer by name, or a file of one with the token that
// ends a document, if it is said.
func openTokenizer(name, end string) (tokenizer.Tokenizer, error) {
	if end == "" {
		return tokenizer.New(name)
	}
	if slices.Contains(tokenizer.Names(), name) {
		return nil, fault.Invalidf("--end-of-document is for tokenizer.json files; %s has its own", name)
	}
	tok, err := tokenizer.Load(name, end)
	if err != nil {
		return nil, err
	}
	return tok, nil
}

// needFlags reports flags that were not given, or given empty. Cobra's own check
// of required flags gives an error that cannot be told from a failure.
func needFlags(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if f := cmd.Flag(name); !f.Changed || f.Value.String() == "" {
			return fault.Invalidf("--%s is needed: %s; see '%s --help'", name, f.Usage, cmd.CommandPath())
		}
	}
	return nil
}

func printPrepared(w io.Writer, r prepare.Result) error {
	skipped := "nothing"
	for _, s := range []struct {
		count int64
		what  string
	}{
		{r.Skipped.Binary, "binary files"},
		{r.Skipped.Special, "links and devices"},
		{r.Skipped.Empty, "empty documents"},
		{r.Skipped.Nulls, "nulls"},
		{r.Skipped.Lines, "bad lines"},
	} {
		switch {
		case s.count == 0:
		case skipped == "nothing":
			skipped = fmt.Sprintf("%s: %d", s.what, s.count)
		default:
			skipped += fmt.Sprintf(", %s: %d", s.what, s.count)
		}
	}
	_, err := fmt.Fprintf(w, `documents  %d
tokens     %d (%s, %s)
text       %d bytes, files: %d
skipped    %s
corpus     %s (%d bytes)
`, r.Documents, r.Tokens, r.Tokenizer, r.DType, r.Bytes, r.Files, skipped, r.Path, r.FileBytes)
	return err
}

// prepareProgress shows how far prepare is.
func prepareProgress(g *gauge) func(prepare.Progress) {
	g.begin(true)
	return func(p prepare.Progress) {
		counts := fmt.Sprintf("%d documents, %s tokens", p.Documents, count(p.Tokens))
		g.show(p.Bytes, p.Total, counts, fmt.Sprintf("prepare: %s bytes read, %s", of(p.Bytes, p.Total), counts))
	}
}
