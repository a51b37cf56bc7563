package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Dropout draws nothing. Whether an element is dropped is a function of integers:
// of its token's word of noise, the site (which layer, which of its dropouts) and
// its column, or of the words of query and key for a weight of attention. So every
// backend drops the same elements, and so do a part of a batch and the whole; the
// pullback needs no state; and a kept token takes its dropout along.

// Sites of dropout: the embeddings, then four numbers for each layer.
const embeddingSite = 0

func querySite(layer int) uint32    { return uint32(4*layer + 1) }
func keySite(layer int) uint32      { return uint32(4*layer + 2) }
func attendedSite(layer int) uint32 { return uint32(4*layer + 3) }
func mlpSite(layer int) uint32      { return uint32(4*layer + 4) }

// The finalizer of MurmurHash3 (Austin Appleby, public domain): a bijection of 32
// bits in which each bit of the argument flips each bit of the result half of the
// time.
const (
	mixer1 = 0x85ebca6b
	mixer2 = 0xc2b2ae35
)

func mix(x uint32) uint32 {
	x = (x ^ x>>16) * mixer1
	x = (x ^ x>>13) * mixer2
	return x ^ x>>16
}

// mixNode is mix in the graph.
func mixNode(x *Node) *Node {
	x = times(BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16))), mixer1)
	x = times(BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(13))), mixer2)
	return BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16)))
}

func times(x *Node, factor uint32) *Node {
	return Mul(x, Scalar(x.Graph(), dtypes.Uint32, factor))
}

// words returns noise for a site: a new word for each token, in the shape of dims.
// The offset keeps the sites' words apart: it is mixed, so that no two differ by
// little.
func (v view) words(site uint32, dims ...int) *Node {
	offset := Scalar(v.noise.Graph(), dtypes.Uint32, mix(site+1))
	return mixNode(BitwiseXor(Reshape(v.noise, dims...), offset))
}

// dropout sets elements of x [n, d] to 0 with the probability Dropout and scales the
// others, so that the mean stays (Srivastava et al., 2014). Without noise it does
// nothing.
func (v view) dropout(x *Node, site uint32) (y *Node, pull func(dy *Node) (dx *Node)) {
	if v.noise == nil || v.config.Dropout == 0 {
		return x, func(dy *Node) *Node { return dy }
	}
	n, d := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	columns := make([]uint32, d)
	for i := range columns {
		columns[i] = mix(uint32(i) ^ 0x9e3779b9) // apart from the words of tokens 0, 1, ...
	}
	survives := v.survivors(BitwiseXor(v.words(site, n, 1), Const(x.Graph(), [][]uint32{columns})), x.DType())
	return Mul(x, survives), func(dy *Node) *Node { return Mul(dy, survives) }
}

// attentionDropout returns the factors of attention's weights [b*h, s, s], or nil
// without dropout.
func (v view) attentionDropout(layer int, dtype dtypes.DType) *Node {
	if v.noise == nil || v.config.Dropout == 0 {
		return nil
	}
	b, s, h := v.rows, v.length, v.config.Heads
	heads := make([]uint32, h)
	for i := range heads {
		heads[i] = mix(uint32(i))
	}
	query := mixNode(BitwiseXor(v.words(querySite(layer), b, 1, s, 1), Reshape(Const(v.noise.Graph(), heads), 1, h, 1, 1)))
	key := v.words(keySite(layer), b, 1, 1, s)
	return Reshape(v.survivors(BitwiseXor(query, key), dtype), b*h, s, s)
}

// survivors returns the factors that elements of the given bits are multiplied
// with: 0, or 1/(1-Dropout). The bits are the exclusive or of two mixed words, which
// two rounds of the mixer make one.
func (v view) survivors(bits *Node, dtype dtypes.DType) *Node {
	g := bits.Graph()
	bits = times(bits, mixer1)
	bits = times(BitwiseXor(bits, BitwiseShiftRightLogicalScalar(bits, uint32(15))), mixer2)
	limit := uint32(math.Min(math.MaxUint32, math.Round(v.config.Dropout*(1<<32))))
	return Where(LessThan(bits, Scalar(g, dtypes.Uint32, limit)), Scalar(g, dtype, 0), Scalar(g, dtype, 1/(1-v.config.Dropout)))
}
