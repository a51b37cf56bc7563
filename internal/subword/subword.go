// Package subword turns pieces of text into tokens.
//
// Its nouns: a piece is what text was split into before, mostly a word; a Model
// says which tokens a piece is made of: BPE merges pairs in the order in which
// training merged them, WordPiece takes the longest token that fits, again and
// again, Unigram the tokens whose probabilities multiply to most, WordLevel the
// word or nothing. An Encoder works with a model for one goroutine and
// remembers the pieces it saw last.
//
// Each gives the tokens that the tokenizers library of Hugging Face gives for
// the model of the same name, for a model without randomness.
package subword

import (
	"encoding/binary"
	"unicode/utf8"
)

// Model appends the tokens of a piece, which is not empty, to dst. Its methods
// may be called by many goroutines, each with an Encoder of its own.
type Model interface {
	encode(dst []int32, piece []byte, e *Encoder) []int32
}

// Encoder encodes pieces one after the other and keeps its memory between them.
// Text repeats its words: 19 of 20 pieces are among those seen last, and are
// not worked out again.
type Encoder struct {
	model Model
	seen  []entry

	parts  []part
	heap   []pair
	best   []step
	places []int32
}

const (
	// 2^14 entries of 64 bytes are 1 MiB, what a core keeps near.
	seenBits    = 14
	longestSeen = 24 // bytes of a piece that is remembered
	mostSeen    = 9  // tokens of one
)

// entry remembers a piece; its length and its key say which.
type entry struct {
	key    [3]uint64
	length uint8 // of the piece; 0: nothing
	count  uint8 // of its tokens
	tokens [mostSeen]int32
}

// NewEncoder returns an encoder for a model.
func NewEncoder(m Model) *Encoder { return &Encoder{model: m, seen: make([]entry, 1<<seenBits)} }

// Encode appends the tokens of a piece to dst.
func (e *Encoder) Encode(dst []int32, piece []byte) []int32 {
	n := len(piece)
	if n == 0 {
		return dst
	}
	if n > longestSeen {
		return e.model.encode(dst, piece, e)
	}
	key := keyOf(piece)
	at := &e.seen[(key[0]*hash0^key[1]*hash1^key[2]*hash2^uint64(n)*hash3)>>(64-seenBits)]
	if at.key == key && int(at.length) == n {
		return append(dst, at.tokens[:at.count]...)
	}
	start := len(dst)
	dst = e.model.encode(dst, piece, e)
	if tokens := dst[start:]; len(tokens) <= mostSeen {
		at.key, at.length, at.count = key, uint8(n), uint8(len(tokens))
		copy(at.tokens[:], tokens)
	}
	return dst
}

// Odd numbers without a pattern, to multiply with (digits of pi).
const hash0, hash1, hash2, hash3 = 0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1, 0x082efa98ec4e6c89

// keyOf returns the bytes of a piece of up to longestSeen bytes as numbers. Of
// two pieces of one length the keys are the same if the pieces are; some bytes
// may count twice, which is faster than to look for where the piece ends.
func keyOf(b []byte) (key [3]uint64) {
	le, n := binary.LittleEndian, len(b)
	switch {
	case n > 16:
		key[2] = le.Uint64(b[8:])
		fallthrough
	case n >= 8:
		key[0], key[1] = le.Uint64(b), le.Uint64(b[n-8:])
	case n >= 4:
		key[0] = uint64(le.Uint32(b))<<32 | uint64(le.Uint32(b[n-4:]))
	default:
		key[0] = uint64(b[0])<<16 | uint64(b[n/2])<<8 | uint64(b[n-1])
	}
	return key
}

// mix spreads the bits of a number over all bits (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// None stands for a token that there is not.
const None = -1

// Bytes are the tokens of single bytes, for what a vocabulary has no token for.
// Nil has none, and a byte may have None.
type Bytes *[256]int32

// hasAll reports whether each byte of a text has a token.
func hasAll(b Bytes, text []byte) bool {
	for _, x := range text {
		if b == nil || b[x] == None {
			return false
		}
	}
	return true
}

// appendBytes appends the tokens of some bytes.
func appendBytes(dst []int32, b Bytes, text []byte) []int32 {
	for _, x := range text {
		dst = append(dst, b[x])
	}
	return dst
}

// runeLen returns the length of the first character of text; a byte that is not
// part of valid UTF-8 is a character of its own.
func runeLen(text []byte) int {
	if text[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(text)
	return n
}
