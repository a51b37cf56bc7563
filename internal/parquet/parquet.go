// Package parquet reads the text of one column of a Parquet file.
//
// Its nouns: a file has row groups, a row group has a chunk of each column, and
// a chunk is pages, each compressed for itself. A Column is one column of
// strings or bytes; it reads page by page, so that memory is one page and its
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
// arrays, in pages of version 1 and 2, compressed with Snappy, gzip, Zstandard,
// Brotli or raw LZ4, or not at all. A library would do as well for good files;
// docs/decisions/0012-parquet.md says why it does not for others.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Column is one column of text of a file. It is not safe for concurrent use.
type Column struct {
	name   string // of the file, for errors
	r      io.ReaderAt
	path   string // of the column
	levels int64  // how many of the schema's nodes down to the leaf may be null
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
	c := &Column{name: name, r: r, path: column}
	footer, err := c.footer(size)
	if err != nil {
		return nil, err
	}
	leaf, levels, err := findLeaf(name, footer, column)
	if err != nil {
		return nil, err
	}
	c.levels = levels
	return c, c.findChunks(footer, leaf, size-int64(len(footer))-8)
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

// node is an element of the schema.
type node struct {
	name       string
	kind       int64 // of a leaf
	converted  int64
	repetition int64
	children   int64
}

// What a node says of itself.
const (
	optional    = 1
	repeated    = 2
	byteArray   = 6
	decimalText = 5 // the converted type of numbers stored as bytes
)

// findLeaf returns the number of a leaf of the schema and how many nodes on the
// way to it, itself included, may be null.
func findLeaf(name string, footer []byte, column string) (leaf int, levels int64, err error) {
	var nodes []node
	d := &decoder{b: footer}
	d.structure(func(id int, kind byte) bool {
		if id != 2 || kind != typeList {
			return false
		}
		d.list(func(kind byte) bool {
			if kind != typeStruct {
				return false
			}
			nodes = append(nodes, d.node())
			return true
		})
		return true
	})
	if d.err != nil {
		return 0, 0, fault.Corruptf("%s: footer: %w", name, d.err)
	}
	s := &schema{nodes: nodes, wanted: column, leaf: -1}
	if len(nodes) == 0 || !s.walk(nil, 0, false, 0) || s.next != len(nodes) {
		return 0, 0, fault.Corruptf("%s: footer: the schema is no tree", name)
	}
	switch {
	case s.leaf >= 0 && s.list:
		return 0, 0, fault.Invalidf("%s: column %q is a list; name a column with one text a row (--field), such as %s", name, column, s.texts)
	case s.leaf >= 0 && !s.text:
		return 0, 0, fault.Invalidf("%s: column %q holds no text; columns that do are %s (choose one with --field)", name, column, s.texts)
	case s.leaf < 0:
		return 0, 0, fault.Invalidf("%s: no column %q; columns with text are %s, in all there are %s (choose one with --field)", name, column, s.texts, s.all)
	}
	return s.leaf, s.levels, nil
}

func (d *decoder) node() node {
	n := node{converted: -1, kind: -1}
	d.structure(func(id int, kind byte) bool {
		if id == 4 && kind == typeBinary {
			n.name = d.text()
			return true
		}
		return d.integers(id, kind, field{1, &n.kind}, field{3, &n.repetition}, field{5, &n.children}, field{6, &n.converted})
	})
	return n
}

// schema walks the tree in search of a leaf.
type schema struct {
	nodes  []node
	next   int // node to look at
	leaves int
	wanted string

	leaf       int // -1: not found
	levels     int64
	list, text bool
	all, texts names
}

// walk visits the next node and those below it.
func (s *schema) walk(path []string, levels int64, list bool, depth int) bool {
	if s.next >= len(s.nodes) || depth > deepest {
		return false
	}
	n := s.nodes[s.next]
	s.next++
	if depth > 0 {
		path = append(path, n.name)
		list = list || n.repetition == repeated
		if n.repetition != 0 {
			levels++
		}
	}
	if n.children == 0 && depth > 0 {
		text := n.kind == byteArray && n.converted != decimalText
		s.all.add(path)
		if text && !list {
			s.texts.add(path)
		}
		if s.leaf < 0 && joins(path, s.wanted) {
			s.leaf, s.levels, s.list, s.text = s.leaves, levels, list, text
		}
		s.leaves++
		return true
	}
	if n.children < 0 || n.children > int64(len(s.nodes)) {
		return false
	}
	for range n.children {
		if !s.walk(path, levels, list, depth+1) {
			return false
		}
	}
	return true
}

// joins reports whether the elements joined by dots are name.
func joins(elements []string, name string) bool {
	for i, e := range elements {
		if i > 0 && !strings.HasPrefix(name, ".") {
			return false
		}
		if i > 0 {
			name = name[1:]
		}
		if !strings.HasPrefix(name, e) {
			return false
		}
		name = name[len(e):]
	}
	return name == ""
}

// names are the first few of some columns, for a message: a file of a megabyte
// can have names that joined take a terabyte.
type names struct {
	first []string
	more  int
}

func (n *names) add(path []string) {
	const most, longest = 12, 200
	if len(n.first) == most {
		n.more++
		return
	}
	var full strings.Builder
	for i, e := range path {
		if i > 0 {
			full.WriteByte('.')
		}
		full.WriteString(e[:min(len(e), longest)])
	}
	n.first = append(n.first, strconv.Quote(full.String()))
}

func (n names) String() string {
	switch {
	case len(n.first) == 0:
		return "none"
	case n.more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(n.first, ", "), n.more)
	}
	return strings.Join(n.first, ", ")
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
