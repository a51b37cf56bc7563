package prepare

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// idxFile is an IDX file of bytes that count up from a number.
func idxFile(from int, dims ...int) string {
	raw := []byte{0, 0, 8, byte(len(dims))}
	n := 1
	for _, d := range dims {
		raw = binary.BigEndian.AppendUint32(raw, uint32(d))
		n *= d
	}
	for i := range n {
		raw = append(raw, byte(from+i))
	}
	return string(raw)
}

// labelFile is an IDX file of labels.
func labelFile(labels ...byte) string {
	return idxFile(0, 0)[:4] + string(binary.BigEndian.AppendUint32(nil, uint32(len(labels)))) + string(labels)
}

// pngFile is a PNG of one colour.
func pngFile(t testing.TB, height, width int, c color.Color) string {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// shown reads a corpus of images as "class: pixels" lines.
func shown(t testing.TB, prefix string) (corpus.Image, []string) {
	t.Helper()
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	i, err := c.Images()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for d := range c.Documents() {
		pixels := make([]byte, i.Pixels())
		class, err := c.ReadImage(pixels, d)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprint(i.Name(int(class)), pixels))
	}
	return i, list
}

// IDX files give their images and labels, paired by name or as they are given.
func TestImagesOfIDX(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"a-images-idx3-ubyte": idxFile(1, 2, 1, 3), "a-labels-idx1-ubyte": labelFile(7, 2),
		"b-images.idx3.gz": gzipped(idxFile(20, 1, 1, 3)), "b-labels.idx1.gz": gzipped(labelFile(0)),
		"x": idxFile(90, 1, 1, 3), "y": labelFile(1), "rgb-images": idxFile(0, 1, 1, 2, 3), "rgb-labels": labelFile(4),
	})
	for _, k := range []struct {
		inputs []string
		image  corpus.Image
		want   []string
	}{
		{[]string{"a-images-idx3-ubyte", "b-images.idx3.gz"}, corpus.Image{Height: 1, Width: 3, Channels: 1, Classes: 8},
			[]string{"7[1 2 3]", "2[4 5 6]", "0[20 21 22]"}},
		{[]string{"y", "b-images.idx3.gz", "x", "b-labels.idx1.gz"}, corpus.Image{Height: 1, Width: 3, Channels: 1, Classes: 2},
			[]string{"1[20 21 22]", "0[90 91 92]"}},
		{[]string{"rgb-images"}, corpus.Image{Height: 1, Width: 2, Channels: 3, Classes: 5}, []string{"4[0 1 2 3 4 5]"}},
	} {
		var inputs []string
		for _, name := range k.inputs {
			inputs = append(inputs, filepath.Join(dir, name))
		}
		out := filepath.Join(t.TempDir(), "made", "c")
		r, err := Images(t.Context(), out, ImageOptions{Inputs: inputs})
		if err != nil {
			t.Fatal(err)
		}
		image, list := shown(t, out)
		if !image.Same(&k.image) || !r.Image.Same(&k.image) || !slices.Equal(list, k.want) {
			t.Errorf("%v: %+v of %v, want %+v of %v", k.inputs, image, list, k.image, k.want)
		}
		if r.Images != int64(len(k.want)) || r.DType != "uint8" || r.Path != out || !strings.HasPrefix(r.Fingerprint, "sha256:") {
			t.Errorf("%+v", r)
		}
	}
}

