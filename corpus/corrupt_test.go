package corpus

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Three documents of 2, 0 and 3 bytes.
var (
	goodBin     = []byte{1, 2, 3, 4, 5}
	goodLengths = []int32{2, 0, 3}
	goodDocs    = []int64{0, 1, 2, 3}
)

func goodIdx() []byte { return indexBytes(1, goodLengths, 1, goodDocs) }

// change returns the good index with bytes overwritten.
func change(at int, with ...any) []byte {
	idx := goodIdx()
	copy(idx[at:], le(with...))
	return idx
}

const goodJSON = `{"version": 1, "tokenizer": "x", "vocabulary": 9, "end_of_document": 8, "documents": 3, "tokens": 5, "dtype": "uint8",
	"fingerprint": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
	"bin_bytes": 5, "idx_bytes": 102, "bin_modified_ns": 0, "idx_modified_ns": 0}`

func TestOpenRefuses(t *testing.T) {
	sub := func(old, new string) []byte { return []byte(strings.Replace(goodJSON, old, new, 1)) }
	for _, k := range []struct {
		name           string
		bin, idx, json []byte
		kind           error
		says           string
	}{
		{"empty index", goodBin, []byte{}, nil, fault.Corrupt, "c.idx: 0 bytes are too few"},
		{"short header", goodBin, goodIdx()[:33], nil, fault.Corrupt, "33 bytes are too few"},
		{"other magic", goodBin, change(0, []byte("TNTIDX\x00\x00")), nil, fault.Corrupt, `begins with "TNTIDX`},
		{"version 2", goodBin, change(9, uint64(2)), nil, fault.Corrupt, "version 2 at byte 9"},
		{"code 0", goodBin, change(17, byte(0)), nil, fault.Corrupt, "unknown type code 0 at byte 17"},
		{"code 11", goodBin, change(17, byte(11)), nil, fault.Corrupt, "unknown type code 11"},
		{"cut off", goodBin, goodIdx()[:101], nil, fault.Corrupt, "do not fit its 3 rows and 4 document entries"},
		{"too long", goodBin, append(goodIdx(), 0), nil, fault.Corrupt, "do not fit"},
		{"more rows", goodBin, change(18, uint64(4)), nil, fault.Corrupt, "do not fit its 4 rows"},
		{"rows that overflow", goodBin, change(18, uint64(1)<<62), nil, fault.Corrupt, "do not fit"},
		{"rows that wrap around", goodBin, change(18, ^uint64(0)/12+1), nil, fault.Corrupt, "do not fit"},
		{"entries that wrap around", goodBin, change(26, ^uint64(0)/8+5), nil, fault.Corrupt, "do not fit"},
		{"negative length", goodBin, change(34, int32(-1)), nil, fault.Corrupt, "row 0 has the length -1"},
		{"long row", goodBin, change(42, int32(4)), nil, fault.Corrupt, "row 2 ends at token 6, but"},
		{"short row", goodBin, change(42, int32(2)), nil, fault.Corrupt, "c.bin: has 5 bytes, but"},
		{"offset off", goodBin, change(62, int64(3)), nil, fault.Corrupt, "row 2 is said to begin at byte 3; the rows before it end at 2"},
		{"negative offset", goodBin, change(54, int64(-1)), nil, fault.Corrupt, "row 1 is said to begin at byte -1"},
		{"documents from 1", goodBin, change(70, int64(1)), nil, fault.Corrupt, "begins with 1"},
		{"documents backwards", goodBin, change(78, int64(2), int64(1)), nil, fault.Corrupt, "entry 2 of the document index is 1, after 2"},
		{"document past the rows", goodBin, change(86, int64(4)), nil, fault.Corrupt, "entry 2 of the document index is 4"},
		{"negative document", goodBin, change(78, int64(-1)), nil, fault.Corrupt, "entry 1 of the document index is -1"},
		{"documents not closed", goodBin, change(94, int64(2)), nil, fault.Corrupt, "ends at row 2 of 3"},
		{"no document index", goodBin, indexBytes(1, goodLengths, 1, nil), nil, fault.Corrupt, "document index is empty"},
		{"bin cut off", goodBin[:4], goodIdx(), nil, fault.Corrupt, "row 2 ends at token 5, but"},
		{"bin too long", append(goodBin[:5:5], 6), goodIdx(), nil, fault.Corrupt, "c.bin: has 6 bytes, but"},
		{"bin missing", nil, goodIdx(), nil, fs.ErrNotExist, "gradus prepare"},
		{"idx missing", goodBin, nil, nil, fs.ErrNotExist, "gradus prepare"},

		{"json not json", goodBin, goodIdx(), []byte("{"), fault.Corrupt, "c.json"},
		{"json empty", goodBin, goodIdx(), []byte{}, fault.Corrupt, "c.json"},
		{"json of a later version", goodBin, goodIdx(), sub(`"version": 1`, `"version": 2`), fault.Mismatch, "version 2"},
		{"json of other counts", goodBin, goodIdx(), sub(`"tokens": 5`, `"tokens": 6`), fault.Mismatch, "describes another corpus"},
		{"json of another type", goodBin, goodIdx(), sub(`uint8`, `int8`), fault.Mismatch, "describes another corpus"},
		{"json without hash", goodBin, goodIdx(), sub(`sha256:`, `md5:`), fault.Corrupt, "no fingerprint"},
		{"json with a negative vocabulary", goodBin, goodIdx(), sub(`"vocabulary": 9`, `"vocabulary": -9`), fault.Corrupt, "vocabulary of -9"},
		{"json with an end outside", goodBin, goodIdx(), sub(`"end_of_document": 8`, `"end_of_document": 9`), fault.Corrupt, "end-of-document token 9"},
		{"json too large", goodBin, goodIdx(), make([]byte, sidecarLimit+1), fault.Corrupt, "larger than"},
	} {
		t.Run(k.name, func(t *testing.T) {
			prefix := filepath.Join(t.TempDir(), "c")
			put(t, prefix, k.bin, k.idx, k.json)
			c, err := Open(prefix)
			if err == nil {
				c.Close()
				t.Fatal("it opens")
			}
			if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), prefix) {
				t.Errorf("error is %v; want kind %v and %q", err, k.kind, k.says)
			}
		})
	}
}

