package analyze

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/gradus-ml/gradus/corpus"
)

// Block is the samples [Start, End). Its tokens lie together in the corpus.
type Block struct{ Start, End int64 }

// maxBlockSamples bounds a block of many short or empty documents.
const maxBlockSamples = 1 << 16

// Blocks cuts the samples [from, to) into blocks of at most so many tokens, or
// one sample if that is larger; tokens is asked anew for each block. It holds
// nothing in memory and begins anew with each loop over it.
func Blocks(s *corpus.Samples, from, to int64, tokens func() int) iter.Seq[Block] {
	return func(yield func(Block) bool) {
		for b := (Block{End: from}); b.End < to; {
			b.Start = b.End
			most := int64(max(tokens(), 1))
			first, _ := s.Span(b.Start)
			if n := int64(s.Cut().Window); n > 0 {
				b.End = min(b.Start+min(max((most-1)/n, 1), maxBlockSamples), to)
			} else {
				for b.End++; b.End < to && b.End-b.Start < maxBlockSamples; b.End++ {
					if _, end := s.Span(b.End); end-first > most {
						break
					}
				}
			}
			if !yield(b) {
				return
			}
		}
	}
}

const (
	// mostBlockTokens, as int32, make 1 MiB and stay in a core's cache.
	mostBlockTokens  = 1 << 18
	leastBlockTokens = 1 << 10
	startBlockTokens = 1 << 14
	// A block should take from blockTime/8 to blockTime: long enough for its
	// handing over to cost nothing, short enough for all workers to end
	// together and little to be lost when the process is killed.
	blockTime = 80 * time.Millisecond
)

// blockSize finds the size of block that takes about the right time, whether a
// metric makes a hundred million tokens a second or a thousand.
type blockSize struct {
	fixed  int
	tokens atomic.Int64
}

func (b *blockSize) get() int {
	if b.fixed > 0 {
		return b.fixed
	}
	if n := b.tokens.Load(); n > 0 {
		return int(n)
	}
	return startBlockTokens
}

func (b *blockSize) took(d time.Duration) {
	size := int64(b.get())
	switch {
	case d > blockTime:
		b.tokens.Store(max(size/2, leastBlockTokens))
	case d < blockTime/8:
		b.tokens.Store(min(size*2, mostBlockTokens))
	}
}
