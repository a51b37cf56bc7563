package metric

import (
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// denseTokens bounds the tokens that are counted in a slice: 8 MiB of counters
// at most, and four times the largest vocabulary of a published model in 2025
// (256 Ki). A larger token, which only an odd or hostile corpus has, goes into
// a map, so that memory follows the tokens there are and not their numbers.
const denseTokens = 1 << 20

// TokenCounts is the Statistic "token-counts": how often each token occurs in
// the corpus, each token of the corpus counted once.
type TokenCounts struct {
	dense  []int64         // count of token i
	sparse map[int32]int64 // counts of tokens from denseTokens on
	total  int64
}

// Name returns "token-counts".
func (c *TokenCounts) Name() string { return "token-counts" }

// New returns empty counts.
func (c *TokenCounts) New() Statistic { return new(TokenCounts) }

// Add counts tokens. None may be negative; a corpus never gives such.
func (c *TokenCounts) Add(tokens []int32) error {
	dense := c.dense
	for i, t := range tokens {
		if uint(t) < uint(len(dense)) {
			dense[t]++
			continue
		}
		if t < 0 {
			c.total += int64(i)
			return fault.Corruptf("token %d is negative", t)
		}
		c.add(t, 1)
		dense = c.dense
	}
	c.total += int64(len(tokens))
	return nil
}

// add counts one token n times, whatever its size, without the total.
func (c *TokenCounts) add(token int32, n int64) {
	if token >= denseTokens {
		if c.sparse == nil {
			c.sparse = map[int32]int64{}
		}
		c.sparse[token] += n
		return
	}
	if int(token) >= len(c.dense) {
		// To the next power of two: a vocabulary is grown through in 20 steps.
		size := 1 << 8
		for size <= int(token) {
			size *= 2
		}
		c.dense = append(c.dense, make([]int64, size-len(c.dense))...)
	}
	c.dense[token] += n
}

// Merge adds the counts of other, which must be a *TokenCounts.
func (c *TokenCounts) Merge(other Statistic) error {
	o, ok := other.(*TokenCounts)
	if !ok {
		return fault.Invalidf("statistic %s does not merge with %T", c.Name(), other)
	}
	for token, n := range o.All() {
		c.add(token, n)
	}
	c.total += o.total
	return nil
}

// Count returns how often token occurs.
func (c *TokenCounts) Count(token int32) int64 {
	if token < 0 {
		return 0
	}
	if int(token) < len(c.dense) {
		return c.dense[token]
	}
	return c.sparse[token]
}

// Total returns the number of tokens counted.
func (c *TokenCounts) Total() int64 { return c.total }

// All gives each token that occurs and its count, in order of tokens.
func (c *TokenCounts) All() iter.Seq2[int32, int64] {
	return func(yield func(int32, int64) bool) {
		for t, n := range c.dense {
			if n > 0 && !yield(int32(t), n) {
				return
			}
		}
		for _, t := range slices.Sorted(maps.Keys(c.sparse)) {
			if !yield(t, c.sparse[t]) {
				return
			}
		}
	}
}

// countsVersion opens the binary form of TokenCounts.
const countsVersion = 1

// MarshalBinary returns the counts in their canonical form: the version 1 and
// then, for each token that occurs, in order, its distance from the one before
// (the first: from -1) and its count, all as unsigned varints.
func (c *TokenCounts) MarshalBinary() ([]byte, error) {
	b := []byte{countsVersion}
	before := int64(-1)
	for token, n := range c.All() {
		b = binary.AppendUvarint(b, uint64(int64(token)-before))
		b = binary.AppendUvarint(b, uint64(n))
		before = int64(token)
	}
	return b, nil
}

// UnmarshalBinary replaces the counts by those that MarshalBinary wrote.
func (c *TokenCounts) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != countsVersion {
		return fault.Corruptf("token counts: offset 0: no version %d", countsVersion)
	}
	var read TokenCounts
	before := int64(-1)
	for at := 1; at < len(data); {
		step, n := binary.Uvarint(data[at:])
		if n <= 0 || step == 0 || step > uint64(math.MaxInt32-before) {
			return fault.Corruptf("token counts: offset %d: no token beyond %d", at, before)
		}
		at += n
		count, n := binary.Uvarint(data[at:])
		if n <= 0 || count == 0 || count > uint64(math.MaxInt64-read.total) {
			return fault.Corruptf("token counts: offset %d: no count", at)
		}
		at += n
		before += int64(step)
		read.add(int32(before), int64(count))
		read.total += int64(count)
	}
	*c = read
	return nil
}
