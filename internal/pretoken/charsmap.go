package pretoken

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// CharsMap is the normalization that SentencePiece compiled from its rules.
// Its form: a uint32, the bytes of a trie; the trie, a double array of uint32
// (Aoe 1989, in the layout of Darts-clone); and texts, each ended by a zero
// byte, to which the trie's leaves point.
type CharsMap struct {
	trie  []uint32
	texts []byte
}

// NewCharsMap takes a compiled map apart.
func NewCharsMap(b []byte) (*CharsMap, error) {
	if len(b) < 4 {
		return nil, errors.New("a map of characters without a size")
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[4:]; int64(n) > int64(len(b)) || n%4 != 0 || n == 0 {
		return nil, errors.New("a map of characters whose size is wrong")
	}
	c := &CharsMap{trie: make([]uint32, n/4), texts: b[n:]}
	for i := range c.trie {
		c.trie[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return c, nil
}

// find returns what the shortest text that key begins with becomes.
func (c *CharsMap) find(key []byte) ([]byte, bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	at := offset(c.trie[0])
	for _, b := range key {
		if at ^= uint32(b); b == 0 || int64(at) >= int64(len(c.trie)) {
			return nil, false
		}
		unit := c.trie[at]
		if unit&(1<<31|0xff) != uint32(b) {
			return nil, false
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if int64(at) >= int64(len(c.trie)) {
			return nil, false
		}
		start := int64(c.trie[at] &^ (1 << 31))
		if start >= int64(len(c.texts)) {
			return nil, false
		}
		text, _, _ := bytes.Cut(c.texts[start:], []byte{0})
		return text, true
	}
	return nil, false
}

// Normalize looks up what users take for a character, if it is short, and each
// character of what is not there.
func (c *CharsMap) Normalize(text []byte) []byte {
	const shortest = 6 // bytes that are not looked up as a whole
	dst := make([]byte, 0, len(text)+8)
	state := -1
	for len(text) > 0 {
		var cluster []byte
		cluster, text, _, state = uniseg.FirstGraphemeCluster(text, state)
		if len(cluster) < shortest {
			if to, ok := c.find(cluster); ok {
				dst = append(dst, to...)
				continue
			}
		}
		for len(cluster) > 0 {
			_, n := utf8.DecodeRune(cluster)
			if to, ok := c.find(cluster[:n]); ok {
				dst = append(dst, to...)
			} else {
				dst = append(dst, cluster[:n]...)
			}
			cluster = cluster[n:]
		}
	}
	return dst
}
