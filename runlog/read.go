package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/internal/fault"
)

// maxLine bounds the memory that reading one line takes. A step with three
// metrics has about 350 bytes.
const maxLine = 1 << 20

// Read reads a whole run log. It may be read while the run goes on. Where there is
// none, but a packed one beside it (path and ".gz", see Pack), that is read.
//
// A torn last line is left out and reported by Log.Torn. Any other damage is an
// error of kind fault.Corrupt that names the line; a log of a later version is
// fault.Mismatch.
func Read(path string) (*Log, error) {
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := newScanner(f.path, f)
	if err != nil {
		return nil, err
	}
	log := &Log{Run: s.run}
	for {
		step, err := s.next()
		switch {
		case err == io.EOF:
			log.Torn = s.torn
			return log, nil
		case err != nil:
			return nil, err
		}
		log.Steps = append(log.Steps, step)
	}
}

// ReadRun returns the first line of the run log at path, packed or not.
func ReadRun(path string) (Run, error) {
	f, err := openLog(path)
	if err != nil {
		return Run{}, err
	}
	defer f.Close()
	s, err := newScanner(f.path, f)
	if err != nil {
		return Run{}, err
	}
	return s.run, nil
}

// ReadStep returns one step of the run log at path, and reads no further than that.
// A log that does not reach it is fault.Corrupt.
func ReadStep(path string, step int64) (Step, error) {
	f, err := openLog(path)
	if err != nil {
		return Step{}, err
	}
	defer f.Close()
	s, err := newScanner(f.path, f)
	if err != nil {
		return Step{}, err
	}
	if err := s.reach(step); err != nil {
		return Step{}, err
	}
	return s.prev, nil
}

// scanner reads a log line by line and checks each against the one before.
type scanner struct {
	path   string
	lines  *bufio.Reader
	run    Run
	prev   Step
	number int   // of the last line read, from 1
	offset int64 // where the last line read ends
	torn   bool  // set at the end of the file: it ends in half a line
}

func newScanner(path string, r io.Reader) (*scanner, error) {
	s := &scanner{path: path, lines: bufio.NewReaderSize(r, 1<<16)}
	b, err := s.line()
	switch {
	case err == io.EOF && s.torn:
		return nil, fault.Corruptf("runlog: %s ends within its first line: the run was killed as it began; delete the file and start the run anew", path)
	case err == io.EOF:
		return nil, fault.Corruptf("runlog: %s is empty, its first line must be the run; delete the file and start the run anew", path)
	case err != nil:
		return nil, err
	}
	// The version decides how to read the rest, so it is read first and alone.
	var version struct {
		Run *struct{ Version *int }
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&version); err != nil || version.Run == nil || version.Run.Version == nil {
		return nil, s.corrupt(errors.New(`it is not {"run":{"version": ...}}: this is not a run log`))
	}
	switch v := *version.Run.Version; {
	case v > Version:
		return nil, fault.Mismatchf("runlog: %s has version %d, this program reads versions up to %d: use a newer gradus", path, v, Version)
	case v < 1:
		return nil, s.corrupt(fmt.Errorf("version is %d, want 1 or more", v))
	}
	var first struct{ Run Run }
	if err := decodeStrict(b, &first); err != nil {
		return nil, s.corrupt(err)
	}
	if key := missingRunKey(b); key != "" {
		return nil, s.corrupt(fmt.Errorf("the key %q is missing", key))
	}
	if err := first.Run.check(); err != nil {
		return nil, s.corrupt(err)
	}
	s.run = first.Run
	return s, nil
}

// next returns the next step, or io.EOF after the last whole one.
func (s *scanner) next() (Step, error) {
	b, err := s.line()
	if err != nil {
		return Step{}, err
	}
	var step Step
	if err := step.UnmarshalJSON(b); err != nil {
		return Step{}, s.corrupt(err)
	}
	if err := step.check(s.prev); err != nil {
		return Step{}, s.corrupt(err)
	}
	s.prev = step
	return step, nil
}

// line returns the next line without its "\n", or io.EOF.
func (s *scanner) line() ([]byte, error) {
	var b []byte
	for {
		part, err := s.lines.ReadSlice('\n')
		b = append(b, part...)
		switch {
		case len(b) > maxLine:
			s.number++
			return nil, s.corrupt(fmt.Errorf("it is longer than %d bytes: this is not a run log", maxLine))
		case err == nil:
			s.number++
			s.offset += int64(len(b))
			return b[:len(b)-1], nil
		case err == io.EOF:
			s.torn = len(b) > 0
			return nil, io.EOF
		case err != bufio.ErrBufferFull:
			if errors.Is(err, fault.Corrupt) { // of a packed log
				return nil, err
			}
			return nil, fmt.Errorf("runlog: reading %s after line %d: %w", s.path, s.number, err)
		}
	}
}

// corrupt places an error at the line read last.
func (s *scanner) corrupt(err error) error {
	return fault.Corruptf("runlog: %s, line %d: %w", s.path, s.number, err)
}
