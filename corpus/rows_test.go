package corpus

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// Documents written as rows give the files that Append gives, however they are
// divided among the rows.
func TestRowsAreAppends(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		dtype := rapid.SampledFrom([]DType{Uint8, Int8, Int16, Uint16, Int32, Int64}).Draw(rt, "dtype")
		token := rapid.Int32Range(0, min(kinds[dtype].largest, 1<<20))
		documents := rapid.SliceOfN(rapid.SliceOfN(token, 0, 40), 1, 20).Draw(rt, "documents")
		one, err := Create(filepath.Join(dir, "one"), dtype)
		if err != nil {
			rt.Fatal(err)
		}
		defer one.Abort()
		many, err := Create(filepath.Join(dir, "many"), dtype)
		if err != nil {
			rt.Fatal(err)
		}
		defer many.Abort()
		rows := NewRows(dtype)
		for _, d := range documents {
			if err := one.Append(d); err != nil {
				rt.Fatal(err)
			}
			if err := rows.Append(d); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "write") {
				if err := many.AppendRows(rows); err != nil {
					rt.Fatal(err)
				}
				rows.Reset()
			}
		}
		if err := many.AppendRows(rows); err != nil {
			rt.Fatal(err)
		}
		if one.Documents() != many.Documents() || one.Tokens() != many.Tokens() || one.largest != many.largest {
			rt.Fatalf("%d documents, %d tokens up to %d; want %d, %d, %d", many.Documents(), many.Tokens(), many.largest, one.Documents(), one.Tokens(), one.largest)
		}
		// What Commit would make of them, without the time it takes to sync.
		for _, p := range []struct{ one, many *atomicfile.File }{{one.bin, many.bin}, {one.idx, many.idx}} {
			if want, got := written(rt, p.one), written(rt, p.many); !bytes.Equal(want, got) {
				rt.Fatalf("%s has %x, want %x", p.many.Path(), got, want)
			}
		}
		if !slices.Equal(one.chunks.close(), many.chunks.close()) || !bytes.Equal(one.lengths.Sum(nil), many.lengths.Sum(nil)) {
			rt.Fatal("the hashes differ")
		}
	})
}

// written returns what a file has so far.
func written(t *rapid.T, f *atomicfile.File) []byte {
	content, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestRowsRefuse(t *testing.T) {
	r := NewRows(Uint16)
	for _, document := range [][]int32{{1, -1}, {1 << 16}, {0, 1<<31 - 1}} {
		if err := r.Append(document); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", document, err)
		}
	}
	if r.Documents() != 0 || len(r.raw) != 0 || r.largest != 0 {
		t.Errorf("refused documents leave %+v", r)
	}
	w, err := Create(filepath.Join(t.TempDir(), "c"), Int32)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.AppendRows(r); !errors.Is(err, fault.Invalid) {
		t.Errorf("rows of another type: %v", err)
	}
	w.Abort()
	if err := w.AppendRows(NewRows(Int32)); err == nil {
		t.Error("a closed writer takes rows")
	}
}
