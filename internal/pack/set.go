package pack

import "math/bits"

// set is a set of the numbers in [0, n), as a tree of bits: a bit of a level is
// set if any of 64 bits of the level below is.
type set struct{ levels [][]uint64 } // the numbers themselves come first

func newSet(n int) set {
	var s set
	for {
		n = (n + 63) / 64
		s.levels = append(s.levels, make([]uint64, n))
		if n <= 1 {
			return s
		}
	}
}

func (s set) add(i int) {
	for _, words := range s.levels {
		words[i/64] |= 1 << (i % 64)
		i /= 64
	}
}

func (s set) remove(i int) {
	for _, words := range s.levels {
		words[i/64] &^= 1 << (i % 64)
		if words[i/64] != 0 {
			return
		}
		i /= 64
	}
}

// next returns the smallest number in the set that is i or more, or -1.
func (s set) next(i int) int {
	for level, words := range s.levels {
		if i/64 >= len(words) {
			return -1
		}
		if rest := words[i/64] >> (i % 64); rest != 0 {
			i += bits.TrailingZeros64(rest)
			for level--; level >= 0; level-- { // down to its first number
				i = 64*i + bits.TrailingZeros64(s.levels[level][i])
			}
			return i
		}
		i = i/64 + 1
	}
	return -1
}
