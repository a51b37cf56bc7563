package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
)

// leastTokens is how much text a result may be stated for.
const leastTokens = 50_000_000

// Corpus is what is measured on.
type Corpus struct {
	prefix      string
	Text        string `json:"text"`
	Tokenizer   string `json:"tokenizer"`
	DType       string `json:"dtype"`
	Vocabulary  int    `json:"vocabulary"`
	Documents   int64  `json:"documents"`
	Tokens      int64  `json:"tokens"`
	Fingerprint string `json:"fingerprint"`
}

// prepareCorpus makes the corpus of Go's own source, or finds it made.
func prepareCorpus(ctx context.Context, p *program, o options) (Corpus, error) {
	c := Corpus{prefix: filepath.Join(o.dir, "corpus"), Text: "src, test and api of Go's own tree"}
	var inputs []string
	if o.inputs != "" {
		inputs, c.Text = strings.Split(o.inputs, ","), "texts of the caller's choice"
	} else {
		root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return c, fmt.Errorf("find Go's own source: %w", err)
		}
		for _, name := range []string{"src", "test", "api"} {
			inputs = append(inputs, filepath.Join(strings.TrimSpace(string(root)), name))
		}
	}
	if !corpus.Exists(c.prefix) {
		say("preparing the corpus")
		args := append([]string{"prepare", "--tokenizer", "r50k", "--out", c.prefix}, inputs...)
		if _, err := execute(ctx, p.path, args...); err != nil {
			return c, err
		}
	}
	made, _, err := helper[Corpus](ctx, "copy", "-from", c.prefix) // only describes it
	if err != nil {
		return c, err
	}
	made.prefix, made.Text = c.prefix, c.Text
	if made.Tokens < leastTokens {
		return made, fmt.Errorf("the corpus has %d tokens; at least %d are needed: give more text by -inputs", made.Tokens, leastTokens)
	}
	say("corpus: %d documents, %d tokens", made.Documents, made.Tokens)
	return made, nil
}

// beginning returns a corpus of the first tokens of c.
func (c Corpus) beginning(ctx context.Context, tokens int64) (Corpus, error) {
	if tokens <= 0 || tokens >= c.Tokens {
		return c, nil
	}
	return c.copied(ctx, fmt.Sprintf("%s-%dk", c.prefix, tokens/1000), "-tokens", fmt.Sprint(tokens))
}

// times returns a corpus of all documents of c so many times over.
func (c Corpus) times(ctx context.Context, n int) (Corpus, error) {
	return c.copied(ctx, fmt.Sprintf("%s-x%d", c.prefix, n), "-times", fmt.Sprint(n))
}

func (c Corpus) copied(ctx context.Context, prefix string, how ...string) (Corpus, error) {
	args := append([]string{"copy", "-from", c.prefix, "-to", prefix}, how...)
	made, _, err := helper[Corpus](ctx, args...)
	made.prefix, made.Text = prefix, c.Text
	return made, err
}

// warm reads the tokens once, so that no run pays for the disk.
func (c Corpus) warm() error {
	f, err := os.Open(c.prefix + ".bin")
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

// runCopy is the command copy: a corpus made of another's documents. Without
// -to it describes the other.
func runCopy(args []string) error {
	f := flag.NewFlagSet("copy", flag.ExitOnError)
	from := f.String("from", "", "the corpus to copy")
	to := f.String("to", "", "the corpus to make, unless it is there")
	tokens := f.Int64("tokens", 0, "end after so many tokens (default: the last)")
	times := f.Int("times", 1, "how often each document is written")
	f.Parse(args)
	name := *from
	if *to != "" {
		name = *to
		if !corpus.Exists(name) {
			if err := copyCorpus(*from, *to, *tokens, *times); err != nil {
				return err
			}
		}
	}
	c, err := corpus.Open(name)
	if err != nil {
		return err
	}
	defer c.Close()
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(Corpus{
		Tokenizer: c.Meta().Tokenizer, DType: c.DType().String(), Vocabulary: c.Meta().Vocabulary,
		Documents: c.Documents(), Tokens: c.Tokens(), Fingerprint: fingerprint,
	})
}

// copyCorpus copies documents, the whole run of them times over.
func copyCorpus(from, to string, tokens int64, times int) error {
	c, err := corpus.Open(from)
	if err != nil {
		return err
	}
	defer c.Close()
	w, err := corpus.Create(to, c.DType())
	if err != nil {
		return err
	}
	defer w.Abort()
	var document []int32
	for range times {
		for d := range c.Documents() {
			start, end := c.Bounds(d)
			if tokens > 0 {
				if start >= tokens {
					break
				}
				end = min(end, tokens)
			}
			document = append(document[:0], make([]int32, end-start)...)
			if err := c.Read(document, start); err != nil {
				return err
			}
			if err := w.Append(document); err != nil {
				return err
			}
		}
	}
	return w.Commit(c.Meta())
}