// What Open accepts and only reading finds.
func TestBadTokens(t *testing.T) {
	for _, k := range []struct {
		code byte
		bin  []byte
		says string
	}{
		{2, le([]int8{1, 2, -3, 4}), "the int8 at token 2 (byte 2, bytes fd)"},
		{3, le([]int16{1, 2, -3, 4}), "the int16 at token 2 (byte 4, bytes fd ff)"},
		{4, le([]int32{1, 2, -3, 4}), "the int32 at token 2 (byte 8,"},
		{5, le([]int64{1, 2, 1 << 31, 4}), "the int64 at token 2 (byte 16,"},
		{5, le([]int64{1, 2, -3, 4}), "the int64 at token 2 (byte 16,"},
		{7, le([]uint32{1, 2, 1 << 31, 4}), "the uint32 at token 2 (byte 8,"},
		{8, le([]uint64{1, 2, 1 << 63, 4}), "the uint64 at token 2 (byte 16,"},
	} {
		prefix := filepath.Join(t.TempDir(), "c")
		put(t, prefix, k.bin, indexBytes(k.code, []int32{4}, int64(len(k.bin)/4), []int64{0, 1}), nil)
		c := mustOpen(t, prefix)
		for what, err := range map[string]error{
			"Read of all":  c.Read(make([]int32, 4), 0),
			"Read of some": c.Read(make([]int32, 2), 1),
			"Check":        c.Check(),
		} {
			if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), k.says) {
				t.Errorf("%s: %v, want %q", what, err, k.says)
			}
		}
		if err := c.Read(make([]int32, 2), 0); err != nil {
			t.Errorf("the tokens before it: %v", err)
		}
	}
}

func TestCheckFinds(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	put(t, prefix, []byte{1, 2, 3, 9, 5}, goodIdx(), []byte(goodJSON))
	if err := mustOpen(t, prefix).Check(); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "token 3 (byte 3, document 2) is 9, outside the vocabulary of 9") {
		t.Errorf("a token outside the vocabulary: %v", err)
	}
	put(t, prefix, goodBin, goodIdx(), []byte(goodJSON))
	if err := mustOpen(t, prefix).Check(); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "c.json says sha256:00000000") {
		t.Errorf("another fingerprint: %v", err)
	}
}

func TestOpenByAnyName(t *testing.T) {
	dir := t.TempDir()
	for _, prefix := range []string{"c", "c.bin", "c.v1"} {
		prefix = filepath.Join(dir, prefix)
		put(t, prefix, goodBin, goodIdx(), nil)
	}
	for name, want := range map[string]string{"c": "c", "c.idx": "c", "c.json": "c", "c.bin": "c.bin", "c.bin.idx": "c.bin", "c.v1": "c.v1", "c.v1.bin": "c.v1"} {
		if got := mustOpen(t, filepath.Join(dir, name)).Path(); got != filepath.Join(dir, want) {
			t.Errorf("%s opens %s", name, got)
		}
		if !Exists(filepath.Join(dir, name)) {
			t.Errorf("%s does not exist", name)
		}
	}
	if Exists(filepath.Join(dir, "d")) || Exists(dir) {
		t.Error("what is not there exists")
	}
}
