package train

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// shards is how many parts of a batch run at once. The Go backend runs the
// element-wise operations of a graph on one core, so two parts take 0.6 of the
// time of one on two cores. It is fixed, and not the number of cores, so that a
// run gives the same bits on any of them.
const shards = 2

// graphCache bounds the compiled graphs of an executor: two shards of different
// size for each shape of a plan, and then some. GoMLX's default of 32 fails when full.
const graphCache = 256

// An engine holds the weights and the optimizer's state on a backend, and runs
// steps on them.
type engine struct {
	backend   compute.Backend
	config    model.Config
	params    []model.Param
	optimizer Optimizer

	gradients *Exec // weights, scale, batch -> loss sum, gradients
	update    *Exec // weights, moments, gradients of each shard, rates -> weights, moments, norm
	losses    *Exec // weights, batch -> loss sum

	weights []*tensors.Tensor
	moment1 []*tensors.Tensor // running mean of the gradient
	moment2 []*tensors.Tensor // running mean of its square
}

// newEngine returns an engine with the seed's initial weights.
func newEngine(backend compute.Backend, c model.Config, o Optimizer, seed uint64) (*engine, error) {
	e := &engine{backend: backend, config: c, params: c.Params(), optimizer: o}
	var s state
	for _, p := range e.params {
		s.weights = append(s.weights, c.Init(seed, p))
		s.moment1 = append(s.moment1, make([]float32, p.Size()))
		s.moment2 = append(s.moment2, make([]float32, p.Size()))
	}
	if err := e.load(s); err != nil {
		return nil, err
	}
	n := len(e.params)
	for _, x := range []struct {
		exec **Exec
		name string
		fn   func(in []*Node) []*Node
	}{
		{&e.gradients, "gradients", func(in []*Node) []*Node {
			losses, gradients := c.Gradients(in[:n], batchNodes(in[n+1:]), in[n])
			return append([]*Node{ReduceAllSum(losses)}, gradients...)
		}},
		{&e.losses, "losses", func(in []*Node) []*Node {
			return []*Node{c.Loss(in[:n], batchNodes(in[n:]))}
		}},
		{&e.update, "update", e.updateGraph},
	} {
		exec, err := NewExec(backend, x.fn)
		if err != nil {
			return nil, fmt.Errorf("train: graph %s: %w", x.name, err)
		}
		exec.SetMaxCache(graphCache)
		*x.exec = exec.WithName(x.name)
	}
	return e, nil
}

// A state is the engine's numbers off the backend, each in the order of Params.
type state struct{ weights, moment1, moment2 [][]float32 }

// load puts a state on the backend. It does so here, before any graph runs: two
// shards that moved the same tensor at once would race in GoMLX.
func (e *engine) load(s state) error {
	for _, group := range []struct {
		to   *[]*tensors.Tensor
		from [][]float32
	}{{&e.weights, s.weights}, {&e.moment1, s.moment1}, {&e.moment2, s.moment2}} {
		*group.to = make([]*tensors.Tensor, len(e.params))
		for i, p := range e.params {
			t := tensors.FromFlatDataAndDimensions(group.from[i], p.Shape...)
			if err := t.ToDevice(e.backend, 0); err != nil {
				return fmt.Errorf("train: loading %s: %w", p.Name, err)
			}
			(*group.to)[i] = t
		}
	}
	return nil
}

// save copies the state off the backend.
func (e *engine) save() (state, error) {
	var s state
	for _, group := range []struct {
		from []*tensors.Tensor
		to   *[][]float32
	}{{e.weights, &s.weights}, {e.moment1, &s.moment1}, {e.moment2, &s.moment2}} {
		for i, t := range group.from {
			values, err := tensors.CopyFlatData[float32](t)
			if err != nil {
				return s, fmt.Errorf("train: reading %s: %w", e.params[i].Name, err)
			}
			*group.to = append(*group.to, values)
		}
	}
	return s, nil
}

