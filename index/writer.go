package index

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Writer makes an index. It is not safe for concurrent use, but for Order and
// Wait.
//
// Everything is written in DIR.partial; Commit puts that in place of DIR. A
// process killed at any point leaves at DIR the old index, the new one, or none
// that opens.
type Writer struct {
	place    *place
	manifest Manifest

	mu         sync.Mutex
	committing []func() error // each waits for a file of Order, and says what became of it
}

// Create starts the index DIR. If something is at DIR, that is an error of kind
// fault.Invalid, unless it is an index or the remains of one and force is set;
// Commit then replaces it. So is a second Writer for DIR while one is at work,
// in whatever process. What a killed process left in DIR.partial is removed.
func Create(dir string, head Head, force bool) (*Writer, error) {
	w, err := Resume(dir, head, force)
	if err != nil {
		return nil, err
	}
	if err := w.Clear(); err != nil {
		w.Suspend()
		return nil, err
	}
	return w, nil
}

// Resume is Create, but for what a killed process left in DIR.partial: that is
// still there, for the caller to use or Clear.
func Resume(dir string, head Head, force bool) (*Writer, error) {
	place, err := take(dir, force)
	if err != nil {
		return nil, err
	}
	return &Writer{place: place, manifest: Manifest{Version: manifestVersion, Head: head}}, nil
}

// Dir returns the directory in which the index is made, DIR.partial.
func (w *Writer) Dir() string { return w.place.partial }

// Clear removes what an earlier process left of an index in DIR.partial.
func (w *Writer) Clear() error { return w.place.clear() }

