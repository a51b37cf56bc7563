package corpus

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// Images of any shape come back pixel for pixel, with their classes.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		i := Image{
			Height: rapid.IntRange(1, 40).Draw(r, "height"), Width: rapid.IntRange(1, 40).Draw(r, "width"),
			Channels: rapid.SampledFrom([]int{1, 3}).Draw(r, "channels"), Classes: rapid.SampledFrom([]int{1, 10, 256, 257, 1000}).Draw(r, "classes"),
		}
		if rapid.Bool().Draw(r, "named") {
			i.Names = make([]string, i.Classes)
			i.Names[0] = "none"
		}
		var documents [][]int32
		for range rapid.IntRange(1, 4).Draw(r, "images") {
			d := make([]int32, i.Pixels()+1)
			for k := range d {
				d[k] = int32((k*7 + len(documents)) % 256)
			}
			d[i.Pixels()] = int32(rapid.IntRange(0, i.Classes-1).Draw(r, "class"))
			documents = append(documents, d)
		}
		prefix := filepath.Join(dir, "c")
		writePair(r, prefix, Fit(i.Meta().Vocabulary), i.Meta(), documents...)
		c, err := Open(prefix)
		if err != nil {
			r.Fatal(err)
		}
		defer c.Close()
		if got, err := c.Images(); err != nil || !got.Same(&i) {
			r.Fatalf("%+v, %v; want %+v", got, err, i)
		}
		pixels := make([]uint8, i.Pixels())
		for n, d := range documents {
			class, err := c.ReadImage(pixels, int64(n))
			if err != nil || class != d[i.Pixels()] {
				r.Fatalf("image %d has class %d, %v; want %d", n, class, err, d[i.Pixels()])
			}
			for k, v := range pixels {
				if int32(v) != d[k] {
					r.Fatalf("image %d: pixel %d is %d, want %d", n, k, v, d[k])
				}
			}
		}
	})
}

func TestImageMistakes(t *testing.T) {
	t.Chdir(t.TempDir())
	gray := Image{Height: 2, Width: 2, Channels: 1, Classes: 3}
	for _, k := range []struct {
		documents [][]int32
		meta      Meta
		kind      error
		says      string
	}{
		{[][]int32{{1, 2, 3, 4, 0}}, Meta{EndOfDocument: -1}, fault.Mismatch, "corpus c is no images; prepare one with 'gradus prepare --images'"},
		{[][]int32{{1, 2, 3, 4}}, gray.Meta(), fault.Corrupt, "1 documents of 4 tokens cannot be images of 2x2x1, 3 classes, which are 5 tokens each"},
		{[][]int32{{1, 2, 3, 4}, {1, 2, 3, 4, 5, 2}}, gray.Meta(), fault.Corrupt, "document 0 has 4 tokens"},
		{[][]int32{{1, 2, 3, 256, 0}}, Image{2, 2, 1, 300, nil}.Meta(), fault.Corrupt, "pixel 3 of image 0 is 256; it must be 0 to 255"},
		{[][]int32{{1, 2, 3, 255, 3}}, gray.Meta(), fault.Corrupt, "image 0 has class 3; there are 3"},
	} {
		writeCorpus(t, "c", Uint16, k.meta, k.documents...)
		c := mustOpen(t, "c")
		if _, err := c.ReadImage(make([]uint8, 4), 0); !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%v: %v, want %q", k.documents, err, k.says)
		}
	}
	for says, i := range map[string]Image{
		"whose height is 0":            {0, 2, 1, 3, nil},
		"whose width is -1":            {2, -1, 1, 3, nil},
		"whose width is 4097":          {2, 4097, 1, 3, nil},
		"whose channels is 17":         {2, 2, 17, 3, nil},
		"whose classes is 0":           {2, 2, 1, 0, nil},
		"with 2 names of 3 classes":    {2, 2, 1, 3, []string{"a", "b"}},
		"would have 4194":              {2, 2, 1, 1, []string{strings.Repeat("a", 4<<20)}},
		"whose classes is 65537; it m": {2, 2, 1, 65537, nil},
	} {
		w, err := Create("bad", Int32)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append([]int32{0, 0, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(i.Meta()); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q", i.Classes, err, says)
		}
		if Exists("bad") {
			t.Errorf("%s: it was written", says)
		}
	}
}

// A sidecar that says something of images which cannot be is corrupt.
func TestHostileImageSidecar(t *testing.T) {
	t.Chdir(t.TempDir())
	gray := Image{Height: 2, Width: 2, Channels: 1, Classes: 3}
	writePair(t, "c", Uint8, gray.Meta(), []int32{1, 2, 3, 4, 0})
	good, err := os.ReadFile("c.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`"height": -2`, `"height": 0`, `"height": 1000000000`, `"height": "2"`} {
		if err := os.WriteFile("c.json", bytes.Replace(good, []byte(`"height": 2`), []byte(bad), 1), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open("c"); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// In gives the documents that Holds knows, in order.
func TestHeldOutDocuments(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		c := drawCorpus(r, dir)
		defer c.Close()
		h, err := c.HoldOut(rapid.Float64Range(0.01, 0.4).Draw(r, "share"), rapid.Uint64().Draw(r, "seed"), 3)
		if err != nil {
			return // documents are too few for the share
		}
		var want []int64
		for d := range c.Documents() {
			if start, end := c.Bounds(d); h.Holds(start, end) {
				want = append(want, d)
			}
		}
		if got := slices.Collect(h.In(c)); !slices.Equal(got, want) {
			r.Fatalf("%v, want %v", got, want)
		}
		for d := range h.In(c) { // breaking off is allowed
			if d != want[0] {
				r.Fatal("not the first")
			}
			break
		}
	})
}
