package lookup

import (
	"context"
	"hash"
	"io"
	"iter"
	"os"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/parquet"
)

// largestPage is 64 times what a page usually has.
const largestPage = 64 << 20

// readParquet reads the field's column and, beside it, the key's.
func (t *table) readParquet(f *os.File, h hash.Hash, do func(row) error) error {
	size, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	values, err := parquet.OpenNumbers(t.path, f, size, t.Field)
	if err != nil {
		return err
	}
	nextKey := func() (float64, error, bool) { return 0, nil, true }
	if t.Key != "" {
		keys, err := parquet.OpenNumbers(t.path, f, size, t.Key)
		if err != nil {
			return err
		}
		next, stop := iter.Pull2(t.numbers(keys, t.Key))
		defer stop()
		nextKey = next
	}
	r := row{whole: values.Integers()}
	for value, err := range t.numbers(values, t.Field) {
		if err != nil {
			return err
		}
		key, err, ok := nextKey()
		if err != nil {
			return err
		}
		if !ok {
			return fault.Corruptf("%s: column %q has fewer rows than column %q", t.path, t.Key, t.Field)
		}
		r.value, r.key = value, key
		if err := do(r); err != nil {
			return err
		}
		r.number++
	}
	return nil
}

// numbers gives the numbers of a column, none of which may be null.
func (t *table) numbers(c *parquet.Column, field string) iter.Seq2[float64, error] {
	return func(yield func(float64, error) bool) {
		var row int64
		for page, err := range c.Pages(context.Background(), largestPage) {
			if err != nil {
				yield(0, err)
				return
			}
			if page.Nulls > 0 {
				yield(0, fault.Invalidf("%s: field %q is null in %d rows from row %d on, in row group %d", t.path, field, page.Nulls, row, page.Group))
				return
			}
			for raw, err := range page.Values() {
				if err != nil {
					yield(0, err)
					return
				}
				if !yield(c.Number(raw), nil) {
					return
				}
				row++
			}
		}
	}
}
