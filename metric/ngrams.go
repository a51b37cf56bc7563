package metric

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/fault"
)

// NgramCounts is the Statistic "ngram-counts-ORDER-BUCKETS": how often each
// n-gram of 2 to ORDER tokens occurs in the corpus, its documents laid end to
// end. Memory does not grow with the corpus: for each n there is a table of
// 2^BUCKETS counters of 32 bits, and a hash says which counter is an n-gram's.
// N-grams that share one are counted together, so that a count is never too
// small but where it stops: at 2^32-1.
//
// Both count the same in any order, since a sum that stops at a bound does not
// depend on the order of its terms.
type NgramCounts struct {
	order, buckets int
	tables         [][]uint32 // of 2-grams, of 3-grams, ...; nil before the first
	run            []int32    // what hashes are made of in Add
	hashes         []uint64
}

// The orders and sizes that there are.
const (
	maxOrder   = 5
	minBuckets = 8
	maxBuckets = 28 // 1 GiB a table
)

// NewNgramCounts returns no counts yet, of n-grams of 2 to order tokens, order
// being at most 5, in tables of 2^buckets counters, from 2^8 to 2^28. Others
// are an error of kind fault.Invalid.
func NewNgramCounts(order, buckets int) (*NgramCounts, error) {
	if order < 2 || order > maxOrder || buckets < minBuckets || buckets > maxBuckets {
		return nil, fault.Invalidf("n-grams of order %d in 2^%d buckets: orders 2 to %d and 2^%d to 2^%d buckets can be counted", order, buckets, maxOrder, minBuckets, maxBuckets)
	}
	return &NgramCounts{order: order, buckets: buckets}, nil
}

// Name returns "ngram-counts-3-22" for order 3 and 2^22 buckets.
func (c *NgramCounts) Name() string { return fmt.Sprintf("ngram-counts-%d-%d", c.order, c.buckets) }

// New returns empty counts of the same order and size.
func (c *NgramCounts) New() Statistic { return &NgramCounts{order: c.order, buckets: c.buckets} }

// Context returns order-1, so that each n-gram is counted where it ends.
func (c *NgramCounts) Context() int { return c.order - 1 }

// ngramChunk is how many tokens are hashed before their counters are visited:
// so few that the hashes stay in the first cache (of 32 KiB), so many that
// misses of the counters, which lie anywhere in 16 MiB, overlap.
const ngramChunk = 1 << 9

// Add counts the n-grams that end in tokens and begin in context or tokens.
func (c *NgramCounts) Add(context, tokens []int32) error {
	if c.run == nil {
		c.run = make([]int32, 0, ngramChunk+maxOrder-1)
		c.hashes = make([]uint64, ngramChunk+maxOrder-1)
	}
	c.run = append(c.run[:0], context[max(0, len(context)-c.Context()):]...)
	for len(tokens) > 0 {
		n := min(len(tokens), ngramChunk)
		before := len(c.run)
		c.run = append(c.run, tokens[:n]...)
		tokens = tokens[n:]
		hashes := c.hashes[:len(c.run)]
		hashTokens(hashes, c.run)
		for order := 2; order <= c.order; order++ {
			extendHashes(hashes, c.run, order)
			if from := max(before, order-1); from < len(hashes) {
				c.visit(order, hashes[from:])
			}
		}
		c.run = append(c.run[:0], c.run[max(0, len(c.run)-c.Context()):]...)
	}
	return nil
}

// visit counts n-grams of one order by their hashes.
func (c *NgramCounts) visit(order int, hashes []uint64) {
	table, shift := c.table(order), c.shift()
	for _, h := range hashes {
		counter := &table[h>>shift]
		if *counter != math.MaxUint32 {
			*counter++
		}
	}
}

// table returns the counters of an order, which it makes if there are none.
func (c *NgramCounts) table(order int) []uint32 {
	if c.tables == nil {
		c.tables = make([][]uint32, c.order-1)
	}
	if c.tables[order-2] == nil {
		c.tables[order-2] = make([]uint32, 1<<c.buckets)
	}
	return c.tables[order-2]
}

// shift is what leaves of a hash the number of a counter.
func (c *NgramCounts) shift() int { return 64 - c.buckets }

