package lookup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"os"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// survey is what a file has.
type survey struct {
	rows    int64
	whole   bool // all values are
	content string
}

// isWhole reports whether an integer is whole as a metric's value. A larger one
// may be the nearest float64 of another.
func isWhole(v float64) bool { return math.Abs(v) < 1<<53 }

func contentOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// row is a row of a table.
type row struct {
	number int64 // from 0
	line   int64 // from 1, in a file of lines
	value  float64
	whole  bool    // the value is an integer
	key    float64 // with Options.Key
}

// place names a row in an error.
func (r row) place() string {
	if r.line > 0 {
		return fmt.Sprintf("line %d", r.line)
	}
	return fmt.Sprintf("row %d", r.number)
}

// table is a file of rows with fields.
type table struct {
	path string
	Options
	// read gives the rows of f in order, hashes all of its bytes, and stops at
	// the first error.
	read func(f *os.File, h hash.Hash, do func(row) error) error
}

// newTable finds out the format by the file's name.
func newTable(path string, o Options) (*table, error) {
	t := &table{path: path, Options: o}
	plain := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	switch {
	case strings.HasSuffix(path, ".parquet"):
		t.read = t.readParquet
	case strings.HasSuffix(plain, ".jsonl") || strings.HasSuffix(plain, ".ndjson"):
		t.read = t.readLines
	default:
		return nil, fault.Invalidf("%s: the name must end in .npy, .parquet, .jsonl or .ndjson (the last two also with .gz or .zst)", path)
	}
	if o.Field == "" {
		return nil, fault.Invalidf("%s: field= is missing: the name of the column with the values", path)
	}
	return t, nil
}

// each opens the file, gives its rows and returns the hash of its bytes.
func (t *table) each(do func(row) error) (content string, err error) {
	f, err := os.Open(t.path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fault.Invalidf("%s: not a regular file; it has to be read twice", t.path)
	}
	h := sha256.New()
	if err := t.read(f, h, do); err != nil {
		return "", err
	}
	return contentOf(h), nil
}

// survey reads the file and looks at each of its values.
func (t *table) survey() (survey, error) {
	s := survey{whole: true}
	content, err := t.each(func(r row) error {
		switch {
		case r.value-r.value != 0:
			return fault.Invalidf("%s: %s: field %q is %v; a finite number is needed", t.path, r.place(), t.Field, r.value)
		case t.Key != "" && !(r.key >= 0 && isWhole(r.key) && r.key == math.Trunc(r.key)):
			return fault.Invalidf("%s: %s: field %q is %v; the number of a sample or document is needed, from 0", t.path, r.place(), t.Key, r.key)
		}
		s.rows++
		s.whole = s.whole && r.whole && isWhole(r.value)
		return nil
	})
	s.content = content
	return s, err
}

// array is a column in memory.
type array []float64

func (a array) Float64(i int64) float64 { return a[i] }

// load reads the values, whose file has been surveyed, in their order. As there
// are as many rows as places, all of them are filled if none is twice.
func (t *table) load(s survey) (column, error) {
	changed := fault.Mismatchf("%s has changed since it was opened", t.path)
	values := make(array, s.rows)
	for i := range values {
		values[i] = math.NaN() // not yet
	}
	content, err := t.each(func(r row) error {
		at := r.number
		if t.Key != "" && isWhole(r.key) {
			at = int64(r.key)
		}
		switch {
		case r.number >= s.rows:
			return changed
		case at < 0 || at >= s.rows:
			return fault.Mismatchf("%s: %s: field %q is %d; in %d rows, each number from 0 to %d must occur once", t.path, r.place(), t.Key, at, s.rows, s.rows-1)
		case values[at] == values[at]:
			return fault.Invalidf("%s: %s: field %q is %d for the second time", t.path, r.place(), t.Key, at)
		}
		values[at] = r.value
		return nil
	})
	if err == nil && content != s.content {
		err = changed
	}
	if err != nil {
		return nil, err
	}
	return values, nil
}
