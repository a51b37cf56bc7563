package index

import (
	"context"
	"math"
	"sync"

	"github.com/gradus-ml/gradus/internal/npy"
)

// The order is made by a radix sort from the least significant digit, which is
// stable: ids start out ascending, so equal values stay in order of id. Each
// worker counts the digits of one stretch of the samples and later moves that
// stretch; where its digits go follows from all counts, so the result does not
// depend on the number of workers.
//
// It takes 24 bytes a sample while it runs (32 with 64-bit ids): twice the
// column it makes.

// digitBits makes six passes of a 64-bit key. With 8 bits there would be eight;
// with 16 the counters of a worker alone would fill its second-level cache.
const digitBits = 11

const digits = 1 << digitBits

// sortedIDs returns the ids of the samples in order of (value, id).
func sortedIDs[T uint32 | uint64](ctx context.Context, values npy.Array, workers int) ([]T, error) {
	n := int(values.Len())
	workers = max(1, min(workers, n/digits))
	keys, ids := make([]uint64, n), make([]T, n)
	differ := make([]uint64, workers) // bits in which a key of the stretch differs from the first key
	first := sortKey(values.Float64(0))
	stretches(n, workers, func(w, from, to int) {
		for i := from; i < to; i++ {
			keys[i], ids[i] = sortKey(values.Float64(int64(i))), T(i)
			differ[w] |= keys[i] ^ first
		}
	})
	var varying uint64
	for _, bits := range differ {
		varying |= bits
	}
	nextKeys, nextIDs := make([]uint64, n), make([]T, n)
	places := make([][digits]int, workers)
	for shift := 0; shift < 64; shift += digitBits {
		if varying>>shift&(digits-1) == 0 {
			continue // the same digit everywhere: lengths take two passes, not six
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		stretches(n, workers, func(w, from, to int) {
			places[w] = [digits]int{}
			for _, key := range keys[from:to] {
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
				place := &places[w][keys[i]>>shift&(digits-1)]
				nextKeys[*place], nextIDs[*place] = keys[i], ids[i]
				*place++
			}
		})
		keys, nextKeys, ids, nextIDs = nextKeys, keys, nextIDs, ids
	}
	return ids, nil
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
// has its bits turned over, a positive one only its sign.
func sortKey(v float64) uint64 {
	bits := math.Float64bits(v)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}
