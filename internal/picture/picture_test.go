package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// drawn is an image of a kind of colours, each pixel another.
func drawn(kind string, height, width int) (image.Image, func(y, x int) [3]byte) {
	rgb := func(y, x int) [3]byte { return [3]byte{byte(y*37 + x), byte(x * 11), byte(y + x*5)} }
	r := image.Rect(0, 0, width, height)
	if kind == "gray" {
		m := image.NewGray(r)
		for i := range m.Pix {
			m.Pix[i] = byte(i * 3)
		}
		return m, func(y, x int) [3]byte { v := byte((y*width + x) * 3); return [3]byte{v, v, v} }
	}
	m := image.NewNRGBA(r)
	opaque := byte(255)
	if kind == "transparent" {
		opaque = 0
	}
	for y := range height {
		for x := range width {
			c := rgb(y, x)
			m.SetNRGBA(x, y, color.NRGBA{c[0], c[1], c[2], opaque})
		}
	}
	if kind == "transparent" {
		return m, func(int, int) [3]byte { return [3]byte{} }
	}
	return m, rgb
}

func save(t testing.TB, name string, m image.Image) {
	t.Helper()
	var b bytes.Buffer
	var err error
	if filepath.Ext(name) == ".png" {
		err = png.Encode(&b, m)
	} else {
		err = jpeg.Encode(&b, m, nil)
	}
	if err == nil {
		err = os.WriteFile(name, b.Bytes(), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Images of the shape asked for come as they are; wider or higher ones are cut to
// the middle.
func TestPixelsAreExact(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.png")
	rapid.Check(t, func(r *rapid.T) {
		kind := rapid.SampledFrom([]string{"gray", "colour", "transparent"}).Draw(r, "kind")
		s := Shape{rapid.IntRange(1, 12).Draw(r, "height"), rapid.IntRange(1, 12).Draw(r, "width"), 3}
		more := [2]int{} // one side is longer
		more[rapid.IntRange(0, 1).Draw(r, "side")] = rapid.IntRange(0, 9).Draw(r, "more")
		m, rgb := drawn(kind, s.Height+more[0], s.Width+more[1])
		save(t, name, m)
		if h, w, err := Size(name); err != nil || h != s.Height+more[0] || w != s.Width+more[1] {
			r.Fatalf("%dx%d, %v", h, w, err)
		}
		got := make([]byte, s.Pixels())
		if err := Read(got, name, s); err != nil {
			r.Fatal(err)
		}
		for y := range s.Height {
			for x := range s.Width {
				want := rgb(y+more[0]/2, x+more[1]/2)
				if pixel := got[3*(y*s.Width+x):][:3]; !slices.Equal(pixel, want[:]) {
					r.Fatalf("pixel %d,%d is %v, want %v", y, x, pixel, want)
				}
			}
		}
	})
}

// Scaling keeps an even colour, and the places of two halves; gray is luma.
func TestScale(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.png")
	m := image.NewRGBA(image.Rect(0, 0, 60, 40))
	for y := range 40 {
		for x := range 60 {
			c := color.RGBA{200, 100, 50, 255}
			if x >= 30 {
				c = color.RGBA{20, 40, 80, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	save(t, name, m)
	for _, s := range []Shape{{4, 6, 3}, {80, 120, 3}, {20, 15, 3}, {8, 12, 1}} {
		got := make([]byte, s.Pixels())
		if err := Read(got, name, s); err != nil {
			t.Fatal(err)
		}
		left, right := []byte{200, 100, 50}, []byte{20, 40, 80}
		if s.Channels == 1 { // 0.299, 0.587, 0.114, cut off
			left, right = []byte{124}, []byte{38}
		}
		for y := range s.Height {
			row := got[y*s.Width*s.Channels:][:s.Width*s.Channels]
			if !slices.Equal(row[:s.Channels], left) || !slices.Equal(row[len(row)-s.Channels:], right) {
				t.Fatalf("%v: row %d is %v", s, y, row)
			}
		}
	}
}

func TestJPEG(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.jpeg")
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = 130
	}
	save(t, name, m)
	got := make([]byte, 64)
	if err := Read(got, name, Shape{8, 8, 1}); err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if v < 128 || v > 132 {
			t.Fatalf("%v", got)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"a.png": true, "b/A.JPG": true, "c.jpeg": true, "png": false, "a.png.txt": false, "a.gif": false} {
		if Is(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// A head that claims more than is read, or than the file can hold, is refused before
// anything is decoded.
func TestHugeClaim(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.png")
	m, _ := drawn("gray", 2, 2)
	save(t, name, m)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for side, says := range map[uint32]string{1 << 16: "at most 67108864 pixels are read", 1 << 13: "cannot hold an image of 8192x8192"} {
		binary.BigEndian.PutUint32(raw[16:], side)
		binary.BigEndian.PutUint32(raw[20:], side)
		binary.BigEndian.PutUint32(raw[29:], crc32.ChecksumIEEE(raw[12:29])) // of a whole head
		if err := os.WriteFile(name, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Read(make([]byte, 4), name, Shape{2, 2, 1}); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), says) {
			t.Errorf("%d: %v, want %q", side, err, says)
		}
	}
	if err := Read(make([]byte, 4), filepath.Join(t.TempDir(), "none.png"), Shape{2, 2, 1}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	// Nothing packs denser than one colour in a bit a pixel.
	save(t, name, image.NewPaletted(image.Rect(0, 0, 4096, 4096), color.Palette{color.Black, color.White}))
	if height, width, err := Size(name); err != nil || height != 4096 || width != 4096 {
		t.Errorf("%dx%d, %v", height, width, err)
	}
}

// FuzzRead reads any bytes as an image: it gives one of the right size, or an error
// that names the file.
func FuzzRead(f *testing.F) {
	dir := f.TempDir()
	for _, kind := range []string{"gray", "colour", "transparent"} {
		m, _ := drawn(kind, 3, 5)
		for _, name := range []string{"a.png", "a.jpg"} {
			name = filepath.Join(dir, name)
			save(f, name, m)
			raw, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	name := filepath.Join(dir, "fuzz.png")
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && c.Width*c.Height > 1<<20 {
			t.Skip("it takes its time")
		}
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
		err := Read(make([]byte, 12), name, Shape{2, 2, 3})
		if err != nil && (!errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), name)) {
			t.Fatal(err)
		}
	})
}
