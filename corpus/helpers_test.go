package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
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