// batchNodes reads the inputs of a graph that are a batch: inputs, labels, documents
// and positions if rows hold several documents, kept positions if tokens are dropped.
func batchNodes(in []*Node) model.Batch {
	b := model.Batch{Inputs: in[0], Labels: in[1]}
	rest := in[2:]
	if len(rest) >= 2 && rest[0].Shape().Equal(b.Inputs.Shape()) { // kept positions are fewer than a row has
		b.Documents, b.Positions, rest = rest[0], rest[1], rest[2:]
	}
	b.Kept = rest
	return b
}

// compile builds the graphs for batches like b, if they are not there yet, so that
// no step pays for it.
func (e *engine) compile(b *batch.Batch) error {
	weights := make([]shapes.Shape, len(e.params))
	for i, p := range e.params {
		weights[i] = shapes.Make(dtypes.Float32, p.Shape...)
	}
	for i := range shards {
		rows := shardEnd(b.Rows, i+1) - shardEnd(b.Rows, i)
		if rows == 0 {
			continue
		}
		tokens := shapes.Make(dtypes.Int32, rows, b.Length)
		in := append(slices.Clone(weights), shapes.Make(dtypes.Float32), tokens, tokens)
		if b.Documents != nil {
			in = append(in, tokens, tokens)
		}
		for _, kept := range b.Kept {
			in = append(in, shapes.Make(dtypes.Int32, rows, len(kept)/b.Rows))
		}
		if _, err := e.gradients.Compile(in...); err != nil {
			return fmt.Errorf("train: compiling for a batch of %d x %d, %d kept: %w", b.Rows, b.Length, b.Shape.Kept, err)
		}
	}
	return nil
}

// shardEnd returns the first row after shard i-1 of a batch.
func shardEnd(rows, i int) int { return rows * i / shards }

// step makes one optimizer update and returns the batch's mean loss in nats a
// label and the norm of its gradient before clipping. On a loss or a norm that
// is not finite it changes nothing and returns them.
func (e *engine) step(b *batch.Batch, rate float64, step int64) (loss, norm float64, err error) {
	labels := b.Targets()
	if labels == 0 {
		return 0, 0, fault.Invalidf("train: the batch of step %d has nothing to predict: its documents have fewer than two tokens", step)
	}
	if err := readable(b, e.config); err != nil {
		return 0, 0, fmt.Errorf("train: step %d: %w", step, err)
	}
	type result struct {
		out []*tensors.Tensor
		err error
	}
	results := make([]result, shards)
	var group sync.WaitGroup
	for i := range shards {
		from, to := shardEnd(b.Rows, i), shardEnd(b.Rows, i+1)
		if from == to {
			continue
		}
		group.Go(func() {
			args := append(e.arguments(float32(1/float64(labels))), rowTensors(b, from, to)...)
			if b.Kept != nil {
				args = append(args, keptTensors(b, from, to)...)
			}
			results[i].out, results[i].err = e.gradients.Call(args...)
		})
	}
	group.Wait()
	var gradients []any
	for _, r := range results {
		if r.err != nil {
			return 0, 0, fmt.Errorf("train: step %d: %w", step, r.err)
		}
		if r.out == nil {
			continue
		}
		loss += float64(tensors.ToScalar[float32](r.out[0]))
		for _, g := range r.out[1:] {
			gradients = append(gradients, g)
		}
	}
	loss /= float64(labels)

	args := make([]any, 0, 3*len(e.params)+len(gradients)+1)
	for _, group := range [][]*tensors.Tensor{e.weights, e.moment1, e.moment2} {
		for _, t := range group {
			args = append(args, t)
		}
	}
	args = append(args, gradients...)
	args = append(args, e.optimizer.rates(rate, step+1))
	out, err := e.update.Call(args...)
	if err != nil {
		return 0, 0, fmt.Errorf("train: step %d: update: %w", step, err)
	}
	norm = float64(tensors.ToScalar[float32](out[len(out)-1]))
	fresh := out[:len(out)-1]
	stale := fresh
	if !diverged(loss) && !diverged(norm) {
		n := len(e.params)
		stale = append(append(append([]*tensors.Tensor{}, e.weights...), e.moment1...), e.moment2...)
		e.weights, e.moment1, e.moment2 = fresh[:n], fresh[n:2*n], fresh[2*n:]
	}
	for _, g := range gradients {
		stale = append(stale, g.(*tensors.Tensor))
	}
	for _, t := range stale { // back to the backend's pool now, not at the next collection
		if err := t.FinalizeAll(); err != nil {
			return 0, 0, fmt.Errorf("train: step %d: %w", step, err)
		}
	}
	return loss, norm, nil
}

