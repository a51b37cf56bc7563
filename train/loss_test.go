package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/internal/naivegpt"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/model"
	"pgregory.net/rapid"
)

// proxyWeights draws weights of a scale at which every part of the model matters.
func proxyWeights(c model.Config) [][]float32 {
	var weights [][]float32
	for _, p := range c.Params() {
		stream := keyed.NewKey(1, "proxy "+p.Name).Stream()
		values := make([]float32, p.Size())
		for i := range values {
			values[i] = float32(stream.Normal() / math.Sqrt(float64(c.Width)))
		}
		weights = append(weights, values)
	}
	return weights
}

// proxyOf writes a checkpoint of the weights into a run's directory and returns
// the checkpoint's.
func proxyOf(t testing.TB, run string, c model.Config, weights [][]float32) string {
	t.Helper()
	path, err := writeCheckpoint(run, CheckpointState{Step: 3, Recipe: "r", Corpus: "c", Model: c}, c, state{weights: weights, moment1: weights, moment2: weights}, 2)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// lossOf returns the metric of a checkpoint and a scorer of its own.
func lossOf(t testing.TB, dir string) (metric.Metric, metric.Scorer) {
	t.Helper()
	m, err := LossMetric(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Scorer(metric.Source{})
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

// sampleOf draws a sample of n tokens.
func sampleOf(c model.Config, n int) metric.Sample {
	stream := keyed.NewKey(uint64(n), "sample").Stream()
	s := metric.Sample{ID: int64(n), Len: n, Tokens: make([]int32, n)}
	for i := range s.Tokens {
		s.Tokens[i] = int32(stream.Uint64N(uint64(c.Vocabulary)))
	}
	return s
}

// naiveLoss follows the metric's definition: stretches of the context that share
// a token with the one before.
func naiveLoss(n naivegpt.Model, tokens []int32) float64 {
	sum, predicted := 0.0, 0
	for at := 0; at+1 < len(tokens); at += n.Context {
		end := min(at+n.Context, len(tokens)-1)
		sum += n.Loss(naivegpt.Row{Inputs: tokens[at:end], Labels: tokens[at+1 : end+1]})
		predicted += end - at
	}
	if predicted == 0 {
		return 0
	}
	return sum / float64(predicted)
}

func TestLossAgainstNaive(t *testing.T) {
	for name, c := range map[string]model.Config{
		// Rows of 16, 32 and 40 tokens, the last of them alone.
		"odd context":  {Vocabulary: 17, Context: 40, Layers: 3, Width: 8, Heads: 2, Untied: true, Routed: []int{1}},
		"even context": {Vocabulary: 130, Context: 32, Layers: 2, Width: 12, Heads: 3},
		"tiny context": {Vocabulary: 5, Context: 3, Layers: 1, Width: 4, Heads: 1},
		"bigrams":      {Vocabulary: 5, Context: 1, Layers: 1, Width: 4, Heads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			weights := proxyWeights(c)
			_, scorer := lossOf(t, proxyOf(t, t.TempDir(), c, weights))
			var samples []metric.Sample
			for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 18, 33, c.Context, c.Context + 1, c.Context + 2, 2*c.Context + 1, 3*c.Context + 5} {
				samples = append(samples, sampleOf(c, n))
			}
			values := slices.Repeat([]float64{math.NaN()}, len(samples)) // what was there does not matter
			if err := scorer.Score(values, samples); err != nil {
				t.Fatal(err)
			}
			naive := naivegpt.New(c, weights)
			for i, s := range samples {
				if want := naiveLoss(naive, s.Tokens); math.Abs(values[i]-want) > 2e-5*want {
					t.Errorf("%d tokens: loss %v, the definition gives %v", s.Len, values[i], want)
				}
			}
			if values[2] == values[3] || values[0] != 0 || values[1] != 0 {
				t.Errorf("losses %v", values[:4])
			}
		})
	}
}

// scored returns the values of samples.
func scored(t interface{ Fatal(...any) }, s metric.Scorer, samples ...metric.Sample) []float64 {
	values := make([]float64, len(samples))
	if err := s.Score(values, samples); err != nil {
		t.Fatal(err)
	}
	return values
}

// The value of a sample has the same bits in every row of a batch. Some products
// of the model are large enough for the backend's other kernel (2^22 multiplications).
func TestLossInEveryRow(t *testing.T) {
	for _, context := range []int{48, 50} { // rows of 48 tokens share a batch of 5, those of 50 do not
		c := model.Config{Vocabulary: 67, Context: context, Layers: 1, Width: 64, Heads: 2}
		_, scorer := lossOf(t, proxyOf(t, t.TempDir(), c, proxyWeights(c)))
		for _, n := range []int{2, 17, 18, 34, 51, 100} {
			sample := sampleOf(c, n)
			alone := scored(t, scorer, sample)[0]
			for place, got := range scored(t, scorer, slices.Repeat([]metric.Sample{sample}, 17)...) {
				if math.Float64bits(got) != math.Float64bits(alone) {
					t.Errorf("context %d, %d tokens: loss %v at place %d, alone %v", context, n, got, place, alone)
				}
			}
		}
	}
}

// The value of a sample has the same bits alone and among any others, in any
// order, also while another scorer is at work.
func TestLossDependsOnTheSampleAlone(t *testing.T) {
	c := model.Config{Vocabulary: 19, Context: 48, Layers: 1, Width: 8, Heads: 2}
	m, scorer := lossOf(t, proxyOf(t, t.TempDir(), c, proxyWeights(c)))
	other, err := m.Scorer(metric.Source{})
	if err != nil {
		t.Fatal(err)
	}
	var pool []metric.Sample
	var alone []float64
	for _, n := range []int{0, 1, 2, 5, 16, 17, 18, 30, 33, 34, 48, 49, 50, 65, 155} {
		pool = append(pool, sampleOf(c, n))
		alone = append(alone, scored(t, scorer, pool[len(pool)-1])...)
	}
	rapid.Check(t, func(t *rapid.T) {
		var group sync.WaitGroup
		for _, s := range []metric.Scorer{scorer, other} {
			picked := rapid.SliceOfN(rapid.IntRange(0, len(pool)-1), 0, 10).Draw(t, "samples")
			var samples []metric.Sample
			for _, i := range picked {
				samples = append(samples, pool[i])
			}
			group.Go(func() {
				values := make([]float64, len(samples))
				if err := s.Score(values, samples); err != nil {
					t.Error(err)
				}
				for k, i := range picked {
					if math.Float64bits(values[k]) != math.Float64bits(alone[i]) {
						t.Errorf("%d tokens: loss %v at place %d of %v, alone %v", pool[i].Len, values[k], k, picked, alone[i])
					}
				}
			})
		}
		group.Wait()
	})
}

// The mean over held-out windows is the run's own evaluation after its last step.
func TestLossIsTheEvaluation(t *testing.T) {
	dir := t.TempDir()
	config := small(t, dir)
	result, err := Train(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	m, scorer := lossOf(t, dir)
	var windows []metric.Sample
	for _, b := range config.Evaluation {
		for r := range b.Rows {
			at := r * b.Length
			tokens := append([]int32{b.Inputs[at]}, b.Labels[at:at+b.Length]...)
			windows = append(windows, metric.Sample{ID: int64(len(windows)), Len: len(tokens), Tokens: tokens})
		}
	}
	mean := 0.0
	for _, v := range scored(t, scorer, windows...) {
		mean += v / float64(len(windows))
	}
	if math.Abs(mean-result.HeldOut) > 1e-6*result.HeldOut {
		t.Errorf("mean loss of %d windows %v, the run's evaluation %v", len(windows), mean, result.HeldOut)
	}
	if spec := m.Info().Spec; spec != "model-loss:checkpoint="+result.Checkpoint {
		t.Errorf("spec %q of a run with the checkpoint %s", spec, result.Checkpoint)
	}
}

func TestLossFromText(t *testing.T) {
	run := t.TempDir()
	proxyOf(t, run, tiny, proxyWeights(tiny))
	newest := saved(t, run, 2, 8) // a later checkpoint of other weights
	known := append(metric.Builtin(), LossDefinition())
	made, err := known.Parse("proxy = model-loss:checkpoint="+run, "model-loss:checkpoint="+newest)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(newest, averageFile)) // which is used where there is one
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(weights)
	want := lossInfo
	want.Spec, want.Content = "model-loss:checkpoint="+newest, "sha256:"+hex.EncodeToString(sum[:])
	if got := made[1].Info(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	want.Name = "proxy"
	if got := made[0].Info(); got != want || got != made[0].Info() {
		t.Errorf("%+v, want %+v", got, want)
	}
	again, err := known.Parse("proxy=" + want.Spec)
	if err != nil || again[0].Info() != want {
		t.Errorf("made again from its spec: %+v, %v", again, err)
	}
	if len(made[0].Statistics()) != 0 {
		t.Error("it needs no statistics")
	}

	comma := filepath.Join(t.TempDir(), "a,b")
	if m, _ := lossOf(t, proxyOf(t, comma, tiny, proxyWeights(tiny))); m.Info().Spec != "" {
		t.Errorf("spec %q, which no registry can read", m.Info().Spec)
	}
}

func TestLossOpenRefuses(t *testing.T) {
	good := proxyOf(t, t.TempDir(), tiny, proxyWeights(tiny))
	text := func(path string) string {
		if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// spoilt returns a copy of the checkpoint with one file changed.
	spoilt := func(name string, change func([]byte) []byte) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), change(data), 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	flip := func(b []byte) []byte { b[len(b)-5] ^= 1; return b }
	// of writes a checkpoint that says it is of another model.
	of := func(c model.Config) string {
		st := CheckpointState{Step: 3, Recipe: "r", Corpus: "c", Model: c}
		weights := proxyWeights(tiny)
		path, err := writeCheckpoint(t.TempDir(), st, tiny, state{weights: weights, moment1: weights, moment2: weights}, 2)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	wider, deeper, none := tiny, tiny, tiny
	wider.Width, deeper.Layers, none.Heads = 10, 4, 0
	alone := t.TempDir()
	if err := os.WriteFile(filepath.Join(alone, modelFile), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	empty := t.TempDir()
	for name, c := range map[string]struct {
		dir  string
		kind error
		says string
	}{
		"nothing there":     {filepath.Join(empty, "x"), os.ErrNotExist, "no checkpoint"},
		"a file":            {text(filepath.Join(t.TempDir(), "f")), fault.Invalid, "is no directory"},
		"an empty one":      {empty, fault.Invalid, "holds no checkpoint"},
		"weights alone":     {alone, fault.Corrupt, "not whole"},
		"damaged weights":   {spoilt(modelFile, flip), fault.Corrupt, modelFile},
		"damaged moments":   {spoilt(optimizerFile, flip), fault.Corrupt, optimizerFile},
		"damaged state":     {spoilt(stateFile, flip), fault.Corrupt, stateFile},
		"half a state":      {spoilt(stateFile, func(b []byte) []byte { return b[:len(b)/2] }), fault.Corrupt, stateFile},
		"another version":   {spoilt(stateFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"version": 2`), []byte(`"version": 9`), 1) }), fault.Mismatch, "version 9"},
		"of a wider model":  {of(wider), fault.Corrupt, "the model wants [17 10]"},
		"of a deeper model": {of(deeper), fault.Corrupt, "transformer.h.3.attn.c_attn.bias, transformer.h.3.attn.c_attn.weight, transformer.h.3.attn.c_proj.bias and 9 more are missing"},
		"of a BERT":         {proxyOf(t, t.TempDir(), smallBERT, proxyWeights(smallBERT)), fault.Invalid, "name a checkpoint of a GPT"},
		"of no model":       {of(none), fault.Corrupt, "heads is 0"},
	} {
		if _, err := LossMetric(c.dir); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	known := metric.Registry{LossDefinition()}
	for spec, says := range map[string]string{
		"model-loss":                     "a checkpoint is needed",
		"model-loss:checkpoint=":         "a checkpoint is needed",
		"model-loss:chekpoint=x":         "did you mean checkpoint?",
		"model-loss:" + good:             "write model-loss:checkpoint=...",
		"model-loss:checkpoint=" + empty: "holds no checkpoint",
	} {
		if _, err := known.Parse(spec); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func TestLossRefusesSamples(t *testing.T) {
	c := tiny
	c.Vocabulary = 200
	weights := proxyWeights(c)
	m, scorer := lossOf(t, proxyOf(t, t.TempDir(), c, weights))
	for vocabulary, fits := range map[int]bool{0: true, 200: true, 199: true, 129: true, 128: false, 17: false, 201: false, math.MaxInt32 + 1: false} {
		_, err := m.Scorer(metric.Source{Meta: corpus.Meta{Vocabulary: vocabulary}})
		if fits != (err == nil) {
			t.Errorf("a corpus with a vocabulary of %d: %v", vocabulary, err)
		}
		if err != nil && (!errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "of 200 and the corpus one of "+fmt.Sprint(vocabulary))) {
			t.Errorf("a corpus with a vocabulary of %d: %v", vocabulary, err)
		}
	}
	for _, token := range []int32{200, math.MaxInt32, -1} {
		for _, tokens := range [][]int32{{token}, {1, token}, {token, 1}, append(make([]int32, 3*c.Context), token)} {
			err := scorer.Score(make([]float64, 3), []metric.Sample{{ID: 7, Tokens: []int32{1, 199}}, {ID: 8, Tokens: tokens}, {ID: 9, Tokens: []int32{-1}}})
			var at *metric.SampleError
			if !errors.As(err, &at) || at.ID != 8 || !errors.Is(err, fault.Mismatch) ||
				!strings.Contains(err.Error(), fmt.Sprintf("is %d,", token)) || !strings.Contains(err.Error(), "a vocabulary of 200") {
				t.Errorf("token %d: %v", token, err)
			}
		}
	}

	weights[len(weights)-1][0] = float32(math.NaN())
	_, scorer = lossOf(t, proxyOf(t, t.TempDir(), c, weights))
	err := scorer.Score(make([]float64, 3), []metric.Sample{{ID: 1}, {ID: 2, Tokens: []int32{1}}, {ID: 3, Tokens: []int32{1, 0}}})
	var at *metric.SampleError
	if !errors.As(err, &at) || at.ID != 3 || !strings.Contains(err.Error(), "is NaN") {
		t.Errorf("weights that are not finite: %v", err)
	}
}

// BenchmarkLoss measures the metric beside the forward pass of a training step of
// the same model (nanoGPT's CPU setting: 12 rows of 64 tokens), one worker each.
func BenchmarkLoss(b *testing.B) {
	c := model.Config{Vocabulary: 257, Context: 64, Layers: 4, Width: 128, Heads: 4}
	_, scorer := lossOf(b, proxyOf(b, b.TempDir(), c, proxyWeights(c)))
	e := mustEngine(b, c, adam)
	x := randomBatch(c, curriculum.Shape{Rows: 12, Length: c.Context, Kept: c.Context})
	run := func(name string, tokens int, do func() error) {
		b.Run(name, func(b *testing.B) {
			if err := do(); err != nil { // compiled
				b.Fatal(err)
			}
			b.ResetTimer()
			for range b.N {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
	run("forward", 12*c.Context, func() error { _, _, err := e.loss([]*batch.Batch{x}); return err })
	for _, n := range []int{9, 17, 33, c.Context + 1, 4*c.Context + 1} {
		var samples []metric.Sample
		for range 1024 / n {
			samples = append(samples, sampleOf(c, n))
		}
		values := make([]float64, len(samples))
		run(fmt.Sprintf("samples of %d", n), len(samples)*(n-1), func() error { return scorer.Score(values, samples) })
	}
}
