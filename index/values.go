package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Values is a file of values while it is made: a .npy array of which parts are
// written in any order, by any number of goroutines, and which may be taken up
// again after the process was killed.
type Values struct {
	file  *os.File
	name  string // of the metric, for errors
	whole bool
	first int64 // sample of element 0
	n     int64
	head  int64 // bytes before element 0

	buffers sync.Pool

	mu     sync.Mutex
	failed error // of Sync
}

// OpenValues opens the values file of a metric at path, n numbers from sample
// first on, or makes it: as int64 if m.Whole, as float64 otherwise. Values that
// were written and not synced before a crash may be missing, and are then 0.
func OpenValues(path string, m Metric, first, n int64) (*Values, error) {
	dtype := npy.Float64
	if m.Whole() {
		dtype = npy.Int64
	}
	header := npy.Header(dtype, n)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	v := &Values{file: f, name: m.Name, whole: m.Whole(), first: first, n: n, head: int64(len(header))}
	v.buffers.New = func() any { return new([]byte) }
	_, err = f.WriteAt(header, 0)
	if err == nil {
		err = f.Truncate(v.head + 8*n)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return v, nil
}

// WriteAt writes the values of the samples from start on. A value that is not
// finite, or not whole in a column of whole numbers (or beyond 2^53, where
// float64 has gaps), is an error of kind fault.Invalid with the sample's id. A
// negative zero is made a zero.
func (v *Values) WriteAt(values []float64, start int64) error {
	if start < v.first || start-v.first > v.n-int64(len(values)) {
		return fault.Invalidf("metric %s: values of samples %d to %d; the file takes %d to %d", v.name, start, start+int64(len(values)), v.first, v.first+v.n)
	}
	buffer := v.buffers.Get().(*[]byte)
	defer v.buffers.Put(buffer)
	raw := slices.Grow((*buffer)[:0], 8*len(values))[:8*len(values)]
	*buffer = raw
	sum := 0.0
	for i, x := range values {
		sum += x - x                                                    // 0, or NaN once a value is not finite
		binary.LittleEndian.PutUint64(raw[8*i:], math.Float64bits(x+0)) // -0 + 0 is 0, which sorts as such
	}
	if sum != 0 {
		return v.refuse(values, start)
	}
	if v.whole {
		for i, x := range values {
			if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
				return v.refuse(values, start)
			}
			binary.LittleEndian.PutUint64(raw[8*i:], uint64(int64(x)))
		}
	}
	if _, err := v.file.WriteAt(raw, v.head+8*(start-v.first)); err != nil {
		return fmt.Errorf("metric %s: %w", v.name, err)
	}
	return nil
}

// refuse names the first value that the column cannot have.
func (v *Values) refuse(values []float64, start int64) error {
	for i, x := range values {
		switch {
		case math.IsNaN(x) || math.IsInf(x, 0):
			return fault.Invalidf("metric %s: sample %d has the value %v; a value must be finite", v.name, start+int64(i), x)
		case v.whole && (x != math.Trunc(x) || math.Abs(x) > 1<<53):
			return fault.Invalidf("metric %s: sample %d has the value %v; the metric promises whole numbers up to 2^53", v.name, start+int64(i), x)
		}
	}
	return nil
}

// Copy writes the values of n samples from the file at path, which a Values of
// that metric and those samples has made. A file of anything else is an error of
// kind fault.Corrupt.
func (v *Values) Copy(ctx context.Context, path string, m Metric, first, n int64) error {
	from, err := openValues(path, m, n, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer from.close()
	return from.each(0, n, func(start int64, values []float64, _ []byte) error {
		if err := v.WriteAt(values, first+start); err != nil {
			return err
		}
		return ctx.Err()
	})
}

// Sync makes what was written durable. Once it has failed it fails for ever: a
// system tells of a lost write only once.
func (v *Values) Sync() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.failed == nil {
		v.failed = v.file.Sync()
	}
	return v.failed
}

// Close closes the file; Order makes it durable. A second Close does nothing.
func (v *Values) Close() error {
	if v.file == nil {
		return nil
	}
	err := v.file.Close()
	v.file = nil
	return err
}

// valueFile reads a whole file of values through a buffer and not through a
// map, of which every page touched would count as memory.
type valueFile struct {
	file  *os.File
	whole bool
	n     int64
	head  int64
}

// CheckValues says whether the file at path is one that a Values of that metric
// has made of n numbers. If it is missing or another one, that is an error of
// kind fault.Corrupt.
func CheckValues(path string, m Metric, n int64) error {
	f, err := openValues(path, m, n, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Corruptf("%s is missing, which an unfinished analysis has made; restart the analysis", path)
	}
	if err != nil {
		return err
	}
	return f.close()
}

// openValues opens a file that Values has made of n numbers.
func openValues(path string, m Metric, n int64, flag int) (*valueFile, error) {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	dtype := npy.Float64
	if m.Whole() {
		dtype = npy.Int64
	}
	want := npy.Header(dtype, n)
	head := make([]byte, len(want))
	info, err := f.Stat()
	if err == nil {
		_, err = io.ReadFull(f, head)
	}
	if err == nil && (string(head) != string(want) || info.Size() != int64(len(want))+8*n) {
		err = fault.Corruptf("%s: it does not hold %d values of %s", path, n, dtype)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("metric %s: %w", m.Name, err)
	}
	return &valueFile{file: f, whole: m.Whole(), n: n, head: int64(len(head))}, nil
}

// valueChunk is how many values are read at a time: 128 KiB.
const valueChunk = 16 << 10

// each calls do with the values [from, to), chunk by chunk; the slices are only
// valid during the call.
func (f *valueFile) each(from, to int64, do func(start int64, values []float64, raw []byte) error) error {
	raw := make([]byte, 8*min(valueChunk, to-from))
	values := make([]float64, len(raw)/8)
	for start := from; start < to; start += int64(len(values)) {
		values = values[:min(int64(len(values)), to-start)]
		raw = raw[:8*len(values)]
		if _, err := f.file.ReadAt(raw, f.head+8*start); err != nil {
			return fmt.Errorf("read %s: %w", f.file.Name(), err)
		}
		for i := range values {
			bits := binary.LittleEndian.Uint64(raw[8*i:])
			if f.whole {
				values[i] = float64(int64(bits))
			} else {
				values[i] = math.Float64frombits(bits)
			}
		}
		if err := do(start, values, raw); err != nil {
			return err
		}
	}
	return nil
}

func (f *valueFile) close() error { return f.file.Close() }
