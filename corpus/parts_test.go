package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// npyBytes is a .npy file of a shape, as NumPy writes it but for the padding.
func npyBytes(d DType, data []byte, shape ...int64) []byte {
	text := ""
	for _, n := range shape {
		text += fmt.Sprint(n, ",")
	}
	descr := map[DType]string{Uint8: "|u1", Int8: "|i1", Uint16: "<u2", Int16: "<i2", Uint32: "<u4", Int32: "<i4", Uint64: "<u8", Int64: "<i8"}[d]
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", descr, text)
	return append(le([]byte("\x93NUMPY\x01\x00"), uint16(len(dict)), []byte(dict)), data...)
}

// writePart writes documents as a part of the corpus in a random way that can
// hold them, and returns the part's name.
func writePart(t *rapid.T, base string, documents [][]int32) string {
	put := func(ending string, content []byte) string {
		if err := os.WriteFile(base+ending, content, 0o666); err != nil {
			t.Fatal(err)
		}
		return base + ending
	}
	all := slices.Concat(documents...)
	largest, alike := int32(0), len(documents) > 0
	for _, token := range all {
		largest = max(largest, token)
	}
	for _, d := range documents {
		alike = alike && len(d) == len(documents[0])
	}
	var fitting []DType
	for d := Uint8; d.valid(); d++ {
		if largest <= kinds[d].largest {
			fitting = append(fitting, d)
		}
	}
	d := rapid.SampledFrom(fitting).Draw(t, "type")
	raw := d.narrow(nil, all)
	how := rapid.IntRange(0, 3).Draw(t, "how")
	switch {
	case how == 0 && len(documents) == 1:
		return put(".npy", npyBytes(d, raw, int64(len(all))))
	case how == 1 && alike && len(all) > 0:
		return put(".npy", npyBytes(d, raw, int64(len(documents)), int64(len(documents[0]))))
	case how == 2 && kinds[d].code > 0 && len(documents) > 0:
		writePair(t, base, d, Meta{Tokenizer: "some", EndOfDocument: -1}, documents...)
		return base + rapid.SampledFrom([]string{"", ".bin", ".idx", ".json"}).Draw(t, "ending")
	}
	code := map[DType]byte{Uint8: 1, Int8: 2, Int16: 3, Int32: 4, Int64: 5, Uint16: 6, Uint32: 7, Uint64: 10}[d]
	lengths, index := []int32{}, []int64{0}
	for i, document := range documents {
		lengths, index = append(lengths, int32(len(document))), append(index, int64(i+1))
	}
	put(".idx", indexBytes(code, lengths, d.Size(), index))
	put(".bin", raw)
	return base
}

func drawDocuments(t *rapid.T, least, most int) [][]int32 {
	token := rapid.OneOf(rapid.Int32Range(0, 100), rapid.Int32Range(0, rapid.SampledFrom([]int32{100, 200, 40000, 70000, math.MaxInt32}).Draw(t, "largest")))
	return rapid.SliceOfN(rapid.SliceOfN(token, 0, 12), least, most).Draw(t, "documents")
}

// However a corpus is split into parts, in whatever types and order of names,
// it is the same tokens, documents and samples.
func TestPartsAreTheWhole(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(dir, fmt.Sprint(n))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		documents := drawDocuments(t, 1, 20)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(documents)), 0, 5).Draw(t, "cuts")
		slices.Sort(cuts)
		cuts = append(cuts, len(documents))
		var names []string
		at := 0
		for i, cut := range cuts {
			names = append(names, writePart(t, filepath.Join(dir, fmt.Sprintf("part%d", i)), documents[at:cut]))
			at = cut
		}
		c, err := Open(rapid.Permutation(names).Draw(t, "order")...)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		compareWithModel(t, c, documents)
		compareSamples(t, c, documents)
		compareReader(t, c, slices.Concat(documents...))
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		// The names it gives, and a pattern, open the same corpus.
		for _, names := range [][]string{c.Paths(), {filepath.Join(dir, "part*")}} {
			other, err := Open(names...)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			a, errA := c.Fingerprint()
			b, errB := other.Fingerprint()
			if a != b || errA != nil || errB != nil || !slices.Equal(c.Paths(), other.Paths()) {
				t.Fatalf("%q: %s, %v of %q; before %s, %v of %q", names, b, errB, other.Paths(), a, errA, c.Paths())
			}
		}
	})
}

// compareSamples holds windows and documents against the model.
func compareSamples(t *rapid.T, c *Corpus, documents [][]int32) {
	all := slices.Concat(documents...)
	window := rapid.IntRange(1, 30).Draw(t, "window")
	for _, cut := range []Cut{{Window: window}, {Documents: true}} {
		var want [][]int32
		if cut.Documents {
			want = documents
		} else {
			for at := 0; at+window < len(all); at += window {
				want = append(want, all[at:at+window+1])
			}
		}
		s, err := c.Samples(cut)
		if err != nil {
			if !errors.Is(err, fault.Invalid) || len(want) > 0 {
				t.Fatalf("%v: %v", cut, err)
			}
			continue
		}
		if s.Len() != int64(len(want)) {
			t.Fatalf("%v: %d samples, want %d", cut, s.Len(), len(want))
		}
		for id, tokens := range want {
			start, end := s.Span(int64(id))
			got := make([]int32, end-start)
			if err := c.Read(got, start); err != nil || !slices.Equal(got, tokens) {
				t.Fatalf("%v, sample %d is %v, %v; want %v", cut, id, got, err, tokens)
			}
		}
	}
}

