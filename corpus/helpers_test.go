package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// testing.T and rapid.T.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// writeCorpus writes documents under a fresh prefix.
func writeCorpus(t fataler, prefix string, dtype DType, meta Meta, documents ...[]int32) {
	t.Helper()
	w, err := Create(prefix, dtype)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer w.Abort()
	for _, d := range documents {
		if err := w.Append(d); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if err := w.Commit(meta); err != nil {
		t.Fatalf("%v", err)
	}
}

// writePair writes the same files as writeCorpus, but by hand and without waiting
// for the disk, which tests of hundreds of corpora would do for seconds.
func writePair(t fataler, prefix string, dtype DType, meta Meta, documents ...[]int32) {
	t.Helper()
	lengths, index := []int32{}, []int64{0}
	for i, d := range documents {
		lengths, index = append(lengths, int32(len(d))), append(index, int64(i+1))
	}
	write := func(ending string, content []byte) {
		t.Helper()
		if err := os.WriteFile(prefix+ending, content, 0o666); err != nil {
			t.Fatalf("%v", err)
		}
	}
	os.Remove(prefix + ".json")
	write(".bin", dtype.narrow(nil, slices.Concat(documents...)))
	write(".idx", indexBytes(kinds[dtype].code, lengths, dtype.Size(), index))
	c, err := Open(prefix)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer c.Close()
	bin, idx := c.parts[0].bin.Info(), c.parts[0].idx.Info()
	json, err := (&sidecar{
		Version: sidecarVersion, Meta: meta,
		Documents: c.Documents(), Tokens: c.Tokens(), DType: c.DType().String(), Fingerprint: fingerprint(t, c),
		BinBytes: bin.Size(), IdxBytes: idx.Size(), BinModified: bin.ModTime().UnixNano(), IdxModified: idx.ModTime().UnixNano(),
	}).encode()
	if err != nil {
		t.Fatalf("%v", err)
	}
	write(".json", json)
}

// mustOpen opens a corpus until the end of the test.
func mustOpen(t *testing.T, prefix string) *Corpus {
	t.Helper()
	c, err := Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// allTokens reads a whole corpus.
func allTokens(t fataler, c *Corpus) []int32 {
	t.Helper()
	tokens := make([]int32, c.Tokens())
	if err := c.Read(tokens, 0); err != nil {
		t.Fatalf("%v", err)
	}
	return tokens
}

// put writes the files of a corpus as they are given; nil is no file.
func put(t testing.TB, prefix string, bin, idx, json []byte) {
	t.Helper()
	for ending, content := range map[string][]byte{".bin": bin, ".idx": idx, ".json": json} {
		if content == nil {
			os.Remove(prefix + ending)
		} else if err := os.WriteFile(prefix+ending, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// le gathers little-endian numbers and bytes.
func le(values ...any) []byte {
	var b bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(fmt.Sprint("test: ", err))
		}
	}
	return b.Bytes()
}

// indexBytes is an index file as another program writes it.
func indexBytes(code byte, lengths []int32, size int64, documents []int64) []byte {
	offsets := make([]int64, len(lengths))
	var at int64
	for i, n := range lengths {
		offsets[i] = at
		at += int64(n) * size
	}
	return le([]byte("MMIDIDX\x00\x00"), uint64(1), code, uint64(len(lengths)), uint64(len(documents)), lengths, offsets, documents)
}

// names lists the files of a directory.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, filepath.Base(e.Name()))
	}
	return list
}

// fingerprint returns the fingerprint of a corpus.
func fingerprint(t fataler, c *Corpus) string {
	t.Helper()
	f, err := c.Fingerprint()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return f
}
