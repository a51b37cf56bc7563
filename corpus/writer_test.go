package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A process killed between any two of the operations on files of Commit, or an
// error there, must leave the old corpus whole, the new one whole, or none that
// opens. The new corpus differs from the old one in ways of which sizes tell
// none, some or all.
func TestCommitCutAnywhere(t *testing.T) {
	meta := Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}
	fresh := [][]int32{{1, 2}, {3}}
	for name, old := range map[string][][]int32{
		"none":            nil,
		"same sizes":      {{4, 5}, {6}},
		"same bin":        {{1}, {2, 3}},
		"same idx":        {{4, 5, 6}, {7, 8}},
		"all sizes other": {{9}},
	} {
		for k := 0; ; k++ {
			t.Run(fmt.Sprintf("%s, %d steps", name, k), func(t *testing.T) {
				for _, abort := range []bool{false, true} {
					dir := t.TempDir()
					prefix := filepath.Join(dir, "c")
					if old != nil {
						writeCorpus(t, prefix, Uint16, Meta{Vocabulary: 300, EndOfDocument: -1}, old...)
					}
					w, err := Create(prefix, Uint16)
					if err != nil {
						t.Fatal(err)
					}
					for _, d := range fresh {
						if err := w.Append(d); err != nil {
							t.Fatal(err)
						}
					}
					steps := w.steps(meta)
					for _, step := range steps[:k] {
						if err := step(); err != nil {
							t.Fatal(err)
						}
					}
					w.done = k == len(steps) // as Commit has it
					if abort {
						w.Abort()
						checkNoTemps(t, dir)
					}
					checkOldNewOrNone(t, prefix, old, fresh, meta)
				}
			})
			if k == len((&Writer{}).steps(meta)) {
				break
			}
		}
	}
}

func checkNoTemps(t *testing.T, dir string) {
	t.Helper()
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, ".") {
			t.Errorf("%s is left", name)
		}
	}
}

func checkOldNewOrNone(t *testing.T, prefix string, old, fresh [][]int32, meta Meta) {
	t.Helper()
	c, err := Open(prefix)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fault.Corrupt) {
			t.Errorf("Open: %v", err)
		}
		return
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	want := old
	if reflect.DeepEqual(c.Meta(), meta) {
		want = fresh
	}
	if got := allTokens(t, c); !slices.Equal(got, slices.Concat(want...)) || c.Documents() != int64(len(want)) {
		t.Errorf("%d documents, %v with %+v: a mixture", c.Documents(), got, c.Meta())
	}
}

// The last step is what makes the new corpus: before it the old one is there
// until it is removed, after it the new one is.
func TestCommitReplaces(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	for i := range int32(3) {
		writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, []int32{i, i})
		if got := allTokens(t, mustOpen(t, prefix)); !slices.Equal(got, []int32{i, i}) {
			t.Errorf("after writing %d: %v", i, got)
		}
	}
	if got := names(t, filepath.Dir(prefix)); len(got) != 3 {
		t.Errorf("the directory holds %q", got)
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []DType{0, Uint32, Uint64, 99} {
		if _, err := Create(filepath.Join(dir, "c"), d); !errors.Is(err, fault.Invalid) {
			t.Errorf("Create with %s: %v", d, err)
		}
	}
	for _, name := range []string{"", ".", "..", dir + string(filepath.Separator)} {
		if _, err := Create(name, Uint8); !errors.Is(err, fault.Invalid) {
			t.Errorf("Create(%q): %v", name, err)
		}
	}
	if _, err := Create(filepath.Join(dir, "missing", "c"), Uint8); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Create in a missing directory: %v", err)
	}
	for _, k := range []struct {
		dtype    DType
		document []int32
	}{
		{Uint8, []int32{0, 256}}, {Int8, []int32{0, 128}}, {Uint16, []int32{0, 65536}}, {Int16, []int32{0, 32768}},
		{Uint8, []int32{0, -1}}, {Int32, []int32{0, -1}}, {Int64, []int32{0, math.MinInt32}},
	} {
		w, err := Create(filepath.Join(dir, "c"), k.dtype)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(k.document); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "document 0: token 1 is") {
			t.Errorf("%s takes %v: %v", k.dtype, k.document, err)
		}
		if err := w.Commit(Meta{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("Commit without documents: %v", err)
		}
	}
	for _, meta := range []Meta{
		{Vocabulary: 7, EndOfDocument: 7}, {Vocabulary: 7, EndOfDocument: -2}, {Vocabulary: -1}, {Vocabulary: 5},
	} {
		w, err := Create(filepath.Join(dir, "c"), Uint8)
		if err != nil {
			t.Fatal(err)
		}
		w.Append([]int32{5})
		if err := w.Commit(meta); !errors.Is(err, fault.Invalid) {
			t.Errorf("Commit(%+v): %v", meta, err)
		}
		if err := w.Append([]int32{5}); err == nil {
			t.Error("a closed writer takes a document")
		}
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// A refused document is not written, and the writer goes on.
func TestWriterGoesOn(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	w, err := Create(prefix, Uint8)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, d := range [][]int32{{1}, {2, 300}, {3}} {
		w.Append(d)
	}
	if w.Documents() != 2 || w.Tokens() != 2 {
		t.Errorf("%d documents, %d tokens", w.Documents(), w.Tokens())
	}
	if err := w.Commit(Meta{EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	if got := allTokens(t, mustOpen(t, prefix)); !slices.Equal(got, []int32{1, 3}) {
		t.Errorf("tokens are %v", got)
	}
}

// Links to the files are followed, by the removal of the old index too.
func TestWriterThroughLinks(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	writeCorpus(t, there, Uint8, Meta{EndOfDocument: -1}, []int32{1})
	here := filepath.Join(dir, "here")
	for i, name := range Files(there) {
		if err := os.Symlink(name, Files(here)[i]); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	writeCorpus(t, here, Uint8, Meta{EndOfDocument: -1}, []int32{2})
	for _, prefix := range []string{here, there} {
		if got := allTokens(t, mustOpen(t, prefix)); !slices.Equal(got, []int32{2}) {
			t.Errorf("%s has %v", prefix, got)
		}
	}
}

func TestFit(t *testing.T) {
	for vocabulary, want := range map[int]DType{1: Uint8, 256: Uint8, 257: Uint16, 50257: Uint16, 65536: Uint16, 65537: Int32, math.MaxInt32: Int32} {
		if got := Fit(vocabulary); got != want {
			t.Errorf("Fit(%d) is %s, want %s", vocabulary, got, want)
		}
	}
	if s := DType(0).String(); s != "DType(0)" || DType(0).Size() != 0 || Uint16.String() != "uint16" || Int64.Size() != 8 {
		t.Errorf("names and sizes: %s, %s", s, Uint16)
	}
}
