package cmd

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/recipe"
)

// A routedView is what the routed layers of a step see.
type routedView struct {
	Policy string `json:"policy"`
	// DependsOnRun: the policy learns from the losses, so that only a run can tell.
	DependsOnRun bool        `json:"depends_on_run,omitempty"`
	First        int         `json:"first_row"` // of the global batch
	Layers       []layerView `json:"layers"`    // none: all see all tokens
}

// A layerView is what a routed layer sees of each row of a step, or of a rank's
// share.
type layerView struct {
	Layer int       `json:"layer"`
	Rows  [][]int32 `json:"rows"` // positions, ascending
}

// viewRouted asks for the positions that are kept; nil: the recipe routes nothing.
func viewRouted(b *recipe.Bound, step int64, rank, world int) (*routedView, error) {
	r := b.Recipe
	if len(b.Model.Routed) == 0 {
		return nil, nil
	}
	v := &routedView{Policy: r.Routing.Policy, DependsOnRun: r.Learns(), Layers: []layerView{}}
	if v.DependsOnRun {
		return v, nil
	}
	maker, err := b.Batches()
	if err != nil {
		return nil, err
	}
	made, err := maker.Make(step, rank, world)
	if err != nil {
		return nil, err
	}
	v.First = made.First
	for i, kept := range made.Kept {
		l := layerView{Layer: b.Model.Routed[i], Rows: [][]int32{}}
		if made.Rows > 0 {
			l.Rows = slices.Collect(slices.Chunk(kept, len(kept)/made.Rows))
		}
		v.Layers = append(v.Layers, l)
	}
	return v, nil
}

func (v *routedView) print(w io.Writer) {
	switch {
	case v.DependsOnRun:
		fmt.Fprintf(w, "%s: which positions a routed layer sees depends on the losses of the run so far\n", v.Policy)
	case len(v.Layers) == 0:
		fmt.Fprintf(w, "%s: at this step every layer sees all positions\n", v.Policy)
	}
	for _, l := range v.Layers {
		for i, kept := range l.Rows {
			fmt.Fprintf(w, "row %d, layer %d sees %d positions: %s\n", v.First+i, l.Layer, len(kept), ranges(kept))
		}
	}
}

// ranges lists ascending numbers, those without a gap as one range: 0-3, 7.
func ranges[T int | int32](numbers []T) string {
	var words []string
	for i := 0; i < len(numbers); {
		end := i + 1
		for end < len(numbers) && numbers[end] == numbers[end-1]+1 {
			end++
		}
		word := fmt.Sprint(numbers[i])
		if end > i+1 {
			word = fmt.Sprintf("%d-%d", numbers[i], numbers[end-1])
		}
		words = append(words, word)
		i = end
	}
	return strings.Join(words, ", ")
}
