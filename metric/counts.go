package metric

import (
	"encoding/binary"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/gradus-ml/gradus/corpus"
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
	// words are more counts of tokens below 2^16, from AddRaw, pending tokens in
	// all; nil without any.
	words   *[2][1 << 16]uint32
	pending int64
	total   int64
}

// Name returns "token-counts".
func (c *TokenCounts) Name() string { return "token-counts" }

// New returns empty counts.
func (c *TokenCounts) New() Statistic { return new(TokenCounts) }

// Context returns 0: each token is counted by itself.
func (c *TokenCounts) Context() int { return 0 }

// Add counts tokens. None may be negative; a corpus never gives such.
func (c *TokenCounts) Add(_, tokens []int32) error {
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

// AddRaw counts tokens of one or two unsigned bytes where they lie, which takes
// half the time of Add and of making int32 of them. Neighbours go into
// different tables: the counter of a token that occurs twice in a row would
// otherwise have to come back from the store buffer first.
func (c *TokenCounts) AddRaw(raw []byte, dtype corpus.DType) bool {
	switch dtype {
	case corpus.Uint8:
		c.addBytes(raw)
	case corpus.Uint16:
		c.addWords(raw)
	default:
		return false
	}
	c.total += int64(len(raw)) / dtype.Size()
	return true
}

func (c *TokenCounts) addBytes(raw []byte) {
	var tables [4][1 << 8]int64
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		word := binary.LittleEndian.Uint64(raw[i:])
		tables[0][byte(word)]++
		tables[1][byte(word>>8)]++
		tables[2][byte(word>>16)]++
		tables[3][byte(word>>24)]++
		tables[0][byte(word>>32)]++
		tables[1][byte(word>>40)]++
		tables[2][byte(word>>48)]++
		tables[3][byte(word>>56)]++
	}
	for ; i < len(raw); i++ {
		tables[0][raw[i]]++
	}
	for token := range 1 << 8 {
		if n := tables[0][token] + tables[1][token] + tables[2][token] + tables[3][token]; n > 0 {
			c.add(int32(token), n)
		}
	}
}

func (c *TokenCounts) addWords(raw []byte) {
	if c.words == nil {
		c.words = new([2][1 << 16]uint32)
	}
	if n := int64(len(raw) / 2); n > mostPending {
		for ; len(raw) > 2*mostPending; raw = raw[2*mostPending:] {
			c.addWords(raw[:2*mostPending])
		}
		c.addWords(raw)
		return
	} else if c.pending += n; c.pending > mostPending {
		c.fold()
		c.pending = n
	}
	even, odd := &c.words[0], &c.words[1]
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		word := binary.LittleEndian.Uint64(raw[i:])
		even[uint16(word)]++
		odd[uint16(word>>16)]++
		even[uint16(word>>32)]++
		odd[uint16(word>>48)]++
	}
	for ; i+2 <= len(raw); i += 2 {
		even[binary.LittleEndian.Uint16(raw[i:])]++
	}
}

// mostPending tokens cannot overflow a counter of 32 bits. Such counters take
// half the cache.
const mostPending = 1 << 31

// fold moves the counts of words to where they have room.
func (c *TokenCounts) fold() {
	for token := range c.words[0] {
		if n := c.word(int32(token)); n > 0 {
			c.add(int32(token), n)
		}
	}
	clear(c.words[0][:])
	clear(c.words[1][:])
}

// word is what words has counted of a token.
func (c *TokenCounts) word(token int32) int64 {
	if c.words == nil || token >= 1<<16 {
		return 0
	}
	return int64(c.words[0][token]) + int64(c.words[1][token])
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
	n := c.sparse[token]
	if int(token) < len(c.dense) {
		n = c.dense[token]
	}
	return n + c.word(token)
}

// Total returns the number of tokens counted.
func (c *TokenCounts) Total() int64 { return c.total }

// All gives each token that occurs and its count, in order of tokens.
func (c *TokenCounts) All() iter.Seq2[int32, int64] {
	return func(yield func(int32, int64) bool) {
		tokens := len(c.dense)
		if c.words != nil {
			tokens = max(tokens, 1<<16)
		}
		for t := range tokens {
			n := c.word(int32(t))
			if t < len(c.dense) {
				n += c.dense[t]
			}
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
