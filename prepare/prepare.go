// Package prepare turns text into a corpus.
//
// Its nouns: inputs are names of files, directories or globs, or "-" for
// standard input; each stands for files, in an order that depends on their
// names alone. A file gives documents: a text file is one, a JSONL file has one
// a line, and either may be compressed with gzip or zstd; a Parquet file has one
// a row. Documents are tokenized on all cores and written in input order, so the
// corpus is the same for any number of workers.
//
// The work flows one way: list (inputs to files), read (files to blocks of raw
// documents), encode (blocks to tokens, in parallel), write (in order). Memory
// is bounded by the blocks under way, a few a worker, each of 1 MiB or one
// longer document, and one page of a Parquet file.
package prepare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/tokenizer"
	"golang.org/x/sync/errgroup"
)

// Format says how a file is made of documents.
type Format string

// The formats.
const (
	// Auto takes a file whose name ends in .jsonl or .ndjson (a further .gz or
	// .zst aside) for JSONL, in .parquet for Parquet, and any other for text,
	// and skips binary files.
	Auto Format = "auto"
	// JSONL has a JSON object a line, with the text in one of its fields.
	JSONL Format = "jsonl"
	// Text makes a whole file one document, whatever is in it.
	Text Format = "text"
	// Parquet has a text a row, in one of its columns.
	Parquet Format = "parquet"
)

// Options are what Run works on and how. Inputs and Tokenizer are needed; the
// zero of any other field is its default.
type Options struct {
	// Inputs in the order in which their documents become the corpus. A
	// directory stands for all files in and under it and a glob for what it
	// matches (** for any number of directories), both sorted by path, element
	// by element. Hidden entries are left out unless named, and links found on
	// the way are not followed.
	Inputs []string
	// Stdin is what the input "-" reads.
	Stdin io.Reader
	// Tokenizer encodes documents; its end-of-document token is added to each.
	Tokenizer tokenizer.Tokenizer
	// Format of all inputs; Auto if empty.
	Format Format
	// Field is the field of a JSONL object, or the column of a Parquet file,
	// that has the text; "text" if empty. A column inside others is named with
	// them, joined by dots.
	Field string
	// Split cuts text files, not JSONL or Parquet, into documents of about so many bytes,
	// at blank lines where there are any; each file is one document if 0.
	Split int64
	// SkipBadLines counts lines of JSONL that are not an object with that field
	// and goes on, where otherwise the first one is an error.
	SkipBadLines bool
	// Include and Exclude are globs for files found in directories or by globs,
	// not for files named. One without a slash is held against the last element
	// of a path, another against all of it below the input. If Include is
	// empty, all are included; Exclude wins, and leaves out directories too.
	Include, Exclude []string
	// Force replaces an existing corpus, which is otherwise an error.
	Force bool
	// Workers encode; as many as there are cores if 0.
	Workers int
	// LongestDocument bounds a text file or a line, uncompressed, in bytes; 1
	// GiB if 0. A document takes up to 8 times its size in memory.
	LongestDocument int64
	// Progress is called now and then, never twice at once.
	Progress func(Progress)
}

// Progress is how far Run is.
type Progress struct {
	Bytes     int64 // read of the files, before decompression
	Total     int64 // size of all files; 0 if not known, as with standard input
	Documents int64
	Tokens    int64
}

// Result is what Run made.
type Result struct {
	Path        string  `json:"corpus"` // the prefix
	Tokenizer   string  `json:"tokenizer"`
	Documents   int64   `json:"documents"`
	Tokens      int64   `json:"tokens"` // end-of-document tokens included
	DType       string  `json:"dtype"`
	Bytes       int64   `json:"bytes"`      // of text, uncompressed
	FileBytes   int64   `json:"file_bytes"` // of PREFIX.bin and PREFIX.idx
	Fingerprint string  `json:"fingerprint"`
	Files       int64   `json:"files"` // read, binary ones aside
	Skipped     Skipped `json:"skipped"`
}

// Skipped counts what gave no document, and is no error.
type Skipped struct {
	Binary  int64 `json:"binary"`    // files with a zero byte in their first 8 KiB
	Special int64 `json:"special"`   // links and devices in directories
	Empty   int64 `json:"empty"`     // documents without text
	Nulls   int64 `json:"nulls"`     // values of a Parquet column that are not there
	Lines   int64 `json:"bad_lines"` // only with SkipBadLines
}

const (
	defaultField   = "text"
	defaultLongest = 1 << 30
	// longestKept is the memory for text of a block that is used again: that of
	// a block with one long document goes back to the system.
	longestKept = 8 * blockBytes
)

// Run prepares the corpus with the prefix out; directories on the way to it are
// made. Nothing is left behind if it fails. Inputs without a document, an
// existing corpus without Force, and a bad line are errors of kind
// fault.Invalid; a damaged compressed or Parquet file is fault.Corrupt; a
// cancelled ctx gives its own error.
func Run(ctx context.Context, out string, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	if err := checkFree(out, o.Force); err != nil {
		return Result{}, err
	}
	found, err := list(ctx, out, o)
	if err != nil {
		return Result{}, err
	}
	undo, err := makeDirs(filepath.Dir(out))
	if err != nil {
		return Result{}, err
	}
	result, err := run(ctx, out, o, found)
	if err != nil {
		undo()
		if ctx.Err() != nil {
			err = fmt.Errorf("stopped before the end, nothing was written: %w", ctx.Err())
		}
		return Result{}, err
	}
	return result, nil
}

