package route

import "slices"

// Rows are the rows of a batch, or a rank's share of them, that tokens are drawn
// of.
type Rows struct {
	First  int     // the first one's number in the global batch
	Count  int     // how many
	Length int     // positions of each
	Tokens []int32 // [Count, Length], negative where there is padding; nil for images
	Always []bool  // [Count, Length]: positions that every layer keeps; nil: none
}

// Draws draws the kept positions of one step: for layer layers[l], ascending,
// [rows.Count, kept[l]] flattened, each ascending in its row; 0 < kept[l] <=
// rows.Length. Of a row with positions to keep always the policy chooses as many
// of the others as are left to keep, and those are all it sees: they are numbered
// anew from 0 on. If more are to be kept always than a layer keeps, it chooses
// among these alone. A layer that keeps all does not ask it.
//
// The cost of RandomLTD grows with layers * rows * min(kept, dropped).
func Draws(p Policy, seed uint64, step int64, layers, kept []int, rows Rows) [][]int32 {
	out := make([][]int32, len(layers))
	shares := Shares(p)
	first := 0 // of the span, in layers
	for l, layer := range layers {
		if l > 0 && (layer != layers[l-1]+1 || kept[l] != kept[l-1]) {
			first = l
		}
		if shares && first < l {
			out[l] = slices.Clone(out[first])
			continue
		}
		out[l] = make([]int32, rows.Count*kept[l])
		d := Draw{Seed: seed, Step: step, Layer: layer, Span: layers[first]}
		rows.draw(p, out[l], kept[l], d)
	}
	return out
}

// Positions draws as many positions in each layer, of rows without tokens to read
// or to keep always: Draws of rows of the global batch from firstRow on.
func Positions(p Policy, seed uint64, step int64, layers []int, firstRow, rows, length, keep int) [][]int32 {
	kept := slices.Repeat([]int{keep}, len(layers))
	return Draws(p, seed, step, layers, kept, Rows{First: firstRow, Count: rows, Length: length})
}

// draw draws the kept positions of one layer.
func (r *Rows) draw(p Policy, out []int32, keep int, d Draw) {
	var c choice
	for i := range r.Count {
		kept := out[i*keep : (i+1)*keep]
		d.Row = r.First + i
		if keep == r.Length {
			for at := range kept {
				kept[at] = int32(at)
			}
			continue
		}
		from, to := i*r.Length, (i+1)*r.Length
		if r.Tokens != nil {
			d.Tokens = r.Tokens[from:to]
		}
		if r.Always == nil {
			p.Keep(kept, r.Length, d)
			continue
		}
		c.keep(p, kept, r.Always[from:to], d)
	}
}

// A choice is the memory for a choice among some of a row's positions.
type choice struct {
	always, others []int32
	tokens         []int32 // at the positions to choose from
}

// keep fills kept with the positions of a row, of which some are always kept.
func (c *choice) keep(p Policy, kept []int32, always []bool, d Draw) {
	c.always, c.others = c.always[:0], c.others[:0]
	for at, yes := range always {
		if yes {
			c.always = append(c.always, int32(at))
		} else {
			c.others = append(c.others, int32(at))
		}
	}
	certain, from := c.always, c.others
	if len(certain) > len(kept) {
		certain, from = nil, c.always
	}
	if d.Tokens != nil {
		c.tokens = c.tokens[:0]
		for _, at := range from {
			c.tokens = append(c.tokens, d.Tokens[at])
		}
		d.Tokens = c.tokens
	}
	chosen := kept[len(certain):]
	if len(chosen) > 0 {
		p.Keep(chosen, len(from), d)
	}
	for i, number := range chosen {
		chosen[i] = from[number]
	}
	// The two ascending lists become one, from the front: never beyond what is left
	// of the chosen, and what is left in the end stands where it belongs.
	n := 0
	for _, at := range certain {
		for len(chosen) > 0 && chosen[0] < at {
			kept[n] = chosen[0]
			chosen, n = chosen[1:], n+1
		}
		kept[n] = at
		n++
	}
}
