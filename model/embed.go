package model

import (
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// embed returns the states [b*s, d] with which a batch enters the first layer, and
// the pullback that writes the gradients of w, the first weights of Params.
func (c Config) embed(batch Batch, w []*Node) (x *Node, pull func(dx *Node, dw []*Node)) {
	switch {
	case c.Is(BERT):
		return c.embedBERT(batch, w)
	case c.Is(ViT):
		return c.embedViT(batch, w)
	}
	x, pullTokens := lookup(batch.Inputs, w[0])
	if c.Positions == Rotary {
		return x, func(dx *Node, dw []*Node) { add(dw, 0, pullTokens(dx)) }
	}
	x, pullPlaces := addPlaces(x, batch, w[1])
	return x, func(dx *Node, dw []*Node) {
		add(dw, 0, pullTokens(dx))
		add(dw, 1, pullPlaces(dx))
	}
}

// embedBERT sums the embeddings of tokens, positions and segments and norms them
// (arXiv 1810.04805, figure 2).
func (c Config) embedBERT(batch Batch, w []*Node) (x *Node, pull func(dx *Node, dw []*Node)) {
	segments := batch.Segments
	if segments == nil {
		segments = ZerosLike(batch.Inputs)
	}
	x, pullTokens := lookup(batch.Inputs, w[0])
	x, pullPlaces := addPlaces(x, batch, w[1])
	segment, pullSegments := lookup(segments, w[2])
	x, pullNorm := layerNorm(Add(x, segment), w[3], w[4], c.epsilon())
	return x, func(dx *Node, dw []*Node) {
		dx, dw[3], dw[4] = pullNorm(dx)
		add(dw, 0, pullTokens(dx))
		add(dw, 1, pullPlaces(dx))
		add(dw, 2, pullSegments(dx))
	}
}

// embedViT cuts images into patches, projects them, puts the class token before
// them and adds the positions (arXiv 2010.11929, equation 1).
func (c Config) embedViT(batch Batch, w []*Node) (x *Node, pull func(dx *Node, dw []*Node)) {
	b, p, s, d := batch.rows(), c.Patches(), c.Context, c.Width
	class, places := w[0], w[1]
	pixels := c.compute(c.patches(batch.Pixels, class))
	projected, pullProject := dense(pixels, w[2], w[3])
	projected = Reshape(ConvertDType(projected, class.DType()), b, p, d)
	x = Concatenate([]*Node{BroadcastToDims(Reshape(class, 1, 1, d), b, 1, d), projected}, 1)
	x = Reshape(Add(Reshape(x, b, s*d), row(Reshape(places, s*d))), b*s, d)
	return x, func(dx *Node, dw []*Node) {
		dx = Reshape(dx, b, s, d)
		dplaces := Reshape(columnSums(Reshape(dx, b, s*d)), s, d)
		dw[0], dw[1] = Slice(dplaces, AxisRange(0, 1)), dplaces // the class token stands at position 0, in every row
		dprojected := Reshape(Slice(dx, AxisRange(), AxisRange(1)), b*p, d)
		_, dw[2], dw[3] = pullProject(c.compute(dprojected))
	}
}

// patches returns the patches of images uint8 [b, height*width*channels] in rows
// [b*patches, patch*patch*channels], scaled to -1..1, in the type of like.
func (c Config) patches(pixels, like *Node) *Node {
	i := c.Image
	b, down, across := pixels.Shape().Dimensions[0], i.Height/i.Patch, i.Width/i.Patch
	if pixels.Rank() != 2 || pixels.Shape().Dimensions[1] != i.Pixels() {
		exceptions.Panicf("model: pixels %s; an image has %dx%dx%d", pixels.Shape(), i.Height, i.Width, i.Channels)
	}
	grid := Reshape(pixels, b, down, i.Patch, across, i.Patch*i.Channels)
	grid = Reshape(TransposeAllAxes(grid, 0, 1, 3, 2, 4), b*down*across, i.Patch*i.Patch*i.Channels)
	return AddScalar(MulScalar(ConvertDType(grid, like.DType()), 2./255), -1)
}

// lookup returns the rows of a table [v, d] at indices [b, s], as [b*s, d].
func lookup(indices, table *Node) (x *Node, pull func(dx *Node) (dtable *Node)) {
	at := Reshape(indices, indices.Shape().Size(), 1)
	return Gather(table, at), func(dx *Node) *Node {
		return Scatter(at, dx, table.Shape(), false, false)
	}
}

// addPlaces adds to x [b*s, d] the rows of places [context, d] at which its tokens
// stand: the positions of the batch, or each row's count from 0.
func addPlaces(x *Node, batch Batch, places *Node) (y *Node, pull func(dy *Node) (dplaces *Node)) {
	if batch.Positions != nil {
		place, pullPlace := lookup(batch.Positions, places)
		return Add(x, place), pullPlace
	}
	b, s := batch.rows(), batch.length()
	context, d := places.Shape().Dimensions[0], places.Shape().Dimensions[1]
	place := Slice(places, AxisRange(0, s))
	y = Reshape(Add(Reshape(x, b, s*d), row(Reshape(place, s*d))), b*s, d)
	return y, func(dy *Node) *Node {
		dplace := Reshape(columnSums(Reshape(dy, b, s*d)), s, d)
		if s == context {
			return dplace
		}
		rest := Zeros(dy.Graph(), shapes.Make(dy.DType(), context-s, d))
		return Concatenate([]*Node{dplace, rest}, 0)
	}
}

// add adds g to gradient i, which another use of the weight may have begun.
func add(gradients []*Node, i int, g *Node) {
	if gradients[i] != nil {
		g = Add(gradients[i], g)
	}
	gradients[i] = g
}
