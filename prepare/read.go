package prepare

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// blockBytes is what of a JSONL file is encoded as one piece: a hundredth
	// of a second of r50k, so that all cores end at about the same time.
	blockBytes = 1 << 20
	// sniffBytes is how much of a file is looked at for a zero byte.
	sniffBytes = 8 << 10
	// zstdWindow is how far back a zstd stream may refer: what the zstd
	// program allows without being told otherwise.
	zstdWindow = 1 << 27
)

// reader turns files into blocks.
type reader struct {
	o     Options
	total int64 // of all files, for Progress
	emit  func(*block) error

	read   int64 // bytes of all files so far
	files  int64
	binary int64
}

func (r *reader) readAll(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := r.readInput(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// readInput opens one file, or standard input.
func (r *reader) readInput(ctx context.Context, name string) error {
	if name == standardInput {
		stdin := func() (io.ReadCloser, error) { return io.NopCloser(r.o.Stdin), nil }
		return r.readFile(ctx, "standard input", interruptible(ctx, stdin))
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	if !info.Mode().IsRegular() {
		return r.readFile(ctx, name, interruptible(ctx, open))
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	return r.readFile(ctx, name, f)
}

// interruptible reads a pipe or terminal, which may make an open or a read wait
// for ever, and ends with ctx. What waits then is left to itself.
func interruptible(ctx context.Context, open func() (io.ReadCloser, error)) io.Reader {
	out, in := io.Pipe()
	go func() {
		src, err := open()
		if err == nil {
			_, err = io.Copy(in, src)
			src.Close()
		}
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { out.CloseWithError(ctx.Err()) })
	return out
}

// source counts what is read from a file and remembers why that failed, to tell
// a failing disk from damaged content.
type source struct {
	ctx  context.Context
	r    io.Reader
	read *int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	*s.read += int64(n)
	if err != io.EOF {
		s.err = err
	}
	return n, err
}

// readFile looks at how a file begins to see whether it is compressed or
// binary, and emits its blocks.
func (r *reader) readFile(ctx context.Context, name string, file io.Reader) error {
	src := &source{ctx: ctx, r: file, read: &r.read}
	plain, done, err := decompress(bufio.NewReaderSize(src, 64<<10))
	if err == nil {
		defer done()
		err = r.readPlain(name, bufio.NewReaderSize(plain, 64<<10))
	}
	var c *contentError
	switch {
	case src.err != nil:
		return fmt.Errorf("read %s: %w", name, src.err)
	case errors.As(err, &c):
		return fault.Corruptf("%s: %w; it is damaged, or cut off", name, c.err)
	}
	return err
}

// contentError is what a decompressor has to say.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }

// decompress returns what a stream holds, and what to call after reading it.
func decompress(b *bufio.Reader) (io.Reader, func(), error) {
	start, _ := b.Peek(4) // an error shows again at the first read
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, nil, &contentError{fmt.Errorf("gzip: %w", err)}
		}
		return contentReader{z}, func() { z.Close() }, nil
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return nil, nil, &contentError{fmt.Errorf("zstd: %w", err)}
		}
		return contentReader{z}, z.Close, nil
	}
	return b, func() {}, nil
}

// contentReader marks a decompressor's errors.
type contentReader struct{ r io.Reader }

func (c contentReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		err = &contentError{err}
	}
	return n, err
}

func (r *reader) readPlain(name string, src *bufio.Reader) error {
	if r.o.Format == Auto {
		start, err := src.Peek(sniffBytes)
		if err != nil && err != io.EOF {
			return err
		}
		if bytes.IndexByte(start, 0) >= 0 {
			r.binary++
			return nil
		}
	}
	r.files++
	if r.o.Format == JSONL || r.o.Format == Auto && namesLines(name) {
		return r.readLines(name, src)
	}
	return r.readText(name, src)
}

// namesLines reports whether a name says JSONL.
func namesLines(name string) bool {
	name = strings.ToLower(name)
	for _, ending := range []string{".gz", ".gzip", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, ending)
	}
	ext := filepath.Ext(name)
	return ext == ".jsonl" || ext == ".ndjson"
}

func (r *reader) readText(name string, src io.Reader) error {
	if r.o.Split > 0 {
		return r.readPieces(name, src)
	}
	text, err := io.ReadAll(io.LimitReader(src, r.o.LongestDocument+1))
	if err != nil {
		return err
	}
	if int64(len(text)) > r.o.LongestDocument {
		return fault.Invalidf("%s: has more than %d bytes, the limit of one document; split it into several files, or make it JSONL", name, r.o.LongestDocument)
	}
	return r.send(&block{name: name, data: text})
}

// readPieces emits a text in blocks of whole pieces.
func (r *reader) readPieces(name string, src io.Reader) error {
	var rest []byte
	for eof := false; !eof; {
		data := make([]byte, len(rest)+max(blockBytes, int(longestPiece*r.o.Split)))
		n := copy(data, rest)
		m, err := fill(src, data[n:])
		if err != nil && err != io.EOF {
			return err
		}
		eof = err == io.EOF
		data = data[:n+m]
		cut, cuts := 0, []int(nil)
		for n := piece(data, r.o.Split, eof); n > 0; n = piece(data[cut:], r.o.Split, eof) {
			cut += n
			cuts = append(cuts, cut)
		}
		rest = data[cut:]
		if cut > 0 {
			if err := r.send(&block{name: name, data: data[:cut], cuts: cuts}); err != nil {
				return err
			}
		}
	}
	return nil
}

// readLines cuts a file after the last line end of each blockBytes, or further
// on if a line is longer.
func (r *reader) readLines(name string, src io.Reader) error {
	var rest []byte
	for line, eof := 1, false; !eof; {
		data := make([]byte, max(blockBytes, 2*len(rest)))
		n := copy(data, rest)
		m, err := fill(src, data[n:])
		if err != nil && err != io.EOF {
			return err
		}
		eof = err == io.EOF
		data = data[:n+m]
		cut := len(data)
		if !eof {
			cut = bytes.LastIndexByte(data, '\n') + 1
		}
		if rest = data[cut:]; int64(len(rest)) > r.o.LongestDocument {
			return lineTooLong(name, line+bytes.Count(data[:cut], []byte("\n")), r.o.LongestDocument)
		}
		if cut > 0 {
			if err := r.send(&block{name: name, line: line, data: data[:cut]}); err != nil {
				return err
			}
			line += bytes.Count(data[:cut], []byte("\n"))
		}
	}
	return nil
}

func lineTooLong(name string, line int, limit int64) error {
	return fault.Invalidf("%s:%d: the line has more than %d bytes, the limit of one document; split it", name, line, limit)
}

// fill reads until p is full. Unlike io.ReadFull it leaves errors as they are:
// a decompressor's io.ErrUnexpectedEOF must not look like the end.
func fill(src io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = src.Read(p[n:])
		n += m
	}
	return n, err
}

func (r *reader) send(b *block) error {
	b.read, b.total, b.done = r.read, r.total, make(chan struct{})
	return r.emit(b)
}
