package lookup

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// longestLine is more than a document of text with its values has.
	longestLine = 64 << 20
	// zstdWindow is how far back a stream may refer: what the zstd program
	// allows without being told otherwise.
	zstdWindow = 1 << 27
)

// diskReader reads a file and remembers why that failed, to tell a failing disk
// from damaged content.
type diskReader struct {
	r   io.Reader
	err error
}

func (s *diskReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

// readLines reads JSON objects, one a line.
func (t *table) readLines(f *os.File, h hash.Hash, do func(row) error) error {
	src := &diskReader{r: io.TeeReader(f, h)}
	if err := t.readObjects(src, do); err != nil {
		if src.err != nil {
			return src.err // names the file
		}
		return err
	}
	_, err := io.Copy(h, f) // what a decompressor has not asked for
	return err
}

func (t *table) readObjects(src io.Reader, do func(row) error) error {
	plain, err := decompress(t.path, src)
	if err != nil {
		return fault.Corruptf("%s: %w", t.path, err)
	}
	defer plain.Close()
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, longestLine)
	var r row
	for lines.Scan() {
		r.line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		if err := t.parse(text, &r); err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
		r.number++
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fault.Corruptf("%s: line %d has more than %d bytes", t.path, r.line+1, longestLine)
	case err != nil:
		return fault.Corruptf("%s: after line %d: %w", t.path, r.line, err)
	}
	return nil
}

// decompress takes a file for what its name says.
func decompress(path string, r io.Reader) (io.ReadCloser, error) {
	switch {
	case strings.HasSuffix(path, ".gz"):
		return gzip.NewReader(r)
	case strings.HasSuffix(path, ".zst"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}

// parse reads the value, and the key if there is one, of an object.
func (t *table) parse(text []byte, r *row) (err error) {
	if !json.Valid(text) {
		err := json.Unmarshal(text, new(json.RawMessage)) // says what is wrong
		return fault.Corruptf("%s: %s: no JSON object: %w", t.path, r.place(), err)
	}
	if text[0] != '{' {
		return fault.Corruptf("%s: %s: no JSON object: %s", t.path, r.place(), clip(text))
	}
	if r.value, r.whole, err = t.number(text, t.Field, *r); err != nil {
		return err
	}
	if t.Key != "" {
		var whole bool
		if r.key, whole, err = t.number(text, t.Key, *r); err == nil && !whole {
			err = fault.Invalidf("%s: %s: field %q is %v, written as no whole number; the number of a sample or document is needed, from 0", t.path, r.place(), t.Key, r.key)
		}
	}
	return err
}

// number returns the number under a field of an object, and whether it is
// written as a whole one.
func (t *table) number(object []byte, field string, r row) (v float64, whole bool, err error) {
	raw := find(object, field)
	if raw == nil {
		return 0, false, fault.Invalidf("%s: %s: no field %q; there %s", t.path, r.place(), field, names(object))
	}
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return 0, false, fault.Invalidf("%s: %s: field %q is %s; a number is needed", t.path, r.place(), field, clip(raw))
	}
	v, err = strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false, fault.Invalidf("%s: %s: field %q is %s, beyond what a float64 holds", t.path, r.place(), field, clip(raw))
	}
	return v, !bytes.ContainsAny(raw, ".eE"), nil
}

// names lists the first of an object's fields.
func names(object []byte) string {
	const most = 12
	var known []string
	for name := range fields(object) {
		known = append(known, clip(name))
	}
	switch n := len(known); {
	case n == 0:
		return "is none"
	case n > most:
		return fmt.Sprintf("are %s and %d more", strings.Join(known[:most], ", "), n-most)
	}
	return "are " + strings.Join(known, ", ")
}

// clip shortens what an error quotes.
func clip(text []byte) string {
	const most = 40
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "..."
	}
	return string(text)
}
