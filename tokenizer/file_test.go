package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
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

// Which files keep every byte: those that are byte-level, have all bytes and
// change nothing. That they do is for TestConformance.
func TestLossless(t *testing.T) {
	var got []string
	for name, tok := range all(t) {
		if tok.Lossless() {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if want := []string{"bytes", "deepseek.json", "gpt2.json", "llama3.json", "o200k.json", "r50k", "starcoder.json"}; !slices.Equal(got, want) {
		t.Errorf("lossless are %v, want %v", got, want)
	}
}

// small is a tokenizer with the tokens a, b, ab and </s>; part replaces a part of it.
func small(part, by string) string {
	text := `{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{"id":3,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],` +
		`"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":{"type":"Fuse"},` +
		`"model":{"type":"BPE","dropout":null,"unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]}}`
	if part == "" {
		return text
	}
	return strings.Replace(text, part, by, 1)
}

func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// What a file has that is not known here is an error that names its place.
func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	for _, k := range []struct {
		part, by string
		kind     error
		says     string
	}{
		{"}}", "}", fault.Corrupt, "not JSON"},
		{small("", ""), "[]", fault.Invalid, "no tokenizer.json"},
		{small("", ""), "{}", fault.Invalid, "model.vocab"},
		{`"padding"`, `"pudding"`, fault.Invalid, `unknown field "pudding"`},
		{`"BPE"`, `"Hash"`, fault.Invalid, `model: the type "Hash" is not supported`},
		{`"dropout":null`, `"dropout":0.1`, fault.Invalid, "model.dropout: 0.1"},
		{`"dropout":null`, `"drop":null`, fault.Invalid, `model: unknown field "drop"`},
		{`"unk_token":null`, `"unk_token":"x"`, fault.Invalid, `model.unk_token: "x" is not in the vocabulary`},
		{`"unk_token":null`, `"unk_token":"</s>"`, fault.Invalid, "stands for unknown text as well"},
		{`["a","b"]`, `["a","c"]`, fault.Invalid, "model.merges[0]"},
		{`["a","b"]`, `"a b c"`, fault.Invalid, "model.merges[0]"},
		{`["a","b"]`, `["a"]`, fault.Invalid, "model.merges[0]"},
		{`["a","b"]`, `1`, fault.Invalid, "model.merges"},
		{`{"a":0`, `{"a":-1`, fault.Invalid, `token "a" has the number -1`},
		{`{"a":0`, `{"a":2147483647`, fault.Invalid, `token "a" has the number 2147483647`},
		{`{"a":0`, `{"a":"x"`, fault.Invalid, "model.vocab"},
		{`"Whitespace"`, `"UnicodeScripts"`, fault.Invalid, `pre_tokenizer: the type "UnicodeScripts" is not supported`},
		{`{"type":"Whitespace"}`, `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Split","pattern":{"Regex":"(?<=a)b"},"behavior":"Isolated","invert":false}]}`,
			fault.Invalid, `pre_tokenizer.pretokenizers[1].pattern.Regex: "(?<=a)b": at character 3: a group that begins with (?<= is not supported`},
		{`{"type":"Whitespace"}`, `{"type":"Split","pattern":{},"behavior":"Isolated","invert":false}`, fault.Invalid, `pre_tokenizer.pattern: is neither`},
		{`{"type":"Whitespace"}`, `{"type":"Split","pattern":{"String":"a"},"behavior":"Melted","invert":false}`, fault.Invalid, `pre_tokenizer.behavior: "Melted"`},
		{`{"type":"Whitespace"}`, `{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Whitespace"}]}`, fault.Invalid, `only as the last`},
		{`{"type":"Whitespace"}`, `{"type":"Metaspace","replacement":"_","prepend_scheme":"often"}`, fault.Invalid, `pre_tokenizer.prepend_scheme: "often"`},
		{`{"type":"Whitespace"}`, strings.Repeat(`{"type":"Sequence","pretokenizers":[`, 30) + strings.Repeat(`]}`, 30), fault.Invalid, "nest"},
		{`"normalizer":null`, `"normalizer":{"type":"Nmt"}`, fault.Invalid, `normalizer: the type "Nmt" is not supported`},
		{`"normalizer":null`, `"normalizer":5`, fault.Invalid, "normalizer: is no object"},
		{`"normalizer":null`, `"normalizer":{"type":"NFC","strength":2}`, fault.Invalid, `normalizer: unknown field "strength"`},
		{`"normalizer":null`, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, fault.Invalid, "normalizer.precompiled_charsmap"},
		{`"Fuse"`, `"CTC"`, fault.Invalid, `decoder: the type "CTC" is not supported`},
		{`"</s>"`, `"[END]"`, fault.Invalid, `does not say which token ends a document; name it (--end-of-document), such as "[END]"`},
	} {
		text := small(k.part, k.by)
		if text == small("", "") {
			t.Fatalf("%s: not in the file", k.part)
		}
		_, err := Load(writeFile(t, filepath.Join(dir, "t.json"), text), "")
		if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), "t.json") {
			t.Errorf("%s: %v, want %q", k.by, err, k.says)
		}
	}
	if _, err := Load(filepath.Join(dir, "missing.json"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// The token that ends a document is what is said, here or in tokenizer_config.json,
// or a usual one.
func TestEndOfDocument(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, filepath.Join(dir, "tokenizer.json"), small("", ""))
	end := func(said string) int {
		t.Helper()
		f, err := Load(path, said)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Encode(nil, []byte("ab </s> b")); slices.Contains(got, f.end) {
			t.Errorf("the end of document %d is made of text: %v", f.end, got)
		}
		return f.EndOfDocument()
	}
	if got := end(""); got != 3 {
		t.Errorf("the usual one is %d", got)
	}
	if got := end("ab"); got != 2 {
		t.Errorf("the one named is %d", got)
	}
	for config, want := range map[string]int{
		`{"eos_token":"ab"}`: 2, `{"eos_token":{"content":"b","lstrip":false}}`: 1, `{"eos_token":null}`: 3, `{}`: 3, `{"eos_token":"other"}`: 3,
	} {
		writeFile(t, filepath.Join(dir, "tokenizer_config.json"), config)
		if got := end(""); got != want {
			t.Errorf("%s: %d, want %d", config, got, want)
		}
	}
	if _, err := Load(path, "<end>"); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `has no token "<end>"`) {
		t.Errorf("an unknown token: %v", err)
	}
	writeFile(t, filepath.Join(dir, "tokenizer_config.json"), "{")
	if _, err := Load(path, ""); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "tokenizer_config.json") {
		t.Errorf("a damaged tokenizer_config.json: %v", err)
	}
}

