package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is how pages are compressed, by the format's numbers.
type codec int64

const (
	uncompressed codec = 0
	snappyCodec  codec = 1
	gzipCodec    codec = 2
	brotliCodec  codec = 4
	zstdCodec    codec = 6
	lz4Raw       codec = 7
)

func (c codec) String() string {
	names := map[codec]string{uncompressed: "none", snappyCodec: "Snappy", gzipCodec: "gzip", 3: "LZO", brotliCodec: "Brotli", 5: "LZ4 (Hadoop's)", zstdCodec: "Zstandard", lz4Raw: "LZ4"}
	if name, ok := names[c]; ok {
		return name
	}
	return fmt.Sprintf("codec %d", int64(c))
}

func (c codec) known() bool {
	return slices.Contains([]codec{uncompressed, snappyCodec, gzipCodec, brotliCodec, zstdCodec, lz4Raw}, c)
}

// decompressor keeps what makes decompression cheap from page to page.
type decompressor struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// Nothing that Snappy or LZ4 compressed is larger by more than these factors,
// so a size beyond is a lie that must not be believed with memory.
const (
	snappyFactor = 32
	lz4Factor    = 256
)

// decompress returns what src holds, which must be n bytes, in dst's memory if
// it is enough.
func (z *decompressor) decompress(dst []byte, c codec, src []byte, n int) ([]byte, error) {
	wrong := func(m int) error { return fmt.Errorf("%s: a page of %d bytes, its header says %d", c, m, n) }
	switch c {
	case uncompressed:
		if len(src) != n {
			return nil, wrong(len(src))
		}
		return append(dst[:0], src...), nil
	case snappyCodec:
		if m, err := snappy.DecodedLen(src); err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		} else if m != n || m > snappyFactor*(len(src)+64) {
			return nil, wrong(m)
		}
		dst, err := snappy.Decode(slices.Grow(dst[:0], n)[:n], src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		return dst, nil
	case lz4Raw:
		if n > lz4Factor*(len(src)+64) {
			return nil, wrong(len(src))
		}
		dst = slices.Grow(dst[:0], n)[:n]
		m, err := lz4.UncompressBlock(src, dst)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
		if m != n {
			return nil, wrong(m)
		}
		return dst, nil
	}
	r, err := z.stream(c, src)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	// Memory grows with what comes out, not with what the header says.
	dst = dst[:0]
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(4*len(src), 4<<10))
		}
		m, err := r.Read(dst[len(dst):cap(dst)])
		if dst = dst[:len(dst)+m]; len(dst) > n {
			return nil, wrong(len(dst))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c, err)
		}
	}
	if len(dst) != n {
		return nil, wrong(len(dst))
	}
	return dst, nil
}

// stream returns a reader of what src holds.
func (z *decompressor) stream(c codec, src []byte) (io.Reader, error) {
	in := bytes.NewReader(src)
	switch c {
	case gzipCodec:
		if z.gzip == nil {
			z.gzip = new(gzip.Reader)
		}
		return z.gzip, z.gzip.Reset(in)
	case zstdCodec:
		if z.zstd == nil {
			var err error
			if z.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true)); err != nil {
				return nil, err
			}
		}
		return z.zstd, z.zstd.Reset(in)
	case brotliCodec:
		return brotli.NewReader(in), nil
	}
	return nil, errors.New("pages compressed so are not read")
}

func (z *decompressor) close() {
	if z.zstd != nil {
		z.zstd.Close()
	}
}
