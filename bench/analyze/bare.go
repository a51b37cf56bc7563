package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gradus-ml/gradus/internal/mmap"
)

// Bare is what the bare loop says.
type Bare struct {
	Seconds float64 `json:"seconds"` // of both loops, the tokens being in memory
	Count   float64 `json:"count_seconds"`
	Sum     float64 `json:"sum_seconds"`
	Samples int     `json:"samples"`
	Mean    float64 `json:"mean"` // of the samples' rarities, in nats
}

// runBare is the command bare: the bare loop over a file of tokens.
func runBare(args []string) error {
	f := flag.NewFlagSet("bare", flag.ExitOnError)
	bin := f.String("bin", "", "file of tokens")
	dtype := f.String("dtype", "", "their type: uint8, uint16 or int32")
	window := f.Int("window", 0, "window")
	vocabulary := f.Int("vocabulary", 0, "vocabulary")
	workers := f.Int("workers", runtime.NumCPU(), "cores")
	f.Parse(args)
	if *window < 1 || *vocabulary < 1 || *workers < 1 {
		return fmt.Errorf("bare: %d workers on windows of %d and a vocabulary of %d; all must be 1 or more", *workers, *window, *vocabulary)
	}
	file, err := mmap.Open(*bin)
	if err != nil {
		return err
	}
	defer file.Close()
	data := file.Bytes()
	touch(data)
	var b Bare
	switch *dtype {
	case "uint8":
		b = bare(data, *window, *vocabulary, *workers)
	case "uint16":
		b = bare(typed[uint16](data), *window, *vocabulary, *workers)
	case "int32":
		b = bare(typed[int32](data), *window, *vocabulary, *workers)
	default:
		return fmt.Errorf("bare: %s: tokens of type %q", filepath.Base(*bin), *dtype)
	}
	return json.NewEncoder(os.Stdout).Encode(b)
}

// typed sees the bytes of a mapped file, which begins on a page, as tokens.
func typed[T uint16 | int32](data []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/int(unsafe.Sizeof(T(0))))
}

// touch maps every page, so that the loops do not pay for it.
func touch(data []byte) (sum byte) {
	for i := 0; i < len(data); i += os.Getpagesize() {
		sum += data[i]
	}
	return sum
}

// bare is the work itself and nothing else: it counts the tokens, makes a table
// of -ln p, and sums it over each window of n+1 tokens. The tokens lie in memory
// and the sums stay there. Cores take pieces of a million tokens, so that one
// with other work to do does not keep the rest waiting.
func bare[T uint8 | uint16 | int32](tokens []T, window, vocabulary, workers int) Bare {
	const piece = 1 << 20
	began := time.Now()
	counts := make([][]int64, workers)
	each(len(tokens), piece, workers, func(w, from, to int) {
		if counts[w] == nil {
			counts[w] = make([]int64, vocabulary)
		}
		own := counts[w]
		for _, t := range tokens[from:to] {
			own[t]++
		}
	})
	nats := make([]float64, vocabulary)
	total := 0.0
	for t := range nats {
		for _, own := range counts {
			if own != nil {
				nats[t] += float64(own[t])
			}
		}
		nats[t] = max(nats[t], 1)
		total += nats[t]
	}
	for t := range nats {
		nats[t] = math.Log(total / nats[t])
	}
	counted := time.Now()
	sums := make([]float64, max(len(tokens)-1, 0)/window)
	each(len(sums), max(piece/window, 1), workers, func(_, from, to int) {
		for id := from; id < to; id++ {
			sum := 0.0
			for _, t := range tokens[id*window : id*window+window+1] {
				sum += nats[t]
			}
			sums[id] = sum
		}
	})
	done := time.Now()
	b := Bare{
		Seconds: done.Sub(began).Seconds(), Count: counted.Sub(began).Seconds(), Sum: done.Sub(counted).Seconds(),
		Samples: len(sums),
	}
	for _, sum := range sums {
		b.Mean += sum / float64(len(sums))
	}
	return b
}

// each lets workers take pieces of [0, n) until none is left.
func each(n, piece, workers int, do func(worker, from, to int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for {
				to := int(next.Add(int64(piece)))
				from := to - piece
				if from >= n {
					return
				}
				do(w, from, min(to, n))
			}
		})
	}
	wg.Wait()
}
