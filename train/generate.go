package train

import (
	"context"
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
)

// A Generator continues texts with the GPT of a checkpoint.
type Generator struct {
	State   CheckpointState // of the checkpoint
	Path    string          // of the checkpoint
	Drawn   int             // only tokens below it are drawn, for a tokenizer that has fewer than the model; 0: all
	backend *Backend
	weights []*tensors.Tensor
	logits  *Exec // weights, tokens [1, n], place [1] -> scores [1, vocabulary]
}

// OpenGenerator reads a checkpoint, or the newest one of a run, onto a backend
// (see OpenBackend). If the run kept an average of its weights, that is what
// generates. A model that is no GPT is an error of kind fault.Mismatch; other
// errors are those of LossMetric. Close gives back the backend.
func OpenGenerator(backend, dir string) (_ *Generator, err error) {
	path, err := findCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	st, weights, err := readWeights(path)
	if err != nil {
		return nil, err
	}
	if !st.Model.Is(model.GPT) {
		return nil, fault.Mismatchf("%s is of %s; only a GPT predicts the next token, and can generate text", path, st.Model)
	}
	g := &Generator{State: st, Path: path}
	if g.backend, err = OpenBackend(backend); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.Close()
		}
	}()
	for i, p := range st.Model.Params() {
		t := tensors.FromFlatDataAndDimensions(weights[i], p.Shape...)
		if err := t.ToDevice(g.backend.Compute, 0); err != nil {
			return nil, fmt.Errorf("train: loading %s: %w", p.Name, err)
		}
		g.weights = append(g.weights, t)
	}
	n := len(g.weights)
	g.logits, err = NewExec(g.backend.Compute, func(in []*Node) []*Node {
		return []*Node{st.Model.Logits(in[:n], model.Batch{Inputs: in[n]}, in[n+1])}
	})
	if err != nil {
		return nil, fmt.Errorf("train: graph logits: %w", err)
	}
	return g, nil
}

// Close gives back the backend.
func (g *Generator) Close() { g.backend.Close() }

// Generate continues a text by up to n tokens, and gives each to emit until that
// says that it is enough. Where the text is longer than the model's context, the
// model sees its end. number tells apart texts of the same seed: they are drawn
// independently. The prompt must have a token, and only those of the vocabulary.
//
// Every token is computed from the whole context, whose length is rounded up to a
// power of two: there are few graphs, and no cache of keys and values.
func (g *Generator) Generate(ctx context.Context, prompt []int32, s Sampling, number, n int, emit func(token int32) (more bool, err error)) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if len(prompt) == 0 {
		return fault.Invalidf("there is nothing to go on from: the prompt has no token")
	}
	for _, id := range prompt {
		if id < 0 || int(id) >= g.State.Model.Vocabulary {
			return fault.Mismatchf("the prompt has token %d, and the model of %s a vocabulary of %d; use the tokenizer that it was trained with",
				id, g.Path, g.State.Model.Vocabulary)
		}
	}
	tokens := append([]int32{}, prompt...)
	for place := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		scores, err := g.scores(tokens[max(len(tokens)-g.State.Model.Context, 0):])
		if err != nil {
			return err
		}
		if g.Drawn > 0 {
			scores = scores[:min(g.Drawn, len(scores))]
		}
		next := s.pick(scores, number, place)
		if more, err := emit(next); err != nil || !more {
			return err
		}
		tokens = append(tokens, next)
	}
	return nil
}

// shortestContext bounds the number of graphs from below.
const shortestContext = 16

// scores returns the model's scores of the token after some, at most the context.
func (g *Generator) scores(tokens []int32) ([]float32, error) {
	length := shortestContext
	for length < len(tokens) {
		length *= 2
	}
	row := make([]int32, min(length, g.State.Model.Context)) // what stands behind the last token, it does not see
	copy(row, tokens)
	args := append(anys(g.weights), [][]int32{row}, []int32{int32(len(tokens) - 1)})
	out, err := g.logits.Call(args...)
	if err != nil {
		return nil, fmt.Errorf("train: generating: %w", err)
	}
	return appendValues(nil, out[0])
}
