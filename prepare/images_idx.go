package prepare

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/picture"
)

// idxSource reads pairs of IDX files, of images and of labels.
type idxSource struct {
	image   corpus.Image
	pairs   [][2]string
	fixed   bool // the number of classes is given
	at      int  // pair
	open    [2]*picture.IDX
	pixels  []byte
	sizes   []int64 // of each pair
	decoded int     // images of the pair under way
}

// openIDX pairs the inputs and reads the head of the first file of images.
func openIDX(o ImageOptions) (imageSource, error) {
	pairs, err := pairsOf(o.Inputs)
	if err != nil {
		return nil, err
	}
	s := &idxSource{pairs: pairs, fixed: o.Classes > 0, image: corpus.Image{Classes: max(o.Classes, 1)}}
	for _, pair := range pairs {
		size := int64(0)
		for _, name := range pair {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			size += info.Size()
		}
		s.sizes = append(s.sizes, size)
	}
	x, err := picture.OpenIDX(pairs[0][0])
	if err != nil {
		return nil, err
	}
	defer x.Close()
	s.image.Height, s.image.Width, s.image.Channels = x.Dims[0], x.Dims[1], 1
	if len(x.Dims) == 3 {
		s.image.Channels = x.Dims[2]
	}
	if o.Height > 0 && (o.Height != s.image.Height || o.Width != s.image.Width) {
		return nil, fault.Invalidf("%s has images of %dx%d pixels, and %dx%d are asked for; IDX files are taken as they are, so leave the size out",
			pairs[0][0], s.image.Height, s.image.Width, o.Height, o.Width)
	}
	s.pixels = make([]byte, s.image.Pixels())
	return s, nil
}

// pairsOf returns each file of images with its file of labels.
func pairsOf(inputs []string) (pairs [][2]string, err error) {
	var images, labels []string
	for _, name := range inputs {
		x, err := picture.OpenIDX(name)
		if err != nil {
			return nil, err
		}
		x.Close()
		switch len(x.Dims) {
		case 0:
			labels = append(labels, name)
		case 1:
			return nil, fault.Invalidf("%s has arrays of %d numbers; images have a height and a width", name, x.Dims[0])
		default:
			images = append(images, name)
		}
	}
	if len(labels) > 0 && len(labels) != len(images) {
		return nil, fault.Invalidf("there are %d files of images and %d of labels; give one of labels for each of images, or none where they lie beside", len(images), len(labels))
	}
	for i, name := range images {
		of := labelsOf(name)
		if len(labels) > 0 {
			of = labels[i]
		} else if of == name {
			return nil, fault.Invalidf("%s: where its labels are cannot be told from its name, which has no \"images\" in it; name the file of labels too", name)
		}
		pairs = append(pairs, [2]string{name, of})
	}
	return pairs, nil
}

// labelsOf returns the usual name of the labels of a file of images.
func labelsOf(name string) string {
	dir, base := filepath.Split(name)
	base = strings.Replace(base, "images", "labels", 1)
	return dir + strings.Replace(base, "idx3", "idx1", 1)
}

func (s *idxSource) shape() corpus.Image { return s.image }

func (s *idxSource) next(ctx context.Context) ([]byte, int, error) {
	for s.at < len(s.pairs) {
		if s.open[0] == nil {
			if err := s.openPair(); err != nil {
				return nil, 0, err
			}
		}
		var label [1]byte
		images, labels := s.open[0].Next(s.pixels), s.open[1].Next(label[:])
		if errors.Is(images, io.EOF) && errors.Is(labels, io.EOF) {
			s.close()
			s.at, s.decoded = s.at+1, 0
			continue
		}
		for _, err := range []error{images, labels} {
			if err != nil {
				return nil, 0, err
			}
		}
		class := int(label[0])
		if s.fixed && class >= s.image.Classes {
			return nil, 0, fault.Mismatchf("%s: label %d is %d, and there are to be %d classes, counted from 0", s.pairs[s.at][1], s.decoded, class, s.image.Classes)
		}
		s.image.Classes = max(s.image.Classes, class+1)
		s.decoded++
		return s.pixels, class, nil
	}
	return nil, 0, io.EOF
}

// openPair opens the files of a pair and holds that they belong together.
func (s *idxSource) openPair() (err error) {
	pair := s.pairs[s.at]
	for i, name := range pair {
		if s.open[i], err = picture.OpenIDX(name); err != nil {
			s.close()
			return err
		}
	}
	images, labels := s.open[0], s.open[1]
	channels := 1
	if len(images.Dims) == 3 {
		channels = images.Dims[2]
	}
	switch {
	case len(labels.Dims) != 0:
		return fault.Mismatchf("%s has arrays of %v numbers, and labels are single ones", pair[1], labels.Dims)
	case images.Count != labels.Count:
		return fault.Mismatchf("%s has %d images and %s %d labels; they do not belong together", pair[0], images.Count, pair[1], labels.Count)
	case len(images.Dims) < 2 || images.Dims[0] != s.image.Height || images.Dims[1] != s.image.Width || channels != s.image.Channels:
		return fault.Mismatchf("%s has images of %v, and %s of %dx%dx%d; prepare them one by one", pair[0], images.Dims, s.pairs[0][0], s.image.Height, s.image.Width, s.image.Channels)
	}
	return nil
}

// read counts whole pairs of files, and the images of the one under way by their
// share.
func (s *idxSource) read() (bytes, total, files int64) {
	for i, size := range s.sizes {
		total += size
		switch {
		case i < s.at:
			bytes += size
		case i == s.at && s.open[0] != nil && s.open[0].Count > 0:
			bytes += int64(float64(size) * float64(s.decoded) / float64(s.open[0].Count))
		}
	}
	return bytes, total, int64(2 * s.at)
}

func (s *idxSource) skipped() int64 { return 0 }

func (s *idxSource) close() {
	for i, x := range s.open {
		if x != nil {
			x.Close()
		}
		s.open[i] = nil
	}
}
