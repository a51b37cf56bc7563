package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

// generateOptions are the flags of generate.
type generateOptions struct {
	prompt, tokenizer, backend string
	tokens, count              int
	sampling                   train.Sampling
	stop, json                 bool
}

func newGenerate() *cobra.Command {
	var o generateOptions
	cmd := &cobra.Command{
		Use:   "generate RUN|CHECKPOINT",
		Short: "Let a trained GPT write, to see what it has learned",
		Long: `Generate continues a prompt with the GPT of a checkpoint, token by token, and
prints the text as it comes. Of a run it takes the newest checkpoint; the one of
the lowest held-out loss is RUN/checkpoints/best. If the run kept an average of
its weights, the average writes.

The same seed gives the same text, and each of --count texts is drawn
independently. Without a prompt a text begins as a document does. Where the model
ends a document and --stop is not given, a new line is printed and it goes on.

The tokenizer is that of the corpus which the run was trained on; where that is
not at hand, name it with --tokenizer.`,
		Example: `  gradus generate runs/small --prompt 'func main' --tokens 300
  gradus generate runs/small/checkpoints/best --temperature 0 --prompt - < begin.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return generate(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.prompt, "prompt", "", "text to go on from; - reads it from stdin")
	f.IntVar(&o.tokens, "tokens", 200, "how many to generate")
	f.Float64Var(&o.sampling.Temperature, "temperature", 0.8, "below 1 likely tokens are drawn more often than the model says; 0: always the likeliest")
	f.IntVar(&o.sampling.TopK, "top-k", 0, "draw from so many of the likeliest tokens; 0: from all")
	f.Float64Var(&o.sampling.TopP, "top-p", 1, "draw from the fewest likeliest tokens that have this probability together")
	f.Uint64Var(&o.sampling.Seed, "seed", 0, "of the draws")
	f.IntVar(&o.count, "count", 1, "how many texts")
	f.BoolVar(&o.stop, "stop", false, "end a text where the model ends a document")
	f.StringVar(&o.tokenizer, "tokenizer", "", "name or tokenizer.json file (default: the corpus's)")
	f.StringVar(&o.backend, "backend", "go", "what computes; 'gradus backends' lists them")
	f.BoolVar(&o.json, "json", false, "print the texts as JSON, at their end")
	return cmd
}

// generatedText is a text as --json prints it.
type generatedText struct {
	Text    string  `json:"text"` // without the prompt
	Tokens  []int32 `json:"tokens"`
	Stopped bool    `json:"stopped"` // at the end of a document
}

func generate(cmd *cobra.Command, path string, o generateOptions) error {
	switch err := o.sampling.Validate(); {
	case err != nil:
		return err
	case o.tokens < 1 || o.count < 1:
		return fault.Invalidf("--tokens %d, --count %d: both must be at least 1", o.tokens, o.count)
	}
	g, err := train.OpenGenerator(o.backend, path)
	if err != nil {
		return err
	}
	defer g.Close()
	tok, err := tokenizerOf(g, o.tokenizer)
	if err != nil {
		return err
	}
	if have, want := tok.Vocabulary(), g.State.Model.Vocabulary; have > want {
		return fault.Mismatchf("tokenizer %s has %d tokens and the model of %s a vocabulary of %d; name the one that it was trained with", tok.Name(), have, g.Path, want)
	}
	g.Drawn = tok.Vocabulary() // the model may have more: a padded vocabulary, or a token that masks
	if o.prompt == "-" {
		text, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return err
		}
		o.prompt = string(text)
	}
	begin := tok.Encode(nil, []byte(o.prompt))
	prompt := begin
	if len(prompt) == 0 {
		prompt = []int32{int32(tok.EndOfDocument())} // after it a document begins
	}
	out := cmd.OutOrStdout()
	texts := []generatedText{}
	for number := range o.count {
		w := &textWriter{tokenizer: tok, ids: slices.Clone(begin), decoded: len(tok.Decode(nil, begin))}
		if !o.json {
			if number > 0 {
				fmt.Fprint(out, "\n----\n")
			}
			w.out, w.guard = out, isTerminal(out)
			if _, err := io.WriteString(out, w.shown(o.prompt)); err != nil {
				return err
			}
		}
		text, err := generateText(cmd.Context(), g, prompt, o, number, w)
		if err != nil {
			return err
		}
		texts = append(texts, text)
	}
	if !o.json {
		_, err := fmt.Fprintln(out)
		return err
	}
	return printJSON(out, struct {
		Checkpoint string          `json:"checkpoint"`
		Step       int64           `json:"step"`
		Tokenizer  string          `json:"tokenizer"`
		Seed       uint64          `json:"seed"`
		Prompt     string          `json:"prompt"`
		Texts      []generatedText `json:"texts"`
	}{g.Path, g.State.Step, tok.Name(), o.sampling.Seed, o.prompt, texts})
}

func generateText(ctx context.Context, g *train.Generator, prompt []int32, o generateOptions, number int, w *textWriter) (generatedText, error) {
	t := generatedText{Tokens: []int32{}}
	err := g.Generate(ctx, prompt, o.sampling, number, o.tokens, func(id int32) (bool, error) {
		t.Tokens = append(t.Tokens, id)
		if int(id) == w.tokenizer.EndOfDocument() && o.stop {
			t.Stopped = true
			return false, nil
		}
		return true, w.add(id)
	})
	if err != nil {
		return t, err
	}
	err = w.flush()
	t.Text = string(w.text)
	return t, err
}

// tokenizerOf returns the tokenizer that a checkpoint's model was trained with: the
// one named, or the one whose name the checkpoint has, or that of the corpus of the
// recipe that its run keeps.
func tokenizerOf(g *train.Generator, name string) (tokenizer.Tokenizer, error) {
	own := g.State.Tokenizer
	if name != "" {
		tok, err := tokenizer.New(name)
		if err == nil && own != "" && tok.Name() != own {
			err = fault.Mismatchf("%s was trained with tokenizer %s, and --tokenizer %s is %s", g.Path, own, name, tok.Name())
		}
		return tok, err
	}
	if own != "" && !tokenizer.FromFile(own) {
		return tokenizer.New(own)
	}
	run := filepath.Join(g.Path, "..", "..")
	file := filepath.Join(run, recipe.FileName)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Invalidf("%s lies in no run with a recipe that would name its tokenizer (%s); name it with --tokenizer", g.Path, cmp.Or(own, "not known"))
	}
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, from := range []string{file, filepath.Join(run, "..", recipe.FileName)} { // as openCopy
		r, err := recipe.Parse(from, text)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // weights that it begins with may lie elsewhere
			return nil, err
		}
		if err == nil {
			var tok tokenizer.Tokenizer
			if tok, err = r.Tokenizer(); err == nil {
				return tok, nil
			}
		}
		problems = append(problems, err)
	}
	return nil, fmt.Errorf("the tokenizer of the corpus that %s names was not found; name it with --tokenizer: %w", file, errors.Join(problems...))
}

// A textWriter writes the text of tokens as they come, in whole characters. Bytes
// that are none become U+FFFD.
type textWriter struct {
	tokenizer tokenizer.Tokenizer
	out       io.Writer // nil: the text is only kept
	guard     bool      // out is a terminal, which no control character is to reach
	ids       []int32   // of the document so far
	decoded   int       // bytes of their text that are in text, or held
	held      []byte    // the beginning of a character
	text      []byte
}

// add writes a token. A tokenizer may write a token after others otherwise than
// alone, so all of the document are decoded each time, and what is new is written.
func (w *textWriter) add(id int32) error {
	if int(id) == w.tokenizer.EndOfDocument() {
		w.ids, w.decoded = nil, 0
		return w.write([]byte("\n"), true)
	}
	w.ids = append(w.ids, id)
	all := w.tokenizer.Decode(nil, w.ids)
	fresh := all[min(w.decoded, len(all)):]
	w.decoded = max(w.decoded, len(all))
	return w.write(fresh, false)
}

// flush writes what may have been the beginning of a character.
func (w *textWriter) flush() error { return w.write(nil, true) }

func (w *textWriter) write(fresh []byte, end bool) error {
	whole := append(w.held, fresh...)
	w.held = nil
	if !end {
		if n := cutRune(whole); n < len(whole) {
			whole, w.held = whole[:n:n], append([]byte{}, whole[n:]...)
		}
	}
	text := strings.ToValidUTF8(string(whole), "\uFFFD")
	w.text = append(w.text, text...)
	if w.out == nil || text == "" {
		return nil
	}
	_, err := io.WriteString(w.out, w.shown(text))
	return err
}

// shown returns a text as its reader may see it.
func (w *textWriter) shown(text string) string {
	if !w.guard {
		return text
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\uFFFD'
		}
		return r
	}, text)
}

// cutRune returns how many bytes come before a character that is not whole yet.
func cutRune(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if at := len(text) - n; utf8.RuneStart(text[at]) {
			if !utf8.FullRune(text[at:]) {
				return at
			}
			break
		}
	}
	return len(text)
}
