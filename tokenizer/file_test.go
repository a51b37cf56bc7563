package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// golden is a text and what the tokenizers library of Hugging Face makes of it
// (testdata/hf/make.py).
type golden struct {
	Text    string  `json:"text"`
	IDs     []int32 `json:"ids"`
	Decoded string  `json:"decoded"`
}

// special is text that a Unigram model of that library takes for its own
// special tokens, even where it is told not to; here nothing does.
var special = regexp.MustCompile(`</s>|<unk>|<pad>|<0x`)

// TestGolden holds every kind of tokenizer.json to what its own library gives.
func TestGolden(t *testing.T) {
	dirs := []string{"testdata/hf"}
	if more := os.Getenv("TOKENIZERS_GOLDEN"); more != "" {
		dirs = append(dirs, more)
	}
	for _, dir := range dirs {
		names, err := filepath.Glob(filepath.Join(dir, "*.golden.json"))
		if err != nil || len(names) == 0 {
			t.Fatalf("no golden files in %s: %v", dir, err)
		}
		for _, name := range names {
			base := strings.TrimSuffix(filepath.Base(name), ".golden.json")
			t.Run(base, func(t *testing.T) {
				content, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				var rows []golden
				if err := json.Unmarshal(content, &rows); err != nil {
					t.Fatal(err)
				}
				tok, err := Load(filepath.Join(dir, base+".json"), "")
				if err != nil {
					t.Fatal(err)
				}
				wrong := 0
				for _, row := range rows {
					if strings.Contains(string(tok.content), `"Unigram"`) && special.MatchString(row.Text) {
						continue
					}
					ids := tok.Encode(nil, []byte(row.Text))
					if !slices.Equal(ids, row.IDs) {
						t.Errorf("%q:\ngot  %v %q\nwant %v %q", row.Text, ids, tok.words(ids), row.IDs, tok.words(row.IDs))
						wrong++
					} else if got := string(tok.Decode(nil, row.IDs)); whole(got) != whole(row.Decoded) {
						t.Errorf("%v of %q: decodes to %q, want %q", row.IDs, row.Text, got, row.Decoded)
						wrong++
					}
					if wrong > 6 {
						t.FailNow()
					}
				}
			})
		}
	}
}

// whole is a text without what is not whole in it: bytes that are no character
// are kept here, where that library writes U+FFFD for some of them.
func whole(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\ufffd", "")
}

// words are tokens as they stand in the file.
func (f *File) words(ids []int32) []string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = f.texts[id]
	}
	return words
}