// Directories give a class each, in the order of their names over all inputs, for
// any number of workers.
func TestImagesOfDirectories(t *testing.T) {
	dir := t.TempDir()
	gray := func(v uint8) string { return pngFile(t, 2, 2, color.Gray{v}) }
	writeTree(t, dir, map[string]string{
		"one/dog/2.png": gray(2), "one/dog/10.PNG": gray(1), "one/dog/deep/a.png": gray(3), "one/dog/notes.txt": "x", "one/dog/.hidden.png": "x",
		"one/cat/1.png": gray(4), "one/readme": "x", "one/.git/1.png": "x", "one/dog/.cache/1.png": "x",
		"two/ant/1.png": gray(5), "two/dog/1.png": gray(6), "two/eel/.keep": "",
	})
	pixel := func(class string, v int) string { return class + fmt.Sprint(slices.Repeat([]int{v}, 4)) }
	want := []string{pixel("cat", 4), pixel("dog", 1), pixel("dog", 2), pixel("dog", 3), pixel("ant", 5), pixel("dog", 6)}
	for _, workers := range []int{0, 1, 7} {
		out := filepath.Join(t.TempDir(), "c")
		r, err := Images(t.Context(), out, ImageOptions{Inputs: []string{filepath.Join(dir, "one"), filepath.Join(dir, "two")}, Gray: true, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		image, list := shown(t, out)
		if !image.Same(&corpus.Image{Height: 2, Width: 2, Channels: 1, Classes: 4, Names: []string{"ant", "cat", "dog", "eel"}}) || !slices.Equal(list, want) {
			t.Errorf("%+v of %v, want %v", image, list, want)
		}
		if r.Skipped != 2 || r.Files != 6 {
			t.Errorf("%+v", r)
		}
	}
	writeTree(t, dir, map[string]string{"three/a/1.png": pngFile(t, 4, 9, color.NRGBA{9, 99, 199, 255}), "three/b/1.png": pngFile(t, 1, 1, color.White)})
	out := filepath.Join(t.TempDir(), "c")
	if _, err := Images(t.Context(), out, ImageOptions{Inputs: []string{filepath.Join(dir, "three")}, Height: 1, Width: 2}); err != nil {
		t.Fatal(err)
	}
	if _, list := shown(t, out); !slices.Equal(list, []string{"a[9 99 199 9 99 199]", "b[255 255 255 255 255 255]"}) {
		t.Errorf("%v", list)
	}
}

// Many classes need wider tokens.
func TestImagesOfManyClasses(t *testing.T) {
	dir, white := t.TempDir(), pngFile(t, 1, 1, color.White)
	tree := map[string]string{}
	for i := range 300 {
		tree[fmt.Sprintf("%03d/a.png", i)] = white
	}
	writeTree(t, dir, tree)
	out := filepath.Join(t.TempDir(), "c")
	r, err := Images(t.Context(), out, ImageOptions{Inputs: []string{dir}})
	if err != nil || r.DType != "uint16" || r.Classes != 300 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, list := shown(t, out); list[299] != "299[255 255 255]" {
		t.Error(list[299])
	}
}

// Whatever is wrong is said with its name, and nothing is left behind.
func TestImageErrors(t *testing.T) {
	dir := t.TempDir()
	good := pngFile(t, 2, 2, color.White)
	writeTree(t, dir, map[string]string{
		"images": idxFile(0, 2, 2, 2), "labels": labelFile(0, 1), "short-images": idxFile(0, 2, 2, 2)[:20], "short-labels": labelFile(0, 1),
		"three-images": idxFile(0, 3, 2, 2), "three-labels": labelFile(0, 1), "wide-images": idxFile(0, 1, 2, 3), "wide-labels": labelFile(0),
		"lone-images": idxFile(0, 2, 2, 2), "pictures": idxFile(0, 2, 2, 2), "rows": idxFile(0, 2, 2), "text": "hello",
		"empty-images": idxFile(0, 0, 2, 2), "empty-labels": labelFile(), "odd-images": idxFile(0, 2, 2, 2), "odd-labels": idxFile(0, 2, 2),
		"deep-images": idxFile(0, 2, 1, 1, 17), "deep-labels": "", "long/a/1.png": pngFile(t, 1, 5000, color.White), "long/a/2.png": good[:40],
		"set/a/1.png": good, "set/b/1.png": pngFile(t, 2, 3, color.White), "bad/a/1.png": good[:40], "bad/b/2.png": good, "none/a/x.txt": "x", "flat/1.png": good,
	})
	for _, k := range []struct {
		inputs []string
		o      ImageOptions
		kind   error
		says   string
	}{
		{nil, ImageOptions{}, fault.Invalid, "nothing to prepare"},
		{[]string{"images"}, ImageOptions{Height: 3}, fault.Invalid, "both sides are given or none"},
		{[]string{"images"}, ImageOptions{Height: 3, Width: 3}, fault.Invalid, "IDX files are taken as they are"},
		{[]string{"images"}, ImageOptions{Classes: 1}, fault.Mismatch, "label 1 is 1, and there are to be 1 classes"},
		{[]string{"images"}, ImageOptions{Workers: -1}, fault.Invalid, "none can be negative"},
		{[]string{"absent"}, ImageOptions{}, os.ErrNotExist, "absent"},
		{[]string{"lone-images"}, ImageOptions{}, os.ErrNotExist, "lone-labels"},
		{[]string{"pictures"}, ImageOptions{}, fault.Invalid, "name the file of labels too"},
		{[]string{"pictures", "labels", "short-labels"}, ImageOptions{}, fault.Invalid, "1 files of images and 2 of labels"},
		{[]string{"labels"}, ImageOptions{}, fault.Invalid, "0 files of images and 1 of labels"},
		{[]string{"rows"}, ImageOptions{}, fault.Invalid, "images have a height and a width"},
		{[]string{"text"}, ImageOptions{}, fault.Corrupt, "an IDX file begins with"},
		{[]string{"short-images"}, ImageOptions{}, fault.Corrupt, "in array 1 of 2"},
		{[]string{"three-images"}, ImageOptions{}, fault.Mismatch, "has 3 images and "},
		{[]string{"odd-images"}, ImageOptions{}, fault.Mismatch, "labels are single ones"},
		{[]string{"images", "wide-images"}, ImageOptions{}, fault.Mismatch, "prepare them one by one"},
		{[]string{"empty-images"}, ImageOptions{}, fault.Invalid, "no image in 1 inputs"},
		{[]string{"images", "set"}, ImageOptions{}, fault.Invalid, "some inputs are directories"},
		{[]string{"set"}, ImageOptions{}, fault.Invalid, "say to which size all are to be brought (--size)"},
		{[]string{"set"}, ImageOptions{Classes: 3, Height: 1, Width: 1}, fault.Invalid, "2 directories of classes, and there are to be 3"},
		{[]string{"bad"}, ImageOptions{Height: 1, Width: 1}, fault.Corrupt, "1.png"},
		{[]string{"none"}, ImageOptions{}, fault.Invalid, "no image in "},
		{[]string{"deep-images"}, ImageOptions{}, fault.Invalid, "deep-images: images whose channels is 17"},
		{[]string{"long"}, ImageOptions{}, fault.Invalid, "long: images whose width is 5000"},
		{[]string{"images"}, ImageOptions{Classes: 1 << 20}, fault.Invalid, "images whose classes is 1048576"},
		{[]string{"flat"}, ImageOptions{}, fault.Invalid, "a directory must have one for each class"},
	} {
		for _, name := range k.inputs {
			k.o.Inputs = append(k.o.Inputs, filepath.Join(dir, name))
		}
		made := t.TempDir()
		_, err := Images(t.Context(), filepath.Join(made, "deep", "c"), k.o)
		if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%v: %v, want %q", k.inputs, err, k.says)
		}
		nothingLeft(t, made)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, input := range []string{"images", "bad"} {
		made := t.TempDir()
		if _, err := Images(ctx, filepath.Join(made, "c"), ImageOptions{Inputs: []string{filepath.Join(dir, input)}, Height: 2, Width: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", input, err)
		}
		nothingLeft(t, made)
	}
}

// A corpus is replaced only by force, and its tokenizer goes with it.
func TestImagesForce(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{"images": idxFile(0, 2, 2, 2), "labels": labelFile(0, 1), "c.tokenizer.json": "{}"})
	o := ImageOptions{Inputs: []string{filepath.Join(dir, "images")}}
	out := filepath.Join(dir, "c")
	if _, err := Images(t.Context(), out, o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--force") {
		t.Fatal(err)
	}
	o.Force = true
	for range 2 {
		if _, err := Images(t.Context(), out, o); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "c.tokenizer.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the tokenizer of the old corpus is there: %v", err)
	}
}
