package prepare

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/picture"
)

// treeSource reads the images of class directories, decoded ahead on all cores.
type treeSource struct {
	image corpus.Image
	to    picture.Shape
	scale bool
	files []pictureFile
	total int64
	left  int64 // files that are no images

	turn   chan *decoded // in the order of files
	cancel context.CancelFunc
	done   int64 // bytes of what next has returned
	at     int64 // files
}

type pictureFile struct {
	name  string
	class int
	size  int64
}

// decoded is a file under way.
type decoded struct {
	pixels []byte
	err    error
	ready  chan struct{}
}

// openTree lists the images and begins to decode them.
func openTree(ctx context.Context, o ImageOptions) (imageSource, error) {
	s := &treeSource{to: picture.Shape{Height: o.Height, Width: o.Width, Channels: 3}, scale: o.Height > 0, cancel: func() {}}
	if o.Gray {
		s.to.Channels = 1
	}
	if err := s.list(ctx, o.Inputs); err != nil {
		return nil, err
	}
	names := s.image.Names
	switch {
	case len(s.files) == 0:
		return nil, fault.Invalidf("no image in %s: a directory must have one for each class, with PNG or JPEG files in it", strings.Join(o.Inputs, ", "))
	case o.Classes > 0 && o.Classes != len(names):
		return nil, fault.Invalidf("there are %d directories of classes, and there are to be %d; make a directory for each, if need be an empty one", len(names), o.Classes)
	}
	if !s.scale {
		var err error
		if s.to.Height, s.to.Width, err = picture.Size(s.files[0].name); err != nil {
			return nil, err
		}
	}
	s.image.Height, s.image.Width, s.image.Channels, s.image.Classes = s.to.Height, s.to.Width, s.to.Channels, len(names)
	s.start(ctx, o.Workers)
	return s, nil
}

// list finds the classes and their files, in the order of the corpus.
func (s *treeSource) list(ctx context.Context, inputs []string) error {
	classes := make([][]string, len(inputs))
	for i, input := range inputs {
		entries, err := os.ReadDir(input)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch {
			case strings.HasPrefix(e.Name(), "."):
			case e.IsDir():
				classes[i] = append(classes[i], e.Name())
			default:
				s.left++
			}
		}
		s.image.Names = append(s.image.Names, classes[i]...)
	}
	slices.Sort(s.image.Names)
	s.image.Names = slices.Compact(s.image.Names)
	for i, input := range inputs {
		for _, name := range classes[i] {
			class, _ := slices.BinarySearch(s.image.Names, name)
			if err := s.walk(ctx, filepath.Join(input, name), class); err != nil {
				return err
			}
		}
	}
	return nil
}

// walk adds the images in and under a directory, in order of their names.
func (s *treeSource) walk(ctx context.Context, dir string, class int) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		switch hidden := strings.HasPrefix(e.Name(), ".") && path != dir; {
		case hidden && e.IsDir():
			return fs.SkipDir
		case hidden || e.IsDir():
			return nil
		case !e.Type().IsRegular() || !picture.Is(path):
			s.left++
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.files = append(s.files, pictureFile{path, class, info.Size()})
		s.total += info.Size()
		return nil
	})
}

// start decodes the files, a few ahead of those that next has returned.
func (s *treeSource) start(ctx context.Context, workers int) {
	ctx, s.cancel = context.WithCancel(ctx)
	type job struct {
		file pictureFile
		to   *decoded
	}
	work := make(chan job)
	s.turn = make(chan *decoded, 2*workers)
	go func() {
		defer close(work)
		defer close(s.turn)
		for _, f := range s.files {
			d := &decoded{ready: make(chan struct{})}
			select {
			case s.turn <- d:
			case <-ctx.Done():
				return
			}
			select {
			case work <- job{f, d}:
			case <-ctx.Done():
				d.err = ctx.Err()
				close(d.ready)
				return
			}
		}
	}()
	for range workers {
		go func() {
			for j := range work {
				j.to.pixels, j.to.err = s.decode(j.file.name)
				close(j.to.ready)
			}
		}()
	}
}

// decode reads one image.
func (s *treeSource) decode(name string) ([]byte, error) {
	if !s.scale {
		height, width, err := picture.Size(name)
		if err != nil {
			return nil, err
		}
		if height != s.to.Height || width != s.to.Width {
			return nil, fault.Invalidf("%s is %dx%d pixels, and %s %dx%d; say to which size all are to be brought (--size)",
				name, height, width, s.files[0].name, s.to.Height, s.to.Width)
		}
	}
	pixels := make([]byte, s.to.Pixels())
	return pixels, picture.Read(pixels, name, s.to)
}

func (s *treeSource) shape() corpus.Image { return s.image }

func (s *treeSource) next(ctx context.Context) ([]byte, int, error) {
	d, ok := <-s.turn
	if !ok {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		return nil, 0, io.EOF
	}
	<-d.ready
	if d.err != nil {
		return nil, 0, d.err
	}
	f := s.files[s.at]
	s.at++
	s.done += f.size
	return d.pixels, f.class, nil
}

func (s *treeSource) read() (bytes, total, files int64) { return s.done, s.total, s.at }

func (s *treeSource) skipped() int64 { return s.left }

// close stops what decodes ahead, and waits for it.
func (s *treeSource) close() {
	s.cancel()
	for d := range s.turn {
		<-d.ready
	}
}
