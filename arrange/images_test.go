package arrange

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// An image is a unit of one row, whatever the number of its pixels.
func TestImages(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	w, err := corpus.Create(prefix, corpus.Uint8)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for class := range int32(3) {
		if err := w.Append([]int32{1, 2, 3, 4, 5, 6, class}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit((corpus.Image{Height: 2, Width: 3, Channels: 1, Classes: 3}).Meta()); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Samples(whole)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Images(s, 4)
	if err != nil {
		t.Fatal(err)
	}
	units, discarded := arranged(t, a, slices.Values([]int64{2, 0}))
	if !slices.Equal(units, []unit{{0, 2, 4}, {0, 0, 4}}) || discarded != 0 || a.Packed() || !slices.Equal(a.Lengths(), []int{4}) {
		t.Errorf("units %v, %d discarded, lengths %v", units, discarded, a.Lengths())
	}
	if p := a.Pieces(nil, 1); !slices.Equal(p, []Piece{{7, 6}}) || a.Bucket(1) != 0 {
		t.Errorf("pieces %v", p)
	}
	if !slices.Equal(a.Samples(nil, 1), []int64{1}) || !slices.Equal(a.Units([]int64{9}, 2), []int64{9, 2}) {
		t.Error("a unit is another sample")
	}
	for name, call := range map[string]func(){
		"Bucket": func() { a.Bucket(3) }, "Pieces": func() { a.Pieces(nil, 3) }, "Samples": func() { a.Samples(nil, -1) }, "Units": func() { a.Units(nil, 3) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of no image does not panic", name)
				}
			}()
			call()
		}()
	}
	windows, err := c.Samples(corpus.Cut{Window: 2})
	if err != nil {
		t.Fatal(err)
	}
	text := open(t, t.TempDir(), whole, 7, 7)
	defer text.Corpus().Close()
	for _, k := range []struct {
		s      *corpus.Samples
		length int
		kind   error
		says   string
	}{
		{windows, 4, fault.Invalid, "images: a sample is a window 2 and must be a document"},
		{s, 1, fault.Invalid, "images: rows of 1 inputs; an image has at least one patch"},
		{s, 1 << 30, fault.Invalid, "images: rows of 1073741824 inputs"},
		{text, 4, fault.Mismatch, "is no images"},
	} {
		if _, err := Images(k.s, k.length); !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%v, want %q", err, k.says)
		}
	}
}