func (o Options) withDefaults() (Options, error) {
	if len(o.Inputs) == 0 {
		return o, fault.Invalidf("nothing to prepare: name files, directories, or - for standard input")
	}
	if o.Tokenizer == nil {
		return o, fault.Invalidf("no tokenizer; known are %v", tokenizer.Names())
	}
	if o.Workers < 0 || o.LongestDocument < 0 || o.Split < 0 {
		return o, fault.Invalidf("%d workers, documents of up to %d bytes, texts split after %d; none can be negative", o.Workers, o.LongestDocument, o.Split)
	}
	if o.Split > maxSplit {
		return o, fault.Invalidf("texts are split into documents of at most %d bytes, not %d", maxSplit, o.Split)
	}
	switch o.Format {
	case "":
		o.Format = Auto
	case Auto, JSONL, Text, Parquet:
	default:
		return o, fault.Invalidf("unknown format %q; known are %s, %s, %s and %s", o.Format, Auto, JSONL, Text, Parquet)
	}
	if o.Field == "" {
		o.Field = defaultField
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.LongestDocument == 0 {
		o.LongestDocument = defaultLongest
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o, checkPatterns(append(o.Include[:len(o.Include):len(o.Include)], o.Exclude...))
}

// checkFree refuses to replace a corpus, or a part of one.
func checkFree(out string, force bool) error {
	if force {
		return nil
	}
	for _, name := range append(corpus.Files(out), tokenizer.CorpusFile(out)) {
		if _, err := os.Lstat(name); err == nil {
			return fault.Invalidf("%s exists; choose another name, or force it to be replaced (--force)", name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// makeDirs makes a directory and those above it; undo removes the ones it made,
// as long as they are empty.
func makeDirs(dir string) (undo func(), err error) {
	var made []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	undo = func() {
		for _, d := range made {
			os.Remove(d)
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// run is the pipeline. Every block goes into two channels: work, from which
// any worker takes it, and order, from which the writer takes it in turn and
// waits until its worker is done with it. Then it goes back to the reader: fresh
// memory for each would cost more than the work on it, where tokens are bytes.
func run(ctx context.Context, out string, o Options, found files) (Result, error) {
	w, err := corpus.Create(out, corpus.Fit(o.Tokenizer.Vocabulary()))
	if err != nil {
		return Result{}, err
	}
	defer w.Abort()
	result := Result{Path: w.Path(), Tokenizer: o.Tokenizer.Name(), DType: w.DType().String()}
	result.Skipped.Special = found.special

	g, ctx := errgroup.WithContext(ctx)
	work := make(chan *block)
	order := make(chan *block, 2*o.Workers)
	used := &sync.Pool{New: func() any { return newBlock(w.DType()) }}
	r := &reader{o: o, total: found.total, used: used, emit: func(b *block) error {
		for _, c := range []chan *block{order, work} {
			select {
			case c <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}}
	g.Go(func() error {
		defer close(work)
		defer close(order)
		return r.readAll(ctx, found.list)
	})
	for range o.Workers {
		g.Go(func() error {
			for b := range work {
				b.encode(o)
				b.done <- struct{}{}
			}
			return nil
		})
	}
	g.Go(func() error { return write(ctx, w, order, used, o.Progress, &result) })
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	result.Files, result.Skipped.Binary = r.files, r.binary
	if result.Documents == 0 {
		s := result.Skipped
		return Result{}, fault.Invalidf("no document in %d inputs (%d binary files, %d empty documents, %d nulls, %d bad lines and %d links or devices were skipped)",
			len(o.Inputs), s.Binary, s.Empty, s.Nulls, s.Lines, s.Special)
	}
	tok := o.Tokenizer
	meta := corpus.Meta{Tokenizer: tok.Name(), Vocabulary: tok.Vocabulary(), EndOfDocument: tok.EndOfDocument()}
	if err := commit(w, tok, meta); err != nil {
		return Result{}, err
	}
	result.FileBytes, result.Fingerprint, err = measured(result.Path)
	return result, err
}

// write appends the documents of each block in turn.
func write(ctx context.Context, w *corpus.Writer, order <-chan *block, used *sync.Pool, progress func(Progress), result *Result) error {
	for b := range order {
		select {
		case <-b.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.err != nil {
			return b.err
		}
		if err := w.AppendRows(b.rows); err != nil {
			return err
		}
		result.Documents, result.Tokens = w.Documents(), w.Tokens()
		result.Bytes += b.sums.textBytes
		result.Skipped.Empty += b.sums.empty
		result.Skipped.Lines += b.sums.badLines
		result.Skipped.Nulls += b.nulls
		progress(Progress{Bytes: b.read, Total: b.total, Documents: result.Documents, Tokens: result.Tokens})
		if cap(b.data) <= longestKept {
			used.Put(b)
		}
	}
	return ctx.Err()
}

// measured returns what is known only of a finished corpus.
func measured(path string) (bytes int64, fingerprint string, err error) {
	c, err := corpus.Open(path)
	if err != nil {
		return 0, "", fmt.Errorf("read back what was written: %w", err)
	}
	defer c.Close()
	fingerprint, err = c.Fingerprint()
	return c.FileBytes(), fingerprint, err
}
