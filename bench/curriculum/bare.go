package main

import (
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"github.com/gradus-ml/gradus/internal/intarray"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// bareTable bounds the tables of the bare loops: at 4 bytes each far larger than
// a processor's caches, as the whole would be, and sooner shuffled.
const bareTable = 1 << 24

// runBare is the command bare: batches from tables made beforehand. It answers
//
//	copy N     N ids out of a shuffled table, read from end to end: Drawn
//	gather N   N ids at shuffled places of a mapped array of all samples: Drawn
//
// The first is what a trainer without a curriculum does. The second is the least
// that serves a random sample of one order, which is what a plan has.
func runBare(args []string) error {
	f := flag.NewFlagSet("bare", flag.ExitOnError)
	samples := f.Int64("samples", 0, "samples")
	units := f.Int("units", 512, "ids of a batch")
	seed := f.Uint64("seed", 1, "seed")
	f.Parse(args)
	n := uint64(*samples)
	shuffle := keyed.NewKey(*seed, "bench bare").Permutation(n)
	table := make([]uint32, min(n, bareTable))
	for i := range table {
		table[i] = uint32(shuffle.At(uint64(i)))
	}
	w, err := intarray.New("", 4, *samples)
	if err != nil {
		return err
	}
	for i := range *samples {
		w.Set(i, *samples-1-i)
	}
	order, err := w.Finish()
	if err != nil {
		return err
	}
	defer order.Close()
	runtime.GOMAXPROCS(1)
	ids, at := make([]int64, *units), 0
	// next returns the part of the table for the next batch.
	next := func() []uint32 {
		if at+len(ids) > len(table) {
			at = 0
		}
		at += len(ids)
		return table[at-len(ids) : at]
	}
	return serve(struct{}{}, func(words []string) (any, error) {
		if len(words) != 2 {
			return nil, fmt.Errorf("bare: unknown request %q", words)
		}
		steps, err := strconv.Atoi(words[1])
		if err != nil {
			return nil, err
		}
		began := time.Now()
		for range steps {
			part := next()
			if words[0] == "gather" {
				for i, place := range part {
					ids[i] = order.At(int64(place))
				}
				continue
			}
			for i, id := range part {
				ids[i] = int64(id)
			}
		}
		seconds := time.Since(began).Seconds()
		for _, id := range ids {
			if id < 0 || id >= *samples {
				return nil, fmt.Errorf("bare: id %d of %d", id, *samples)
			}
		}
		return Drawn{Seconds: seconds, IDs: int64(steps) * int64(len(ids))}, nil
	})
}