// compareReader reads the same by a Reader, in any order and in both forms.
func compareReader(t *rapid.T, c *Corpus, all []int32) {
	r := c.NewReader()
	for range 8 {
		start := rapid.IntRange(0, len(all)).Draw(t, "start")
		end := rapid.IntRange(start, len(all)).Draw(t, "end")
		if rapid.Bool().Draw(t, "widened") {
			got := make([]int32, end-start)
			if err := r.Read(got, int64(start)); err != nil || !slices.Equal(got, all[start:end]) {
				t.Fatalf("tokens %d to %d are %v, %v; want %v", start, end, got, err, all[start:end])
			}
			continue
		}
		for start < end {
			raw, d, err := r.ReadRaw(int64(start), int64(end-start))
			got := make([]int32, int64(len(raw))/d.Size())
			if err != nil || len(got) == 0 || !d.widen(got, raw) || !slices.Equal(got, all[start:start+len(got)]) {
				t.Fatalf("tokens from %d are % x of %s, %v; want %v", start, raw, d, err, all[start:end])
			}
			start += len(got)
		}
	}
	if raw, _, err := r.ReadRaw(int64(len(all)), 0); len(raw) > 0 || err != nil {
		t.Fatalf("no tokens are % x, %v", raw, err)
	}
	for _, bad := range []struct{ start, n int64 }{{int64(len(all)), 1}, {-1, 1}, {0, -1}, {0, int64(len(all)) + 1}, {1, math.MaxInt64}} {
		if _, _, err := r.ReadRaw(bad.start, bad.n); !errors.Is(err, fault.Invalid) {
			t.Fatalf("%d tokens from %d: %v", bad.n, bad.start, err)
		}
	}
	if err := r.Read(make([]int32, len(all)+1), 0); !errors.Is(err, fault.Invalid) {
		t.Fatalf("a token too many: %v", err)
	}
}

// tree writes small pairs under names of a directory and goes there.
func tree(t *testing.T, prefixes ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for i, prefix := range prefixes {
		if err := os.MkdirAll(filepath.Dir(prefix), 0o777); err != nil {
			t.Fatal(err)
		}
		writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, []int32{int32(i)})
	}
}

func TestOrderOfParts(t *testing.T) {
	tree(t, "a/b", "a-b/c", "a/B", "a.b", "b10", "b9", "b[1]", "other/.hidden", "other/seen")
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		names []string
		want  string // paths, or what the error says
	}{
		{[]string{"b9", "b10"}, "b10 b9"},
		{[]string{"b10", "b9.idx"}, "b10 b9"},
		{[]string{"a.b", "a-b/c", "a/b", "a/B"}, "a/B a/b a-b/c a.b"},
		{[]string{"b9", filepath.Join(here, "a.b")}, filepath.Join(here, "a.b") + " b9"},
		{[]string{"a*/*", "a.b"}, "a/B a/b a-b/c a.b"},
		{[]string{"b*"}, "b10 b9 b[1]"},
		{[]string{"b?"}, "b9"},
		{[]string{"b?.bin"}, "b9"},
		{[]string{"b[1]"}, "b[1]"}, // as it stands
		{[]string{"b[19]"}, "b9"},
		{[]string{"other/*"}, "other/seen"},
		{[]string{"other/.*"}, "other/.hidden"},

		{[]string{"b9", "b9"}, "same part"},
		{[]string{"b9", "./b9.bin"}, "same part"},
		{[]string{"b*", filepath.Join(here, "b9")}, "same part"},
		{nil, "no corpus is named"},
		{[]string{"a"}, "a is a directory; name the files in it, such as 'a/*.bin'"},
		{[]string{"c*"}, "no corpus matches c*"},
		{[]string{"b9", "c"}, "no corpus at c"},
		{[]string{"b[9"}, "b[9: syntax error in pattern"},
	} {
		c, err := Open(k.names...)
		if err != nil {
			if !strings.Contains(err.Error(), k.want) || !errors.Is(err, fault.Invalid) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: %v, want %q", k.names, err, k.want)
			}
			continue
		}
		if got := strings.Join(c.Paths(), " "); got != k.want {
			t.Errorf("%q are %q, want %q", k.names, got, k.want)
		}
		for _, name := range k.names {
			if !Exists(name) {
				t.Errorf("%s does not exist", name)
			}
		}
		c.Close()
	}
}

