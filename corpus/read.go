package corpus

import (
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// inside refuses a range outside the corpus.
func (c *Corpus) inside(start, n int64) error {
	if start < 0 || n < 0 || n > c.tokens || start > c.tokens-n {
		return fault.Invalidf("corpus %s: tokens %d to %d were asked for; it has %d", c.Path(), start, start+n, c.tokens)
	}
	return nil
}

// Read fills dst with the tokens [start, start+len(dst)) of the concatenation,
// through the map: the way to read at random. A range outside the corpus is an
// error of kind fault.Invalid; a negative token or one above the largest int32
// is fault.Corrupt. A file cut short since Open makes the process fault; see
// Reader.
func (c *Corpus) Read(dst []int32, start int64) error {
	if err := c.inside(start, int64(len(dst))); err != nil {
		return err
	}
	for i := c.partAt(start); len(dst) > 0; i++ {
		p := c.parts[i]
		local := start - p.token
		n := min(int64(len(dst)), p.tokens-local)
		if err := p.decode(dst[:n], p.bin.Bytes()[p.at(local):], local); err != nil {
			return err
		}
		dst, start = dst[n:], start+n
	}
	return nil
}

// Reader reads a corpus in sequence, into a buffer of its own and past the map:
// pages of the files do not count as the process's memory, and a file that was
// cut short since Open is an error of kind fault.Corrupt. It is not safe for
// concurrent use; a corpus may have any number of Readers.
//
// It reads ahead, 128 KiB, while each range begins within the one before it or
// where that ended; anything else is read as it is asked for. A whole block of
// ReadRaw is best no longer than that either: it stays in the cache.
type Reader struct {
	c    *Corpus
	part int    // that the buffer is from
	at   int64  // token of the part with which it begins
	buf  []byte // what is in it, whole tokens
}

// readAhead stays in a core's cache beside what a caller counts in. Counting
// 200 MB of uint16 is as fast with 64 to 256 KiB (BenchmarkSequential), a tenth
// slower with 16, where calls show, or with 1 MiB, which leaves the cache.
const readAhead = 128 << 10

// NewReader returns a Reader. It need not be closed.
func (c *Corpus) NewReader() *Reader { return &Reader{c: c} }

// Read fills dst as Corpus.Read does.
func (r *Reader) Read(dst []int32, start int64) error {
	if err := r.c.inside(start, int64(len(dst))); err != nil {
		return err
	}
	for i := r.c.partAt(start); len(dst) > 0; {
		p := r.c.parts[i]
		local := start - p.token
		n := min(int64(len(dst)), p.tokens-local, readAhead/p.dtype.Size())
		if n == 0 {
			i++
			continue
		}
		raw, err := r.bytes(i, local, n)
		if err != nil {
			return err
		}
		if err := p.decode(dst[:n], raw, local); err != nil {
			return err
		}
		dst, start = dst[n:], start+n
	}
	return nil
}

// ReadRaw returns the tokens from start on as they are stored, little-endian
// integers of the type it returns: n of them, or fewer where the part of the
// corpus that holds them ends, but at least one if n is at least one. It is for
// counting without widening; of a signed type or one of more than two bytes,
// the bytes may be of no token, which Read would refuse. They are valid until
// the next call. A range outside the corpus is an error of kind fault.Invalid.
func (r *Reader) ReadRaw(start, n int64) (raw []byte, dtype DType, err error) {
	if err := r.c.inside(start, n); err != nil {
		return nil, 0, err
	}
	if n == 0 {
		return nil, r.c.DType(), nil
	}
	i := r.c.partAt(start)
	p := r.c.parts[i]
	local := start - p.token
	raw, err = r.bytes(i, local, min(n, p.tokens-local))
	return raw, p.dtype, err
}

// bytes returns n tokens of a part as they are stored.
func (r *Reader) bytes(i int, token, n int64) ([]byte, error) {
	p := r.c.parts[i]
	size := p.dtype.Size()
	end := r.at + int64(len(r.buf))/size // of another type than the buffer's only in another part
	if i != r.part || token < r.at || token+n > end {
		fill := n
		if token == 0 || i == r.part && r.at <= token && token <= end {
			fill = max(n, min(readAhead/size, p.tokens-token))
		}
		r.buf = slices.Grow(r.buf[:0], int(fill*size))[:fill*size]
		r.part, r.at = i, token
		if err := p.bin.Fill(r.buf, p.at(token)); err != nil {
			r.buf = r.buf[:0]
			return nil, err
		}
	}
	return r.buf[(token-r.at)*size:][:n*size], nil
}
