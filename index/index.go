// Package index keeps the metrics of a corpus on disk: each sample's values,
// and all samples in order of each.
//
// Its nouns: an Index is a directory; its Manifest says of which corpus and
// sample definition it is, and what the metrics are; a Column is one metric,
// its values by sample and its order; a Writer makes an index.
//
// The directory:
//
//	manifest.json         what the index is; see Manifest. Its presence makes the index whole
//	values/<metric>.npy   one number a sample, in sample order: int64 or float64
//	order/<metric>.npy    sample ids from easy to hard, ties by id: uint32, or
//	                      uint64 beyond 2^32 samples
//	statistics/<name>.bin what the metrics gathered over the corpus before they
//	                      could score: metric.Statistic in its binary form
//
// Values are finite, and zero is never negative zero. The arrays are plain .npy
// files (package npy) that numpy.load(..., mmap_mode="r") maps as we do.
//
// An index is made in DIR.partial and takes its place at DIR when it is whole.
// A killed process leaves DIR.partial behind, which the next Writer for DIR
// takes up or clears away.
package index

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Index is an open index. All methods but Close may be called from any number
// of goroutines.
type Index struct {
	dir      string
	manifest Manifest
	columns  []*Column
	maps     []*mmap.File
}

// Open opens the index in directory dir. It checks the manifest, and that every
// file has the size and type the manifest says; Check looks at the content. A
// damaged or unfinished index is an error of kind fault.Corrupt, one of a later
// version fault.Mismatch.
func Open(dir string) (*Index, error) {
	manifest, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	x := &Index{dir: dir, manifest: manifest}
	for _, m := range manifest.Metrics {
		values, err := x.load(m.Values, m.DType)
		if err != nil {
			x.Close()
			return nil, err
		}
		order, err := x.load(m.Order, orderType(manifest.Samples).String())
		if err != nil {
			x.Close()
			return nil, err
		}
		x.columns = append(x.columns, newColumn(m, values, order, filepath.Join(dir, m.Order.Name)))
	}
	return x, nil
}

// load maps one file of the index and holds it against the manifest.
func (x *Index) load(f File, dtype string) (npy.Array, error) {
	name := filepath.Join(x.dir, f.Name)
	m, err := mmap.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return npy.Array{}, fault.Corruptf("%s is missing, which manifest.json lists; analyze the corpus again", name)
	}
	if err != nil {
		return npy.Array{}, fmt.Errorf("open index: %w", err)
	}
	x.maps = append(x.maps, m)
	if size := int64(m.Len()); size != f.Bytes {
		return npy.Array{}, fault.Corruptf("%s: %d bytes; manifest.json says %d", name, size, f.Bytes)
	}
	a, err := npy.Parse(name, m.Bytes())
	if err != nil {
		return npy.Array{}, fault.Corruptf("%w", err)
	}
	if a.DType().String() != dtype || a.Len() != x.manifest.Samples {
		return npy.Array{}, fault.Corruptf("%s: offset 0: %d elements of %s; the index needs %d of %s", name, a.Len(), a.DType(), x.manifest.Samples, dtype)
	}
	return a, nil
}

// Close gives the maps back; no method of the index or its columns may be
// called after it or while it runs. A second Close does nothing.
func (x *Index) Close() error {
	var errs []error
	for _, m := range x.maps {
		errs = append(errs, m.Close())
	}
	x.maps = nil
	return errors.Join(errs...)
}

// Path returns the directory.
func (x *Index) Path() string { return x.dir }

// Manifest returns what the index says about itself. The caller must not
// change what its slices hold.
func (x *Index) Manifest() Manifest { return x.manifest }

// Metrics returns the names of the metrics, in the order they were analysed in.
func (x *Index) Metrics() []string {
	names := make([]string, len(x.columns))
	for i, c := range x.columns {
		names[i] = c.metric.Name
	}
	return names
}

// Column returns one metric. If the index does not have it, the error, of kind
// fault.Invalid, lists what it has. The first call for a metric reads through
// its order, 4 or 8 bytes a sample, and reports an id that is no sample's as
// fault.Corrupt.
func (x *Index) Column(metric string) (*Column, error) {
	i := slices.IndexFunc(x.columns, func(c *Column) bool { return c.metric.Name == metric })
	if i < 0 {
		return nil, fault.Invalidf("index %s has no metric %q (it has: %s); analyze the corpus with it", x.dir, metric, strings.Join(x.Metrics(), ", "))
	}
	if err := x.columns[i].checkIDs(); err != nil {
		return nil, err
	}
	return x.columns[i], nil
}

// Statistic returns what was gathered over the corpus under that name, in the
// binary form of metric.Statistic. If the index does not have it, the error is
// of kind fault.Invalid; if the file is damaged, fault.Corrupt.
func (x *Index) Statistic(name string) ([]byte, error) {
	for _, s := range x.manifest.Statistics {
		if s.Name == name {
			return LoadStatistic(x.dir, s)
		}
	}
	return nil, fault.Invalidf("index %s keeps no statistic %q; analyze the corpus again with a metric that needs it", x.dir, name)
}

// readFile reads a file of about so many bytes, and one more if there is.
func readFile(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size+1))
}

// Matches returns nil if the index was made of these samples, and otherwise an
// error of kind fault.Mismatch that says what differs. It needs the corpus's
// fingerprint, which may have to be computed.
func (x *Index) Matches(s *corpus.Samples) error {
	m, c := x.manifest, s.Corpus()
	if m.Cut != s.Cut() {
		return fault.Mismatchf("index %s is over samples cut as %s, not as %s; analyze the corpus again with the cut you want", x.dir, m.Cut, s.Cut())
	}
	if m.Samples != s.Len() {
		return fault.Mismatchf("index %s has %d samples, corpus %s has %d; it was made of another corpus (%s), analyze this one", x.dir, m.Samples, c.Path(), s.Len(), strings.Join(m.Corpus.Paths, ", "))
	}
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return err
	}
	if m.Corpus.Fingerprint != fingerprint {
		return fault.Mismatchf("index %s was made of a corpus with the fingerprint %s, corpus %s has %s; it is another one or has changed, analyze it again", x.dir, m.Corpus.Fingerprint, c.Path(), fingerprint)
	}
	return nil
}

// orderType is what the ids of so many samples fit.
func orderType(samples int64) npy.DType {
	if samples <= 1<<32 {
		return npy.Uint32
	}
	return npy.Uint64
}

// Is reports whether dir looks like an index, whole or not, so that a command
// can tell what a path is before it opens it.
func Is(dir string) bool {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	return exists(manifestName) || exists(valuesName) && (exists(orderName) || exists(StateName))
}
