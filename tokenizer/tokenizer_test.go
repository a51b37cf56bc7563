package tokenizer

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/tiktoken-go/tokenizer/codec"
	"pgregory.net/rapid"
)

// mustNew returns a tokenizer and fails the test if there is none.
func mustNew(t testing.TB, name string) Tokenizer {
	t.Helper()
	tok, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// hard is text that tends to break tokenizers.
var hard = []string{
	"", " ", "  ", "\n", " \n ", "a", " a", "  a", "a  ", "\ta", "\n\n a", "\r\n",
	"I'll we've 's 't're it'S ''s '", "don't 'd'll'", "12 345 a1b2", "1.5e-3", "...", " ...x",
	"<|endoftext|>", "x<|endoftext|>y", "<|endoftext|", "héllo wörld", "日本語 テキスト", "١٢٣ Ⅷ ½ ²",
	"a\u00a0b", "\u00a0\u00a0b", "\u2003\u2003x", "x\u0085y", "\u3000", "a\u0301 e\u0301", "😀😀 👩‍👩‍👧", "\ufffd", "\ufeffx",
	"\x00", "a\x00b", "\x1c\x1d x", "\v\f", "\xff", "a\xffb", "\xc3", "\xe2\x82", " \xff\xfe", "\xed\xa0\x80", "é\xc3é",
}

// texts draws text of all kinds: valid, invalid, and with what splitting turns on.
func texts() *rapid.Generator[[]byte] {
	part := rapid.OneOf(
		rapid.SampledFrom(hard),
		rapid.String(),
		rapid.StringMatching(`[ '\n\tadlmrstve1,]{1,20}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 8), func(b []byte) string { return string(b) }),
	)
	return rapid.Map(rapid.SliceOfN(part, 0, 6), func(parts []string) []byte { return []byte(strings.Join(parts, "")) })
}

// all returns every tokenizer: those with names, and one of each kind of file.
func all(t testing.TB) map[string]Tokenizer {
	t.Helper()
	toks := map[string]Tokenizer{}
	for _, name := range Names() {
		toks[name] = mustNew(t, name)
	}
	files, err := filepath.Glob("testdata/hf/*.golden.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		file = strings.TrimSuffix(file, ".golden.json") + ".json"
		toks[filepath.Base(file)] = mustNew(t, file)
	}
	return toks
}

// TestConformance holds every tokenizer to the laws of the interface.
func TestConformance(t *testing.T) {
	for name, tok := range all(t) {
		t.Run(name, func(t *testing.T) {
			_, isFile := tok.(*File)
			if !isFile && tok.Name() != name {
				t.Errorf("Name is %q", tok.Name())
			}
			if e := tok.EndOfDocument(); e < 0 || e >= tok.Vocabulary() {
				t.Errorf("the end of document is %d of %d", e, tok.Vocabulary())
			}
			t.Run("round trip", func(t *testing.T) {
				for _, text := range append(hard, string(tok.Decode(nil, []int32{0, 1, 2})), "</s>", "<0x0A>", "[SEP]", "<|im_start|>") {
					checkRoundTrip(t, tok, []byte(text))
				}
				if isFile {
					fewer(t, 20)
				}
				rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, tok, texts().Draw(t, "text")) })
			})
			t.Run("appends", func(t *testing.T) {
				tokens := tok.Encode([]int32{7}, []byte("ab"))
				if want := append([]int32{7}, tok.Encode(nil, []byte("ab"))...); !slices.Equal(tokens, want) {
					t.Errorf("Encode gives %v, want %v", tokens, want)
				}
				want := "x" + string(tok.Decode(nil, tok.Encode(nil, []byte("ab"))))
				if got := tok.Decode([]byte("x"), tok.Encode(nil, []byte("ab"))); string(got) != want {
					t.Errorf("Decode gives %q, want %q", got, want)
				}
			})
			t.Run("no text", func(t *testing.T) {
				outside := []int32{int32(tok.EndOfDocument()), int32(tok.Vocabulary()), -1, -1 << 31, 1<<31 - 1}
				if got := tok.Decode(nil, outside); len(got) > 0 {
					t.Errorf("%v decode to %q", outside, got)
				}
			})
			t.Run("concurrent", func(t *testing.T) { checkConcurrent(t, tok) })
			t.Run("long", func(t *testing.T) {
				if isFile {
					checkLong(t, tok, 1<<14)
				} else {
					checkLong(t, tok, 1<<19)
				}
			})
		})
	}
}

// fewer limits a property test where there are many of them.
func fewer(t *testing.T, checks int) {
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if f.DefValue != before {
		return // asked for on the command line
	}
	f.Value.Set(fmt.Sprint(checks))
	t.Cleanup(func() { f.Value.Set(before) })
}

func checkRoundTrip(t interface {
	Helper()
	Errorf(string, ...any)
}, tok Tokenizer, text []byte) {
	t.Helper()
	before := bytes.Clone(text)
	tokens := tok.Encode(nil, text)
	for _, id := range tokens {
		if id < 0 || int(id) >= tok.Vocabulary() || int(id) == tok.EndOfDocument() {
			t.Errorf("%q encodes to %v, which has token %d", text, tokens, id)
		}
	}
	if !bytes.Equal(text, before) {
		t.Errorf("Encode changed %q to %q", before, text)
	}
	if got := tok.Decode(nil, tokens); tok.Lossless() && !bytes.Equal(got, text) {
		t.Errorf("%q encodes to %v, which decodes to %q", text, tokens, got)
	}
}

func checkConcurrent(t *testing.T, tok Tokenizer) {
	text := []byte(strings.Repeat(strings.Join(hard, " "), 5))
	want := tok.Encode(nil, text)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if !slices.Equal(tok.Encode(nil, text), want) {
				t.Error("another goroutine got other tokens")
			}
		})
	}
	wg.Wait()
}

// checkLong encodes text without a seam. A quadratic tokenizer takes minutes for
// half a megabyte of it; the limit is there to stop the test, not to time it.
func checkLong(t *testing.T, tok Tokenizer, size int) {
	for _, unit := range []string{"a", " ", "\n", "!", "1", "é", "ab", "日", "\xff", " a", "'s"} {
		text := bytes.Repeat([]byte(unit), size/len(unit))
		done := make(chan struct{})
		go func() {
			defer close(done)
			checkRoundTrip(t, tok, append(text, 'x'))
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%d bytes of %q take more than a minute", len(text), unit)
		}
	}
}

func TestUnknownName(t *testing.T) {
	_, err := New("gpt5")
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "bytes, r50k") {
		t.Errorf("error is %v", err)
	}
}

func TestBytesIsBytes(t *testing.T) {
	got := mustNew(t, "bytes").Encode(nil, []byte("A\x00\xff"))
	if !slices.Equal(got, []int32{65, 0, 255}) {
		t.Errorf("tokens are %v", got)
	}
}

// Known encodings, so that the vocabulary itself is pinned. "Hello world" is
// the example of OpenAI's own release of GPT-2.
func TestR50kKnown(t *testing.T) {
	tok := mustNew(t, "r50k")
	for text, want := range map[string][]int32{
		"Hello world":   {15496, 995},
		"<|endoftext|>": {27, 91, 437, 1659, 5239, 91, 29},
		// Bytes have the numbers of GPT-2's table: printable Latin-1 first, then
		// the 33 controls and blank, then 0x7f to 0xa0.
		"\xff": {187}, "\x00": {188}, "+\x7f": {10, 221}, " ": {220}, "\xff\xfe": {187, 186},
	} {
		if got := tok.Encode(nil, []byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q encodes to %v, want %v", text, got, want)
		}
	}
}

// reference encodes valid UTF-8 with the library whose vocabulary r50k uses.
// The text must not have the byte 0x7f: the library's expression passes over it
// (tiktoken-go v0.10.0), so that it is lost.
func reference(t testing.TB, c *codec.Codec, text []byte) []int32 {
	ids, _, err := c.Encode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([]int32, len(ids))
	for i, id := range ids {
		tokens[i] = int32(id)
	}
	return tokens
}

func checkReference(t testing.TB, tok Tokenizer, c *codec.Codec, text []byte) {
	t.Helper()
	text = bytes.ReplaceAll(text, []byte{0x7f}, []byte{'~'})
	if got, want := tok.Encode(nil, text), reference(t, c, text); !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("from token %d on: %v, the reference has %v (text %.200q)", i, got[i:min(i+8, len(got))], want[i:min(i+8, len(want))], text)
			}
		}
		t.Fatalf("%d tokens, the reference has %d (text %.200q)", len(got), len(want), text)
	}
}

func TestR50kIsTheReference(t *testing.T) {
	tok, c := mustNew(t, "r50k"), codec.NewR50kBase()
	for _, text := range hard {
		if utf8.ValidString(text) {
			checkReference(t, tok, c, []byte(text))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		checkReference(t, tok, c, bytes.ToValidUTF8(texts().Draw(rt, "text"), []byte("\ufffd")))
	})
	// Every character alone, between letters and after a blank: the kinds agree.
	var all []byte
	for r := rune(0); r <= 0x323af; r++ {
		if utf8.ValidRune(r) && (r < 0x3400 || r > 0x9fff && r < 0xac00 || r > 0xd7a3 && r < 0x20000 || r%97 == 0) {
			all = append(all, ' ')
			all = utf8.AppendRune(all, r)
			all = append(all, 'x', ',')
			all = utf8.AppendRune(all, r)
			all = append(all, '1')
		}
	}
	checkReference(t, tok, c, all)
}

// Real text: Go's own source in every language its tests have.
func TestR50kOnSource(t *testing.T) {
	tok, c := mustNew(t, "r50k"), codec.NewR50kBase()
	for _, dir := range []string{"strings", "unicode/utf8", "html"} {
		files, err := filepath.Glob(filepath.Join(goRoot(t), "src", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Skip("no Go source here")
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			checkReference(t, tok, c, text)
		}
	}
}

func FuzzR50k(f *testing.F) {
	tok, c := mustNew(f, "r50k"), codec.NewR50kBase()
	for _, text := range hard {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkRoundTrip(t, tok, text)
		if utf8.Valid(text) {
			checkReference(t, tok, c, text)
		}
	})
}
