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
	"slices"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

const (
	// blockBytes is what of a JSONL file is encoded as one piece: a hundredth
	// of a second of r50k, so that all cores end at about the same time.
	blockBytes = 1 << 20
	// textsPerBlock bounds the small texts in a block, and what is waited for
	// when they come from a slow disk.
	textsPerBlock = 256
	// sniffBytes is how much of a file is looked at for a zero byte.
	sniffBytes = 8 << 10
	// zstdWindow is how far back a zstd stream may refer: what the zstd
	// program allows without being told otherwise.
	zstdWindow = 1 << 27
)

// reader turns files into blocks.
type reader struct {
	o     Options
	total int64      // of all files, for Progress
	used  *sync.Pool // of *block
	emit  func(*block) error

	text       *block        // that gathers small texts; nil: none
	raw, plain *bufio.Reader // of the file under way: as it is, and decompressed

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
	return r.sendText()
}

// readInput opens one file, or standard input.
func (r *reader) readInput(ctx context.Context, name string) error {
	asParquet := r.o.Format == Parquet || r.o.Format == Auto && namesParquet(name)
	if name == standardInput {
		if asParquet {
			return notSeekable("standard input")
		}
		stdin := func() (io.ReadCloser, error) { return io.NopCloser(r.o.Stdin), nil }
		return r.readFile(ctx, "standard input", interruptible(ctx, stdin))
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	open := func() (io.ReadCloser, error) { return os.Open(name) }
	if !info.Mode().IsRegular() {
		if asParquet {
			return notSeekable(name)
		}
		return r.readFile(ctx, name, interruptible(ctx, open))
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if asParquet {
		return r.readParquet(ctx, name, f, info.Size())
	}
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
	r.raw = rewind(r.raw, src)
	plain, done, err := decompress(r.raw)
	if err == nil {
		defer done()
		if plain != io.Reader(r.raw) {
			r.plain = rewind(r.plain, plain)
			plain = r.plain
		}
		err = r.readPlain(name, plain.(*bufio.Reader))
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

// rewind returns a buffered reader of src, b if there is one: for small files
// the making of a buffer is most of the work.
func rewind(b *bufio.Reader, src io.Reader) *bufio.Reader {
	if b == nil {
		return bufio.NewReaderSize(src, 64<<10)
	}
	b.Reset(src)
	return b
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

// readText adds a text to the block that gathers them: small files and values
// of a column are too little each to be handed around.
func (r *reader) readText(name string, src io.Reader) error {
	if r.o.Split > 0 {
		return r.readPieces(name, src)
	}
	b := r.gather()
	start := int64(len(b.data))
	for eof := false; !eof; {
		b.data = slices.Grow(b.data, bytes.MinRead)
		n, err := src.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if err != nil && err != io.EOF {
			return err
		}
		eof = err == io.EOF
		if int64(len(b.data))-start > r.o.LongestDocument {
			return fault.Invalidf("%s: has more than %d bytes, the limit of one document; split it into several files, or make it JSONL", name, r.o.LongestDocument)
		}
	}
	return r.gathered(name)
}

// gather returns the block that gathers texts.
func (r *reader) gather() *block {
	if r.text == nil {
		r.text = r.newBlock(blockBytes)
	}
	return r.text
}

// gathered ends a text of a file in that block, and emits it if it is full.
func (r *reader) gathered(name string) error {
	b := r.text
	b.ends = append(b.ends, end{len(b.data), name})
	if len(b.data) < blockBytes/2 && len(b.ends) < textsPerBlock {
		return nil
	}
	return r.sendText()
}

// sendText emits the block that gathers texts.
func (r *reader) sendText() error {
	b := r.text
	if r.text = nil; b == nil {
		return nil
	}
	return r.send(b)
}

// readPieces emits a text in blocks of whole pieces.
func (r *reader) readPieces(name string, src io.Reader) error {
	size := max(blockBytes, int(longestPiece*r.o.Split))
	b := r.newBlock(size)
	for eof := false; !eof; {
		var err error
		if eof, err = b.fill(src, len(b.data)+size); err != nil {
			return err
		}
		cut := 0
		for n := piece(b.data, r.o.Split, eof); n > 0; n = piece(b.data[cut:], r.o.Split, eof) {
			cut += n
			b.ends = append(b.ends, end{cut, name})
		}
		if b, err = r.sendUpTo(b, cut, size); err != nil {
			return err
		}
	}
	return nil
}

// readLines cuts a file after the last line end of each blockBytes, or further
// on if a line is longer.
func (r *reader) readLines(name string, src io.Reader) error {
	if err := r.sendText(); err != nil {
		return err
	}
	b := r.newBlock(blockBytes)
	for line, eof := 1, false; !eof; {
		var err error
		if eof, err = b.fill(src, max(blockBytes, 2*len(b.data))); err != nil {
			return err
		}
		cut := len(b.data)
		if !eof {
			cut = bytes.LastIndexByte(b.data, '\n') + 1
		}
		lines := bytes.Count(b.data[:cut], []byte("\n"))
		if int64(len(b.data)-cut) > r.o.LongestDocument {
			return lineTooLong(name, line+lines, r.o.LongestDocument)
		}
		b.name, b.line = name, line
		line += lines
		if b, err = r.sendUpTo(b, cut, blockBytes); err != nil {
			return err
		}
	}
	return nil
}

// sendUpTo emits a block without what is past cut, and returns the next block,
// which begins with that; the same block if there is nothing to emit.
func (r *reader) sendUpTo(b *block, cut, size int) (*block, error) {
	if cut == 0 {
		return b, nil
	}
	next := r.newBlock(size + len(b.data) - cut)
	next.data = append(next.data, b.data[cut:]...)
	b.data = b.data[:cut]
	return next, r.send(b)
}

func lineTooLong(name string, line int, limit int64) error {
	return fault.Invalidf("%s:%d: the line has more than %d bytes, the limit of one document; split it", name, line, limit)
}

// fill reads until the block has n bytes and reports whether the source ended.
// Unlike io.ReadFull it leaves errors as they are: a decompressor's
// io.ErrUnexpectedEOF must not look like the end.
func (b *block) fill(src io.Reader, n int) (eof bool, err error) {
	b.data = slices.Grow(b.data, n-len(b.data))
	for len(b.data) < n && err == nil {
		var m int
		m, err = src.Read(b.data[len(b.data):n])
		b.data = b.data[:len(b.data)+m]
	}
	if err == io.EOF {
		return true, nil
	}
	return false, err
}

// newBlock returns an empty block with room for n bytes.
func (r *reader) newBlock(n int) *block {
	b := r.used.Get().(*block)
	b.reset()
	b.data = slices.Grow(b.data, n)
	return b
}

func (r *reader) send(b *block) error {
	b.read, b.total = r.read, r.total
	return r.emit(b)
}
