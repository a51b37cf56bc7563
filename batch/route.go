package batch

import (
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/route"
)

// Routing says which tokens the middle layers see.
type Routing struct {
	Policy route.Policy // nil: no layer is routed
	Layers []int        // that Policy draws positions for, ascending
	// Drop says for each of Layers how many times as many tokens it drops as the
	// plan's stage does, for route.Kept; nil: as many.
	Drop   []float64
	Always Always
	Seed   uint64 // of the recipe
}

// Always says which positions all layers see, whatever the policy.
type Always struct {
	First  bool    // of each document of a row; of an image, the class token
	Masked bool    // those in Predicted
	Tokens []int32 // those that hold one of these tokens; padding does not
}

// check reports a routing that cannot be.
func (r *Routing) check() error {
	switch {
	case len(r.Layers) > 0 && r.Policy == nil:
		return fault.Invalidf("%d layers are routed by no policy", len(r.Layers))
	case r.Drop != nil && len(r.Drop) != len(r.Layers):
		return fault.Invalidf("%d layers are routed, and there are %d shares of what they drop; give one for each", len(r.Layers), len(r.Drop))
	}
	return nil
}

// Kept returns how many tokens of a row each routed layer sees, at a stage that
// keeps so many.
func (r *Routing) Kept(length, kept int) []int {
	list := make([]int, len(r.Layers))
	for l := range list {
		list[l] = kept
		if r.Drop != nil {
			list[l] = route.Kept(length, kept, r.Drop[l])
		}
	}
	return list
}

// Route sets the positions that each routed layer keeps in a step, and Always. A
// layer that keeps all of a row has them all in Kept; if every layer does, Kept is
// nil. The Maker calls it, unless the policy is a route.Learner: then it is for
// the trainer to call with what the policy has learned in its place.
func (b *Batch) Route(r Routing, step int64) {
	b.Kept, b.Always = nil, nil
	kept := r.Kept(b.Length, b.Shape.Kept)
	if !slices.ContainsFunc(kept, func(n int) bool { return n < b.Length }) {
		return
	}
	b.Always = b.always(r.Always)
	b.Kept = route.Draws(r.Policy, r.Seed, step, r.Layers, kept, route.Rows{
		First: b.First, Count: b.Rows, Length: b.Length, Tokens: b.tokens(), Always: b.Always,
	})
}

// always marks the positions that are always kept; nil: there are none to mark.
func (b *Batch) always(a Always) []bool {
	if !a.First && (!a.Masked || b.Predicted == nil) && (len(a.Tokens) == 0 || b.Inputs == nil) {
		return nil
	}
	marks := make([]bool, b.Tokens())
	for row := range b.Rows {
		from := row * b.Length
		inputs := b.inputs(row)
		for i := range inputs {
			at := from + i
			first := i == 0 || b.Documents != nil && b.Documents[at] != b.Documents[at-1]
			marks[at] = a.First && first || b.Inputs != nil && slices.Contains(a.Tokens, b.Inputs[at])
		}
		if !a.Masked || b.Predicted == nil {
			continue
		}
		m := len(b.Predicted) / b.Rows
		for _, i := range b.Predicted[row*m : (row+1)*m] {
			if at := from + int(i); b.Labels[at] != Ignore {
				marks[at] = true
			}
		}
	}
	return marks
}

// tokens returns the inputs for a policy to read, with padding as -1.
func (b *Batch) tokens() []int32 {
	if b.Inputs == nil || b.Padding == 0 {
		return b.Inputs
	}
	tokens := slices.Clone(b.Inputs)
	for row := range b.Rows {
		fill(tokens[row*b.Length+b.inputs(row):(row+1)*b.Length], -1)
	}
	return tokens
}

// inputs returns how many positions of a row come before its padding. In rows that
// predict everywhere, padding is what no label stands at, up to the end. In those
// that predict at few places it is the last document if that has 0 as each
// position: a real one of a single token at the end may be taken for it.
func (b *Batch) inputs(row int) int {
	from, n := row*b.Length, b.Length
	switch {
	case b.Inputs == nil || b.Padding == 0:
	case b.Predicted == nil:
		for n > 0 && b.Labels[from+n-1] == Ignore {
			n--
		}
	case b.Documents != nil:
		last := b.Documents[from+n-1]
		for n > 1 && b.Positions[from+n-1] == 0 && b.Documents[from+n-1] == last {
			n--
		}
	}
	return n
}
