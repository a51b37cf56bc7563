// Package corpus keeps token sequences on disk.
//
// Its nouns: a Corpus is the tokens of many documents laid end to end, in the
// pair of files that Megatron-LM and DeepSpeed use, PREFIX.bin and PREFIX.idx,
// mapped into memory. Meta, in PREFIX.json, is what the writer knew about the
// tokens; a corpus of another program has none and works without. A Writer
// makes a corpus. A Cut says what a sample is, a window of the concatenated
// documents or one document, and Samples are a corpus under a cut, addressed
// by a 64-bit id without a table.
//
// PREFIX.bin is the tokens and nothing else: little-endian integers of one
// type, documents back to back. PREFIX.idx is described in idx.go, PREFIX.json
// and the fingerprint in meta.go.
package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"sort"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
)

// Corpus is an open corpus. All methods but Close may be called from any
// number of goroutines.
type Corpus struct {
	prefix      string
	idx, bin    *mmap.File
	rows        rows
	side        *sidecar // nil without PREFIX.json
	fingerprint func() (string, error)
}

// Open opens the corpus PREFIX.bin, PREFIX.idx and, if there, PREFIX.json. The
// name of one of these files is taken for the prefix. The index is read and
// checked whole, 20 bytes a document; tokens are paged in as they are read.
//
// A damaged or cut-off file is an error of kind fault.Corrupt; a PREFIX.json of
// another corpus or a later version, or a file of floats, is fault.Mismatch.
func Open(prefix string) (*Corpus, error) {
	c := &Corpus{prefix: trimPrefix(prefix)}
	if err := c.open(); err != nil {
		c.Close()
		return nil, err
	}
	c.fingerprint = sync.OnceValues(c.findFingerprint)
	return c, nil
}

func (c *Corpus) open() (err error) {
	idxName, binName := c.prefix+".idx", c.prefix+".bin"
	if c.idx, err = mmap.Open(idxName); err != nil {
		return openError(c.prefix, err)
	}
	if c.bin, err = mmap.Open(binName); err != nil {
		return openError(c.prefix, err)
	}
	if c.rows, err = parseRows(c.idx.Bytes(), idxName, int64(c.bin.Len()), binName); err != nil {
		return err
	}
	c.side, err = readSidecar(c.prefix+".json", c)
	return err
}

// openError adds to a missing file what to do about it.
func openError(prefix string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no corpus at %s: %w; a corpus is a pair %s.bin and %[1]s.idx, which 'gradus prepare' makes", prefix, err, prefix)
	}
	return fmt.Errorf("open corpus %s: %w", prefix, err)
}

// Files names the three files of a corpus: .bin, .idx and .json. As everywhere,
// the name of one of them is taken for the prefix.
func Files(prefix string) []string {
	prefix = trimPrefix(prefix)
	names := make([]string, len(endings))
	for i, ending := range endings {
		names[i] = prefix + ending
	}
	return names
}

var endings = [...]string{".bin", ".idx", ".json"}

// Exists reports whether one of a corpus' two files of tokens is there, whole or
// not: whether Open would find something to say about it.
func Exists(prefix string) bool {
	for _, name := range Files(prefix)[:2] {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// trimPrefix takes the ending off a file's name, unless a corpus has that name
// with a second ending.
func trimPrefix(name string) string {
	for _, ending := range endings {
		if base, ok := strings.CutSuffix(name, ending); ok {
			if _, err := os.Stat(name + ".idx"); err != nil {
				return base
			}
		}
	}
	return name
}

// Close gives the maps back; no other method may be called after it or while
// it runs. A second Close does nothing.
func (c *Corpus) Close() error {
	var errs []error
	for _, m := range []*mmap.File{c.idx, c.bin} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// Path returns the prefix.
func (c *Corpus) Path() string { return c.prefix }

// Documents returns the number of documents, empty ones included.
func (c *Corpus) Documents() int64 { return c.rows.documents }

// Tokens returns the number of tokens of all documents together.
func (c *Corpus) Tokens() int64 { return c.rows.tokens }

// DType returns how tokens are stored.
func (c *Corpus) DType() DType { return c.rows.dtype }

// FileBytes returns the size of PREFIX.bin and PREFIX.idx together.
func (c *Corpus) FileBytes() int64 { return int64(c.bin.Len()) + int64(c.idx.Len()) }

// Bounds returns where a document begins and ends, [start, end), in tokens of
// the concatenation. The document must be in [0, Documents()); it panics
// otherwise, as indexing a slice does.
func (c *Corpus) Bounds(document int64) (start, end int64) {
	if document < 0 || document >= c.rows.documents {
		panic(fmt.Sprintf("corpus: document %d of %d", document, c.rows.documents))
	}
	return c.rows.start(document), c.rows.start(document + 1)
}

// DocumentAt returns the document that holds a token of the concatenation, in
// O(log Documents()), and -1 for a token outside [0, Tokens()).
func (c *Corpus) DocumentAt(token int64) int64 {
	if token < 0 || token >= c.rows.tokens {
		return -1
	}
	// The last document that begins at or before the token: empty documents
	// begin where the next one does, and come before it.
	return int64(sort.Search(int(c.rows.documents), func(i int) bool { return c.rows.start(int64(i)+1) > token }))
}

// Read fills dst with the tokens [start, start+len(dst)) of the concatenation.
// A range outside the corpus is an error of kind fault.Invalid; a negative
// token or one above the largest int32 is fault.Corrupt.
func (c *Corpus) Read(dst []int32, start int64) error {
	if n := int64(len(dst)); start < 0 || n > c.rows.tokens || start > c.rows.tokens-n {
		return fault.Invalidf("corpus %s: tokens %d to %d were asked for; it has %d", c.prefix, start, start+n, c.rows.tokens)
	}
	size := c.rows.dtype.Size()
	if raw := c.bin.Bytes()[start*size:]; !c.rows.dtype.widen(dst, raw) {
		return c.badToken(raw, start)
	}
	return nil
}

// badToken names the first token from start on that is none.
func (c *Corpus) badToken(raw []byte, start int64) error {
	d, size := c.rows.dtype, c.rows.dtype.Size()
	for i := int64(0); ; i++ {
		var one [1]int32
		if item := raw[i*size:][:size]; !d.widen(one[:], item) {
			return fault.Corruptf("%s.bin: the %s at token %d (byte %d, bytes % x) is outside 0 to %d and cannot be a token", c.prefix, d, start+i, (start+i)*size, item, math.MaxInt32)
		}
	}
}

// Meta returns what the corpus' writer knew. For a corpus without PREFIX.json
// that is nothing: Vocabulary 0 and EndOfDocument -1.
func (c *Corpus) Meta() Meta {
	if c.side == nil {
		return Meta{EndOfDocument: -1}
	}
	return c.side.Meta
}

// Fingerprint returns the content hash of the corpus, "sha256:" and 64 hex
// digits. It takes the one of PREFIX.json if sizes and modification times of
// both files are still those noted there, and otherwise reads everything, once
// per open Corpus, on all cores.
func (c *Corpus) Fingerprint() (string, error) { return c.fingerprint() }
