package corpus

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
)

// sparse makes a file of a size with some bytes at places of it, which takes
// no room on the disk where files may have holes.
func sparse(t *testing.T, name string, size int64, places map[int64][]byte) {
	t.Helper()
	if strconv.IntSize < 64 {
		t.Skip("no address space for such files here")
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Skip("no file of such a size here:", err)
	}
	for at, content := range places {
		if _, err := f.WriteAt(content, at); err != nil {
			t.Fatal(err)
		}
	}
}

// More than 2^32 tokens, and samples: of a pair, a flat file and an array, and
// of all of them together.
func TestMoreThan32Bits(t *testing.T) {
	t.Chdir(t.TempDir())
	const (
		gib  = int64(1) << 30
		size = 5 * gib
	)
	marks := map[int64][]byte{0: {1}, 1<<32 - 1: {2, 3}, size - 2: {4, 5}}
	sparse(t, "a.bin", size, marks)
	put(t, "only", nil, indexBytes(1, []int32{math.MaxInt32, math.MaxInt32, 2, 0, int32(gib)}, 1, []int64{0, 2, 3, 4, 5}), nil)
	os.Rename("only.idx", "a.idx")
	head := npyBytes(Uint8, nil, size)
	shifted := map[int64][]byte{0: head}
	for at, content := range marks {
		shifted[int64(len(head))+at] = content
	}
	sparse(t, "b.npy", int64(len(head))+size, shifted)
	sparse(t, "c.bin", size, marks)

	for _, k := range []struct {
		name      string
		documents int64
	}{{"a", 4}, {"b.npy", 1}, {"c.bin", 1}} {
		c, err := OpenAs(Flat(Uint8), k.name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.Tokens() != size || c.Documents() != k.documents {
			t.Fatalf("%s: %d documents, %d tokens", k.name, c.Documents(), c.Tokens())
		}
		checkMarks(t, c, 0)
	}
	whole, err := OpenAs(Flat(Uint8), "?.*")
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	if whole.Tokens() != 3*size || whole.Documents() != 6 {
		t.Fatalf("together %d documents, %d tokens", whole.Documents(), whole.Tokens())
	}
	for i := range int64(3) {
		checkMarks(t, whole, i*size)
	}
	for token, want := range map[int64]int64{0: 0, 1<<32 - 3: 0, 1<<32 - 2: 1, 1<<32 - 1: 1, 1 << 32: 3, size - 1: 3, size: 4, 2*size - 1: 4, 3*size - 1: 5} {
		if got := whole.DocumentAt(token); got != want {
			t.Errorf("token %d is in document %d, want %d", token, got, want)
		}
	}
	if start, end := whole.Bounds(5); start != 2*size || end != 3*size {
		t.Errorf("the last document is [%d, %d)", start, end)
	}
	s, err := whole.Samples(Cut{Window: 1})
	if err != nil {
		t.Fatal(err)
	}
	if start, end := s.Span(s.Len() - 1); s.Len() != 3*size-1 || start != 3*size-2 || end != 3*size {
		t.Errorf("%d windows, the last [%d, %d)", s.Len(), start, end)
	}
	if h, err := whole.Head(5, size+1<<32+1); err != nil || h.Tokens() != size+1<<32+1 {
		t.Errorf("a head of %v", err)
	}
	if h, err := whole.HoldOut(0.25, 1, 2048); err != nil || h.Tokens() < 15*gib/4 || h.Tokens() > 15*gib/2 {
		t.Errorf("%s are held out, %v", h, err)
	}
}

// checkMarks reads what sparse wrote, if it was written behind other parts.
func checkMarks(t *testing.T, c *Corpus, behind int64) {
	t.Helper()
	r := c.NewReader()
	for at, want := range map[int64][]int32{0: {1, 0}, 1<<32 - 1: {2, 3, 0}, 5<<30 - 3: {0, 4, 5}} {
		got := make([]int32, len(want))
		if err := c.Read(got, behind+at); err != nil || !slices.Equal(got, want) {
			t.Errorf("tokens from %d are %v, %v; want %v", behind+at, got, err, want)
		}
		if err := r.Read(got, behind+at); err != nil || !slices.Equal(got, want) {
			t.Errorf("a Reader's tokens from %d are %v, %v; want %v", behind+at, got, err, want)
		}
		raw, d, err := r.ReadRaw(behind+at, int64(len(want)))
		if err != nil || d != Uint8 || !bytes.Equal(raw, d.narrow(nil, want)) {
			t.Errorf("raw tokens from %d are % x, %v; want %v", behind+at, raw, err, want)
		}
	}
}

// Types of 8 bytes reach 2^32 bytes with few tokens.
func TestWideTypesBeyond32Bits(t *testing.T) {
	t.Chdir(t.TempDir())
	const tokens = 1<<29 + 3
	sparse(t, "u.bin", 8*tokens, map[int64][]byte{8 * (tokens - 1): le(uint64(math.MaxInt32))})
	put(t, "only", nil, indexBytes(10, []int32{tokens}, 8, []int64{0, 1}), nil)
	os.Rename("only.idx", "u.idx")
	c := mustOpen(t, "u")
	got := make([]int32, 2)
	if err := c.NewReader().Read(got, tokens-2); err != nil || got[1] != math.MaxInt32 || c.DType() != Uint64 {
		t.Errorf("the last tokens of %d of %s are %v, %v", c.Tokens(), c.DType(), got, err)
	}
}
