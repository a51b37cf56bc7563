package cmd

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/prepare"
	"github.com/spf13/cobra"
)

// imageFlags are the flags of prepare that go with --images.
type imageFlags struct {
	on      bool
	size    string
	gray    bool
	classes int
}

func (f *imageFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.on, "images", false, "inputs are images: IDX files, or directories with a directory of PNG and JPEG files for each class")
	cmd.Flags().StringVar(&f.size, "size", "", "with --images: bring images to `N` or HEIGHTxWIDTH pixels (default: as they are, if all are alike)")
	cmd.Flags().BoolVar(&f.gray, "gray", false, "with --images: make PNG and JPEG images gray")
	cmd.Flags().IntVar(&f.classes, "classes", 0, "with --images: how many classes there are (default: as many as there are)")
}

// check reports flags of the other kind of input.
func (f *imageFlags) check(cmd *cobra.Command) error {
	others, why := []string{"size", "gray", "classes"}, "it goes with --images"
	if f.on {
		others = []string{"tokenizer", "end-of-document", "format", "field", "include", "exclude", "split", "skip-bad-lines"}
		why = "it is for text, and --images says that there is none"
	}
	for _, name := range others {
		if cmd.Flag(name).Changed {
			return fault.Invalidf("--%s: %s; leave it out", name, why)
		}
	}
	return nil
}

// prepare makes a corpus of images.
func (f *imageFlags) prepare(cmd *cobra.Command, out string, o prepare.ImageOptions, asJSON bool) (err error) {
	if err := needFlags(cmd, "out"); err != nil {
		return err
	}
	o.Gray, o.Classes = f.gray, f.classes
	if f.size != "" {
		if o.Height, o.Width, err = parseSize(f.size); err != nil {
			return err
		}
	}
	g := newGauge(cmd.ErrOrStderr())
	g.begin(true)
	o.Progress = func(p prepare.Progress) {
		images := fmt.Sprintf("%d images", p.Documents)
		g.show(p.Bytes, p.Total, images, fmt.Sprintf("prepare: %s bytes read, %s", of(p.Bytes, p.Total), images))
	}
	result, err := prepare.Images(cmd.Context(), out, o)
	g.close()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), result)
	}
	return printImages(cmd.OutOrStdout(), result)
}

// parseSize reads N or HEIGHTxWIDTH.
func parseSize(text string) (height, width int, err error) {
	first, second, both := strings.Cut(text, "x")
	if !both {
		second = first
	}
	height, errHeight := strconv.Atoi(first)
	width, errWidth := strconv.Atoi(second)
	if errHeight != nil || errWidth != nil || height < 1 || width < 1 || height > 4096 || width > 4096 {
		return 0, 0, fault.Invalidf("--size %s: give the pixels on a side, or HEIGHTxWIDTH, as in 28 or 240x320, of 1 to 4096", text)
	}
	return height, width, nil
}

func printImages(w io.Writer, r prepare.ImageResult) error {
	skipped := "nothing"
	if r.Skipped > 0 {
		skipped = fmt.Sprintf("files that are no images: %d", r.Skipped)
	}
	_, err := fmt.Fprintf(w, `images     %d of %s (%s)
files      %d
skipped    %s
corpus     %s (%d bytes)
`, r.Images, r.Image, r.DType, r.Files, skipped, r.Path, r.FileBytes)
	return err
}
