package corpus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
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

// The smallest corpus worth spelling out: documents [5] and [6 7 256].
func TestGoldenBytes(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint16, Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}, []int32{5}, []int32{6, 7, 256})
	wantBin := []byte{5, 0, 6, 0, 7, 0, 0, 1}
	wantIdx := []byte{
		'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0, // magic
		1, 0, 0, 0, 0, 0, 0, 0, // version
		8,                      // uint16 in Megatron's table
		2, 0, 0, 0, 0, 0, 0, 0, // rows
		3, 0, 0, 0, 0, 0, 0, 0, // entries of the document index
		1, 0, 0, 0, 3, 0, 0, 0, // lengths
		0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, // offsets in bytes
		0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, // documents
	}
	for ending, want := range map[string][]byte{".bin": wantBin, ".idx": wantIdx} {
		if got, err := os.ReadFile(prefix + ending); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is % x, %v\nwant % x", ending, got, err, want)
		}
	}
	json, err := os.ReadFile(prefix + ".json")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"version": 1,`, `"tokenizer": "bytes",`, `"vocabulary": 257,`, `"end_of_document": 256,`,
		`"documents": 2,`, `"tokens": 4,`, `"dtype": "uint16",`, `"bin_bytes": 8,`, `"idx_bytes": 82,`,
		`"fingerprint": "sha256:` + goldenFingerprint + `",`,
	} {
		if !strings.Contains(string(json), want) {
			t.Errorf(".json lacks %s:\n%s", want, json)
		}
	}
	if got := names(t, filepath.Dir(prefix)); !slices.Equal(got, []string{"c.bin", "c.idx", "c.json"}) {
		t.Errorf("the directory holds %q", got)
	}
}

// readIndependently is a second reader of the format, after the table in
// reference/deepspeed.md section 2.5 and sharing no code with the package: the
// documents of a corpus of uint16 or int32 with one row a document.
func readIndependently(prefix string) ([][]int32, error) {
	idx, err := os.ReadFile(prefix + ".idx")
	if err != nil {
		return nil, err
	}
	bin, err := os.ReadFile(prefix + ".bin")
	if err != nil {
		return nil, err
	}
	r := bytes.NewReader(idx)
	var head struct {
		Magic      [9]byte
		Version    uint64
		Code       uint8
		Rows, Docs uint64
	}
	if err := binary.Read(r, binary.LittleEndian, &head); err != nil {
		return nil, err
	}
	lengths, offsets, docs := make([]int32, head.Rows), make([]int64, head.Rows), make([]int64, head.Docs)
	for _, v := range []any{lengths, offsets, docs} {
		if err := binary.Read(r, binary.LittleEndian, v); err != nil {
			return nil, err
		}
	}
	if string(head.Magic[:7]) != "MMIDIDX" || head.Version != 1 || r.Len() > 0 || docs[0] != 0 || len(docs) != len(lengths)+1 {
		return nil, fmt.Errorf("header %+v, %d bytes left, documents %v", head, r.Len(), docs)
	}
	var documents [][]int32
	for i, n := range lengths {
		if docs[i+1] != int64(i+1) {
			return nil, fmt.Errorf("document index %v", docs)
		}
		document := make([]int32, n)
		for k := range document {
			switch head.Code {
			case 8:
				document[k] = int32(binary.LittleEndian.Uint16(bin[offsets[i]+2*int64(k):]))
			case 4:
				document[k] = int32(binary.LittleEndian.Uint32(bin[offsets[i]+4*int64(k):]))
			case 1:
				document[k] = int32(bin[offsets[i]+int64(k)])
			default:
				return nil, fmt.Errorf("code %d", head.Code)
			}
		}
		documents = append(documents, document)
	}
	return documents, nil
}

func TestIndependentReader(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		prefix := filepath.Join(dir, fmt.Sprint(n))
		vocabulary := rapid.SampledFrom([]int{1, 256, 257, 65536, 65537, math.MaxInt32}).Draw(t, "vocabulary")
		want := rapid.SliceOfN(rapid.SliceOfN(rapid.Int32Range(0, int32(vocabulary-1)), 0, 20), 1, 20).Draw(t, "documents")
		writeCorpus(t, prefix, Fit(vocabulary), Meta{Vocabulary: vocabulary, EndOfDocument: -1}, want...)
		got, err := readIndependently(prefix)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("another reader reads (-written +read):\n%s", d)
		}
		c, err := Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		compareWithModel(t, c, want)
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	})
}

// compareWithModel holds a corpus against the documents it should have.
func compareWithModel(t *rapid.T, c *Corpus, documents [][]int32) {
	all := slices.Concat(documents...)
	if c.Documents() != int64(len(documents)) || c.Tokens() != int64(len(all)) {
		t.Fatalf("%d documents, %d tokens, want %d, %d", c.Documents(), c.Tokens(), len(documents), len(all))
	}
	at := int64(0)
	for i, d := range documents {
		start, end := c.Bounds(int64(i))
		if start != at || end != at+int64(len(d)) {
			t.Fatalf("document %d is [%d, %d), want [%d, %d)", i, start, end, at, at+int64(len(d)))
		}
		for ; at < end; at++ {
			if got := c.DocumentAt(at); got != int64(i) {
				t.Fatalf("token %d is said to be of document %d and is of %d", at, got, i)
			}
		}
	}
	if c.DocumentAt(-1) != -1 || c.DocumentAt(at) != -1 {
		t.Fatal("a token outside is in a document")
	}
	start := rapid.IntRange(0, len(all)).Draw(t, "start")
	end := rapid.IntRange(start, len(all)).Draw(t, "end")
	dst := make([]int32, end-start)
	if err := c.Read(dst, int64(start)); err != nil || !slices.Equal(dst, all[start:end]) {
		t.Fatalf("tokens %d to %d are %v, %v; want %v", start, end, dst, err, all[start:end])
	}
	for _, bad := range []struct{ n, start int64 }{{1, at}, {0, at + 1}, {1, -1}, {at + 1, 0}, {1, 1<<63 - 1}} {
		if err := c.Read(make([]int32, bad.n), bad.start); !errors.Is(err, fault.Invalid) {
			t.Fatalf("reading %d tokens from %d of %d: %v", bad.n, bad.start, at, err)
		}
	}
}

// The test vector of reference/deepspeed.md section 2.5, made by DeepSpeed:
// rows [5] and [6 7 8] of uint16 under its code 6, one document.
func TestDeepSpeedVector(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	idx, err := hex.DecodeString(strings.Join(strings.Fields(`
		4d4d49444944580000 0100000000000000 06 0200000000000000 0200000000000000
		01000000 03000000 0000000000000000 0200000000000000 0000000000000000 0200000000000000`), ""))
	if err != nil || len(idx) != 74 {
		t.Fatalf("the vector has %d bytes, %v", len(idx), err)
	}
	put(t, prefix, []byte{5, 0, 6, 0, 7, 0, 8, 0}, idx, nil)
	c := mustOpen(t, prefix)
	if got := allTokens(t, c); !slices.Equal(got, []int32{5, 6, 7, 8}) || c.DType() != Uint16 || c.Documents() != 1 {
		t.Errorf("%v of %s in %d documents", got, c.DType(), c.Documents())
	}
	if got, want := c.Meta(), (Meta{EndOfDocument: -1}); got != want {
		t.Errorf("Meta is %+v without a .json", got)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// Every type under every code that any program gives it.
func TestCodes(t *testing.T) {
	dir := t.TempDir()
	for _, k := range []struct {
		code byte
		want DType
		bin  []byte
	}{
		{1, Uint8, le([]uint8{1, 2, 200})}, {2, Int8, le([]int8{1, 2, 100})},
		{3, Int16, le([]int16{1, 2, 300})}, {4, Int32, le([]int32{1, 2, 70000})}, {5, Int64, le([]int64{1, 2, 70000})},
		{6, Uint16, le([]uint16{1, 2, 65535})}, {7, Uint32, le([]uint32{1, 2, 70000})}, {8, Uint64, le([]uint64{1, 2, 1<<31 - 1})},
		{8, Uint16, le([]uint16{1, 2, 65535})}, {9, Uint32, le([]uint32{1, 2, 70000})}, {10, Uint64, le([]uint64{1, 2, 70000})},
	} {
		prefix := filepath.Join(dir, fmt.Sprintf("%d-%s", k.code, k.want))
		put(t, prefix, k.bin, indexBytes(k.code, []int32{2, 1}, k.want.Size(), []int64{0, 1, 2}), nil)
		c := mustOpen(t, prefix)
		if got := allTokens(t, c); c.DType() != k.want || got[0] != 1 || got[1] != 2 || got[2] < 100 {
			t.Errorf("code %d reads as %s: %v", k.code, c.DType(), got)
		}
	}
	prefix := filepath.Join(dir, "floats")
	put(t, prefix, le([]float64{1, 2, 3}), indexBytes(6, []int32{3}, 8, []int64{0, 1}), nil)
	if _, err := Open(prefix); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "float64") {
		t.Errorf("a file of floats: %v", err)
	}
}

// Documents of several rows, empty ones, and the ends that merging leaves.
func TestForeignDocuments(t *testing.T) {
	for _, k := range []struct {
		name      string
		documents []int64
		want      [][2]int64
	}{
		{"one for all rows", []int64{0, 4}, [][2]int64{{0, 6}}},
		{"one a row", []int64{0, 1, 2, 3, 4}, [][2]int64{{0, 1}, {1, 4}, {4, 4}, {4, 6}}},
		{"runs", []int64{0, 2, 4}, [][2]int64{{0, 4}, {4, 6}}},
		{"merged", []int64{0, 2, 4, 4}, [][2]int64{{0, 4}, {4, 6}}},
		{"merged twice", []int64{0, 2, 4, 4, 4}, [][2]int64{{0, 4}, {4, 6}}},
		{"no rows in one", []int64{0, 2, 2, 4}, [][2]int64{{0, 4}, {4, 4}, {4, 6}}},
	} {
		prefix := filepath.Join(t.TempDir(), "c")
		put(t, prefix, []byte{1, 2, 3, 4, 5, 6}, indexBytes(1, []int32{1, 3, 0, 2}, 1, k.documents), nil)
		c := mustOpen(t, prefix)
		var got [][2]int64
		for i := range c.Documents() {
			start, end := c.Bounds(i)
			got = append(got, [2]int64{start, end})
			for token := start; token < end; token++ {
				if d := c.DocumentAt(token); d != i {
					t.Errorf("%s: token %d is in document %d, want %d", k.name, token, d, i)
				}
			}
		}
		if d := cmp.Diff(k.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", k.name, d)
		}
	}
	prefix := filepath.Join(t.TempDir(), "empty")
	put(t, prefix, []byte{}, indexBytes(8, nil, 2, []int64{0, 0}), nil)
	if c := mustOpen(t, prefix); c.Documents() != 0 || c.Tokens() != 0 || c.DType() != Uint16 {
		t.Errorf("an empty corpus has %d documents and %d tokens of %s", c.Documents(), c.Tokens(), c.DType())
	}
}

// Decoding in groups is decoding one by one, of any bytes, and finds the same
// ones to be no tokens.
func TestWiden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Custom(func(t *rapid.T) DType { return DType(rapid.IntRange(1, len(kinds)-1).Draw(t, "d")) }).Draw(t, "type")
		n := rapid.IntRange(0, 40).Draw(t, "tokens")
		values := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 127), rapid.Int64Range(0, 127), rapid.Int64Range(0, math.MaxInt32), rapid.Int64()), n, n).Draw(t, "values")
		var raw []byte
		want, all := make([]int32, n), true
		for i, v := range values {
			var stored int64 // as the type holds it
			switch d {
			case Uint8:
				raw, stored = append(raw, le(uint8(v))...), int64(uint8(v))
			case Int8:
				raw, stored = append(raw, le(int8(v))...), int64(int8(v))
			case Uint16:
				raw, stored = append(raw, le(uint16(v))...), int64(uint16(v))
			case Int16:
				raw, stored = append(raw, le(int16(v))...), int64(int16(v))
			case Uint32:
				raw, stored = append(raw, le(uint32(v))...), int64(uint32(v))
			case Int32:
				raw, stored = append(raw, le(int32(v))...), int64(int32(v))
			default:
				raw, stored = append(raw, le(v)...), v
			}
			want[i], all = int32(stored), all && stored >= 0 && stored <= math.MaxInt32
		}
		got := make([]int32, n)
		if ok := d.widen(got, append(raw, 0xff, 0xff)); ok != all || ok && !slices.Equal(got, want) {
			t.Fatalf("%s % x is %v, %v; want %v, %v", d, raw, got, ok, want, all)
		}
	})
}
