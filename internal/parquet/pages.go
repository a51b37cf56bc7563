package parquet

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Page is what one page of the column has.
type Page struct {
	Group int   // number of the row group, from 0
	Nulls int64 // rows without a value

	count  int64 // of the values
	values iter.Seq2[[]byte, error]
}

// Values gives the values of the page in order of their rows, nulls left out. A
// value is valid until the next page is read. An error ends it; it is of kind
// fault.Corrupt and names the file and the row group.
func (p *Page) Values() iter.Seq2[[]byte, error] { return p.values }

// Pages reads the column from its first row to its last. An error ends it: of
// kind fault.Corrupt for a damaged page, fault.Invalid for one of an encoding
// that is not read or of more than most bytes, the reader's own otherwise.
func (c *Column) Pages(ctx context.Context, most int64) iter.Seq2[*Page, error] {
	return func(yield func(*Page, error) bool) {
		r := &pageReader{c: c, most: most, dictionary: dictionary{size: c.leaf.size()}}
		defer r.close()
		for group, k := range c.groups {
			if err := r.readChunk(ctx, group, k, yield); err != nil {
				if err != errStop {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// errStop: the caller of Pages wants no more.
var errStop = errors.New("stop")

// pageReader reads the pages of one chunk after the other and keeps its memory.
type pageReader struct {
	decompressor
	c    *Column
	most int64 // bytes of a page

	group, page int
	file, body  []byte // a page as it is in the file, and decompressed
	dictionary  dictionary
	has         bool // a dictionary, in this chunk
}

// pageHeader is what stands before a page.
type pageHeader struct {
	length                               int64 // of the header
	kind                                 int64
	size, fileSize                       int64 // of the body, decompressed and in the file
	values, encoding, levelEncoding      int64
	definitionBytes, repetitionBytes     int64 // version 2
	crc                                  uint32
	hasCRC, hasData, hasDictionary, isV2 bool
	plainV2                              bool // version 2, and not compressed
}

// Kinds of page.
const (
	dataPage       = 0
	indexPage      = 1
	dictionaryPage = 2
	dataPageV2     = 3
)

func (r *pageReader) corrupt(err error) error {
	return fault.Corruptf("%s: row group %d, page %d of column %q: %w", r.c.name, r.group, r.page, r.c.path, err)
}

// readChunk reads the pages of one chunk.
func (r *pageReader) readChunk(ctx context.Context, group int, k chunk, yield func(*Page, error) bool) error {
	r.group, r.page, r.has = group, 0, false
	at, end := k.start, k.start+k.size
	for rows := k.rows; rows > 0; r.page++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.header(at, end)
		if err != nil {
			return err
		}
		at += h.length
		if err := r.check(h, end-at, rows); err != nil {
			return err
		}
		r.file = slices.Grow(r.file[:0], int(h.fileSize))[:h.fileSize]
		if err := r.c.readAt(r.file, at); err != nil {
			return err
		}
		at += h.fileSize
		if h.hasCRC && crc32.ChecksumIEEE(r.file) != h.crc {
			return r.corrupt(errors.New("its checksum is another one"))
		}
		switch h.kind {
		case dictionaryPage:
			err = r.readDictionary(k.codec, h)
		case dataPage, dataPageV2:
			var p *Page
			if p, err = r.readData(k.codec, h); err == nil && !yield(p, nil) {
				return errStop
			}
			rows -= h.values
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check looks at what a header claims before anything is done for it.
func (r *pageReader) check(h pageHeader, left, rows int64) error {
	data := h.kind == dataPage || h.kind == dataPageV2
	switch {
	case h.size < 0 || h.fileSize < 0 || h.fileSize > left:
		return r.corrupt(fmt.Errorf("%d bytes, %d decompressed, where the chunk has %d left", h.fileSize, h.size, left))
	case h.size > r.most:
		return fault.Invalidf("%s: row group %d has a page of %d bytes, the limit is %d; write the file with smaller pages", r.c.name, r.group, h.size, r.most)
	case data && (!h.hasData || h.isV2 != (h.kind == dataPageV2)):
		return r.corrupt(errors.New("a data page whose header does not say so"))
	case data && (h.values < 0 || h.values > rows):
		return r.corrupt(fmt.Errorf("%d values, where %d rows are left", h.values, rows))
	case h.kind == dictionaryPage && (!h.hasDictionary || r.has || h.values < 0):
		return r.corrupt(errors.New("a dictionary that is none, or the second one"))
	case h.kind < 0 || h.kind > dataPageV2:
		return r.corrupt(fmt.Errorf("an unknown kind of page, %d", h.kind))
	case h.isV2 && (h.definitionBytes < 0 || h.repetitionBytes != 0 || h.definitionBytes > min(h.size, h.fileSize)):
		return r.corrupt(fmt.Errorf("levels of %d and %d bytes in a page of %d", h.definitionBytes, h.repetitionBytes, h.size))
	}
	return nil
}

// header reads the header at a place: mostly 30 bytes, but it may quote the
// smallest and largest value.
func (r *pageReader) header(at, end int64) (pageHeader, error) {
	const first, longest = 1 << 10, 16 << 20
	for n := int64(first); ; n *= 16 {
		n = min(n, end-at)
		r.file = slices.Grow(r.file[:0], int(n))[:n]
		if err := r.c.readAt(r.file, at); err != nil {
			return pageHeader{}, err
		}
		h, err := parseHeader(r.file)
		if errors.Is(err, errShort) && n < min(end-at, longest) {
			continue
		}
		if err != nil {
			return pageHeader{}, r.corrupt(fmt.Errorf("its header: %w", err))
		}
		return h, nil
	}
}

func parseHeader(b []byte) (h pageHeader, err error) {
	d := &decoder{b: b}
	h.size, h.fileSize, h.kind = -1, -1, -1
	d.structure(func(id int, kind byte) bool {
		switch {
		case id == 4 && kind == typeI32:
			h.crc, h.hasCRC = uint32(d.integer()), true
		case id == 5 && kind == typeStruct:
			h.hasData = true
			d.structure(func(id int, kind byte) bool {
				return d.integers(id, kind, field{1, &h.values}, field{2, &h.encoding}, field{3, &h.levelEncoding})
			})
		case id == 7 && kind == typeStruct:
			h.hasDictionary = true
			d.structure(func(id int, kind byte) bool {
				return d.integers(id, kind, field{1, &h.values}, field{2, &h.encoding})
			})
		case id == 8 && kind == typeStruct:
			h.hasData, h.isV2 = true, true
			d.structure(func(id int, kind byte) bool {
				if id == 7 {
					h.plainV2 = kind == typeFalse
				}
				return d.integers(id, kind, field{1, &h.values}, field{4, &h.encoding}, field{5, &h.definitionBytes}, field{6, &h.repetitionBytes})
			})
		default:
			return d.integers(id, kind, field{1, &h.kind}, field{2, &h.size}, field{3, &h.fileSize})
		}
		return true
	})
	h.length = int64(d.at)
	return h, d.err
}

func (r *pageReader) readDictionary(c codec, h pageHeader) (err error) {
	if h.encoding != plain && h.encoding != plainDictionary {
		return r.corrupt(fmt.Errorf("a dictionary of encoding %d", h.encoding))
	}
	// Its values are used until the chunk ends, so it has memory of its own.
	if r.dictionary.data, err = r.decompress(r.dictionary.data, c, r.file, int(h.size)); err != nil {
		return r.corrupt(err)
	}
	if err := r.dictionary.split(h.values); err != nil {
		return r.corrupt(err)
	}
	r.has = true
	return nil
}

// readData takes a data page apart: levels, which say what is null, and values.
func (r *pageReader) readData(c codec, h pageHeader) (*Page, error) {
	var levels, values []byte
	var err error
	if h.isV2 {
		// Levels stand before what is compressed.
		levels, values = r.file[:h.definitionBytes], r.file[h.definitionBytes:]
		if !h.plainV2 && len(values) > 0 {
			if r.body, err = r.decompress(r.body, c, values, int(h.size-h.definitionBytes)); err != nil {
				return nil, r.corrupt(err)
			}
			values = r.body
		}
	} else {
		if r.body, err = r.decompress(r.body, c, r.file, int(h.size)); err != nil {
			return nil, r.corrupt(err)
		}
		values = r.body
		if r.c.levels > 0 {
			if h.levelEncoding != rle {
				return nil, fault.Invalidf("%s: row group %d has levels of encoding %d, which is not read; write the file again", r.c.name, r.group, h.levelEncoding)
			}
			if levels, values, err = cutLength(values); err != nil {
				return nil, r.corrupt(err)
			}
		}
	}
	p := &Page{Group: r.group, count: h.values}
	if r.c.levels > 0 {
		if p.count, err = countLevel(levels, r.c.levels, h.values); err != nil {
			return nil, r.corrupt(err)
		}
	}
	p.Nulls = h.values - p.count
	all, err := r.decode(h.encoding, values, p.count)
	if err != nil {
		return nil, err
	}
	p.values = func(yield func([]byte, error) bool) {
		for v, err := range all {
			if err != nil {
				yield(nil, r.corrupt(err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
	return p, nil
}

// decode returns the values of an encoding.
func (r *pageReader) decode(encoding int64, b []byte, n int64) (iter.Seq2[[]byte, error], error) {
	numbers := r.c.leaf.size() > 0
	switch {
	case encoding == plainDictionary || encoding == rleDictionary:
		if !r.has && n > 0 {
			return nil, r.corrupt(errors.New("it refers to a dictionary, and there is none"))
		}
		return r.dictionary.values(b, n), nil
	case encoding == plain && numbers:
		return plainNumbers(b, n, r.c.leaf.size()), nil
	case encoding == byteStreamSplit && numbers:
		return splitNumbers(b, n, r.c.leaf.size()), nil
	case encoding == deltaNumbers && numbers && r.c.Integers():
		return deltaIntegers(b, n, r.c.leaf.size()), nil
	case encoding == plain:
		return plainValues(b, n), nil
	case encoding == deltaLength && !numbers:
		return deltaLengthValues(b, n), nil
	case encoding == delta && !numbers:
		return deltaValues(b, n, r.most), nil
	}
	return nil, fault.Invalidf("%s: row group %d has values of encoding %d, which is not read; write the file again with plain or dictionary encoding", r.c.name, r.group, encoding)
}