// A corpus finds its tokenizer beside it, wherever it was moved, and notices
// another one.
func TestOfCorpus(t *testing.T) {
	dir := t.TempDir()
	made, err := Load(writeFile(t, filepath.Join(dir, "tokenizer.json"), small("", "")), "ab")
	if err != nil {
		t.Fatal(err)
	}
	if !FromFile(made.Name()) || FromFile("bytes") {
		t.Errorf("Name is %q", made.Name())
	}
	prefix := filepath.Join(dir, "moved")
	if _, err := OfCorpus([]string{prefix}, made.Name(), 2); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "moved.tokenizer.json") {
		t.Errorf("a missing file: %v", err)
	}
	writeFile(t, CorpusFile(prefix), string(made.Content()))
	tok, err := OfCorpus([]string{filepath.Join(dir, "part without"), prefix}, made.Name(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Name() != made.Name() || tok.EndOfDocument() != 2 || tok.Vocabulary() != 4 {
		t.Errorf("%s, end %d of %d", tok.Name(), tok.EndOfDocument(), tok.Vocabulary())
	}
	if _, err := OfCorpus([]string{prefix}, made.Name(), 4); !errors.Is(err, fault.Mismatch) {
		t.Errorf("an end of document outside: %v", err)
	}
	writeFile(t, CorpusFile(prefix), small(`"a":0`, `"c":0`))
	if _, err := OfCorpus([]string{prefix}, made.Name(), 2); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "the corpus was made with "+made.Name()) {
		t.Errorf("a changed file: %v", err)
	}
	if tok, err := OfCorpus([]string{prefix}, "bytes", 256); err != nil || tok.Name() != "bytes" {
		t.Errorf("a tokenizer with a name: %v", err)
	}
	if _, err := New(made.Name()); !errors.Is(err, fault.Invalid) {
		t.Errorf("New of a file's name: %v", err)
	}
}

// FuzzLoad gives any bytes as a file. It is refused with an error of a kind, or
// works as the laws say.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(small("", "")), []byte("ab ba</s>"))
	for _, name := range []string{"bert", "t5", "fused", "wordlevel", "added", "deepseek"} {
		content, err := os.ReadFile(filepath.Join("testdata/hf", name+".json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte("Some text, 12.5 and </s> \xff é\u0301"))
	}
	f.Fuzz(func(t *testing.T, content, text []byte) {
		tok, spec, err := parse("t.json", content)
		if err == nil {
			end := int32(len(content) % tok.vocabulary)
			err = tok.build("t.json", spec, end)
		}
		if err != nil {
			if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Corrupt) {
				t.Errorf("of no kind: %v", err)
			}
			return
		}
		checkRoundTrip(t, tok, text)
	})
}

// Files of before 2021 do not name the kind of their model, and write a merge as
// one text.
func TestOldFiles(t *testing.T) {
	dir := t.TempDir()
	text := []byte("ROMEO: But soft, what light through yonder window breaks?")
	for name, kind := range map[string]string{"gpt2": "BPE", "bert": "WordPiece", "t5": "Unigram", "wordlevel": "WordLevel"} {
		content, err := os.ReadFile(filepath.Join("testdata/hf", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		model := file["model"].(map[string]any)
		if model["type"] != kind {
			t.Fatalf("%s is a %v", name, model["type"])
		}
		delete(model, "type")
		if merges, ok := model["merges"].([]any); ok {
			for i, m := range merges {
				pair := m.([]any)
				merges[i] = pair[0].(string) + " " + pair[1].(string)
			}
		}
		if content, err = json.Marshal(file); err != nil {
			t.Fatal(err)
		}
		old, err := Load(writeFile(t, filepath.Join(dir, name+".json"), string(content)), "")
		if err != nil {
			t.Error(err)
			continue
		}
		want := mustNew(t, filepath.Join("testdata/hf", name+".json")).Encode(nil, text)
		if got := old.Encode(nil, text); !slices.Equal(got, want) || len(got) == 0 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