func TestPathForPeople(t *testing.T) {
	tree(t, "a1", "a2", "a3", "a4", "a5", "a6")
	for pattern, want := range map[string]string{"a2": "a2", "a[12]": "a1, a2", "a[1-4]": "a1, a2, a3, a4", "a?": "a1, a2, ... (3 more), a6"} {
		if got := mustOpen(t, pattern).Path(); got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

// What no part says is taken from those that say it; what two say must agree.
func TestMetaOfParts(t *testing.T) {
	none, gray := Meta{EndOfDocument: -1}, Image{2, 3, 1, 5, []string{"a", "b", "c", "d", "e"}}
	for _, k := range []struct {
		a, b, want Meta
		says       string
	}{
		{none, none, none, ""},
		{none, Meta{"bytes", 257, 256, nil}, Meta{"bytes", 257, 256, nil}, ""},
		{Meta{"bytes", 0, -1, nil}, Meta{"", 257, 256, nil}, Meta{"bytes", 257, 256, nil}, ""},
		{Meta{"bytes", 257, 256, nil}, Meta{"bytes", 257, 256, nil}, Meta{"bytes", 257, 256, nil}, ""},
		{Meta{"bytes", 257, 256, nil}, Meta{"r50k", 257, 256, nil}, none, "p1 and p2 are no parts of one corpus: their tokenizers are bytes and r50k"},
		{Meta{"", 257, -1, nil}, Meta{"", 258, -1, nil}, none, "have a size of 257 and 258"},
		{Meta{"", 0, 0, nil}, Meta{"", 0, 1, nil}, none, "documents end with 0 and 1"},
		{gray.Meta(), gray.Meta(), gray.Meta(), ""},
		{gray.Meta(), Image{2, 3, 1, 6, nil}.Meta(), none, "p1 and p2 are no parts of one corpus: their images differ in shape, or in classes"},
		{gray.Meta(), Meta{"bytes", 256, -1, nil}, none, "their images differ"},
		{Meta{"bytes", 256, -1, nil}, gray.Meta(), none, "their tokenizers are bytes and pixels"},
	} {
		t.Chdir(t.TempDir())
		writeCorpus(t, "p1", Uint8, k.a, []int32{0})
		writeCorpus(t, "p2", Uint16, k.b, []int32{0})
		put(t, "p3", []byte{7}, indexBytes(1, []int32{1}, 1, []int64{0, 1}), nil)
		for _, names := range [][]string{{"p1", "p2", "p3"}, {"p3", "p2", "p1"}} {
			c, err := Open(names...)
			switch {
			case err != nil && (!errors.Is(err, fault.Mismatch) || k.says == "" || !strings.Contains(err.Error(), k.says)):
				t.Errorf("%+v and %+v: %v, want %q", k.a, k.b, err, k.says)
			case err == nil && k.says != "":
				t.Errorf("%+v and %+v are one corpus", k.a, k.b)
			case err == nil:
				if d := cmp.Diff(k.want, c.Meta()); d != "" || c.DType() != Uint16 || c.FileBytes() != 4+3*(34+12+16) {
					t.Errorf("%+v and %+v (-want +got):\n%s%s, %d bytes", k.a, k.b, d, c.DType(), c.FileBytes())
				}
				c.Close()
			}
		}
	}
}

// A damaged part is an error that names it.
func TestDamagedPart(t *testing.T) {
	tree(t, "a", "b", "c")
	os.Truncate("b.bin", 0)
	if _, err := Open("*.bin"); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "b.idx: row 0 ends at token 1, but b.bin has only 0 bytes") {
		t.Errorf("a part cut off: %v", err)
	}
	writeCorpus(t, "b", Uint8, Meta{Vocabulary: 5, EndOfDocument: -1}, []int32{4})
	if err := mustOpen(t, "*.bin").Check(); err != nil {
		t.Error(err)
	}
	writeCorpus(t, "c", Uint8, Meta{EndOfDocument: -1}, []int32{1, 2}, []int32{3, 5})
	if err := mustOpen(t, "?").Check(); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "c.bin: token 3 (byte 3, document 1) is 5, outside the vocabulary of 5") {
		t.Errorf("a token outside another part's vocabulary: %v", err)
	}
}

func TestWidestType(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, k := range []struct {
		types []DType
		want  DType
	}{
		{[]DType{Uint8, Int8}, Uint8}, {[]DType{Int16, Uint16}, Uint16}, {[]DType{Uint8, Int16}, Int16},
		{[]DType{Uint16, Int32}, Int32}, {[]DType{Int64, Int32}, Int32},
	} {
		for _, types := range [][]DType{k.types, {k.types[1], k.types[0]}} {
			for j, d := range types {
				writeCorpus(t, fmt.Sprintf("w%d%d", i, j), d, Meta{EndOfDocument: -1}, []int32{1})
			}
			if got := mustOpen(t, fmt.Sprintf("w%d?", i)).DType(); got != k.want {
				t.Errorf("%s: %s, want %s", types, got, k.want)
			}
		}
	}
}
