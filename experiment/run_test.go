package experiment_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/gradus-ml/gradus/train"
)

// A trainer writes logs of two steps in place of training.
type trainer struct {
	study *experiment.Study
	text  string // fingerprint
	mu    sync.Mutex
	names []string
	fails map[string]error // after a step
}

func (f *trainer) train(_ context.Context, c experiment.Cell, dir string) error {
	f.mu.Lock()
	f.names = append(f.names, c.Name)
	failure := f.fails[c.Name]
	f.mu.Unlock()
	path := filepath.Join(dir, runlog.FileName)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	for _, left := range []string{"checkpoints", recipe.PlanDir} {
		if err := os.MkdirAll(filepath.Join(dir, left), 0o777); err != nil {
			return err
		}
	}
	w, err := runlog.Create(path, runlog.Run{Name: c.Name, Recipe: c.Recipe.Hash(), Corpus: f.text, Seed: c.Seed, Steps: 2, Clock: "tokens", Backend: train.GoBackend})
	if err != nil {
		return err
	}
	for i := range int64(2) {
		if i == 1 && failure != nil {
			return errors.Join(failure, w.Close())
		}
		if err := w.Append(runlog.Step{Step: i + 1, Tokens: 10 * (i + 1), Loss: 1, HeldOut: new(1.5)}); err != nil {
			return err
		}
	}
	return w.Close()
}

// run runs the study.
func (f *trainer) run(t *testing.T, out string, change func(*experiment.Config)) (experiment.Outcome, error) {
	t.Helper()
	f.names = nil
	c := experiment.Config{Study: f.study, Out: out, Train: f.train}
	if change != nil {
		change(&c)
	}
	return experiment.Run(t.Context(), c)
}

// fake returns a trainer of a study whose corpus and index are there.
func fake(t *testing.T) *trainer {
	t.Helper()
	s, err := load(t, study)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(filepath.Dir(s.Path()), "text")
	if err := os.WriteFile(text+".txt", []byte(strings.Repeat("some words that say little\n\n", 300)), 0o666); err != nil {
		t.Fatal(err)
	}
	bytes, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepare.Run(t.Context(), text, prepare.Options{Inputs: []string{text + ".txt"}, Tokenizer: bytes, Split: 64}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	samples, err := c.Samples(corpus.Cut{Window: 32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := analyze.Run(t.Context(), samples, []metric.Metric{metric.Rarity()}, text+".index", analyze.Options{}); err != nil {
		t.Fatal(err)
	}
	fingerprint, err := c.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return &trainer{study: s, text: fingerprint}
}

func TestRunInOrder(t *testing.T) {
	f, out := fake(t), t.TempDir()
	o, err := f.run(t, out, func(c *experiment.Config) { c.Only = []string{"baseline-*", "composed-50-12"} })
	if err != nil {
		t.Fatal(err)
	}
	want := "baseline-50-11 baseline-100-11 baseline-200-11 baseline-50-12 baseline-100-12 baseline-200-12 composed-50-12"
	if got := strings.Join(f.names, " "); got != want || o.Over() != 7 {
		t.Errorf("%d runs are over:\n%s, want\n%s", o.Over(), got, want)
	}
	var left []int
	o, err = f.run(t, out, func(c *experiment.Config) {
		c.Jobs = 3
		c.Ends = func(_ experiment.Status, n int) { left = append(left, n) }
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(f.names)
	if got := strings.Join(f.names, " "); got != "composed-50-11 reversed-50-11 reversed-50-12" || o.Over() != 10 || fmt.Sprint(left) != "[2 1 0]" {
		t.Errorf("then %s, %d over, left %v", got, o.Over(), left)
	}
	if names, _ := filepath.Glob(filepath.Join(out, "runs", "*", "checkpoints")); len(names) > 0 {
		t.Errorf("%s are left", names)
	}
	if _, err := f.run(t, out, func(c *experiment.Config) { c.Only = []string{"compsed-*"} }); !errors.Is(err, fault.Invalid) {
		t.Errorf("a pattern that matches nothing: %v", err)
	}
}

// A run that fails is told and made again by the next call; one that diverged is told
// and stays. Weights stay where they are to stay, also in later calls.
func TestRunFailures(t *testing.T) {
	f, out := fake(t), t.TempDir()
	f.fails = map[string]error{"composed-50-11": errors.New("no disk"), "reversed-50-12": &train.DivergedError{Step: 2}}
	keep := func(c *experiment.Config) { c.KeepWeights = true }
	o, err := f.run(t, out, keep)
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, s := range o.Failed() {
		failed = append(failed, s.Name+" "+string(s.State))
	}
	if got := strings.Join(failed, ", "); got != "composed-50-11 begun, reversed-50-12 diverged" || o.Over() != 9 {
		t.Errorf("%d over, failed: %s", o.Over(), got)
	}
	f.fails = nil
	if o, err = f.run(t, out, nil); err != nil || strings.Join(f.names, " ") != "composed-50-11" || o.Over() != 10 || len(o.Failed()) > 0 {
		t.Errorf("made %v, %d over, failed %v (%v)", f.names, o.Over(), o.Failed(), err)
	}
	for _, ending := range []string{".bin", ".idx", ".index"} {
		if err := os.RemoveAll(filepath.Join(filepath.Dir(f.study.Path()), "text"+ending)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = f.run(t, out, nil); err != nil { // all is done: no corpus is opened
		t.Error(err)
	}
	if _, err = f.run(t, t.TempDir(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the corpus is not missed: %v", err)
	}
	for name, want := range map[string]bool{"baseline-50-11": true, "composed-50-11": false} {
		if _, err := os.Stat(filepath.Join(out, "runs", name, "checkpoints")); (err == nil) != want {
			t.Errorf("%s: its weights are there: %v, want %v", name, err == nil, want)
		}
	}
	result, err := f.study.Compare(o)
	if err != nil {
		t.Fatal(err)
	}
	if result.Expected != 10 || result.Finished != 9 {
		t.Errorf("%d of %d runs are finished, want 9 of 10", result.Finished, result.Expected)
	}
}

// A run of which a part was made in another way does not pass for one that was not.
func TestRunOtherwise(t *testing.T) {
	f := fake(t)
	out := filepath.Join(t.TempDir(), "out")
	const cell = "baseline-50-11"
	f.fails = map[string]error{cell: errors.New("cut off")}
	timed := func(jobs int) string {
		t.Helper()
		o, err := f.run(t, out, func(c *experiment.Config) { c.Only, c.Jobs = []string{cell}, jobs })
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.study.Compare(o)
		if err != nil {
			t.Fatal(err)
		}
		return r.Timed
	}
	timed(1)
	f.fails = nil
	if says := timed(2); !strings.Contains(says, "2 at once") || !strings.Contains(says, "in part otherwise") {
		t.Errorf("it says %q", says)
	}
}

// Runs that do not belong to the study are refused.
func TestRunMismatch(t *testing.T) {
	f, out := fake(t), t.TempDir()
	if _, err := f.run(t, out, nil); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(out, "runs", "baseline-50-11", runlog.FileName)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, says string }{
		{`"seed":11`, `"seed":12`, "has seed 12, and the study asks for 11"},
		{`"corpus":"`, `"corpus":"d`, "was made from another corpus"},
		{`"backend":"go`, `"backend":"onnx`, "was made on the backend onnx"},
		{`"rate":0`, `"rate":0,"precision":"bfloat16"`, "was made in bfloat16"},
		{`"recipe":"`, `"recipe":"f`, "was made by another recipe"},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		if err := os.WriteFile(log, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := f.run(t, out, nil); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}
