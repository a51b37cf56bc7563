package train

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/runlog"
)

var update = flag.Bool("update", false, "rewrite the expected losses in testdata")

// counting makes batches of a text that can be learnt: each token is three times
// the one before and one more, now and then two more. It is a pure function of
// the step, as a batch.Maker is.
type counting struct {
	plan *curriculum.Plan
	fail map[int64]error // steps that have no batch
}

func (c counting) Make(step int64, rank, world int) (*batch.Batch, error) {
	if err := c.fail[step]; err != nil {
		return nil, err
	}
	s := c.plan.BatchAt(step).Shape
	b := text(s, uint64(step))
	b.IDs = c.plan.Sampler().At(nil, step)
	if s.Kept < s.Length {
		b.Kept = route.Positions(route.RandomLTD{}, 1, step, tiny.Routed, 0, s.Rows, s.Length, s.Kept)
	}
	return b, nil
}

func text(s curriculum.Shape, seed uint64) *batch.Batch {
	b := &batch.Batch{Shape: s}
	stream := keyed.NewKey(seed, "text").Stream()
	for range s.Rows {
		token := int32(stream.Uint64N(17))
		for range s.Length {
			b.Inputs = append(b.Inputs, token)
			token = (3*token + 1) % 17
			if stream.Uint64N(8) == 0 {
				token = (token + 1) % 17
			}
			b.Labels = append(b.Labels, token)
		}
	}
	return b
}

