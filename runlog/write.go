package runlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Writer appends steps to a run log. It is not safe for concurrent use.
type Writer struct {
	path string
	file *os.File
	size int64 // of the whole lines
	prev Step  // the last one appended
	err  error // the first failure; nothing is written after it
}

// Create starts the log of a new run. It refuses to touch a file that is there:
// go on with Resume, or choose another place. run.Version may be left zero.
func Create(path string, run Run) (*Writer, error) {
	return create(path, run, nil, Step{})
}

// create writes the first line and the steps behind it, the last of which is prev.
func create(path string, run Run, steps io.Reader, prev Step) (*Writer, error) {
	if run.Version == 0 {
		run.Version = Version
	}
	if run.Version != Version {
		return nil, fault.Invalidf("runlog: the version to write is %d, want %d (or 0 for it)", run.Version, Version)
	}
	if err := run.check(); err != nil {
		return nil, fault.Invalidf("runlog: the run of %s: %w", path, err)
	}
	first, err := line(struct {
		Run Run `json:"run"`
	}{run})
	if err != nil {
		return nil, fmt.Errorf("runlog: the run of %s: %w", path, err)
	}
	if Exists(path) {
		return nil, fmt.Errorf("runlog: %s: %w: go on with --resume, or write to another directory", path, fs.ErrExist)
	}
	size := int64(len(first))
	if err := atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(first); err != nil || steps == nil {
			return err
		}
		n, err := io.Copy(w, steps)
		size += n
		return err
	}); err != nil {
		return nil, fmt.Errorf("runlog: creating %s: %w", path, err)
	}
	return open(path, size, prev)
}

// GoOn starts the log of a run that goes on from another one: with run in its
// first line, and the steps of the earlier log up to one. Errors are those of
// Create and Resume.
func GoOn(path string, run Run, earlier string, step int64) (*Writer, error) {
	f, err := os.Open(earlier)
	if err != nil {
		return nil, fmt.Errorf("runlog: %w", err)
	}
	defer f.Close()
	s, err := newScanner(earlier, f)
	if err != nil {
		return nil, err
	}
	begin := s.offset
	if err := s.reach(step); err != nil {
		return nil, err
	}
	return create(path, run, io.NewSectionReader(f, begin, s.offset-begin), s.prev)
}

// reach reads on to a step.
func (s *scanner) reach(step int64) error {
	for s.prev.Step < step {
		if _, err := s.next(); err == io.EOF {
			return fault.Corruptf("runlog: %s ends after step %d, but the run is to go on from step %d: resume from an earlier checkpoint", s.path, s.prev.Step, step)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Last returns the last step appended, or taken over; the zero Step: none.
func (w *Writer) Last() Step { return w.prev }

// Resume cuts the log back to what stood after the given step (0: to its first
// line) and returns a Writer that goes on from there. What comes after, torn or
// damaged or whole, is dropped; the cut is made on a copy that then takes the
// file's place. A log that does not reach the step is fault.Corrupt.
func Resume(path string, step int64) (*Writer, error) {
	if step < 0 {
		return nil, fault.Invalidf("runlog: resume %s at step %d: want 0 or more", path, step)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("runlog: %w", err)
	}
	defer f.Close()
	s, err := newScanner(path, f)
	if err != nil {
		return nil, err
	}
	if err := s.reach(step); err != nil {
		return nil, err
	}
	if err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(f, 0, s.offset))
		return err
	}); err != nil {
		return nil, fmt.Errorf("runlog: cutting %s back to step %d: %w", path, step, err)
	}
	return open(path, s.offset, s.prev)
}

func open(path string, size int64, prev Step) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("runlog: %w", err)
	}
	return &Writer{path: path, file: f, size: size, prev: prev}, nil
}

// Append writes one step, in a single call. A step that does not follow the one
// before is fault.Invalid and leaves the log as it was. When the write itself
// fails, what it left is cut off again and every later Append fails alike.
func (w *Writer) Append(s Step) error {
	if w.err != nil {
		return w.err
	}
	if err := s.check(w.prev); err != nil {
		return fault.Invalidf("runlog: appending to %s: %w", w.path, err)
	}
	b, err := line(s)
	if err != nil {
		return fmt.Errorf("runlog: appending step %d to %s: %w", s.Step, w.path, err)
	}
	if _, err := w.file.Write(b); err != nil {
		w.err = fmt.Errorf("runlog: appending step %d: %w", s.Step, errors.Join(err, w.file.Truncate(w.size)))
		return w.err
	}
	w.size += int64(len(b))
	w.prev = s
	return nil
}

// Sync makes all steps appended so far survive a loss of power. A trainer calls
// it before it writes the checkpoint of the same step.
func (w *Writer) Sync() error {
	if w.err != nil {
		return w.err
	}
	if err := w.file.Sync(); err != nil {
		w.err = fmt.Errorf("runlog: %w", err)
	}
	return w.err
}

// Close syncs and closes the log. It returns the first failure of the Writer,
// so that a run that checks nothing else still learns of it.
func (w *Writer) Close() error {
	err := w.Sync()
	if cerr := w.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("runlog: %w", cerr)
	}
	return err
}