// readable reports a batch that the model cannot read. The backend would read past
// the table of a token or a position that it has no embedding of.
func readable(b *batch.Batch, c model.Config) error {
	for i, id := range b.Inputs {
		if label := b.Labels[i]; id < 0 || int(id) >= c.Vocabulary || int(label) >= c.Vocabulary {
			return fault.Mismatchf("token %d is predicted from token %d, and the model has a vocabulary of %d (tokens 0 to %d); "+
				"name a larger one in 'model: vocabulary', or the right corpus", label, id, c.Vocabulary, c.Vocabulary-1)
		}
	}
	if b.Documents == nil && b.Positions == nil {
		return nil
	}
	if len(b.Documents) != len(b.Inputs) || len(b.Positions) != len(b.Inputs) {
		return fault.Invalidf("a batch of %d tokens has %d numbers of documents and %d positions; it must have one for each token, or neither",
			len(b.Inputs), len(b.Documents), len(b.Positions))
	}
	for i, p := range b.Positions {
		if p < 0 || int(p) >= c.Context {
			return fault.Mismatchf("token %d of row %d stands at position %d of its document, and the model has a context of %d; "+
				"cut documents to at most that", i%b.Length, i/b.Length, p, c.Context)
		}
	}
	return nil
}

func diverged(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// arguments returns the weights followed by more.
func (e *engine) arguments(more ...any) []any {
	args := make([]any, 0, len(e.weights)+len(more)+5)
	for _, w := range e.weights {
		args = append(args, w)
	}
	return append(args, more...)
}

// rowTensors returns rows [from, to) of a batch as batchNodes reads them, each
// [to-from, length], without the kept positions.
func rowTensors(b *batch.Batch, from, to int) []any {
	values := [][]int32{b.Inputs, b.Labels}
	if b.Documents != nil {
		values = append(values, b.Documents, b.Positions)
	}
	var args []any
	for _, v := range values {
		args = append(args, tensors.FromFlatDataAndDimensions(v[from*b.Length:to*b.Length], to-from, b.Length))
	}
	return args
}

// keptTensors returns the kept positions of rows [from, to) of a batch, for each
// routed layer [to-from, kept].
func keptTensors(b *batch.Batch, from, to int) []any {
	var args []any
	for _, kept := range b.Kept {
		width := len(kept) / b.Rows
		args = append(args, tensors.FromFlatDataAndDimensions(kept[from*width:to*width], to-from, width))
	}
	return args
}

// loss returns the mean loss over batches, every token seen by every layer.
func (e *engine) loss(batches []*batch.Batch) (float64, error) {
	sums, errs := make([]float64, len(batches)), make([]error, len(batches))
	var group sync.WaitGroup
	for worker := range shards {
		group.Go(func() {
			for i := worker; i < len(batches); i += shards {
				b := batches[i]
				out, err := e.losses.Call(e.arguments(rowTensors(b, 0, b.Rows)...)...)
				if err != nil {
					errs[i] = err
					return
				}
				sums[i] = float64(tensors.ToScalar[float32](out[0]))
			}
		})
	}
	group.Wait()
	total, labels := 0.0, int64(0)
	for i, b := range batches { // in order, so that the sum rounds alike every time
		if errs[i] != nil {
			return 0, fmt.Errorf("train: evaluation: %w", errs[i])
		}
		total += sums[i]
		labels += b.Targets()
	}
	return total / float64(labels), nil
}
