package corpus

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// The text of fingerprint.go, written out for flat files and for parts.
func TestFingerprintTextOfParts(t *testing.T) {
	t.Chdir(t.TempDir())
	sum := func(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
	writeCorpus(t, "a", Uint16, Meta{EndOfDocument: -1}, []int32{5}, []int32{6, 7, 256})
	tokens := []byte{1, 0, 2, 0, 3, 0, 4, 0}
	os.WriteFile("b.bin", tokens, 0o666)
	os.WriteFile("b.npy", npyBytes(Uint16, tokens, 4), 0o666)
	os.WriteFile("c.npy", npyBytes(Uint16, tokens, 2, 2), 0o666)
	put(t, "empty", []byte{}, indexBytes(8, nil, 2, []int64{0}), nil)

	a := "sha256:" + goldenFingerprint
	chunk := strings.TrimPrefix(sum(string(tokens)), "sha256:")
	b := sum("gradus corpus 1\ndtype uint16\ntokens 4\ndocuments 1\neach 4\nchunk " + chunk + "\n")
	c := sum("gradus corpus 1\ndtype uint16\ntokens 4\ndocuments 2\neach 2\nchunk " + chunk + "\n")
	for _, k := range []struct{ names, want string }{
		{"b.bin", b}, {"b.npy", b}, {"c.npy", c}, {"a", a},
		{"a b.npy", sum("gradus corpus parts 1\npart " + a + "\npart " + b + "\n")},
		{"c.npy a b.bin", sum("gradus corpus parts 1\npart " + a + "\npart " + b + "\npart " + c + "\n")},
		{"a empty", a},
		{"c.npy a empty", sum("gradus corpus parts 1\npart " + a + "\npart " + c + "\n")},
	} {
		corpus, err := OpenAs(Flat(Uint16), strings.Fields(k.names)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := fingerprint(t, corpus); got != k.want {
			t.Errorf("%s: %s, want %s", k.names, got, k.want)
		}
		corpus.Close()
	}
}

// A part whose PREFIX.json still holds is not read again.
func TestFingerprintOfPartsIsKept(t *testing.T) {
	t.Chdir(t.TempDir())
	writeCorpus(t, "a", Uint8, Meta{EndOfDocument: -1}, []int32{1})
	writeCorpus(t, "b", Uint8, Meta{EndOfDocument: -1}, []int32{2})
	before := fingerprint(t, mustOpen(t, "?"))
	text, err := os.ReadFile("b.json")
	if err != nil {
		t.Fatal(err)
	}
	own := fingerprint(t, mustOpen(t, "b"))
	claimed := "sha256:" + strings.Repeat("7", 64)
	os.WriteFile("b.json", []byte(strings.Replace(string(text), own, claimed, 1)), 0o666)
	want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("gradus corpus parts 1\npart "+fingerprint(t, mustOpen(t, "a"))+"\npart "+claimed+"\n")))
	if got := fingerprint(t, mustOpen(t, "?")); got != want || got == before {
		t.Errorf("%s, want %s", got, want)
	}
	if err := mustOpen(t, "?").Check(); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "b.json says "+claimed) {
		t.Errorf("Check: %v", err)
	}
}

// The head of a corpus is the corpus that it grew from, wherever a document
// ends: within a part, between parts, or in a part that grew.
func TestHeadIsTheCorpusBefore(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(dir, fmt.Sprint(n))
		documents := drawDocuments(t, 0, 12)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(documents)), 0, 2).Draw(t, "cuts")
		slices.Sort(cuts)
		// Parts are pairs of one type: a part that grew is of the type it was of.
		write := func(where string, documents [][]int32) *Corpus {
			where = filepath.Join(dir, where)
			if err := os.MkdirAll(where, 0o777); err != nil {
				t.Fatal(err)
			}
			at := 0
			for i := range len(cuts) + 1 {
				end := len(documents)
				if i < len(cuts) {
					end = min(cuts[i], end)
				}
				if i > 0 && at == len(documents) {
					break // this part was not there yet
				}
				prefix := filepath.Join(where, fmt.Sprint("part", i))
				writePair(t, prefix, Int32, Meta{EndOfDocument: -1}, documents[at:end]...)
				at = end
			}
			c, err := Open(filepath.Join(where, "*"))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		grown := write("grown", documents)
		defer grown.Close()
		k := rapid.IntRange(0, len(documents)).Draw(t, "documents before")
		before := write("before", documents[:k])
		defer before.Close()

		head, err := grown.Head(before.Documents(), before.Tokens())
		if err != nil {
			t.Fatal(err)
		}
		compareWithModel(t, head, documents[:k])
		compareReader(t, head, slices.Concat(documents[:k]...))
		if a, b := fingerprint(t, head), fingerprint(t, before); k > 0 && a != b {
			t.Fatalf("the head of %d of %d documents, cut at %v, has %s; that corpus has %s", k, len(documents), cuts, a, b)
		}
		// No other number of tokens is an end, nor is another fingerprint equal.
		if wrong := rapid.Int64Range(-1, grown.Tokens()+1).Draw(t, "wrong"); wrong != before.Tokens() {
			if _, err := grown.Head(before.Documents(), wrong); !errors.Is(err, fault.Mismatch) {
				t.Fatalf("%d documents end at %d and, it says, at %d: %v", k, before.Tokens(), wrong, err)
			}
		}
		if err := head.Close(); err != nil {
			t.Fatal(err)
		}
		compareWithModel(t, grown, documents) // the head's Close leaves it alone
	})
}

func TestHeadOfFlat(t *testing.T) {
	t.Chdir(t.TempDir())
	open := func(name string, content []byte) *Corpus {
		os.WriteFile(name, content, 0o666)
		c, err := OpenAs(Flat(Uint16), name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	tokens := le([]uint16{1, 2, 3, 4, 5, 6})
	long := open("long.bin", tokens)
	for n := range int64(7) {
		head, err := long.Head(1, n)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fingerprint(t, head), fingerprint(t, open(fmt.Sprint(n, ".bin"), tokens[:2*n])); got != want {
			t.Errorf("%d tokens: %s, want %s", n, got, want)
		}
	}
	rows := open("rows.npy", npyBytes(Uint16, tokens, 3, 2))
	for n := range int64(4) {
		head, err := rows.Head(n, 2*n)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fingerprint(t, head), fingerprint(t, open(fmt.Sprint(n, ".npy"), npyBytes(Uint16, tokens[:4*n], n, 2))); got != want {
			t.Errorf("%d rows: %s, want %s", n, got, want)
		}
	}
	for _, k := range []struct {
		c                 *Corpus
		documents, tokens int64
	}{{long, 1, 7}, {long, 2, 6}, {long, 0, 1}, {long, -1, 0}, {long, 1, -1}, {rows, 1, 1}, {rows, 2, 3}, {rows, 3, 5}, {rows, 4, 8}} {
		if _, err := k.c.Head(k.documents, k.tokens); !errors.Is(err, fault.Mismatch) {
			t.Errorf("%s: %d documents and %d tokens: %v", k.c.Path(), k.documents, k.tokens, err)
		}
	}
}
