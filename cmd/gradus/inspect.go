package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/spf13/cobra"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	corpus string // where an index's corpus is, if not where the index says
	json   bool
}

func newInspect() *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what a file that gradus makes holds",
		Long: `Inspect shows what PATH holds:

  the prefix of a corpus    documents, tokens, tokenizer, fingerprint, how it begins
  the directory of an index metrics, their ranges, quantiles and histograms, and
                            the easiest and hardest samples, as text if the
                            corpus is at hand`,
		Example: `  gradus inspect data/gosrc
  gradus inspect --corpus /mnt/data/gosrc data/gosrc.index`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := artifactAt(args[0])
			if err != nil {
				return err
			}
			return a.inspect(cmd.Context(), cmd.OutOrStdout(), args[0], o)
		},
	}
	cmd.Flags().StringVar(&o.corpus, "corpus", "", "where the corpus of an index is, if not where the index says")
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

// corpusView is what inspect shows of a corpus.
type corpusView struct {
	Kind      string `json:"kind"`
	Prefix    string `json:"prefix"`
	Documents int64  `json:"documents"`
	Tokens    int64  `json:"tokens"`
	DType     string `json:"dtype"`
	corpus.Meta
	Fingerprint string `json:"fingerprint"`
	Begins      string `json:"begins"`
}

func inspectCorpus(_ context.Context, w io.Writer, path string, o inspectOptions) error {
	c, err := corpus.Open(path)
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
	if v.Begins, err = excerpt(c, textOf(c), 0, c.Tokens()); err != nil {
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
	fmt.Fprintf(t, "fingerprint\t%s\n", v.Fingerprint)
	fmt.Fprintf(t, "begins\t%s\n", v.Begins)
	return t.Flush()
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
// tokens are shown as numbers.
func textOf(c *corpus.Corpus) tokenizer.Tokenizer {
	tok, err := tokenizer.New(c.Meta().Tokenizer)
	if err != nil {
		return nil
	}
	return tok
}

// excerptTokens and excerptRunes bound an excerpt to a line: no tokenizer has
// tokens that are shorter than a byte.
const (
	excerptTokens = 60
	excerptRunes  = 60
)

// excerpt returns how the tokens [start, end) begin, as a quoted text or, with
// no tokenizer, as numbers.
func excerpt(c *corpus.Corpus, tok tokenizer.Tokenizer, start, end int64) (string, error) {
	limit := int64(excerptTokens)
	if tok == nil {
		limit = 10
	}
	tokens := make([]int32, min(end-start, limit))
	if err := c.Read(tokens, start); err != nil {
		return "", err
	}
	if tok == nil {
		return ellipsis(fmt.Sprint(tokens), end-start > limit), nil
	}
	text := tok.Decode(nil, tokens)
	cut := end-start > limit
	for n, i := 0, 0; i < len(text); n++ {
		if n == excerptRunes {
			text, cut = text[:i], true
			break
		}
		_, size := utf8.DecodeRune(text[i:])
		i += size
	}
	return ellipsis(strconv.Quote(string(text)), cut), nil
}

func ellipsis(s string, cut bool) string {
	if cut {
		return s + "..."
	}
	return s
}
