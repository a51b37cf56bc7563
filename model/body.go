package model

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// body runs a batch through the embeddings and all layers. It returns the tokens'
// states [b*s, d], of which a head makes answers, and their pullback.
func (c Config) body(w parts, batch Batch) (x *Node, pull func(dx *Node, dw parts)) {
	c.check(batch)
	x, pullEmbed := c.embed(batch, w.embed)
	all := c.viewOf(batch, x)
	x, pullDropout := all.dropout(x, embeddingSite)

	var pulls []func(dx *Node, dw parts) *Node
	for first := 0; first < c.Layers; {
		kept, end := c.span(batch, first)
		var pullSpan func(dx *Node, dw [][]*Node) *Node
		if kept == nil {
			x, pullSpan = all.layers(x, w.layers[first:end], first)
		} else {
			x, pullSpan = all.routedLayers(x, w.layers[first:end], first, kept)
		}
		from := first
		pulls = append(pulls, func(dx *Node, dw parts) *Node { return pullSpan(dx, dw.layers[from:end]) })
		first = end
	}
	return x, func(dx *Node, dw parts) {
		for i := len(pulls) - 1; i >= 0; i-- {
			dx = pulls[i](dx, dw)
		}
		pullEmbed(pullDropout(dx), dw.embed)
	}
}

// span returns the layers [first, end) that see the same tokens: the places that
// they keep, or nil for all. Every span is one layer, but for routed layers side by
// side that are to keep the same.
func (c Config) span(batch Batch, first int) (kept *Node, end int) {
	if len(batch.Kept) == 0 {
		return nil, first + 1
	}
	for i, l := range c.Routed {
		if l != first {
			continue
		}
		end := first + 1
		for c.Shared && i+end-first < len(c.Routed) && c.Routed[i+end-first] == end {
			end++
		}
		return batch.Kept[i], end
	}
	return nil, first + 1
}

// A view is the tokens that a layer sees: b rows of s, and what attention and
// dropout need to know of them.
type view struct {
	config       Config
	rows, length int
	documents    *Node // int32 [b, s] or nil: all of a row belong together
	positions    *Node // int32 [b, s] or nil: each row counts from 0
	noise        *Node // uint32 [b, s] or nil: nothing is dropped out

	mask     *Node // [b*h, s, s] or nil: what is added to attention's scores
	cos, sin *Node // [b, s, h, e/2] or nil: how far rotary positions turn queries and keys
}

// viewOf returns the view of all tokens of a batch, whose states are x [b*s, d].
func (c Config) viewOf(batch Batch, x *Node) view {
	rows := batch.rows()
	v := view{
		config: c, rows: rows, length: x.Shape().Dimensions[0] / rows,
		documents: batch.Documents, positions: batch.Positions, noise: batch.Noise,
	}
	return v.complete(x)
}

// complete fills in what follows from the rest. states are of the type that
// attention computes in.
func (v view) complete(states *Node) view {
	dtype := v.config.compute(states).DType()
	v.mask = v.attentionMask(states.Graph(), states.DType())
	if v.config.Positions == Rotary {
		v.cos, v.sin = v.angles(states.Graph(), dtype)
	}
	return v
}

// keep returns the view of the kept tokens [b, k] of v, and their places at [b*k, 1]
// among the states of v. They bring their documents, positions and noise.
func (v view) keep(kept, states *Node) (part view, at *Node) {
	k := kept.Shape().Dimensions[1]
	at = flatPlaces(kept, v.length)
	pick := func(of *Node) *Node {
		if of == nil {
			return nil
		}
		return Reshape(Gather(Reshape(of, v.rows*v.length), at), v.rows, k)
	}
	part = view{config: v.config, rows: v.rows, length: k, documents: pick(v.documents), positions: pick(v.positions), noise: pick(v.noise)}
	if v.positions == nil {
		part.positions = kept
	}
	return part.complete(states), at
}

// layers runs blocks, the first of which is layer first, on the tokens of the view,
// x [b*s, d].
func (v view) layers(x *Node, w [][]*Node, first int) (y *Node, pull func(dy *Node, dw [][]*Node) *Node) {
	block := v.preNormBlock
	if v.config.Is(BERT) {
		block = v.postNormBlock
	}
	pulls := make([]func(dy *Node, dw []*Node) *Node, len(w))
	for i := range w {
		x, pulls[i] = block(x, w[i], first+i)
	}
	return x, func(dx *Node, dw [][]*Node) *Node {
		for i := len(pulls) - 1; i >= 0; i-- {
			dx = pulls[i](dx, dw[i])
		}
		return dx
	}
}

// routedLayers runs blocks on the kept tokens only, kept [b, k]. Their states take
// the place of those before; the others pass through unchanged, and so do their
// gradients (random-LTD, arXiv 2211.11586, section 3.1; over several layers at once
// TREAD, arXiv 2501.04765).
func (v view) routedLayers(x *Node, w [][]*Node, first int, kept *Node) (y *Node, pull func(dy *Node, dw [][]*Node) *Node) {
	if kept.Shape().Dimensions[0] != v.rows || kept.Shape().Dimensions[1] > v.length {
		exceptions.Panicf("model: kept positions %s for %d rows of %d tokens", kept.Shape(), v.rows, v.length)
	}
	part, at := v.keep(kept, x)
	source := replacing(at, v.rows*v.length)
	states, pullLayers := part.layers(Gather(x, at), w, first)
	return replace(x, states, source), func(dy *Node, dw [][]*Node) *Node {
		return replace(dy, pullLayers(Gather(dy, at), dw), source)
	}
}
