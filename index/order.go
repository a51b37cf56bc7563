package index

import (
	"context"
	"math"
	"sync"
)

// The order is made by a radix sort from the least significant digit, which is
// stable: ids start out ascending, so equal values stay in order of id. Each
// worker counts the digits of one stretch of the samples and later moves that
// stretch; where its digits go follows from all counts, so the result does not
// depend on the number of workers.
//
// It takes 24 bytes a sample while it runs (32 with 64-bit ids), twice what it
// sorts. Where that is more than the memory allowed, the samples are sorted in
// runs, which go to a file and are merged from there (spill.go); the result is
// the same.

// digitBits makes six passes of a 64-bit key. With 8 bits there would be eight;
// with 16 the counters of a worker alone would fill its second-level cache.
const digitBits = 11

const digits = 1 << digitBits

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
	r, next := run[T]{make([]uint64, n), make([]T, n)}, run[T]{}
	differ := make([]uint64, workers) // bits in which keys of a stretch differ from its first
	firsts := make([]uint64, workers)
	errs := make([]error, workers)
	stretches(n, workers, func(w, a, b int) {
		errs[w] = s.values.each(from+int64(a), from+int64(b), func(start int64, values []float64, _ []byte) error {
			at := int(start - from)
			for i, v := range values {
				key := sortKey(v, s.descending)
				if at+i == a {
					firsts[w] = key
				}
				r.keys[at+i], r.ids[at+i] = key, T(start)+T(i)
				differ[w] |= key ^ firsts[w]
			}
			return ctx.Err()
		})
	})
	var varying uint64
	for w := range workers {
		if errs[w] != nil {
			return r, errs[w]
		}
		varying |= differ[w] | (firsts[w] ^ firsts[0])
	}
	if varying == 0 {
		return r, nil // all equal
	}
	next = run[T]{make([]uint64, n), make([]T, n)}
	places := make([][digits]int, workers)
	for shift := 0; shift < 64; shift += digitBits {
		if varying>>shift&(digits-1) == 0 {
			continue // the same digit everywhere: lengths take two passes, not six
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		stretches(n, workers, func(w, from, to int) {
			places[w] = [digits]int{}
			for _, key := range r.keys[from:to] {
				places[w][key>>shift&(digits-1)]++
			}
		})
		place := 0
		for d := range digits {
			for w := range places {
				place, places[w][d] = place+places[w][d], place
			}
		}
		stretches(n, workers, func(w, from, to int) {
			for i := from; i < to; i++ {
				place := &places[w][r.keys[i]>>shift&(digits-1)]
				next.keys[*place], next.ids[*place] = r.keys[i], r.ids[i]
				*place++
			}
		})
		r, next = next, r
	}
	return r, nil
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
