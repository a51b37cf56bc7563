package prepare

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/tokenizer"
	"pgregory.net/rapid"
)

func TestPiece(t *testing.T) {
	for _, c := range []struct {
		text  string
		atEnd bool
		want  int
	}{
		{"", true, 0},
		{"abc", true, 3},
		{"abc", false, 0},                     // the blank line may be yet to come
		{"abcdefgh\n\nij", false, 10},         // at the blank line after four bytes
		{"ab\n\nefgh\n\n", false, 10},         // not at the one before
		{"abc\n\ndef", false, 5},              // a blank line that begins with the fourth byte
		{"abcdef\nhijklmnopqrs", false, 7},    // no blank line within 16 bytes: the last line end
		{"abcdefghijklmnopqrs", false, 16},    // nor a line end
		{"abcdefghijklmno\u00e9s", false, 15}, // nor the middle of a rune
		{"abcdefghij", true, 10},
	} {
		if got := piece([]byte(c.text), 4, c.atEnd); got != c.want {
			t.Errorf("piece(%q, 4, %v) = %d, want %d", c.text, c.atEnd, got, c.want)
		}
	}
}

// A split text is the text: its documents, joined, give every byte back, each is
// within its bounds, and the corpus does not depend on workers or blocks.
func TestSplit(t *testing.T) {
	tok, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"word ", "\n", "\n\n", "\u00e9", strings.Repeat("x", 50)}), 1, 400).Draw(t, "text"), ""))
		about := rapid.Int64Range(1, 200).Draw(t, "about")
		name, out := filepath.Join(dir, "t.txt"), filepath.Join(dir, "c")
		if err := os.WriteFile(name, text, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), out, Options{Inputs: []string{name}, Tokenizer: tok, Split: about, Force: true,
			Workers: rapid.IntRange(1, 3).Draw(t, "workers")})
		if err != nil {
			t.Fatal(err)
		}
		c, err := corpus.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var joined []byte
		for d := range c.Documents() {
			start, end := c.Bounds(d)
			tokens := make([]int32, end-start)
			if err := c.Read(tokens, start); err != nil {
				t.Fatal(err)
			}
			last := len(tokens) - 1
			if int64(last) > longestPiece*about || tokens[last] != int32(tok.EndOfDocument()) {
				t.Fatalf("document %d has %d bytes and ends in %d", d, last, tokens[last])
			}
			if d < c.Documents()-1 && int64(last) <= about-utf8Slack {
				t.Fatalf("document %d has %d bytes, want about %d", d, last, about)
			}
			joined = tok.Decode(joined, tokens[:last])
		}
		if !bytes.Equal(joined, text) {
			t.Fatalf("the documents hold %q, the text is %q", joined, text)
		}
	})
}

// A text of many blocks is cut as if it were one.
func TestSplitIgnoresBlocks(t *testing.T) {
	stream := keyed.NewKey(1, "split").Stream()
	text := make([]byte, 0, 3*blockBytes)
	for len(text) < 3*blockBytes-100 {
		text = append(text, bytes.Repeat([]byte("x"), int(stream.Uint64N(90)))...)
		text = append(text, "\n\n"[:1+stream.Uint64N(8)/7]...) // a blank line now and then
	}
	const about = 300
	var want []int64
	for rest := text; len(rest) > 0; {
		n := piece(rest, about, true)
		want = append(want, int64(n)+1)
		rest = rest[n:]
	}
	tok, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "c")
	if _, err := Run(context.Background(), out, Options{Inputs: []string{"-"}, Stdin: bytes.NewReader(text), Tokenizer: tok, Split: about}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []int64
	for d := range c.Documents() {
		start, end := c.Bounds(d)
		got = append(got, end-start)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d documents, cut as one block %d", len(got), len(want))
	}
}

// utf8Slack is how far before its bound a piece may end so as not to cut a rune.
const utf8Slack = 4
