package batch

import (
	"slices"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// Images says how images become rows. The zero value takes them as they are.
//
// What is drawn for a row is a function of (seed, step, row of the global batch),
// so an image looks otherwise each time that it comes. Evaluations take images as
// they are.
type Images struct {
	Flip bool // mirror every other image, left to right
	// Shift moves an image by up to so many pixels down or up and as many right or
	// left, any way as likely as another. What moves in is black. It is a crop out of
	// an image with a border of Shift (He et al., arXiv 1512.03385, section 4.2).
	Shift int
}

// check reports images that cannot be augmented.
func (a Images) check(i corpus.Image) error {
	if a.Shift < 0 || a.Shift >= min(i.Height, i.Width) {
		return fault.Invalidf("images of %dx%d pixels are shifted by up to %d; it must be 0 to %d", i.Height, i.Width, a.Shift, min(i.Height, i.Width)-1)
	}
	return nil
}

// imager makes batches of images.
type imager struct {
	Images
	image corpus.Image
}

// newImager holds that all sources are images alike, in rows of one length.
func newImager(c Config, sources []source, full []int) (*imager, error) {
	switch {
	case c.Masking != nil:
		return nil, fault.Invalidf("images have no tokens to mask")
	case c.Shaper != nil || len(full) > 1:
		return nil, fault.Invalidf("images have rows of one length, which no shaper cuts")
	}
	m := &imager{Images: *c.Images}
	for i, s := range sources {
		image, err := s.corpus.Images()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			m.image = image
		}
		if !image.Same(&m.image) {
			return nil, fault.Mismatchf("source %d has images of %s, and the first source of %s; prepare all alike", i, image, m.image)
		}
	}
	for _, s := range c.Plan.Shapes() {
		if s.Length != full[0] {
			return nil, fault.Invalidf("the plan has rows of %d inputs, and an image has %d; images have no shorter rows", s.Length, full[0])
		}
	}
	return m, m.check(m.image)
}

// newImages returns a batch of black images without a class.
func newImages(s curriculum.Shape, pixels int) *Batch {
	b := &Batch{Shape: s, Pixels: make([]uint8, s.Rows*pixels), Labels: make([]int32, s.Rows)}
	fill(b.Labels, Ignore)
	return b
}

// readImage reads an image into a row of a batch.
func (b *Batch) readImage(c *corpus.Corpus, row int, document int64) (err error) {
	pixels := len(b.Pixels) / b.Rows
	b.Labels[row], err = c.ReadImage(b.Pixels[row*pixels:][:pixels], document)
	return err
}

// augment changes the images of a batch, as drawn for their rows.
func (m *imager) augment(b *Batch, seed uint64, step int64) {
	if m.Images == (Images{}) {
		return
	}
	pixels := m.image.Pixels()
	before := make([]uint8, pixels)
	for r := range b.Rows {
		stream := keyed.NewKey(seed, "augment", uint64(step), uint64(b.First+r)).Stream()
		flip := m.Flip && stream.Uint64N(2) == 1
		down := int(stream.Uint64N(uint64(2*m.Shift+1))) - m.Shift
		right := int(stream.Uint64N(uint64(2*m.Shift+1))) - m.Shift
		image := b.Pixels[r*pixels:][:pixels]
		copy(before, image)
		m.move(image, before, flip, down, right)
	}
}

// move writes an image mirrored, if it is to be, and then moved.
func (m *imager) move(to, from []uint8, flip bool, down, right int) {
	height, width, channels := m.image.Height, m.image.Width, m.image.Channels
	line := width * channels
	clear(to)
	for y := max(0, down); y < height+min(0, down); y++ {
		source, target := from[(y-down)*line:][:line], to[y*line:][:line]
		if !flip {
			copy(target[max(0, right)*channels:], source[max(0, -right)*channels:(width-max(0, right))*channels])
			continue
		}
		for x := max(0, right); x < width+min(0, right); x++ {
			copy(target[x*channels:][:channels], source[(width-1-(x-right))*channels:][:channels])
		}
	}
}

// EvaluationImages returns batches of rows that are the held-out images of c (at
// most limit of them, evenly chosen; 0: all), each image a row of length inputs,
// as they are. Rows past the last image are black and without a class, so that
// one shape serves all of them.
func EvaluationImages(c *corpus.Corpus, h *corpus.HoldOut, length, rows, limit int) ([]*Batch, error) {
	if length < 2 || rows < 1 || limit < 0 {
		return nil, fault.Invalidf("batches of %d rows of %d inputs, at most %d; there must be a row, and an image has at least 2 inputs", rows, length, limit)
	}
	image, err := c.Images()
	if err != nil {
		return nil, err
	}
	held := slices.Collect(h.In(c))
	if len(held) == 0 {
		return nil, fault.Invalidf("corpus %s: no image is held out (%s); raise 'held_out'", c.Path(), h)
	}
	if limit > 0 && limit < len(held) {
		for i := range limit {
			held[i] = held[i*len(held)/limit]
		}
		held = held[:limit]
	}
	var batches []*Batch
	for part := range slices.Chunk(held, rows) {
		b := newImages(curriculum.Shape{Rows: rows, Length: length, Kept: length}, image.Pixels())
		b.First = rows * len(batches)
		for r, document := range part {
			if err := b.readImage(c, r, document); err != nil {
				return nil, err
			}
		}
		batches = append(batches, b)
	}
	return batches, nil
}
