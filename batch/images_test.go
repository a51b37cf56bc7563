package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

// pictures makes a corpus of images in dir, each with other pixels, none black.
func pictures(t tester, dir string, image corpus.Image, n int) *corpus.Corpus {
	t.Helper()
	prefix := filepath.Join(dir, "images")
	w, err := corpus.Create(prefix, corpus.Fit(image.Meta().Vocabulary))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range n {
		document := make([]int32, image.Pixels()+1)
		for k := range document {
			document[k] = 1 + int32((i*31+k*7)%255)
		}
		document[image.Pixels()] = int32(i % image.Classes)
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(image.Meta()); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// gallery is a plan over images, of which layers 1 and 2 of 4 see some patches.
func gallery(t tester, c *corpus.Corpus, images batch.Images, length, units, steps int) batch.Config {
	t.Helper()
	s := samples(t, c, corpus.Cut{Documents: true})
	a, err := arrange.Images(s, length)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := curriculum.Compile(context.Background(), curriculum.Config{
		Seed: seed, Layers: 4, Routed: 2, Keep: curriculum.Timed{Pace: pace.Constant(float64(length - 1))}, Clock: curriculum.Steps, Budget: float64(steps),
		Sources: []curriculum.Source{{Samples: s.Len(), Units: a}}, Buckets: []curriculum.Bucket{{Length: length, Units: units}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plan.Close() })
	return batch.Config{
		Sources: []batch.Source{{Samples: s, Units: a}}, Plan: plan, Seed: seed, Images: &images,
		Routing: batch.Routing{Policy: route.RandomLTD{}, Layers: []int{1, 2}, Always: batch.Always{First: true}},
	}
}

func maker(t tester, c batch.Config) *batch.Maker {
	t.Helper()
	m, err := batch.NewMaker(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pixelsOf reads an image and its class.
func pixelsOf(t tester, c *corpus.Corpus, document int64) ([]uint8, int32) {
	t.Helper()
	pixels := make([]uint8, c.Meta().Image.Pixels())
	class, err := c.ReadImage(pixels, document)
	if err != nil {
		t.Fatal(err)
	}
	return pixels, class
}

// moved is an image mirrored and moved, a pixel at a time.
func moved(from []uint8, i corpus.Image, flip bool, down, right int) []uint8 {
	to := make([]uint8, len(from))
	for y := range i.Height {
		for x := range i.Width {
			sy, sx := y-down, x-right
			if sy < 0 || sy >= i.Height || sx < 0 || sx >= i.Width {
				continue
			}
			if flip {
				sx = i.Width - 1 - sx
			}
			for ch := range i.Channels {
				to[(y*i.Width+x)*i.Channels+ch] = from[(sy*i.Width+sx)*i.Channels+ch]
			}
		}
	}
	return to
}

// Rows are the images of the step's ids with their classes, as they are or moved
// in one of the ways that are allowed; for any world, the same.
func TestImageRows(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		image := corpus.Image{
			Height: rapid.IntRange(1, 9).Draw(t, "height"), Width: rapid.IntRange(1, 9).Draw(t, "width"),
			Channels: rapid.SampledFrom([]int{1, 3}).Draw(t, "channels"), Classes: 4,
		}
		images := batch.Images{
			Flip:  rapid.Bool().Draw(t, "flip"),
			Shift: rapid.IntRange(0, min(image.Height, image.Width)-1).Draw(t, "shift"),
		}
		c := pictures(t, dir, image, 12)
		m := maker(t, gallery(t, c, images, 5, 7, 6))
		step := rapid.Int64Range(0, 5).Draw(t, "step")
		b, err := m.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if b.Inputs != nil || b.Documents != nil || b.Predicted != nil || len(b.Labels) != 7 || b.Padding+b.Discarded != 0 || b.Targets() != 7 {
			t.Fatalf("%d labels, %d inputs", len(b.Labels), len(b.Inputs))
		}
		for r, id := range b.IDs {
			pixels, class := pixelsOf(t, c, id)
			row := b.Pixels[r*image.Pixels():][:image.Pixels()]
			found := false
			for _, flip := range []bool{false, images.Flip} {
				for down := -images.Shift; down <= images.Shift; down++ {
					for right := -images.Shift; right <= images.Shift; right++ {
						found = found || slices.Equal(row, moved(pixels, image, flip, down, right))
					}
				}
			}
			if b.Labels[r] != class || !found {
				t.Fatalf("row %d is not image %d of class %d: %v of class %d", r, id, class, row, b.Labels[r])
			}
		}
		for _, kept := range b.Kept {
			for r := range 7 {
				if kept[r*4] != 0 {
					t.Fatalf("row %d drops its class token", r)
				}
			}
		}
		world := rapid.IntRange(1, 9).Draw(t, "world")
		all := &batch.Batch{}
		for rank := range world {
			part, err := m.Make(step, rank, world)
			if err != nil {
				t.Fatal(err)
			}
			if part.First != len(all.Labels) {
				t.Fatalf("rank %d begins with row %d", rank, part.First)
			}
			all.IDs, all.Labels, all.Pixels = append(all.IDs, part.IDs...), append(all.Labels, part.Labels...), append(all.Pixels, part.Pixels...)
		}
		if !slices.Equal(all.IDs, b.IDs) || !slices.Equal(all.Labels, b.Labels) || !slices.Equal(all.Pixels, b.Pixels) {
			t.Fatal("the ranks have others")
		}
	})
}

// Every way of moving an image comes equally often. The draws are fixed.
func TestAugmentIsUniform(t *testing.T) {
	image := corpus.Image{Height: 5, Width: 6, Channels: 1, Classes: 1}
	c := pictures(t, t.TempDir(), image, 1)
	one := gallery(t, c, batch.Images{Flip: true, Shift: 2}, 5, 1, 2000)
	m := maker(t, one)
	pixels, _ := pixelsOf(t, c, 0)
	way := map[string]int{}
	for _, flip := range []bool{false, true} {
		for down := -2; down <= 2; down++ {
			for right := -2; right <= 2; right++ {
				way[string(moved(pixels, image, flip, down, right))] = len(way)
			}
		}
	}
	counts := make([]int, len(way))
	for step := range one.Plan.Steps() {
		b, err := m.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		counts[way[string(b.Pixels)]]++
	}
	if z := chiSquare(counts, slices.Repeat([]float64{1}, len(counts))); len(counts) != 50 || !(math.Abs(z) < 4) {
		t.Errorf("%d ways: %v lie %.1f deviations from even", len(counts), counts, z)
	}
}

// How images are moved is a promise across releases.
func TestAugmentGolden(t *testing.T) {
	c := pictures(t, t.TempDir(), corpus.Image{Height: 3, Width: 3, Channels: 1, Classes: 2}, 4)
	b, err := maker(t, gallery(t, c, batch.Images{Flip: true, Shift: 1}, 2, 3, 9)).Make(5, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	const want = "[2 3 1] [0 1 1] [0 0 0 0 63 70 0 84 91 108 101 94 129 122 115 150 143 136 60 53 0 81 74 0 0 0 0]"
	if got := fmt.Sprint(b.IDs, b.Labels, b.Pixels); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// An evaluation has each held-out image once, as it is, in batches of one shape.
func TestEvaluationImages(t *testing.T) {
	c := pictures(t, t.TempDir(), corpus.Image{Height: 2, Width: 3, Channels: 1, Classes: 5}, 40)
	h, err := c.HoldOut(0.3, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	held := slices.Collect(h.In(c))
	for _, rows := range []int{1, 5, 64} {
		batches, err := batch.EvaluationImages(c, h, 4, rows, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, b := range batches {
			if b.Rows != rows || b.Length != 4 || b.Shape.Kept != 4 || b.Kept != nil || b.IDs != nil || len(b.Pixels) != 6*rows || b.First != n {
				t.Fatalf("%d rows: batch %+v", rows, b)
			}
			for r := range rows {
				row := b.Pixels[6*r:][:6]
				if n >= len(held) {
					if b.Labels[r] != batch.Ignore || !slices.Equal(row, make([]uint8, 6)) {
						t.Errorf("row %d behind the last image has %v of class %d", n, row, b.Labels[r])
					}
				} else if pixels, class := pixelsOf(t, c, held[n]); b.Labels[r] != class || !slices.Equal(row, pixels) {
					t.Errorf("row %d is not image %d", n, held[n])
				}
				n++
			}
		}
		if n < len(held) || n >= len(held)+rows {
			t.Errorf("%d rows for %d images", n, len(held))
		}
	}
	few, err := batch.EvaluationImages(c, h, 4, 2, 3)
	if err != nil || len(few) != 2 || few[0].Targets()+few[1].Targets() != 3 || reflect.DeepEqual(few[0].Pixels[:6], few[0].Pixels[6:]) {
		t.Errorf("at most 3 images: %d batches, %v", len(few), err)
	}
	text := write(t, t.TempDir(), 7, 7)
	for says, call := range map[string]func() ([]*batch.Batch, error){
		"is no images":                   func() ([]*batch.Batch, error) { return batch.EvaluationImages(text, text.All(), 4, 2, 0) },
		"an image has at least 2 inputs": func() ([]*batch.Batch, error) { return batch.EvaluationImages(c, h, 1, 2, 0) },
		"no image is held out":           func() ([]*batch.Batch, error) { return batch.EvaluationImages(c, &corpus.HoldOut{}, 4, 2, 0) },
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestImageMistakes(t *testing.T) {
	gray := corpus.Image{Height: 3, Width: 4, Channels: 1, Classes: 2}
	good := gallery(t, pictures(t, t.TempDir(), gray, 6), batch.Images{}, 5, 2, 3)
	wide := gallery(t, pictures(t, t.TempDir(), corpus.Image{Height: 4, Width: 3, Channels: 1, Classes: 2}, 6), batch.Images{}, 5, 2, 3)
	long := gallery(t, pictures(t, t.TempDir(), gray, 6), batch.Images{}, 6, 2, 3)
	for says, k := range map[string]struct {
		change func(*batch.Config)
		kind   error
	}{
		"images of 3x4 pixels are shifted by up to 3; it must be 0 to 2": {func(c *batch.Config) { c.Images = &batch.Images{Shift: 3} }, fault.Invalid},
		"shifted by up to -1":                           {func(c *batch.Config) { c.Images = &batch.Images{Shift: -1} }, fault.Invalid},
		"images have no tokens to mask":                 {func(c *batch.Config) { m := masking; c.Masking = &m }, fault.Invalid},
		"images have rows of one length":                {func(c *batch.Config) { c.Shaper = batch.Reshape{} }, fault.Invalid},
		"the plan has rows of 5 inputs, and an image h": {func(c *batch.Config) { c.Sources = long.Sources }, fault.Invalid},
		"is no images":                                  {func(c *batch.Config) { c.Sources = []batch.Source{padded(5)(t, write(t, t.TempDir(), 7, 7))} }, fault.Mismatch},
		"it has a piece of 12 inputs":                   {func(c *batch.Config) { c.Images = nil }, fault.Mismatch},
	} {
		c := good
		k.change(&c)
		m, err := batch.NewMaker(c)
		if err == nil {
			_, err = m.Make(0, 0, 1)
		}
		if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	two := batch.Config{Sources: slices.Concat(good.Sources, wide.Sources), Images: &batch.Images{}, Seed: seed}
	var sources []curriculum.Source
	for _, s := range two.Sources {
		sources = append(sources, curriculum.Source{Samples: s.Samples.Len(), Units: s.Units})
	}
	plan, err := curriculum.Compile(t.Context(), curriculum.Config{
		Seed: seed, Layers: 4, Clock: curriculum.Steps, Budget: 3, Sources: sources, Buckets: []curriculum.Bucket{{Length: 5, Units: 2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer plan.Close()
	two.Plan = plan
	if _, err := batch.NewMaker(two); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "source 1 has images of 4x3x1, 2 classes, and the first source of 3x4x1") {
		t.Error(err)
	}
}

// FuzzImages makes batches of a corpus of images with any bytes: each is made of
// them, or the error says that the file is corrupt.
func FuzzImages(f *testing.F) {
	const n = 4
	image := corpus.Image{Height: 2, Width: 2, Channels: 1, Classes: 300}
	prefix := filepath.Join(f.TempDir(), "images")
	c := pictures(f, filepath.Dir(prefix), image, n)
	f.Add(make([]byte, c.FileBytes()))
	f.Add([]byte{0, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 44, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		raw := make([]byte, 2*n*5)
		copy(raw, data)
		if err := os.WriteFile(prefix+".bin", raw, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := corpus.Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		bad := false
		for i := 0; i < len(raw); i += 2 {
			v := int(raw[i]) | int(raw[i+1])<<8
			bad = bad || v > 255 && i/2%5 != 4 || v >= 300
		}
		batches, err := batch.EvaluationImages(c, c.All(), 2, n, 0)
		if bad != errors.Is(err, fault.Corrupt) || !bad && (err != nil || batches[0].Targets() != n) {
			t.Fatalf("%v: %v", raw, err)
		}
	})
}
