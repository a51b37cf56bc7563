package prepare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// ImageOptions are what Images works on and how. Inputs are needed; the zero of
// any other field is its default.
type ImageOptions struct {
	// Inputs are IDX files of images, each with one of labels, or directories that
	// have a directory for each class, with PNG and JPEG files in and under it. Not
	// both.
	//
	// The labels of "train-images-idx3-ubyte" are looked for in
	// "train-labels-idx1-ubyte" beside it, unless files of labels are inputs too:
	// then there is one for each file of images, in the same order. Classes are
	// numbers from 0 on.
	//
	// Classes of directories are numbered in the order of their names, over all
	// inputs. Images come input by input, class by class, by path. Hidden entries
	// are left out, and so are files that are no images.
	Inputs []string
	// Height and Width of the images in the corpus. 0: those that the first image
	// has, and all others must have.
	Height, Width int
	// Gray makes images of directories gray; they are red, green and blue if not.
	// Those of IDX files have the channels that they have.
	Gray bool
	// Classes is how many there are, at least; as many as are found if 0. A set for
	// evaluation must have as many as the one for training.
	Classes int
	// Force replaces an existing corpus, which is otherwise an error.
	Force bool
	// Workers decode; as many as there are cores if 0.
	Workers int
	// Progress is called now and then, never twice at once.
	Progress func(Progress)
}

// ImageResult is what Images made.
type ImageResult struct {
	Path string `json:"corpus"` // the prefix
	corpus.Image
	Images      int64  `json:"images"`
	DType       string `json:"dtype"`
	FileBytes   int64  `json:"file_bytes"` // of PREFIX.bin and PREFIX.idx
	Fingerprint string `json:"fingerprint"`
	Files       int64  `json:"files"`   // read
	Skipped     int64  `json:"skipped"` // files in directories that are no images, links and devices
}

// Images prepares a corpus of images with the prefix out; directories on the way
// to it are made. Nothing is left behind if it fails. A damaged file is an error of
// kind fault.Corrupt, images and labels that do not belong together are
// fault.Mismatch, anything else that cannot be done is fault.Invalid; a cancelled
// ctx gives its own error.
func Images(ctx context.Context, out string, o ImageOptions) (ImageResult, error) {
	if err := o.fill(); err != nil {
		return ImageResult{}, err
	}
	if err := checkFree(out, o.Force); err != nil {
		return ImageResult{}, err
	}
	source, err := o.open(ctx)
	if err != nil {
		return ImageResult{}, err
	}
	defer source.close()
	undo, err := makeDirs(filepath.Dir(out))
	if err != nil {
		return ImageResult{}, err
	}
	result, err := writeImages(ctx, out, o, source)
	if err != nil {
		undo()
		if ctx.Err() != nil {
			err = fmt.Errorf("stopped before the end, nothing was written: %w", ctx.Err())
		}
		return ImageResult{}, err
	}
	return result, nil
}

func (o *ImageOptions) fill() error {
	switch {
	case len(o.Inputs) == 0:
		return fault.Invalidf("nothing to prepare: name files of images and labels in IDX format, or directories of class directories")
	case o.Height < 0 || o.Width < 0 || (o.Height == 0) != (o.Width == 0) || o.Classes < 0 || o.Workers < 0:
		return fault.Invalidf("images of %dx%d pixels, %d classes, %d workers; none can be negative, and both sides are given or none", o.Height, o.Width, o.Classes, o.Workers)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return nil
}

// imageSource gives images one after the other.
type imageSource interface {
	// shape says what the images are. Classes may be more once all are read.
	shape() corpus.Image
	// next returns the pixels of the next image, valid until the next call, and its
	// class; io.EOF after the last.
	next(ctx context.Context) (pixels []byte, class int, err error)
	// read returns how far it is: bytes, of how many, and files.
	read() (bytes, total, files int64)
	skipped() int64
	close()
}

// open finds out what the inputs are.
func (o ImageOptions) open(ctx context.Context) (imageSource, error) {
	directories := 0
	for _, input := range o.Inputs {
		info, err := os.Stat(input)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			directories++
		}
	}
	switch directories {
	case 0:
		return openIDX(o)
	case len(o.Inputs):
		return openTree(ctx, o)
	}
	return nil, fault.Invalidf("some inputs are directories and some are files; prepare them one by one")
}

// progressEvery is after how many images progress is shown.
const progressEvery = 256

// writeImages makes the corpus.
func writeImages(ctx context.Context, out string, o ImageOptions, source imageSource) (ImageResult, error) {
	image := source.shape()
	if err := image.Validate(); err != nil { // before they are all read
		return ImageResult{}, fault.Invalidf("%s: %w", strings.Join(o.Inputs, ", "), err)
	}
	w, err := corpus.Create(out, corpus.Fit(image.Meta().Vocabulary))
	if err != nil {
		return ImageResult{}, err
	}
	defer w.Abort()
	document := make([]int32, image.Pixels()+1)
	for {
		if err := ctx.Err(); err != nil {
			return ImageResult{}, err
		}
		pixels, class, err := source.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return ImageResult{}, err
		}
		for i, v := range pixels {
			document[i] = int32(v)
		}
		document[len(pixels)] = int32(class)
		if err := w.Append(document); err != nil {
			return ImageResult{}, err
		}
		if w.Documents()%progressEvery == 0 {
			bytes, total, _ := source.read()
			o.Progress(Progress{Bytes: bytes, Total: total, Documents: w.Documents(), Tokens: w.Tokens()})
		}
	}
	if w.Documents() == 0 {
		return ImageResult{}, fault.Invalidf("no image in %d inputs (%d other files were left out)", len(o.Inputs), source.skipped())
	}
	image = source.shape()
	if err := commit(w, nil, image.Meta()); err != nil {
		return ImageResult{}, err
	}
	r := ImageResult{Path: w.Path(), Image: image, Images: w.Documents(), DType: w.DType().String(), Skipped: source.skipped()}
	_, _, r.Files = source.read()
	r.FileBytes, r.Fingerprint, err = measured(w.Path())
	return r, err
}