// small is a run of 20 steps with growing rows and a growing share of tokens in
// the routed layer.
func small(t testing.TB, dir string) Config {
	t.Helper()
	grow := func(from, to, step, until float64) curriculum.Timed {
		p, err := pace.NewRoot(pace.Root{From: from, To: to, Step: step, Until: until, Degree: 1})
		if err != nil {
			t.Fatal(err)
		}
		return curriculum.Timed{Pace: p}
	}
	plan, err := curriculum.Compile(t.Context(), curriculum.Config{
		Seed: 3, Sources: []curriculum.Source{{Samples: 50}}, Buckets: []curriculum.Bucket{{Length: 8, Units: 5}},
		Length: grow(4, 8, 4, 8), Keep: grow(3, 8, 5, 14),
		Layers: tiny.Layers, Routed: 1, Clock: curriculum.Steps, Budget: 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	var evaluation []*batch.Batch
	for i := range 3 {
		evaluation = append(evaluation, text(curriculum.Shape{Rows: 4, Length: 8, Kept: 8}, 1000+uint64(i)))
	}
	return Config{
		Dir: dir,
		Run: runlog.Run{Name: "small", Recipe: "recipe", Corpus: "corpus", Seed: 4, Model: tiny.String(), Parameters: tiny.Parameters(),
			Steps: plan.Steps(), Clock: "steps", Budget: 20, Backend: GoBackend, Rate: 2e-2},
		Model: tiny, Optimizer: adam, Schedule: Schedule{Peak: 2e-2, Min: 2e-3, Warmup: 4, Total: 20, Decay: Cosine},
		Plan: plan, Clock: curriculum.Steps, Batches: counting{plan: plan}, Evaluation: evaluation,
		EvaluateEvery: 5, CheckpointEvery: 3,
	}
}

// steps returns the log of a run with the times left out, which may differ.
func steps(t testing.TB, dir string) []runlog.Step {
	t.Helper()
	log, err := runlog.Read(filepath.Join(dir, runlog.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range log.Steps {
		log.Steps[i].Seconds, log.Steps[i].Waited, log.Steps[i].Compile, log.Steps[i].CompileAhead = 0, 0, 0, 0
	}
	return log.Steps
}

// end returns the final weights and moments of a run.
func end(t testing.TB, dir string) state {
	t.Helper()
	path, err := LatestCheckpoint(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := ReadCheckpointState(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := readCheckpoint(path, st, tiny)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sameRun requires two runs to have the same log and the same bits at the end.
func sameRun(t *testing.T, got, want string) {
	t.Helper()
	a, err := json.Marshal(steps(t, got))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(steps(t, want))
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("the logs differ:\n%s\n%s", a, b)
	}
	sameState(t, end(t, got), end(t, want))
}

// A golden is what a run at a fixed seed gave when it was last looked at.
type golden struct {
	Loss, GradNorm []float64
	HeldOut        map[int]float64
}

// The bits of a loss differ between processors and versions of Go; a change of
// the model, the optimizer, the schedule or the batches is larger than that.
func TestGoldenLosses(t *testing.T) {
	dir := t.TempDir()
	result, err := Train(context.Background(), small(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if !result.Finished || result.Step != 20 {
		t.Fatalf("%+v", result)
	}
	got := golden{HeldOut: map[int]float64{}}
	for _, s := range steps(t, dir) {
		got.Loss, got.GradNorm = append(got.Loss, s.Loss), append(got.GradNorm, s.GradNorm)
		if s.HeldOut != nil {
			got.HeldOut[int(s.Step)] = *s.HeldOut
		}
	}
	if last := got.HeldOut[20]; last != result.HeldOut || last > got.HeldOut[5]-0.3 {
		t.Errorf("held-out losses %v: the last should be that of the result, %v, and well below the first", got.HeldOut, result.HeldOut)
	}
	file := filepath.Join("testdata", "golden_losses.json")
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want golden
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-4*math.Abs(b) }
	for i := range 20 {
		if !near(got.Loss[i], want.Loss[i]) || !near(got.GradNorm[i], want.GradNorm[i]) {
			t.Errorf("step %d: loss %v and norm %v, want %v and %v", i+1, got.Loss[i], got.GradNorm[i], want.Loss[i], want.GradNorm[i])
		}
	}
	if len(got.HeldOut) != len(want.HeldOut) {
		t.Errorf("held-out losses %v, want %v", got.HeldOut, want.HeldOut)
	}
	for step, loss := range want.HeldOut {
		if !near(got.HeldOut[step], loss) {
			t.Errorf("held-out loss after step %d is %v, want %v", step, got.HeldOut[step], loss)
		}
	}
}

// A copy of the run's directory taken after any step, which is what SIGKILL
// leaves, goes on to the same log and the same bits; so does a run that was
// asked to stop there.
func TestResumeFromAnyStep(t *testing.T) {
	whole := t.TempDir()
	copies := t.TempDir()
	c := small(t, whole)
	c.Progress = func(p Progress) {
		if p.Step.Step%4 == 1 {
			if err := os.CopyFS(filepath.Join(copies, fmt.Sprint(p.Step.Step)), os.DirFS(whole)); err != nil {
				t.Error(err)
			}
		}
	}
	want, err := Train(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int64{1, 5, 9, 13, 17} {
		dir := filepath.Join(copies, fmt.Sprint(step))
		// As if the kill fell into the next line of the log and the next checkpoint.
		log, err := os.OpenFile(filepath.Join(dir, runlog.FileName), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		log.WriteString(`{"step":`)
		log.Close()
		left := filepath.Join(dir, checkpointDir, temporaryPrefix+checkpointName(step+1))
		if err := os.MkdirAll(left, 0o777); err != nil {
			t.Fatal(err)
		}
		c := small(t, dir)
		c.Resume = true
		got, err := Train(context.Background(), c)
		if err != nil {
			t.Fatalf("from step %d: %v", step, err)
		}
		if !got.Finished || got.Step != want.Step || got.HeldOut != want.HeldOut {
			t.Errorf("from step %d: %+v, want %+v", step, got, want)
		}
		sameRun(t, dir, whole)
		if _, err := os.Stat(left); err == nil {
			t.Errorf("from step %d: what the kill left of a checkpoint is still there", step)
		}
	}

	cut := t.TempDir()
	for _, stop := range []int64{2, 11, 12, 19} { // before the first checkpoint, between two, at one, before the end
		ctx, cancel := context.WithCancel(context.Background())
		c := small(t, cut)
		c.Resume = stop > 2
		c.Progress = func(p Progress) {
			if p.Step.Step == stop {
				cancel()
			}
		}
		result, err := Train(ctx, c)
		cancel()
		if !errors.Is(err, context.Canceled) || result.Finished || result.Step != stop || filepath.Base(result.Checkpoint) != checkpointName(stop) {
			t.Fatalf("stopped after step %d: %+v, %v", stop, result, err)
		}
	}
	c = small(t, cut)
	c.Resume = true
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	sameRun(t, cut, whole)

	// Nothing is left to do, and the result says what there is.
	if got, err := Train(context.Background(), c); err != nil || !got.Finished || got.Step != 20 || got.HeldOut != want.HeldOut ||
		got.Accuracy == nil || *got.Accuracy != *want.Accuracy {
		t.Errorf("resumed at its end: %+v, %v", got, err)
	}
}

// A run that diverges says where and how to go on, keeps the last good
// checkpoint, and goes on from it once it can.
// A step may be the first to leave the numbers of float32; a checkpoint of it would
// be called good.
func TestOverflowIsNotSaved(t *testing.T) {
	c := small(t, t.TempDir())
	c.Schedule = Schedule{Peak: 3.4e38, Total: c.Schedule.Total, Decay: Constant}
	c.CheckpointEvery = 1e-9
	result, err := Train(context.Background(), c)
	var e *DivergedError
	if !errors.As(err, &e) || e.Step != 1 || e.Weight == "" || result.Checkpoint != "" {
		t.Errorf("got %+v, %v", result, err)
	}
	if all, err := Checkpoints(c.Dir); err != nil || len(all) != 0 {
		t.Errorf("checkpoints %v, %v", all, err)
	}
}

func TestDivergence(t *testing.T) {
	whole, dir := t.TempDir(), t.TempDir()
	sane := func(dir string) Config {
		c := small(t, dir)
		c.CheckpointEvery, c.EvaluateEvery = 0, 0
		return c
	}
	if _, err := Train(context.Background(), sane(whole)); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := sane(dir)
	c.Progress = func(p Progress) {
		if p.Step.Step == 4 {
			cancel()
		}
	}
	if _, err := Train(ctx, c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for range 2 { // diverging again changes nothing
		c = sane(dir)
		c.Resume = true
		c.Schedule.Peak = 1e30
		result, err := Train(context.Background(), c)
		if err == nil || result.Finished {
			t.Fatalf("a rate of 1e30: %+v, %v", result, err)
		}
		for _, says := range []string{"diverged at step 6", "loss NaN", "the last good checkpoint is " + filepath.Join(dir, checkpointDir, checkpointName(4)), "lower optimizer.rate"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q does not say %q", err, says)
			}
		}
		log := steps(t, dir)
		if last := log[len(log)-1]; last.Step != 6 || !math.IsNaN(last.Loss) {
			t.Errorf("the log ends with %+v", last)
		}
	}
	c = sane(dir)
	c.Resume = true
	if _, err := Train(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	sameRun(t, dir, whole)

	c = sane(t.TempDir())
	c.Schedule = Schedule{Peak: 1e30, Min: 1e30, Total: 20, Decay: Constant}
	if _, err := Train(context.Background(), c); err == nil || !strings.Contains(err.Error(), "diverged at step 2") || !strings.Contains(err.Error(), "no checkpoint yet") {
		t.Errorf("diverged at once: %v", err)
	}
}

func TestTrainRefuses(t *testing.T) {
	finished := t.TempDir()
	if _, err := Train(context.Background(), small(t, finished)); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := LatestCheckpoint(finished)
	if err != nil {
		t.Fatal(err)
	}
	noBatch := errors.New("no batch")
	for name, tc := range map[string]struct {
		spoil func(c *Config)
		kind  error
		says  string
	}{
		"a run lies there":           {func(c *Config) { c.Dir = finished }, fault.Invalid, "--resume"},
		"nothing to resume":          {func(c *Config) { c.Resume = true }, nil, "holds no run to resume"},
		"another recipe":             {func(c *Config) { c.Dir, c.Resume, c.Run.Recipe = finished, true, "x" }, fault.Mismatch, "another recipe"},
		"another corpus":             {func(c *Config) { c.Dir, c.Resume, c.Run.Corpus = finished, true, "x" }, fault.Mismatch, "another corpus"},
		"another model":              {func(c *Config) { c.Dir, c.Resume, c.Model.Width = finished, true, 16 }, fault.Mismatch, "shape"},
		"a shorter plan":             {func(c *Config) { c.Dir, c.Resume, c.Plan = finished, true, shortPlan(t) }, fault.Mismatch, "step 20 of a plan of 3"},
		"no rate":                    {func(c *Config) { c.Schedule.Peak = 0 }, fault.Invalid, "rate is 0"},
		"no width":                   {func(c *Config) { c.Model.Width = 0 }, fault.Invalid, "width is 0"},
		"beta":                       {func(c *Config) { c.Optimizer.Beta1 = 1 }, fault.Invalid, "betas"},
		"a small context":            {func(c *Config) { c.Model.Context = 7 }, fault.Invalid, "a context of 7"},
		"a small vocabulary":         {func(c *Config) { c.Model.Vocabulary = 16; c.Evaluation = nil }, fault.Mismatch, "vocabulary of 16"},
		"a small vocabulary at last": {func(c *Config) { c.Model.Vocabulary = 16 }, fault.Mismatch, "evaluation"},
		"a batch that cannot be made": {func(c *Config) {
			c.Batches = counting{c.Plan, map[int64]error{2: noBatch}}
		}, noBatch, "no batch"},
	} {
		c := small(t, t.TempDir())
		tc.spoil(&c)
		_, err := Train(context.Background(), c)
		if err == nil || tc.kind != nil && !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// A checkpoint under the name of another step would put the log out of step.
	renamed := filepath.Join(filepath.Dir(checkpoint), checkpointName(21))
	if err := os.Rename(checkpoint, renamed); err != nil {
		t.Fatal(err)
	}
	c := small(t, finished)
	c.Resume = true
	if _, err := Train(context.Background(), c); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "step-0000000020") {
		t.Errorf("a renamed checkpoint: %v", err)
	}
	if err := os.Rename(renamed, checkpoint); err != nil {
		t.Fatal(err)
	}

	// A run whose newest checkpoint is damaged says so, and goes on from the one
	// before once that is out of the way.
	weights := filepath.Join(checkpoint, modelFile)
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(weights, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Train(context.Background(), c); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "move this one away") {
		t.Errorf("a damaged checkpoint: %v", err)
	}
	if err := os.RemoveAll(checkpoint); err != nil {
		t.Fatal(err)
	}
	if result, err := Train(context.Background(), c); err != nil || !result.Finished {
		t.Errorf("from the checkpoint before: %+v, %v", result, err)
	}
}

func shortPlan(t *testing.T) *curriculum.Plan {
	plan, err := curriculum.Compile(t.Context(), curriculum.Config{Sources: []curriculum.Source{{Samples: 50}}, Buckets: []curriculum.Bucket{{Length: 8, Units: 5}}, Layers: 3, Clock: curriculum.Steps, Budget: 3})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// A run cancelled before its first step can be resumed.
func TestCancelledAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	result, err := Train(ctx, small(t, dir))
	if !errors.Is(err, context.Canceled) || result.Finished || result.Step > 1 || result.Checkpoint == "" {
		t.Errorf("%+v, %v", result, err)
	}
	c := small(t, dir)
	c.Resume = true
	if result, err := Train(context.Background(), c); err != nil || !result.Finished {
		t.Errorf("resumed: %+v, %v", result, err)
	}
}

func TestDue(t *testing.T) {
	for _, c := range []struct {
		every, before, after float64
		want                 bool
	}{
		{5, 0, 4, false}, {5, 4, 5, true}, {5, 5, 6, false}, {5, 4, 11, true}, {0, 0, 9, false}, {0.1, 0, 1, true}, {1e-30, 1, 2, true}, {1e300, 1, 2, false},
	} {
		if got := due(c.every, c.before, c.after); got != c.want {
			t.Errorf("every %v, from %v to %v: %v", c.every, c.before, c.after, got)
		}
	}
}
