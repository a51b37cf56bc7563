package prepare

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/parquet"
)

// largestPage bounds a page of a Parquet file beside the longest document: a
// page has many rows, mostly of one MiB together.
const largestPage = 64 << 20

// namesParquet reports whether a name says Parquet.
func namesParquet(name string) bool { return strings.EqualFold(filepath.Ext(name), ".parquet") }

// readParquet gathers the texts of a column.
func (r *reader) readParquet(ctx context.Context, name string, f *os.File, size int64) error {
	before := r.read
	src := &sourceAt{r: f, read: &r.read}
	column, err := parquet.Open(name, src, size, r.o.Field)
	if err != nil {
		return err
	}
	r.files++
	for page, err := range column.Pages(ctx, max(largestPage, r.o.LongestDocument)) {
		if err != nil {
			return err
		}
		r.gather().nulls += page.Nulls
		for text, err := range page.Values() {
			if err != nil {
				return err
			}
			if int64(len(text)) > r.o.LongestDocument {
				return fault.Invalidf("%s: row group %d has a text of %d bytes, the limit of one document is %d; split it", name, page.Group, len(text), r.o.LongestDocument)
			}
			b := r.gather()
			b.data = append(b.data, text...)
			if err := r.gathered(name); err != nil {
				return err
			}
		}
	}
	r.read = before + size // other columns count as read, so that progress gets to its end
	return nil
}

// sourceAt counts what is read from a file.
type sourceAt struct {
	r    io.ReaderAt
	read *int64
}

func (s *sourceAt) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.r.ReadAt(p, at)
	*s.read += int64(n)
	return n, err
}

// notSeekable says why a Parquet file cannot come from a pipe.
func notSeekable(name string) error {
	return fault.Invalidf("%s: a Parquet file is read from its end, which a pipe has not got to; save it to a file first", name)
}
