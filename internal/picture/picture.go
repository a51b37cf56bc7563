// Package picture reads images: PNG and JPEG files, and the IDX files in which
// MNIST and its kin come.
package picture

import (
	"bufio"
	"image"
	"image/color"
	_ "image/jpeg" // the decoder
	_ "image/png"  // the decoder
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"golang.org/x/image/draw"
)

// A Shape is what images are made into: Height*Width pixels, row by row, of
// Channels bytes each.
type Shape struct {
	Height, Width int
	Channels      int // 1: gray, 3: red, green, blue
}

// Pixels returns the bytes of an image.
func (s Shape) Pixels() int { return s.Height * s.Width * s.Channels }

// mostPixels bounds what is decoded: a file of a few bytes may claim any size.
const mostPixels = 1 << 26

// mostOfByte is how many pixels a byte of a file can stand for: a PNG may have eight in
// a byte, of which deflate makes at most 1032 of one; a JPEG has fewer, a bit at
// least for a block of 8x8.
const mostOfByte = 8 * 1032

// Is reports whether a file's name is that of an image that Read decodes.
func Is(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".png", ".jpg", ".jpeg":
		return true
	}
	return false
}

// Size returns the height and width of an image file, as far as its head says.
func Size(name string) (height, width int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	c, err := size(name, f)
	return c.Height, c.Width, err
}

func size(name string, f *os.File) (image.Config, error) {
	info, err := f.Stat()
	if err != nil {
		return image.Config{}, err
	}
	c, _, err := image.DecodeConfig(bufio.NewReader(f))
	switch {
	case err != nil:
		return c, fault.Corruptf("%s: %w", name, err)
	case c.Width < 1 || c.Height < 1 || c.Width > mostPixels/c.Height:
		return c, fault.Corruptf("%s: an image of %dx%d pixels; at most %d pixels are read", name, c.Height, c.Width, mostPixels)
	case int64(c.Width)*int64(c.Height) > mostOfByte*info.Size(): // decoders make room for all that the head says
		return c, fault.Corruptf("%s: %d bytes cannot hold an image of %dx%d pixels", name, info.Size(), c.Height, c.Width)
	}
	return c, nil
}

// Read reads an image file into dst, which has Pixels bytes. An image of another
// shape is cut to the middle of the same proportions, and then scaled (Catmull
// and Rom's kernel, which averages where it makes smaller). What is transparent
// is black. A damaged file is an error of kind fault.Corrupt.
func Read(dst []byte, name string, s Shape) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := size(name, f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	from, _, err := image.Decode(bufio.NewReader(f))
	if err != nil {
		return fault.Corruptf("%s: %w", name, err)
	}
	to := image.NewRGBA(image.Rect(0, 0, s.Width, s.Height))
	middle := middle(from.Bounds(), s)
	if middle.Size() == to.Rect.Size() {
		draw.Draw(to, to.Rect, from, middle.Min, draw.Src)
	} else {
		draw.CatmullRom.Scale(to, to.Rect, from, middle, draw.Src, nil)
	}
	s.take(dst, to)
	return nil
}

// middle returns the largest middle part of an image that has a shape's
// proportions, rounded to whole pixels.
func middle(r image.Rectangle, s Shape) image.Rectangle {
	height, width := r.Dy(), r.Dx()
	if height*s.Width > width*s.Height { // too high
		height = max(1, int(math.Round(float64(width*s.Height)/float64(s.Width))))
	} else {
		width = max(1, int(math.Round(float64(height*s.Width)/float64(s.Height))))
	}
	corner := image.Pt(r.Min.X+(r.Dx()-width)/2, r.Min.Y+(r.Dy()-height)/2)
	return image.Rectangle{corner, corner.Add(image.Pt(width, height))}
}

// take copies the pixels of an image, whose colours are multiplied by how opaque
// they are: that is what they are on black.
func (s Shape) take(dst []byte, from *image.RGBA) {
	for i := range s.Height * s.Width {
		pixel := from.Pix[4*i:][:4]
		if s.Channels == 1 {
			gray := color.GrayModel.Convert(color.RGBA{pixel[0], pixel[1], pixel[2], 255}).(color.Gray)
			dst[i] = gray.Y
			continue
		}
		copy(dst[3*i:][:3], pixel)
	}
}
