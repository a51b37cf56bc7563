package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/spf13/cobra"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	corpus string // where an index's corpus is, if not where the index says
	dtype  string // how the tokens of a corpus are stored
	svg    string // file for an index's histograms
	json   bool
}

func newInspect() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what a file that gradus makes holds",
		Long: `Inspect shows what PATH holds:

  corpus      the prefix: documents, tokens, tokenizer, fingerprint, how it begins
  index       the directory: metrics, their ranges, quantiles and histograms, and
              the easiest and hardest samples, as text if the corpus is at hand
  recipe      the file: its hash, and every value with the defaults filled in
  run         the directory: how far it is, its losses, its checkpoints
  run log     the file: the same without checkpoints
  checkpoint  the directory, or RUN/checkpoints/best: its step, model, checksums
              and weights
  weights     the directory, exported or saved by transformers: model and tensors`,
		Example: `  gradus inspect data/gosrc
  gradus inspect --corpus /mnt/data/gosrc data/gosrc.index
  gradus inspect --svg gosrc.svg data/gosrc.index
  gradus inspect runs/small`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, path, err := artifactAt(args[0])
			if err != nil {
				return err
			}
			if o.svg != "" && a.name != "index" {
				return fault.Invalidf("--svg draws the histograms of an index, and %s is a %s", args[0], a.name)
			}
			return a.inspect(cmd.Context(), cmd.OutOrStdout(), path, o)
		},
	}
	cmd.Flags().StringVar(&o.corpus, "corpus", "", "where the corpus of an index is, if not where the index says")
	addDType(cmd, &o.dtype)
	cmd.Flags().StringVar(&o.svg, "svg", "", "draw the histograms of an index to this file")
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

// addDType adds the flag that says how tokens are stored.
func addDType(cmd *cobra.Command, dtype *string) {
	cmd.Flags().StringVar(dtype, "dtype", corpus.Auto.String(), "how tokens are stored: megatron or deepspeed to choose the table of types, uint16, uint32, ... for a .bin without .idx")
}

// openCorpus opens a corpus whose tokens are stored as --dtype says.
func openCorpus(dtype string, names ...string) (*corpus.Corpus, error) {
	form, err := corpus.ParseForm(dtype)
	if err != nil {
		return nil, fault.Invalidf("--dtype: %w", err)
	}
	return corpus.OpenAs(form, names...)
}

// corpusView is what inspect shows of a corpus.
type corpusView struct {
	Kind      string `json:"kind"`
	Prefix    string `json:"prefix"`
	Documents int64  `json:"documents"`
	Tokens    int64  `json:"tokens"`
	DType     string `json:"dtype"`
	corpus.Meta
	Fingerprint string  `json:"fingerprint"`
	Begins      excerpt `json:"begins"`
}

func inspectCorpus(_ context.Context, w io.Writer, path string, o inspectOptions) error {
	c, err := openCorpus(o.dtype, path)
	if err != nil {
		return err
	}
	defer c.Close()
	v := corpusView{
		Kind: "corpus", Prefix: c.Path(), Documents: c.Documents(), Tokens: c.Tokens(),
		DType: c.DType().String(), Meta: c.Meta(),
	}
	if v.Fingerprint, err = c.Fingerprint(); err != nil {
		return err
	}
	tok, err := textOf(c)
	if err != nil {
		return err
	}
	if v.Begins, err = excerptOf(c, tok, 0, c.Tokens()); err != nil {
		return err
	}
	if o.json {
		return printJSON(w, v)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "corpus\t%s\n", v.Prefix)
	fmt.Fprintf(t, "documents\t%d\n", v.Documents)
	fmt.Fprintf(t, "tokens\t%d (%s)\n", v.Tokens, v.DType)
	fmt.Fprintf(t, "tokenizer\t%s\n", describeMeta(v.Meta))
	if i := v.Image; i != nil {
		fmt.Fprintf(t, "images\t%s\n", describeImages(*i))
	}
	fmt.Fprintf(t, "fingerprint\t%s\n", v.Fingerprint)
	fmt.Fprintf(t, "begins\t%s\n", v.Begins)
	return t.Flush()
}

// namesShown is how many names of classes fit a line.
const namesShown = 12

func describeImages(i corpus.Image) string {
	words := i.String()
	if names := i.Names; len(names) > namesShown {
		words += ": " + strings.Join(names[:namesShown], ", ") + ", ..."
	} else if names != nil {
		words += ": " + strings.Join(names, ", ")
	}
	return words
}

func describeMeta(m corpus.Meta) string {
	name, vocabulary, end := "unknown", "vocabulary unknown", "no end-of-document token known"
	if m.Tokenizer != "" {
		name = m.Tokenizer
	}
	if m.Vocabulary > 0 {
		vocabulary = fmt.Sprintf("vocabulary of %d", m.Vocabulary)
	}
	if m.EndOfDocument >= 0 {
		end = fmt.Sprintf("end of document %d", m.EndOfDocument)
	}
	return name + ", " + vocabulary + ", " + end
}

// textOf returns the tokenizer of a corpus, nil if it is not known here: then
// tokens are shown as numbers. One that is not the corpus' own is an error.
func textOf(c *corpus.Corpus) (tokenizer.Tokenizer, error) {
	m := c.Meta()
	tok, err := tokenizer.OfCorpus(c.Paths(), m.Tokenizer, m.EndOfDocument)
	if errors.Is(err, fault.Mismatch) || errors.Is(err, fault.Corrupt) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return tok, nil
}

// excerpt is how a run of tokens begins.
type excerpt struct {
	Text   string  `json:"text,omitempty"`
	Tokens []int32 `json:"tokens,omitempty"` // instead of a text, if there is no tokenizer
	Cut    bool    `json:"cut,omitempty"`    // there is more
}

// Limits of an excerpt, so that it fits a line. A token is at least a byte.
const (
	excerptTokens  = 60
	excerptRunes   = 60
	excerptNumbers = 10
)

// excerptOf returns how the tokens [start, end) of a corpus begin.
func excerptOf(c *corpus.Corpus, tok tokenizer.Tokenizer, start, end int64) (excerpt, error) {
	limit := int64(excerptTokens)
	if tok == nil {
		limit = excerptNumbers
	}
	e := excerpt{Tokens: make([]int32, min(end-start, limit)), Cut: end-start > limit}
	if err := c.Read(e.Tokens, start); err != nil || tok == nil {
		return e, err
	}
	text := tok.Decode(nil, e.Tokens)
	for n, i := 0, 0; i < len(text); n++ {
		if n == excerptRunes {
			text, e.Cut = text[:i], true
			break
		}
		_, size := utf8.DecodeRune(text[i:])
		i += size
	}
	e.Text, e.Tokens = string(text), nil
	return e, nil
}

// String shows the excerpt in one line, whatever bytes it has.
func (e excerpt) String() string {
	s := strconv.Quote(e.Text)
	if e.Tokens != nil {
		s = fmt.Sprint(e.Tokens)
	}
	if e.Cut {
		s += "..."
	}
	return s
}
