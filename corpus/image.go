package corpus

import (
	"fmt"
	"reflect"

	"github.com/gradus-ml/gradus/internal/fault"
)

// PixelTokens is the Meta.Tokenizer of a corpus of images.
const PixelTokens = "pixels"

// An Image is what all documents of a corpus of images have in common. Each
// document is one image: its pixels row by row, channels last, as numbers of 0
// (black) to 255, and then its class.
type Image struct {
	Height   int `json:"height"` // pixels
	Width    int `json:"width"`
	Channels int `json:"channels"` // 1: gray, 3: red, green and blue
	Classes  int `json:"classes"`
	// Names of the classes, in order; nil: they have none.
	Names []string `json:"names,omitempty"`
}

// Bounds of an Image: far above what a network is given, and low enough that
// products fit an int.
const (
	longestSide  = 1 << 12
	mostChannels = 1 << 4
	mostClasses  = 1 << 16
)

// Pixels returns the numbers of an image: height * width * channels.
func (i Image) Pixels() int { return i.Height * i.Width * i.Channels }

// Meta returns what a corpus of such images says of itself.
func (i Image) Meta() Meta {
	return Meta{Tokenizer: PixelTokens, Vocabulary: max(256, i.Classes), EndOfDocument: -1, Image: &i}
}

// String describes the images, as in "28x28x1, 10 classes".
func (i Image) String() string {
	return fmt.Sprintf("%dx%dx%d, %d classes", i.Height, i.Width, i.Channels, i.Classes)
}

// Name returns the name of a class; its number if it has none.
func (i Image) Name(class int) string {
	if class < 0 || class >= len(i.Names) {
		return fmt.Sprint(class)
	}
	return i.Names[class]
}

// Validate reports images that no corpus can have. Text, nil, is no error.
func (i *Image) Validate() error {
	if i == nil {
		return nil
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{{"height", i.Height, longestSide}, {"width", i.Width, longestSide}, {"channels", i.Channels, mostChannels}, {"classes", i.Classes, mostClasses}} {
		if f.value < 1 || f.value > f.most {
			return fmt.Errorf("images whose %s is %d; it must be 1 to %d", f.name, f.value, f.most)
		}
	}
	if i.Names != nil && len(i.Names) != i.Classes {
		return fmt.Errorf("images with %d names of %d classes; give one for each, or none", len(i.Names), i.Classes)
	}
	return nil
}

// Same reports whether two corpora have images of one shape and the same classes.
// Text is the same as text.
func (i *Image) Same(other *Image) bool { return reflect.DeepEqual(i, other) }

// Images holds that the corpus is images, each document one of them, as far as
// the number of tokens tells. A corpus of anything else is an error of kind
// fault.Mismatch, other numbers of tokens fault.Corrupt.
func (c *Corpus) Images() (Image, error) {
	if c.meta.Image == nil {
		return Image{}, fault.Mismatchf("corpus %s is no images; prepare one with 'gradus prepare --images'", c.Path())
	}
	i := *c.meta.Image
	if n := int64(i.Pixels() + 1); c.tokens%n != 0 || c.tokens/n != c.documents {
		return i, fault.Corruptf("corpus %s: %d documents of %d tokens cannot be images of %s, which are %d tokens each", c.Path(), c.documents, c.tokens, i, n)
	}
	return i, nil
}

// ReadImage fills pixels, which has room for one image, with an image and returns
// its class. A document that is none, a pixel above 255 and a class that there is
// not are errors of kind fault.Corrupt. The document must be in [0, Documents());
// it panics otherwise, as indexing a slice does.
func (c *Corpus) ReadImage(pixels []uint8, document int64) (class int32, err error) {
	i, err := c.Images()
	if err != nil {
		return 0, err
	}
	start, end := c.Bounds(document)
	if n := i.Pixels(); end-start != int64(n)+1 || len(pixels) != n {
		return 0, fault.Corruptf("corpus %s: document %d has %d tokens, and an image of %s has %d", c.Path(), document, end-start, i, n+1)
	}
	var buffer [1 << 10]int32
	for rest := pixels; len(rest) > 0; {
		part := buffer[:min(len(rest), len(buffer))]
		if err := c.Read(part, start); err != nil {
			return 0, err
		}
		for k, v := range part {
			if v > 255 {
				return 0, fault.Corruptf("corpus %s: pixel %d of image %d is %d; it must be 0 to 255", c.Path(), len(pixels)-len(rest)+k, document, v)
			}
			rest[k] = uint8(v)
		}
		rest = rest[len(part):]
		start += int64(len(part))
	}
	if err := c.Read(buffer[:1], start); err != nil {
		return 0, err
	}
	if class = buffer[0]; int(class) >= i.Classes {
		return 0, fault.Corruptf("corpus %s: image %d has class %d; there are %d", c.Path(), document, class, i.Classes)
	}
	return class, nil
}
