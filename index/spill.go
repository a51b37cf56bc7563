package index

import (
	"bufio"
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"
)

const (
	// DefaultMemory is what making an order takes at most, unless told
	// otherwise: 44 million samples are then sorted without a file.
	DefaultMemory = 1 << 30
	// leastRun keeps a run from being smaller than what its merge buffers.
	leastRun = 1 << 14
	// mergeBuffer is the most that is read of a run at a time.
	mergeBuffer = 1 << 20
)

// all calls emit with all samples in order, some at a time, and uses about so
// many bytes of memory, or what leastRun needs if that is more. Sorted runs that
// do not fit go to a file in dir, which has no name: it is gone with the
// process.
func (s *sorter[T]) all(ctx context.Context, dir string, memory int64, emit func(run[T]) error) error {
	record := 8 + int64(unsafe.Sizeof(T(0)))
	length := max(memory/(2*record), leastRun)
	if s.values.n <= length {
		r, err := s.sort(ctx, 0, s.values.n)
		if err != nil {
			return err
		}
		return emit(r)
	}
	file, err := os.CreateTemp(dir, "order-*.tmp")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		defer os.Remove(file.Name()) // where an open file keeps its name
	}
	var sizes []int64 // of each run, in samples
	out := bufio.NewWriterSize(file, mergeBuffer)
	for from := int64(0); from < s.values.n; from += length {
		r, err := s.sort(ctx, from, min(from+length, s.values.n))
		if err != nil {
			return err
		}
		if err := r.write(out); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		sizes = append(sizes, int64(len(r.ids)))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return merge(ctx, file, sizes, record, min(mergeBuffer, memory/2/int64(len(sizes))), emit)
}

// write appends the run's records: key, then id.
func (r run[T]) write(w io.Writer) error {
	buf := make([]byte, 0, 64<<10)
	for i, key := range r.keys {
		buf = appendID(binary.LittleEndian.AppendUint64(buf, key), r.ids[i])
		if len(buf) > cap(buf)-16 || i == len(r.keys)-1 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return nil
}

func appendID[T id](buf []byte, v T) []byte {
	if unsafe.Sizeof(v) == 4 {
		return binary.LittleEndian.AppendUint32(buf, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(buf, uint64(v))
}

// cursor is the next record of a run.
type cursor[T id] struct {
	in   *bufio.Reader
	run  int // earlier runs have smaller ids, and so win among equal keys
	key  uint64
	id   T
	left int64
}

// next moves to the following record, or reports that there is none.
func (c *cursor[T]) next() (bool, error) {
	if c.left == 0 {
		return false, nil
	}
	c.left--
	var record [16]byte
	b := record[:8+unsafe.Sizeof(c.id)]
	if _, err := io.ReadFull(c.in, b); err != nil {
		return false, fmt.Errorf("sort: read back what was sorted: %w", err)
	}
	c.key = binary.LittleEndian.Uint64(b)
	if len(b) == 12 {
		c.id = T(binary.LittleEndian.Uint32(b[8:]))
	} else {
		c.id = T(binary.LittleEndian.Uint64(b[8:]))
	}
	return true, nil
}

// cursors is a heap: the smallest (key, run) on top.
type cursors[T id] []*cursor[T]

func (h cursors[T]) Len() int      { return len(h) }
func (h cursors[T]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h cursors[T]) Less(i, j int) bool {
	return h[i].key < h[j].key || h[i].key == h[j].key && h[i].run < h[j].run
}
func (h *cursors[T]) Push(c any) { *h = append(*h, c.(*cursor[T])) }
func (h *cursors[T]) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// merge emits the records of all runs, which lie one after the other in the
// file, in order.
func merge[T id](ctx context.Context, file io.ReaderAt, sizes []int64, record, buffer int64, emit func(run[T]) error) error {
	var h cursors[T]
	start := int64(0)
	for i, size := range sizes {
		c := &cursor[T]{in: bufio.NewReaderSize(io.NewSectionReader(file, start, size*record), int(max(buffer, 4<<10))), run: i, left: size}
		start += size * record
		if _, err := c.next(); err != nil {
			return err
		}
		h = append(h, c)
	}
	heap.Init(&h)
	out := run[T]{make([]uint64, 0, valueChunk), make([]T, 0, valueChunk)}
	for len(h) > 0 {
		c := h[0]
		out.keys, out.ids = append(out.keys, c.key), append(out.ids, c.id)
		switch more, err := c.next(); {
		case err != nil:
			return err
		case more:
			heap.Fix(&h, 0)
		default:
			heap.Pop(&h)
		}
		if len(out.ids) == cap(out.ids) || len(h) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := emit(out); err != nil {
				return err
			}
			out.keys, out.ids = out.keys[:0], out.ids[:0]
		}
	}
	return nil
}
