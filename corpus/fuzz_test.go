package corpus

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func FuzzOpen(f *testing.F) {
	prefix := filepath.Join(f.TempDir(), "good")
	writeCorpus(f, prefix, Uint16, Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}, []int32{5}, []int32{6, 7, 256})
	var good [3][]byte
	for i, name := range Files(prefix) {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		good[i] = content
	}
	f.Add(good[1], good[0], good[2])
	f.Add(good[1], good[0], []byte(nil))
	f.Add(good[1][:50], good[0], []byte("{}"))
	f.Add(goodIdx(), goodBin, []byte(goodJSON))
	f.Add(indexBytes(8, []int32{1}, 8, []int64{0, 1, 1}), le(int64(-1)), []byte(nil))
	f.Add(indexBytes(6, []int32{2, 2}, 2, []int64{0, 2, 2}), le(int64(1)), []byte("null"))
	f.Fuzz(func(t *testing.T, idx, bin, json []byte) {
		prefix := filepath.Join(t.TempDir(), "c")
		if len(json) == 0 {
			json = nil
		}
		put(t, prefix, append([]byte{}, bin...), append([]byte{}, idx...), json)
		openAndRead(t, Auto, prefix)
	})
}

// FuzzParts opens a pair, an array and a flat file as one corpus, in a form
// that the fuzzer chooses, as it does which of them there are.
func FuzzParts(f *testing.F) {
	two := le([]uint16{1, 2})
	f.Add(byte(Auto), indexBytes(8, []int32{2}, 2, []int64{0, 1}), two, npyBytes(Uint8, goodBin, 5), []byte(nil))
	f.Add(byte(Flat(Uint16)), indexBytes(6, []int32{1, 1}, 2, []int64{0, 1, 2, 2}), two, npyBytes(Uint16, two, 2), two)
	f.Add(byte(Flat(Uint16)), []byte(nil), two, two, two[:3])
	f.Add(byte(Flat(Int64)), []byte(nil), []byte(nil), npyBytes(Int64, le([]int64{1, -1}), 2, 1), le([]int64{1 << 40}))
	f.Add(byte(Flat(Int8)), indexBytes(2, []int32{3}, 1, []int64{0, 0, 1}), []byte{1, 0xff, 2}, npyBytes(Int8, goodBin, 1, 5), goodBin)
	f.Add(byte(DeepSpeed), indexBytes(8, []int32{1}, 8, []int64{0, 1}), le(int64(9)), npyBytes(Uint16, nil, 1<<62, 1<<62), []byte(nil))
	f.Add(byte(Megatron), indexBytes(9, []int32{1}, 4, []int64{0, 1}), le(int32(9)), npyBytes(Uint16, nil, 1<<62, 0), []byte(nil))
	f.Add(byte(Auto), []byte(nil), []byte(nil), npyBytes(Uint32, le([]uint32{7, 8, 9, 1 << 31, 1, 2}), 3, 2), []byte(nil))
	f.Fuzz(func(t *testing.T, form byte, idx, bin, npy, flat []byte) {
		dir := t.TempDir()
		for name, content := range map[string][]byte{"a.idx": idx, "a.bin": bin, "b.npy": npy, "c.bin": flat} {
			if len(content) > 0 {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(names) == 0 {
			return
		}
		openAndRead(t, Form(form), filepath.Join(dir, "*"))
	})
}

// openAndRead opens files of any content. What opens must be readable
// everywhere, the same in all ways; what does not must say what kind of error
// that is.
func openAndRead(t *testing.T, form Form, name string) {
	t.Helper()
	c, err := OpenAs(form, name)
	if err != nil {
		if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) && !errors.Is(err, fault.Invalid) && !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("of no kind: %v", err)
		}
		return
	}
	defer c.Close()
	if c.Tokens() > c.FileBytes() || c.Documents() > c.FileBytes() {
		t.Fatalf("%d documents and %d tokens in %d bytes", c.Documents(), c.Tokens(), c.FileBytes())
	}
	at := int64(0)
	for i := range c.Documents() {
		start, end := c.Bounds(i)
		if start != at || end < start {
			t.Fatalf("document %d is [%d, %d), after %d", i, start, end, at)
		}
		at = end
		if head, err := c.Head(i+1, end); err != nil || head.Documents() != i+1 {
			t.Fatalf("no head of %d documents: %v", i+1, err)
		}
	}
	if at != c.Tokens() {
		t.Fatalf("documents end at %d of %d", at, c.Tokens())
	}
	for token := range c.Tokens() {
		if start, end := c.Bounds(c.DocumentAt(token)); token < start || token >= end {
			t.Fatalf("token %d is not in [%d, %d)", token, start, end)
		}
	}
	mapped, read := make([]int32, c.Tokens()), make([]int32, c.Tokens())
	errMapped, errRead := c.Read(mapped, 0), c.NewReader().Read(read, 0)
	if errMapped != nil && !errors.Is(errMapped, fault.Corrupt) || (errMapped == nil) != (errRead == nil) {
		t.Fatalf("Read: %v; of a Reader: %v", errMapped, errRead)
	}
	r := c.NewReader()
	for start := int64(0); start < c.Tokens(); {
		raw, d, err := r.ReadRaw(start, c.Tokens()-start)
		if err != nil || len(raw) == 0 {
			t.Fatalf("ReadRaw from %d: %d bytes, %v", start, len(raw), err)
		}
		got := make([]int32, int64(len(raw))/d.Size())
		d.widen(got, raw)
		for i, token := range got {
			if at := start + int64(i); errMapped == nil && (token != mapped[at] || token != read[at]) {
				t.Fatalf("token %d is %d, %d and %d", at, token, mapped[at], read[at])
			}
		}
		start += int64(len(got))
	}
	if err := c.Check(); err != nil && !errors.Is(err, fault.Corrupt) || err == nil && errMapped != nil {
		t.Fatalf("Check: %v; Read: %v", err, errMapped)
	}
	if _, err := c.Fingerprint(); err != nil {
		t.Fatalf("Fingerprint: %v", err)
	}
}
