package index

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/bits"
	"slices"
	"sync"
)

// The order is made by a radix sort from the least significant digit, which is
// stable: ids start out ascending, so equal values stay in order of id. Each
// worker counts the digits of one stretch of the samples and later moves that
// stretch; where its digits go follows from all counts, so the result does not
// depend on the number of workers.
//
// Moving is what takes the time, so it looks at the first 33 bits in which keys
// differ only: three digits, not six. What then still has the same bits, a few
// samples in millions unless their values are equal, lies together and is
// sorted where it lies.
//
// It takes 24 bytes a sample while it runs (32 with 64-bit ids), twice what it
// sorts. Where that is more than the memory allowed, the samples are sorted in
// runs, which go to a file and are merged from there (spill.go); the result is
// the same.

// digitBits makes three passes of 33 bits. With 8 bits there would be five; with
// 16 the counters of a worker alone would fill its second-level cache.
const (
	digitBits  = 11
	digits     = 1 << digitBits
	sortedBits = 3 * digitBits
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
	workers := max(1, min(s.workers, n/digits))
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
	low := slices.Min(least)
	varying := bits.Len64(slices.Max(most) - low)
	unsorted := max(varying-sortedBits, 0)
	next := run[T]{make([]uint64, n), make([]T, n)}
	places := make([][digits]int, workers)
	for shift := unsorted; shift < varying; shift += digitBits {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		stretches(n, workers, func(w, from, to int) {
			places[w] = [digits]int{}
			for _, key := range r.keys[from:to] {
				places[w][(key-low)>>shift&(digits-1)]++
			}
		})
		place := 0
		for d := range digits {
			for w := range places {
				place, places[w][d] = place+places[w][d], place
			}
		}
		stretches(n, workers, func(w, from, to int) {
			places := &places[w]
			for i, key := range r.keys[from:to] {
				place := &places[(key-low)>>shift&(digits-1)]
				next.keys[*place], next.ids[*place] = key, r.ids[from+i]
				*place++
			}
		})
		r, next = next, r
	}
	if unsorted > 0 {
		same := func(i, k int) bool { return (r.keys[i]-low)>>unsorted == (r.keys[k]-low)>>unsorted }
		starts := make([]int, workers+1) // of stretches that cut no such run
		for w := range workers {
			start := max(n/workers*w, starts[max(w-1, 0)])
			for start > 0 && start < n && same(start-1, start) {
				start++
			}
			starts[w] = start
		}
		starts[workers] = n
		stretches(workers, workers, func(w, _, _ int) {
			for from := starts[w]; from < starts[w+1]; {
				end := from + 1
				for end < starts[w+1] && same(from, end) {
					end++
				}
				r.sortEqual(from, end)
				from = end
			}
		})
	}
	return r, ctx.Err()
}

// sortEqual sorts records [from, to), whose first bits are the same and whose
// ids rise.
func (r run[T]) sortEqual(from, to int) {
	keys, ids := r.keys[from:to], r.ids[from:to]
	if slices.IsSorted(keys) { // one, or all equal
		return
	}
	type record struct {
		key uint64
		id  T
	}
	records := make([]record, len(keys))
	for i := range keys {
		records[i] = record{keys[i], ids[i]}
	}
	slices.SortStableFunc(records, func(a, b record) int { return cmp.Compare(a.key, b.key) })
	for i, x := range records {
		keys[i], ids[i] = x.key, x.id
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
