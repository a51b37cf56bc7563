// Package parquet reads one column of a Parquet file, of text or of numbers.
//
// Its nouns: a file has row groups, a row group has a chunk of each column, and
// a chunk is pages, each compressed for itself. A Column is one column of
// strings, bytes or numbers; it reads page by page, so that memory is one page and its
// dictionary, and touches no other column.
//
// The file's end describes it:
//
//	"PAR1"  chunks...  footer  uint32 length of the footer  "PAR1"
//
// The footer is a Thrift structure: the schema, a tree laid out depth first, and
// for each row group where the chunk of each leaf lies, how it is compressed
// and how many values it has. A page is a Thrift structure, its header, and a
// body of the length the header says (Apache Parquet format 2.12).
//
// Read are the plain, dictionary, delta-length and delta encodings of byte
// arrays, and the plain, dictionary, delta and byte-stream-split encodings of
// integers and floats of 4 and 8 bytes, in pages of version 1 and 2, compressed with Snappy, gzip, Zstandard,
// Brotli or raw LZ4, or not at all. A library would do as well for good files;
// docs/decisions/0016-parquet.md says why it does not for others.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Column is one column of a file. It is not safe for concurrent use.
type Column struct {
	name   string // of the file, for errors
	r      io.ReaderAt
	path   string // of the column
	leaf   node
	levels int64 // how many of the schema's nodes down to the leaf may be null
	groups []chunk

	refused error
}

// chunk is where a row group has the column.
type chunk struct {
	start, size int64 // in the file
	codec       codec
	rows        int64
}

// longestFooter is what a footer may have. Each column of each row group takes
// some 100 bytes of it.
const longestFooter = 256 << 20

const magic = "PAR1"

// Open reads the footer of a file of the given size and finds the column of
// that name, its path below the root joined by dots. A damaged file is an error
// of kind fault.Corrupt; a column that is not there or holds no text, and a
// file that is encrypted, are fault.Invalid. name is for errors alone.
func Open(name string, r io.ReaderAt, size int64, column string) (*Column, error) {
	return open(name, r, size, column, want{"text", "--field", node.isText})
}

// want is what kind of column is looked for.
type want struct {
	noun   string
	option string // that chooses it
	is     func(node) bool
}

func (n node) isText() bool { return n.kind == byteArray && n.converted != decimal }

func open(name string, r io.ReaderAt, size int64, column string, want want) (*Column, error) {
	c := &Column{name: name, r: r, path: column}
	footer, err := c.footer(size)
	if err != nil {
		return nil, err
	}
	found, err := findLeaf(name, footer, column, want)
	if err != nil {
		return nil, err
	}
	c.leaf, c.levels = found.nodes[found.at], found.levels
	return c, c.findChunks(footer, found.leaf, size-int64(len(footer))-8)
}

// footer returns the bytes of the footer.
func (c *Column) footer(size int64) ([]byte, error) {
	var head [4]byte
	var tail [8]byte
	if size < int64(len(head)+len(tail)) {
		return nil, fault.Corruptf("%s: %d bytes are no Parquet file", c.name, size)
	}
	if err := c.readAt(head[:], 0); err != nil {
		return nil, err
	}
	if err := c.readAt(tail[:], size-8); err != nil {
		return nil, err
	}
	switch end := string(tail[4:]); {
	case end == "PARE":
		return nil, fault.Invalidf("%s: is encrypted; write it again without", c.name)
	case string(head[:]) != magic || end != magic:
		return nil, fault.Corruptf("%s: begins with %q and ends with %q, a Parquet file with %q; it is another kind of file, or cut off", c.name, head, end, magic)
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > size-12 || n > longestFooter {
		return nil, fault.Corruptf("%s: a footer of %d bytes in a file of %d", c.name, n, size)
	}
	footer := make([]byte, n)
	return footer, c.readAt(footer, size-8-n)
}

// readAt fills p; a file that ends before is damaged.
func (c *Column) readAt(p []byte, at int64) error {
	n, err := c.r.ReadAt(p, at)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF):
		return fault.Corruptf("%s: ends in the middle", c.name)
	}
	return fmt.Errorf("read %s: %w", c.name, err)
}

// findChunks reads where each row group has the leaf.
func (c *Column) findChunks(footer []byte, leaf int, end int64) error {
	var found int // chunks of the leaf
	d := &decoder{b: footer}
	d.structure(func(id int, kind byte) bool {
		if id != 4 || kind != typeList {
			return false
		}
		d.list(func(kind byte) bool {
			if kind != typeStruct {
				return false
			}
			found += c.findChunk(d, leaf, end)
			return true
		})
		return true
	})
	switch {
	case c.refused != nil:
		return c.refused
	case d.err != nil:
		return fault.Corruptf("%s: footer: %w", c.name, d.err)
	case found != len(c.groups):
		return fault.Corruptf("%s: footer: a row group lacks column %q", c.name, c.path)
	}
	return nil
}

// findChunk reads a row group and returns how many chunks of the leaf it has.
func (c *Column) findChunk(d *decoder, leaf int, end int64) (found int) {
	var k columnChunk
	rows := int64(-1)
	d.structure(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == typeList:
			at := 0
			d.list(func(kind byte) bool {
				if at++; at-1 != leaf || kind != typeStruct {
					return false
				}
				k = d.columnChunk()
				found = 1
				return true
			})
		case id == 3 && kind == typeI64:
			rows = d.integer()
		default:
			return false
		}
		return true
	})
	start := k.data
	if k.dictionary > 0 && k.dictionary < start {
		start = k.dictionary
	}
	switch group := len(c.groups); {
	case d.err != nil || found == 0:
	case k.elsewhere:
		c.refuse("%s: row group %d has column %q in another file; name that file", c.name, group, c.path)
	case k.encrypted:
		c.refuse("%s: row group %d has column %q encrypted; write it again without", c.name, group, c.path)
	case !codec(k.codec).known():
		c.refuse("%s: row group %d is compressed with %s, which is not read; write it again with Zstandard", c.name, group, codec(k.codec))
	case rows < 0 || k.values != rows:
		d.fail("row group %d has %d rows and %d values of column %q", group, rows, k.values, c.path)
	case rows > 0 && (start < int64(len(magic)) || k.size <= 0 || start > end-k.size):
		d.fail("row group %d has column %q at byte %d, %d bytes long, which is not within the file", group, c.path, start, k.size)
	}
	c.groups = append(c.groups, chunk{start: start, size: k.size, codec: codec(k.codec), rows: rows})
	return found
}

// refuse remembers the first thing in a whole file that is not read.
func (c *Column) refuse(format string, args ...any) {
	if c.refused == nil {
		c.refused = fault.Invalidf(format, args...)
	}
}

// columnChunk is what the footer says of a chunk.
type columnChunk struct {
	codec, values, size, data, dictionary int64
	elsewhere, encrypted                  bool
}

func (d *decoder) columnChunk() (k columnChunk) {
	d.structure(func(id int, kind byte) bool {
		switch {
		case id == 1 && kind == typeBinary:
			k.elsewhere = len(d.text()) > 0
			return true
		case id == 8 && kind == typeStruct:
			k.encrypted = true
		case id == 3 && kind == typeStruct:
			d.structure(func(id int, kind byte) bool {
				return d.integers(id, kind, field{4, &k.codec}, field{5, &k.values}, field{7, &k.size}, field{9, &k.data}, field{11, &k.dictionary})
			})
			return true
		}
		return false
	})
	return k
}
