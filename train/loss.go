package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/model"
)

// vocabularyPadding is the multiple to which trainers round a vocabulary up,
// so that the last matrix product has even tiles.
const vocabularyPadding = 128

var lossInfo = metric.Info{
	Name:    "model-loss",
	Version: 1,
	Unit:    "nats a token",
	Kind:    metric.Real,
	Summary: "mean loss under a Gradus checkpoint (the difficulty by a proxy model of arXiv 1904.03626 and 2405.20541)",
}

// LossMetric returns the metric "model-loss" of a checkpoint: how hard a sample is
// for a model that was trained before, often a small one (a proxy). The value is
// the model's mean cross-entropy in nats over the tokens of the sample that have
// one before them,
//
//	-1/(n-1) Σ ln p(w_i | w_k..w_i-1), i = 2..n,
//
// and 0 for a sample of no or one token. Every layer sees every token, and there
// is no dropout, as in a run's evaluation. A window of N+1 tokens predicts N. A
// sample with more tokens than the model's context holds is cut into stretches of
// the context; each begins with the last token of the one before, so that every
// token but the first is predicted once, from at most the stretch before it.
//
// Curricula by the loss of a trained model: Hacohen and Weinshall, arXiv
// 1904.03626, section 2.1 (transfer scoring); pruning by a small model's
// perplexity, exp of this value: Ankner et al., arXiv 2405.20541.
//
// The directory is a checkpoint, or a run, of which the newest checkpoint is
// taken. It is read and verified here, and the metric keeps the weights, once for
// all its scorers. A damaged checkpoint is an error of kind fault.Corrupt; a
// directory without one is fault.Invalid. A scorer refuses, with
// fault.Mismatch, a corpus with another vocabulary than the model's (which may
// be the corpus's rounded up to a multiple of 128) and a token beyond it.
//
// A value does not depend on what a sample is scored with, bit for bit. It is
// computed in float32, so its last digits depend on the processor's vector
// instructions and on whether the program was built with GOEXPERIMENT=simd.
func LossMetric(dir string) (metric.Metric, error) {
	m, err := openLoss(dir)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// LossDefinition lets a metric.Registry make LossMetric:
// "model-loss:checkpoint=DIR".
func LossDefinition() metric.Definition {
	return metric.Definition{
		Name:    lossInfo.Name,
		Summary: lossInfo.Summary,
		Keys:    []metric.Key{{Name: "checkpoint", Help: "directory of a run (its newest checkpoint is taken) or of a checkpoint"}},
		Make: func(args *metric.Args) (metric.Metric, error) {
			dir := args.String("checkpoint", "")
			if dir == "" {
				return nil, fault.Invalidf("a checkpoint is needed; write model-loss:checkpoint=DIR with the directory of a run or of a checkpoint")
			}
			m, err := openLoss(dir)
			if err != nil {
				return nil, err
			}
			m.info.Name = args.Info(m.info).Name
			return m, nil
		},
	}
}

// A lossMetric is a checkpoint's model, ready to run. Its weights are Go memory
// on the backend, and go when it does.
type lossMetric struct {
	info    metric.Info
	path    string // of the checkpoint
	config  model.Config
	weights []any // tensors, in the order of Params
	losses  *Exec // weights, inputs, labels -> loss of each token
}

func openLoss(dir string) (*lossMetric, error) {
	path, err := findCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	st, weights, err := readWeights(path)
	if err != nil {
		return nil, err
	}
	if !st.Model.Is(model.GPT) {
		return nil, fault.Invalidf("checkpoint %s is of a model that does not predict the next token (%s), so it has no loss of a sample; "+
			"name a checkpoint of a GPT", path, st.Model)
	}
	m := &lossMetric{info: lossInfo, path: path, config: st.Model}
	m.info.Content = "sha256:" + st.Files[st.Weights()]
	if path == strings.TrimSpace(path) && !strings.Contains(path, ",") { // else no registry can read it
		m.info.Spec = lossInfo.Name + ":checkpoint=" + path
	}
	backend, err := compute.NewWithConfig(GoBackend)
	if err != nil {
		return nil, fmt.Errorf("train: backend %s: %w", GoBackend, err)
	}
	for i, p := range st.Model.Params() { // on the backend before any graph runs, as in engine.load
		t := tensors.FromFlatDataAndDimensions(weights[i], p.Shape...)
		if err := t.ToDevice(backend, 0); err != nil {
			return nil, fmt.Errorf("train: loading %s: %w", p.Name, err)
		}
		m.weights = append(m.weights, t)
	}
	n := len(m.weights)
	m.losses, err = NewExec(backend, func(in []*Node) []*Node {
		return []*Node{m.config.Losses(in[:n], model.Batch{Inputs: in[n], Labels: in[n+1]})}
	})
	if err != nil {
		return nil, fmt.Errorf("train: graph losses: %w", err)
	}
	m.losses.SetMaxCache(graphCache)
	return m, nil
}

// findCheckpoint returns the newest checkpoint of a run, or dir if it is a
// checkpoint itself, or the one that it marks as the best.
func findCheckpoint(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("train: no checkpoint: %w", err)
	}
	if !info.IsDir() && filepath.Base(dir) == bestFile {
		return readBest(dir)
	}
	if !info.IsDir() {
		return "", fault.Invalidf("%s is no directory; a checkpoint is named by its directory, or by that of its run", dir)
	}
	if newest, err := LatestCheckpoint(dir); err != nil || newest != "" {
		return newest, err
	}
	for _, name := range []string{stateFile, modelFile} { // whole or not, it is one
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return "", fault.Invalidf("%s holds no checkpoint; name the directory of a run that has saved one, or of a checkpoint", dir)
}

// readWeights reads and verifies a checkpoint, without the optimizer's state. The
// weights are those to use, the average if there is one, in the order of Params.
func readWeights(path string) (CheckpointState, [][]float32, error) {
	st, err := ReadCheckpointState(path)
	if err != nil {
		return st, nil, err
	}
	if err := st.Model.Validate(); err != nil {
		return st, nil, fault.Corruptf("%s: %w", filepath.Join(path, stateFile), err)
	}
	weights, err := readWeightsOf(path, st.Weights(), st.Model)
	if errors.Is(err, fault.Mismatch) { // with its own state
		err = fault.Corruptf("%v", err)
	}
	return st, weights, err
}

func (m *lossMetric) Info() metric.Info { return m.info }

func (m *lossMetric) Statistics() []metric.Statistic { return nil }

func (m *lossMetric) Scorer(source metric.Source) (metric.Scorer, error) {
	have, want := source.Meta.Vocabulary, m.config.Vocabulary
	padded := (have + vocabularyPadding - 1) / vocabularyPadding * vocabularyPadding
	if have > 0 && (want < have || want > padded) {
		return nil, fault.Mismatchf("the model of checkpoint %s has a vocabulary of %d and the corpus one of %d; "+
			"name a checkpoint of a model that was trained on tokens of the same tokenizer", m.path, want, have)
	}
	return &lossScorer{lossMetric: m}, nil
}