// look sets counts[i] to the count of the n-gram of one order with hashes[i].
func (c *NgramCounts) look(counts []uint32, order int, hashes []uint64) {
	counts = counts[:len(hashes)]
	if c.tables == nil || c.tables[order-2] == nil {
		clear(counts)
		return
	}
	table, shift := c.tables[order-2], c.shift()
	for i, h := range hashes {
		counts[i] = table[h>>shift]
	}
}

// hashTokens sets hashes[i] to the hash of the 1-gram tokens[i].
func hashTokens(hashes []uint64, tokens []int32) {
	hashes = hashes[:len(tokens)]
	for i, t := range tokens {
		hashes[i] = hashStep(0, t)
	}
}

// extendHashes makes the hashes of the (order-1)-grams that end at each token
// those of the order-grams; those before order-1 have no meaning then.
func extendHashes(hashes []uint64, tokens []int32, order int) {
	hashes = hashes[:len(tokens)]
	for i := len(tokens) - 1; i >= order-1; i-- {
		hashes[i] = hashStep(hashes[i-1], tokens[i])
	}
}

// hashStep takes one token more into a hash. The values of perplexity depend on
// it where n-grams share a counter: it may only change with their version.
func hashStep(h uint64, token int32) uint64 {
	h = (h ^ (uint64(uint32(token)) + 1)) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

// Merge adds the counts of other, which must be *NgramCounts of the same order
// and size.
func (c *NgramCounts) Merge(other Statistic) error {
	o, ok := other.(*NgramCounts)
	if !ok || o.order != c.order || o.buckets != c.buckets {
		return fault.Invalidf("statistic %s does not merge with %T", c.Name(), other)
	}
	for i, from := range o.tables {
		if from == nil {
			continue
		}
		into := c.table(i + 2)
		for slot, n := range from {
			into[slot] = saturate(uint64(into[slot]) + uint64(n))
		}
	}
	return nil
}

func saturate(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

// ngramsVersion opens the binary form of NgramCounts.
const ngramsVersion = 1

// MarshalBinary returns the counts in their canonical form: the version 1, the
// order and the number of buckets' logarithm, a byte each; and for n from 2 to
// order the counters that are not 0, in order of their numbers: the distance
// from the one before (the first: from -1) and the count as unsigned varints,
// and after the last a 0.
func (c *NgramCounts) MarshalBinary() ([]byte, error) {
	b := []byte{ngramsVersion, byte(c.order), byte(c.buckets)}
	for order := 2; order <= c.order; order++ {
		if c.tables != nil {
			before := -1
			for slot, n := range c.tables[order-2] {
				if n > 0 {
					b = binary.AppendUvarint(b, uint64(slot-before))
					b = binary.AppendUvarint(b, uint64(n))
					before = slot
				}
			}
		}
		b = append(b, 0)
	}
	return b, nil
}

// UnmarshalBinary replaces the counts by those that MarshalBinary wrote, of the
// same order and size: memory is as much as counting takes, whatever data says.
func (c *NgramCounts) UnmarshalBinary(data []byte) error {
	if len(data) < 3 || data[0] != ngramsVersion {
		return fault.Corruptf("n-gram counts: offset 0: no version %d", ngramsVersion)
	}
	if int(data[1]) != c.order || int(data[2]) != c.buckets {
		return fault.Corruptf("n-gram counts: offset 1: of order %d in 2^%d buckets, not those of %s", data[1], data[2], c.Name())
	}
	read, at := c.New().(*NgramCounts), 3
	for order := 2; order <= c.order; order++ {
		for slot := uint64(math.MaxUint64); ; { // -1
			step, n := binary.Uvarint(data[at:])
			if n <= 0 || step > uint64(1)<<c.buckets-1-slot {
				return fault.Corruptf("n-gram counts: offset %d: no counter of %d-grams", at, order)
			}
			at += n
			if step == 0 {
				break
			}
			count, n := binary.Uvarint(data[at:])
			if n <= 0 || count == 0 || count > math.MaxUint32 {
				return fault.Corruptf("n-gram counts: offset %d: no count", at)
			}
			at += n
			slot += step
			read.table(order)[slot] = uint32(count)
		}
	}
	if at != len(data) {
		return fault.Corruptf("n-gram counts: offset %d: %d bytes too many", at, len(data)-at)
	}
	c.tables = read.tables
	return nil
}
