package train

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
)

// A layout says which of the inputs that a batch may have are there. It is what a
// graph function must know besides the shapes of its inputs.
type layout struct {
	pixels, predicted, segments, documents, noise bool // documents: and positions
	kept                                          int  // lists of kept positions
}

// batch names the inputs of a graph, in the order of engine.inputs.
func (l layout) batch(in []*Node) model.Batch {
	next := func(there bool) *Node {
		if !there {
			return nil
		}
		node := in[0]
		in = in[1:]
		return node
	}
	b := model.Batch{
		Inputs:    next(!l.pixels),
		Pixels:    next(l.pixels),
		Labels:    next(true),
		Predicted: next(l.predicted),
		Segments:  next(l.segments),
		Documents: next(l.documents),
		Positions: next(l.documents),
		Noise:     next(l.noise),
	}
	for range l.kept {
		b.Kept = append(b.Kept, next(true))
	}
	return b
}

// inputs are the tensors of a batch, row by row.
type inputs struct {
	layout
	rows    int
	columns []column
}

// A column is one of the tensors. Its first axis are the rows of the batch.
type column interface {
	tensor(from, to int) *tensors.Tensor // rows [from, to)
	shape(rows int) shapes.Shape
}

// rowsOf is a column of rows of width values; width 0 is one value, and no axis.
type rowsOf[T int32 | uint32 | uint8] struct {
	values []T
	width  int
}

func (r rowsOf[T]) dimensions(rows int) []int {
	if r.width == 0 {
		return []int{rows}
	}
	return []int{rows, r.width}
}

func (r rowsOf[T]) tensor(from, to int) *tensors.Tensor {
	w := max(r.width, 1)
	return tensors.FromFlatDataAndDimensions(r.values[from*w:to*w], r.dimensions(to-from)...)
}

func (r rowsOf[T]) shape(rows int) shapes.Shape {
	return shapes.Make(dtypes.FromGenericsType[T](), r.dimensions(rows)...)
}

// inputs returns what the graphs read of a batch that is readable: an evaluation
// sees every token and drops nothing out.
func (e *engine) inputs(b *batch.Batch) inputs {
	in := inputs{rows: b.Rows}
	in.pixels, in.predicted, in.segments, in.documents = b.Pixels != nil, b.Predicted != nil, b.Segments != nil, b.Documents != nil
	if in.pixels {
		in.columns = []column{rowsOf[uint8]{b.Pixels, len(b.Pixels) / b.Rows}, rowsOf[int32]{b.Labels, 0}}
	} else {
		in.add(b.Inputs)
		in.add(b.Labels)
	}
	in.add(b.Predicted)
	in.add(b.Segments)
	in.add(b.Documents)
	in.add(b.Positions)
	return in
}

// add appends a column of numbers, if it is there.
func (in *inputs) add(values []int32) {
	if values != nil {
		in.columns = append(in.columns, rowsOf[int32]{values, len(values) / in.rows})
	}
}

// trainingInputs are the inputs of a step, with the kept positions and the noise of
// dropout.
func (e *engine) trainingInputs(b *batch.Batch, step int64) inputs {
	in := e.inputs(b)
	if e.model.Dropout > 0 {
		in.noise = true
		in.columns = append(in.columns, rowsOf[uint32]{noise(e.seed, step, b.First, b.Rows, b.Length), b.Length})
	}
	in.kept = len(b.Kept)
	for _, kept := range b.Kept {
		in.add(kept)
	}
	return in
}

// tensors returns rows [from, to).
func (in *inputs) tensors(from, to int) []*tensors.Tensor {
	out := make([]*tensors.Tensor, len(in.columns))
	for i, c := range in.columns {
		out[i] = c.tensor(from, to)
	}
	return out
}

// call runs a graph on a device, with rows [from, to) as its last arguments.
func (in *inputs) call(exec *Exec, device int, args []any, from, to int) ([]*tensors.Tensor, error) {
	rows := in.tensors(from, to)
	out, _, err := exec.CallWithGraphOnDevice(compute.DeviceNum(device), append(args, anys(rows)...)...)
	return out, errors.Join(err, free(rows))
}

// shapes returns the shapes of so many rows.
func (in *inputs) shapes(rows int) []shapes.Shape {
	out := make([]shapes.Shape, len(in.columns))
	for i, c := range in.columns {
		out[i] = c.shape(rows)
	}
	return out
}

// key names the graph of so many rows.
func (in *inputs) key(rows int) string { return fmt.Sprint(in.layout, in.shapes(rows)) }

// noise draws the words that dropout comes from, [rows, length]: a pure function of
// the seed, the step and the row of the global batch, so that a part of a batch
// drops what the whole one does.
func noise(seed uint64, step int64, first, rows, length int) []uint32 {
	words := make([]uint32, 0, rows*length)
	for r := range rows {
		stream := keyed.NewKey(seed, "dropout", uint64(step), uint64(first+r)).Stream()
		for range length {
			words = append(words, stream.Uint32())
		}
	}
	return words
}

// graphs are the executors of one graph function, one for each layout: GoMLX's
// Exec tells graphs apart by the shapes of their inputs alone.
type graphs struct {
	build func(layout) (*Exec, error)
	mu    sync.Mutex
	built map[layout]*Exec
}

// of returns the executor of a layout.
func (g *graphs) of(l layout) (*Exec, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x, ok := g.built[l]; ok {
		return x, nil
	}
	x, err := g.build(l)
	if err != nil {
		return nil, err
	}
	if g.built == nil {
		g.built = map[layout]*Exec{}
	}
	g.built[l] = x
	return x, nil
}
