package index

import (
	"context"
	"errors"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// The order is made by a radix sort from the most significant digit. First all
// workers deal the samples into buckets by the leading bits of how far a key
// lies above the least: each worker counts one stretch of the samples and then
// moves it, and where it moves them follows from all counts, so the result does
// not depend on the number of workers. Then each worker takes buckets, which fit
// its caches, and sorts them where they lie. Everything is moved twice, where a
// sort from the least significant digit would move it for each of six digits:
// less than half the time. Dealing keeps samples in order of id, and so equal
// values stay in it.
//
// It takes 24 bytes a sample while it runs (32 with 64-bit ids), twice what it
// sorts. Where that is more than the memory allowed, the samples are sorted in
// runs, which go to a file and are merged from there (spill.go); the result is
// the same.

const (
	// bucketSamples is about how many a bucket has: 12 bytes each, they and
	// their copy stay in a core's first caches.
	bucketSamples = 512
	// dealBits bounds the buckets, so that a worker's places stay there too.
	dealBits = 11
	// insertSamples is up to where insertion is faster than counting digits.
	insertSamples = 24
)

// id is the type of a sample in the order.
type id interface{ uint32 | uint64 }

// run is samples in order of key, and of id where keys are equal.
type run[T id] struct {
	keys []uint64
	ids  []T
}

// sorter sorts one column.
type sorter[T id] struct {
	values     *valueFile
	descending bool
	workers    int
}

// sort returns the samples [from, to) in order.
func (s *sorter[T]) sort(ctx context.Context, from, to int64) (run[T], error) {
	n := int(to - from)
	workers := max(1, min(s.workers, n/bucketSamples))
	r := run[T]{make([]uint64, n), make([]T, n)}
	least, most := make([]uint64, workers), make([]uint64, workers)
	errs := make([]error, workers)
	stretches(n, workers, func(w, a, b int) {
		least[w] = math.MaxUint64
		errs[w] = s.values.each(from+int64(a), from+int64(b), func(start int64, values []float64, _ []byte) error {
			at := int(start - from)
			for i, v := range values {
				key := sortKey(v, s.descending)
				r.keys[at+i], r.ids[at+i] = key, T(start)+T(i)
				least[w], most[w] = min(least[w], key), max(most[w], key)
			}
			return ctx.Err()
		})
	})
	if err := errors.Join(errs...); err != nil || n == 0 {
		return r, err
	}
	return deal(r, slices.Min(least), slices.Max(most), workers), ctx.Err()
}

// deal sorts r, whose keys lie from low to high.
func deal[T id](r run[T], low, high uint64, workers int) run[T] {
	n := len(r.keys)
	width := bits.Len64(high - low)
	if width == 0 {
		return r // all equal
	}
	digit := min(width, dealBits, bits.Len(uint(n/bucketSamples)))
	shift := width - digit
	buckets := 1 << digit
	places := make([][]int, workers)
	stretches(n, workers, func(w, from, to int) {
		places[w] = make([]int, buckets)
		for _, key := range r.keys[from:to] {
			places[w][(key-low)>>shift]++
		}
	})
	starts := make([]int, buckets+1)
	place := 0
	for b := range buckets {
		starts[b] = place
		for w := range places {
			place, places[w][b] = place+places[w][b], place
		}
	}
	starts[buckets] = n
	dealt := run[T]{make([]uint64, n), make([]T, n)}
	stretches(n, workers, func(w, from, to int) {
		places := places[w]
		for i := from; i < to; i++ {
			place := &places[(r.keys[i]-low)>>shift]
			dealt.keys[*place], dealt.ids[*place] = r.keys[i], r.ids[i]
			*place++
		}
	})
	var next atomic.Int64
	stretches(workers, workers, func(int, int, int) {
		for b := int(next.Add(1)) - 1; b < buckets; b = int(next.Add(1)) - 1 {
			dealt.part(starts[b], starts[b+1]).sort(r.part(starts[b], starts[b+1]))
		}
	})
	return dealt
}

func (r run[T]) part(from, to int) run[T] { return run[T]{r.keys[from:to], r.ids[from:to]} }

// sort sorts r where it lies, on one core. spare is as long and is overwritten.
func (r run[T]) sort(spare run[T]) {
	keys, ids := r.keys, r.ids[:len(r.keys)]
	if len(keys) <= insertSamples {
		for i := 1; i < len(keys); i++ {
			key, id := keys[i], ids[i]
			j := i
			for ; j > 0 && keys[j-1] > key; j-- {
				keys[j], ids[j] = keys[j-1], ids[j-1]
			}
			keys[j], ids[j] = key, id
		}
		return
	}
	var differ uint64
	for _, key := range keys {
		differ |= key ^ keys[0]
	}
	if differ == 0 {
		return
	}
	width := bits.Len64(differ)
	digit := min(width, 8, bits.Len(uint(len(keys)/4))) // about four in each
	shift, mask := width-digit, uint8(1<<digit-1)
	var starts [1 << 8]int
	for _, key := range keys {
		starts[uint8(key>>shift)&mask]++
	}
	place := 0
	for d := range 1 << digit {
		place, starts[d] = place+starts[d], place
	}
	ends := starts
	for i, key := range keys {
		end := &ends[uint8(key>>shift)&mask]
		spare.keys[*end], spare.ids[*end] = key, ids[i]
		*end++
	}
	copy(keys, spare.keys)
	copy(ids, spare.ids)
	if shift == 0 {
		return
	}
	for d := range 1 << digit {
		if from, to := starts[d], ends[d]; to-from > 1 {
			r.part(from, to).sort(spare.part(from, to))
		}
	}
}

// stretches calls do for each worker with its part of [0, n), and waits.
func stretches(n, workers int, do func(w, from, to int)) {
	var wg sync.WaitGroup
	for w := range workers {
		from, to := n/workers*w, n/workers*(w+1)
		if w == workers-1 {
			to = n
		}
		wg.Go(func() { do(w, from, to) })
	}
	wg.Wait()
}

// sortKey maps finite values to integers of the same order: a negative float64
// has its bits turned over, a positive one only its sign. Descending turns the
// whole key over.
func sortKey(v float64, descending bool) uint64 {
	key := math.Float64bits(v)
	if key>>63 == 1 {
		key = ^key
	} else {
		key |= 1 << 63
	}
	if descending {
		return ^key
	}
	return key
}

// keyValue is the value of a key.
func keyValue(key uint64, descending bool) float64 {
	if descending {
		key = ^key
	}
	if key>>63 == 1 {
		return math.Float64frombits(key &^ (1 << 63))
	}
	return math.Float64frombits(^key)
}
