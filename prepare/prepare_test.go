package prepare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func byteTokenizer(t testing.TB) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// writeTree makes files under dir; a name that ends in a slash is a directory,
// and content that begins with "-> " a link.
func writeTree(t testing.TB, dir string, tree map[string]string) {
	t.Helper()
	for name, content := range tree {
		full := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(full), 0o777)
		if to, ok := strings.CutPrefix(content, "-> "); ok && err == nil {
			err = os.Symlink(to, full)
		} else if err == nil {
			err = os.WriteFile(full, []byte(content), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// documents reads a corpus back as text, and checks it and its ends.
func documents(t testing.TB, prefix string) []string {
	t.Helper()
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(c.Meta().Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for i := range c.Documents() {
		start, end := c.Bounds(i)
		tokens := make([]int32, end-start)
		if err := c.Read(tokens, start); err != nil {
			t.Fatal(err)
		}
		if last := tokens[len(tokens)-1]; int(last) != tok.EndOfDocument() {
			t.Errorf("document %d ends with token %d", i, last)
		}
		texts = append(texts, string(tok.Decode(nil, tokens)))
	}
	return texts
}

// nothingLeft fails if a directory has anything in it.
func nothingLeft(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left", e.Name())
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

func zstded(text string) string {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		panic(fmt.Sprint("test: ", err))
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// fewer limits a property test, here because each corpus is synced to the disk.
func fewer(t *testing.T, checks int) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if f.DefValue != before {
		return // asked for on the command line
	}
	f.Value.Set(fmt.Sprint(checks))
	t.Cleanup(func() { f.Value.Set(before) })
}

// Any tree of text and JSONL, compressed or not, gives the documents that a
// few naive lines give, and the same bytes with 1, 2 and 7 workers.
func TestAgainstNaive(t *testing.T) {
	tok := byteTokenizer(t)
	root := t.TempDir()
	n := 0
	fewer(t, 30)
	rapid.Check(t, func(rt *rapid.T) {
		n++
		dir := filepath.Join(root, fmt.Sprint(n))
		text := rapid.StringMatching(`[a-zé\n "{}]{0,30}`)
		tree, texts := map[string]string{}, map[string][]string{}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[ab]/[a-c]|[a-c]{1,2}[.-][a-c]`), 1, 8, rapid.ID).Draw(rt, "names") {
			var content string
			if rapid.Bool().Draw(rt, "lines") {
				name += ".jsonl"
				for _, d := range rapid.SliceOfN(text, 0, 5).Draw(rt, "documents") {
					line, err := json.Marshal(map[string]any{"text": d, "id": 1})
					if err != nil {
						rt.Fatal(err)
					}
					content += string(line) + rapid.SampledFrom([]string{"\n", "\r\n", "\n\n"}).Draw(rt, "end")
					texts[name] = append(texts[name], d)
				}
				if rapid.Bool().Draw(rt, "last line open") {
					content = strings.TrimRight(content, "\r\n")
				}
			} else {
				content = text.Draw(rt, "text")
				texts[name] = []string{content}
			}
			switch rapid.IntRange(0, 2).Draw(rt, "compression") {
			case 0:
				content = gzipped(content)
			case 1:
				content = zstded(content)
			}
			tree[name] = content
		}
		writeTree(t, dir, tree)
		names := make([]string, 0, len(texts))
		for name := range texts {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
		var want []string
		for _, name := range names {
			for _, d := range texts[name] {
				if d != "" {
					want = append(want, d)
				}
			}
		}
		var first []byte
		for _, workers := range []int{1, 2, 7} {
			out := filepath.Join(root, fmt.Sprintf("out%d-%d", n, workers))
			_, err := Run(context.Background(), out, Options{Inputs: []string{dir}, Tokenizer: tok, Workers: workers})
			if len(want) == 0 {
				if !errors.Is(err, fault.Invalid) {
					rt.Fatalf("without documents: %v", err)
				}
				return
			}
			if err != nil {
				rt.Fatal(err)
			}
			if got := documents(t, out); !slices.Equal(got, want) {
				rt.Fatalf("%d workers: %q, want %q from %q", workers, got, want, names)
			}
			var all []byte
			for _, name := range corpus.Files(out)[:2] {
				b, err := os.ReadFile(name)
				if err != nil {
					rt.Fatal(err)
				}
				all = append(all, b...)
			}
			if first == nil {
				first = all
			} else if !bytes.Equal(all, first) {
				rt.Fatalf("%d workers give other bytes", workers)
			}
		}
	})
}

// Lines longer and shorter than a block, across its seams.
func TestLongLines(t *testing.T) {
	var file strings.Builder
	var want []string
	for i, n := range []int{10, blockBytes - 30, 1, 5, blockBytes, 3 * blockBytes, 1, 2*blockBytes - 1} {
		text := strings.Repeat(string(rune('a'+i)), n)
		want = append(want, text)
		fmt.Fprintf(&file, "{\"text\":%q}\n", text)
	}
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"a.jsonl": file.String()})
	out := filepath.Join(dir, "out")
	result, err := Run(context.Background(), out, Options{Inputs: []string{filepath.Join(dir, "a.jsonl")}, Tokenizer: byteTokenizer(t), Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := documents(t, out); !slices.Equal(got, want) {
		t.Errorf("%d documents, want %d", len(got), len(want))
	}
	if text := len(strings.Join(want, "")); result.Bytes != int64(text) || result.Tokens != int64(text+len(want)) || result.Documents != int64(len(want)) {
		t.Errorf("result is %+v", result)
	}
}

func TestSkips(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"in/a.txt":         "text",
		"in/binary":        "GIF\x00",
		"in/late":          strings.Repeat("x", sniffBytes) + "\x00",
		"in/binary.gz":     gzipped("tar\x00"),
		"in/empty":         "",
		"in/empty.gz":      gzipped(""),
		"in/link":          "-> a.txt",
		"in/loop":          "-> .",
		"in/.hidden":       "no",
		"in/.git/config":   "no",
		"in/z.jsonl":       "\ufeff{\"text\":\"one\"}\n[]\n{}\n{\"text\":null}\n{\"text\":1}\n{\"text\":\"two\"} x\n\n{\"text\":\"\"}",
		"named/.dot/b.txt": "dot",
	})
	out := filepath.Join(dir, "out")
	result, err := Run(context.Background(), out, Options{
		Inputs:    []string{filepath.Join(dir, "in"), filepath.Join(dir, "named/.dot"), filepath.Join(dir, "in/link")},
		Tokenizer: byteTokenizer(t), SkipBadLines: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"text", strings.Repeat("x", sniffBytes) + "\x00", "one", "dot", "text"}
	if got := documents(t, out); !slices.Equal(got, want) {
		t.Errorf("documents are %.50q", got)
	}
	if want := (Skipped{Binary: 2, Special: 2, Empty: 3, Lines: 5}); result.Skipped != want {
		t.Errorf("skipped %+v, want %+v", result.Skipped, want)
	}
}

func TestFormats(t *testing.T) {
	line := `{"text":"a"}` + "\n"
	for _, k := range []struct {
		name, content string
		format        Format
		want          []string
	}{
		{"x.jsonl", line, Auto, []string{"a"}},
		{"x.NDJSON.GZ", gzipped(line), Auto, []string{"a"}},
		{"x.jsonl", zstded(line), Auto, []string{"a"}},
		{"x.json", line, Auto, []string{line}},
		{"x.jsonl", line, Text, []string{line}},
		{"x.txt", line, JSONL, []string{"a"}},
		{"x.txt", "a\x00b", Text, []string{"a\x00b"}},
		{"-", line, Auto, []string{line}},
		{"-", gzipped(line), JSONL, []string{"a"}},
		{"two", gzipped("a") + gzipped("b"), Auto, []string{"ab"}}, // members of one stream
	} {
		dir := t.TempDir()
		input := k.name
		if k.name != "-" {
			input = filepath.Join(dir, k.name)
			writeTree(t, dir, map[string]string{k.name: k.content})
		}
		out := filepath.Join(dir, "out")
		_, err := Run(context.Background(), out, Options{Inputs: []string{input}, Stdin: strings.NewReader(k.content), Tokenizer: byteTokenizer(t), Format: k.format})
		if err != nil {
			t.Errorf("%s as %s: %v", k.name, k.format, err)
		} else if got := documents(t, out); !slices.Equal(got, k.want) {
			t.Errorf("%s as %s: %q, want %q", k.name, k.format, got, k.want)
		}
	}
}

// Every error names its place, has its kind, and leaves nothing.
func TestErrors(t *testing.T) {
	cutGzip, cutZstd := gzipped(strings.Repeat("text", 1000)), zstded(strings.Repeat("text", 1000))
	bad := func(at int, s string) string { return s[:at] + string(s[at]^0x55) + s[at+1:] }
	for _, k := range []struct {
		name, content string
		kind          error
		says          string
	}{
		{"a.gz", cutGzip[:len(cutGzip)-4], fault.Corrupt, "damaged, or cut off"},
		{"a.gz", "\x1f\x8b", fault.Corrupt, "damaged, or cut off"},
		{"a.gz", bad(len(cutGzip)-6, cutGzip), fault.Corrupt, "checksum"},
		{"a.jsonl.gz", cutGzip[:len(cutGzip)-4], fault.Corrupt, "damaged, or cut off"},
		{"a.gz", cutGzip + "trailing", fault.Corrupt, "damaged"},
		{"a.zst", cutZstd[:len(cutZstd)-2], fault.Corrupt, "damaged, or cut off"},
		{"a.zst", bad(len(cutZstd)-1, cutZstd), fault.Corrupt, "damaged"},
		{"a.jsonl", "{\"text\":\"x\"}\n\n{\"text\":}\n", fault.Invalid, "a.jsonl:3: not a JSON object"},
		{"a.jsonl", "{\"text\":\"x\"}\n[1]\n", fault.Invalid, "a.jsonl:2: not a JSON object"},
		{"a.jsonl", "{\"text\":5}", fault.Invalid, `a.jsonl:1: field "text" is not a string`},
		{"a.jsonl", "{\"text\":null}", fault.Invalid, `field "text" is not a string`},
		{"a.jsonl", `{"b":"x","a":"y","c":1}`, fault.Invalid, `no field "text" (fields with text are "a", "b"; choose one with --field)`},
		{"a.jsonl", "{}\n" + strings.Repeat(" ", 3*blockBytes), fault.Invalid, "a.jsonl:"},
		{"a.jsonl", "\n\n" + `{"text":"` + strings.Repeat("x", 3000) + `"}`, fault.Invalid, "a.jsonl:3: the line has more than 2000 bytes"},
		{"a.jsonl", "\n\n" + strings.Repeat("x", 3*blockBytes), fault.Invalid, "a.jsonl:3: the line has more than 2000 bytes"},
		{"a.txt", strings.Repeat("x", 2001), fault.Invalid, "a.txt: has more than 2000 bytes"},
		{"a.gz", gzipped(strings.Repeat("x", 2001)), fault.Invalid, "has more than 2000 bytes"},
		{"a.txt", "", fault.Invalid, "no document"},
		{"a.txt", "\x00", fault.Invalid, "1 binary files"},
	} {
		dir, made := t.TempDir(), t.TempDir()
		writeTree(t, dir, map[string]string{k.name: k.content})
		_, err := Run(context.Background(), filepath.Join(made, "new", "out"), Options{
			Inputs: []string{filepath.Join(dir, k.name)}, Tokenizer: byteTokenizer(t), LongestDocument: 2000, Workers: 2,
		})
		if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s %.30q: %v; want %q", k.name, k.content, err, k.says)
		}
		nothingLeft(t, made)
	}
}

func TestOptionsRefused(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"a.txt": "x"})
	good := Options{Inputs: []string{filepath.Join(dir, "a.txt")}, Tokenizer: byteTokenizer(t)}
	for says, change := range map[string]func(*Options){
		"nothing to prepare":   func(o *Options) { o.Inputs = nil },
		"known are [bytes":     func(o *Options) { o.Tokenizer = nil },
		"negative":             func(o *Options) { o.Workers = -1 },
		"-1 bytes":             func(o *Options) { o.LongestDocument = -1 },
		"unknown format":       func(o *Options) { o.Format = "xml" },
		`"[" is no glob`:       func(o *Options) { o.Exclude = []string{"a/["} },
		"matches no file":      func(o *Options) { o.Inputs = []string{filepath.Join(dir, "*.md")} },
		"named 1 times":        func(o *Options) { o.Inputs = []string{"-"} },
		"named 2 times":        func(o *Options) { o.Inputs, o.Stdin = []string{"-", "-"}, strings.NewReader("") },
		"no name for a corpus": func(o *Options) {},
	} {
		o, out := good, filepath.Join(dir, "out")
		change(&o)
		if says == "no name for a corpus" {
			out = dir + "/"
		}
		if says == `"[" is no glob` {
			says = `"a/[" is no glob`
		}
		if _, err := Run(context.Background(), out, o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
	missing := good
	missing.Inputs = []string{filepath.Join(dir, "missing")}
	if _, err := Run(context.Background(), filepath.Join(dir, "out"), missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing input: %v", err)
	}
	if _, err := Run(context.Background(), filepath.Join(dir, "a.txt", "out"), good); err == nil {
		t.Error("a corpus inside a file")
	}
}

func TestForce(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"a.txt": "first"})
	out := filepath.Join(dir, "out")
	o := Options{Inputs: []string{dir}, Tokenizer: byteTokenizer(t)}
	for _, want := range []string{"first", "second"} {
		writeTree(t, dir, map[string]string{"a.txt": want})
		if _, err := Run(context.Background(), out, o); err != nil {
			t.Fatal(err)
		}
		// The corpus lies among its own inputs and is none of them.
		if got := documents(t, out); !slices.Equal(got, []string{want}) {
			t.Errorf("documents are %.60q, want %q", got, want)
		}
		o.Force = false
		if _, err := Run(context.Background(), out, o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("an existing corpus: %v", err)
		}
		o.Force = true
	}
	// A flat .bin of another program is not overwritten either.
	writeTree(t, dir, map[string]string{"flat.bin": "tokens"})
	o.Force = false
	if _, err := Run(context.Background(), filepath.Join(dir, "flat"), o); !errors.Is(err, fault.Invalid) {
		t.Errorf("a lone .bin: %v", err)
	}
}