// Values opens the file that takes a metric's values. The metric needs Name and
// DType; Finish completes it.
func (w *Writer) Values(m Metric) (*Values, error) {
	if err := w.checkNew(m); err != nil {
		return nil, err
	}
	path := w.file(arrayName(valuesName, m.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	return OpenValues(path, m, 0, w.manifest.Samples)
}

func (w *Writer) file(name string) string {
	return filepath.Join(w.place.partial, filepath.FromSlash(name))
}

func (w *Writer) checkNew(m Metric) error {
	if err := checkName(m.Name); err != nil {
		return err
	}
	for _, have := range w.manifest.Metrics {
		if have.Name == m.Name {
			return fault.Invalidf("metric %s is asked for twice", m.Name)
		}
	}
	return nil
}

// Finish makes the order of a metric and adds the column to the index: Order and
// Add.
func (w *Writer) Finish(ctx context.Context, m Metric, workers int, memory int64) (Metric, error) {
	m, err := w.Order(ctx, m, workers, memory)
	if err != nil {
		return m, err
	}
	return m, w.Add(m)
}

// Order makes the order of a metric whose values are all written and closed, on
// workers cores and in about memory bytes (0: DefaultMemory), and returns the
// column as the manifest will list it, for Add; its files may not be durable
// before Wait. A cancelled ctx ends it with ctx.Err(). Several columns may be
// ordered at once.
func (w *Writer) Order(ctx context.Context, m Metric, workers int, memory int64) (Metric, error) {
	if memory <= 0 {
		memory = DefaultMemory
	}
	n := w.manifest.Samples
	m.Values.Name, m.Order.Name = arrayName(valuesName, m.Name), arrayName(orderName, m.Name)
	values, err := openValues(w.file(m.Values.Name), m, n, os.O_RDWR) // to be synced, which some systems do only so
	if err != nil {
		return m, err
	}
	defer values.close()
	measured, done := m, make(chan error, 1)
	go func() { done <- measured.measure(ctx, values) }() // beside the sort: it reads the same file
	order, quantiles, err := w.order(ctx, m, values, workers, memory)
	if failed := <-done; err == nil {
		err = failed
	}
	if err != nil {
		return m, err
	}
	m = measured
	m.Order, m.Quantiles = order, quantiles
	return m, nil
}

// Add adds a column that Order has made: of this Writer, or of an earlier one
// for DIR that was killed before Commit. The index lists columns in the order
// in which they are added.
func (w *Writer) Add(m Metric) error {
	if err := w.checkNew(m); err != nil {
		return err
	}
	if err := w.Wait(); err != nil {
		return err
	}
	for _, f := range []File{m.Values, m.Order} {
		if info, err := os.Stat(w.file(f.Name)); err != nil || info.Size() != f.Bytes {
			return fault.Corruptf("%s: it is missing or cut off; restart the analysis", w.file(f.Name))
		}
	}
	w.manifest.Metrics = append(w.manifest.Metrics, m)
	return nil
}

// measure fills in what one pass over the values tells: their file's checksum,
// minimum, maximum and mean.
func (m *Metric) measure(ctx context.Context, values *valueFile) error {
	sum := sha256.New()
	sum.Write(npy.Header(m.dtype(), values.n))
	total := 0.0
	m.Min, m.Max = math.Inf(1), math.Inf(-1)
	err := values.each(0, values.n, func(_ int64, values []float64, raw []byte) error {
		sum.Write(raw)
		for _, v := range values {
			total += v
			m.Min, m.Max = min(m.Min, v), max(m.Max, v)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if m.Mean = total / float64(values.n); math.IsInf(m.Mean, 0) {
		return fault.Invalidf("metric %s: its values are too large to be summed", m.Name)
	}
	m.Values.Bytes, m.Values.SHA256 = values.head+8*values.n, hexDigest(sum.Sum(nil))
	return values.file.Sync()
}

// order writes the file of the order.
func (w *Writer) order(ctx context.Context, m Metric, values *valueFile, workers int, memory int64) (File, []float64, error) {
	file, err := w.createArray(m.Order.Name, orderType(values.n))
	if err != nil {
		return File{}, nil, err
	}
	done := false
	defer func() {
		if !done {
			file.file.Abort()
		}
	}()
	q := &quantiler{n: values.n, descending: m.Descending}
	if orderType(values.n) == npy.Uint32 {
		err = writeOrder[uint32](ctx, file, q, sorter[uint32]{values, m.Descending, workers}, w.place.partial, memory)
	} else {
		err = writeOrder[uint64](ctx, file, q, sorter[uint64]{values, m.Descending, workers}, w.place.partial, memory)
	}
	if err != nil {
		return File{}, nil, err
	}
	order, err := w.commit(file)
	done = err == nil
	return order, q.values, err
}

func writeOrder[T id](ctx context.Context, file *arrayFile, q *quantiler, s sorter[T], dir string, memory int64) error {
	return s.all(ctx, dir, memory, func(r run[T]) error {
		q.see(r.keys)
		if err := npy.IDs(file.array, r.ids); err != nil {
			return fmt.Errorf("write %s: %w", file.name, err)
		}
		return ctx.Err()
	})
}

// quantiler picks the values at 0, 1, ..., 100 percent as the order goes by.
type quantiler struct {
	n, rank    int64 // of all samples; of the next key
	descending bool
	values     []float64
}

func (q *quantiler) see(keys []uint64) {
	for len(q.values) <= 100 {
		rank := rankOf(float64(len(q.values)), q.n)
		if rank >= q.rank+int64(len(keys)) {
			break
		}
		q.values = append(q.values, keyValue(keys[rank-q.rank], q.descending))
	}
	q.rank += int64(len(keys))
}

// Commit completes the index and puts it in place. If it fails before the old
// index is touched, Abort or Suspend decides about what was made; if it fails
// while the new one takes its place, the new one stays in DIR.partial, and the
// error says so.
func (w *Writer) Commit() error {
	if err := w.Wait(); err != nil {
		return err
	}
	if err := w.manifest.validate(); err != nil {
		return fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	data, err := w.manifest.encode()
	if err != nil {
		return fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	if err := writeFile(w.file(manifestName), data); err != nil {
		return err
	}
	return w.place.publish(w.sweep)
}

// Whole returns the manifest of an index that an earlier Writer for DIR had
// completed in DIR.partial when it was killed, and false if there is none.
// Publish puts it in place.
func (w *Writer) Whole() (Manifest, bool) {
	m, err := readManifest(w.place.partial)
	return m, err == nil
}

// Publish puts the index that is Whole in place.
func (w *Writer) Publish() error {
	m, err := readManifest(w.place.partial)
	if err != nil {
		return err
	}
	w.manifest = m
	return w.place.publish(w.sweep)
}

// sweep removes what the manifest does not list: temporary files of a killed
// process, columns that were not finished, what went with the state. It comes
// when the manifest is there and the state is not, so that whatever is left is
// enough to go on from.
func (w *Writer) sweep() error {
	keep := map[string]bool{manifestName: true}
	for _, m := range w.manifest.Metrics {
		keep[m.Values.Name], keep[m.Order.Name] = true, true
	}
	for _, s := range w.manifest.Statistics {
		keep[s.File.Name] = true
	}
	return filepath.WalkDir(w.place.partial, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if at, err := filepath.Rel(w.place.partial, path); err != nil || keep[filepath.ToSlash(at)] {
			return err
		}
		return os.Remove(path)
	})
}

// Manifest returns the manifest, complete after Commit.
func (w *Writer) Manifest() Manifest { return w.manifest }

// Abort removes what was written. After Commit or Suspend it does nothing, so
// that it can be deferred right after Create.
func (w *Writer) Abort() {
	w.Wait() // nothing is to be written any more
	w.place.leave(true)
}

// Suspend lets go of DIR.partial and leaves it for another Writer to take up.
func (w *Writer) Suspend() {
	w.Wait()
	w.place.leave(false)
}

// arrayFile is a .npy file of the index while it is written, and its checksum.
type arrayFile struct {
	name  string // relative to the index
	file  *atomicfile.File
	array *npy.Writer
	tally tally
}

func (w *Writer) createArray(name string, dtype npy.DType) (*arrayFile, error) {
	path := w.file(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", w.place.dir, err)
	}
	f := &arrayFile{name: name, file: file, tally: tally{sum: sha256.New()}}
	if f.array, err = npy.NewWriter(io.MultiWriter(file, &f.tally), dtype, w.manifest.Samples); err != nil {
		file.Abort()
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return f, nil
}

// commit describes a file that is written, and puts it in place while others are
// made: see Wait.
func (w *Writer) commit(f *arrayFile) (File, error) {
	if err := f.array.Close(); err != nil {
		return File{}, fmt.Errorf("write %s: %w", f.name, err)
	}
	committed := sync.OnceValue(f.file.Commit)
	go committed()
	w.mu.Lock()
	w.committing = append(w.committing, committed)
	w.mu.Unlock()
	return File{Name: f.name, Bytes: f.tally.bytes, SHA256: hexDigest(f.tally.sum.Sum(nil))}, nil
}

// Wait waits until all that Order has made is durable, and in place.
func (w *Writer) Wait() error {
	w.mu.Lock()
	committing := slices.Clone(w.committing)
	w.mu.Unlock()
	var errs []error
	for _, committed := range committing {
		errs = append(errs, committed())
	}
	return errors.Join(errs...)
}

// tally counts and hashes what passes.
type tally struct {
	sum   hash.Hash
	bytes int64
}

func (t *tally) Write(p []byte) (int, error) {
	t.bytes += int64(len(p))
	return t.sum.Write(p)
}

// writeFile puts data at path, whole or not at all.
func writeFile(path string, data []byte) error {
	return atomicfile.Write(path, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

func sum256(data []byte) []byte {
	sum := sha256.Sum256(data)
	return sum[:]
}
