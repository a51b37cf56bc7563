package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/gradus-ml/gradus/train"
	"pgregory.net/rapid"
)

const tuneText = `# What is tuned.
corpus: text      # beside it
seed: 5
sample: {window: 16}
batch: {size: 2}
budget: {steps: 200}
curriculum:
  - metric: length
    apply: truncate
    pace: {kind: linear, from: 8, to: 16, step: 1, until: 40%}   # short rows first
routing:
  keep: {kind: linear, from: 8, to: 16, step: 2, until: 60%}
model: {kind: gpt, layers: 3, width: 8, heads: 1}
optimizer: {rate: 4e-3}   # AdamW
evaluate: {every: 20%, held_out: 20%}
shapes: 60
`

// tuneDir makes a directory with a corpus and a recipe.
func tuneDir(t testing.TB) (dir string, r *recipe.Recipe) {
	t.Helper()
	dir = t.TempDir()
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "Sentence %d of a text that nobody reads.\n\n", i*i)
	}
	write(t, filepath.Join(dir, "text.txt"), text.String())
	bytes, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prepare.Run(t.Context(), filepath.Join(dir, "text"), prepare.Options{
		Inputs: []string{filepath.Join(dir, "text.txt")}, Tokenizer: bytes, Split: 40,
	}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "base.yaml"), tuneText)
	r, err = recipe.Load(filepath.Join(dir, "base.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// A fake trains nothing and writes logs. A run's loss falls, and at its last
// evaluation rises where the oracle says that it fluctuates.
type fake struct {
	fluctuates func(b *recipe.Bound, until int64) bool
	loss       func(rate float64, seed uint64) float64 // at the end of a whole run; +Inf: it diverges. nil: 2
	stop       int                                     // calls until one is interrupted; 0: none is
	calls      int
	made       []string // names of the recipes' hashes
}

func (f *fake) train(ctx context.Context, r *recipe.Recipe, dir string, until int64) error {
	f.calls++
	if f.calls == f.stop {
		return context.Canceled
	}
	b, err := recipe.Open(ctx, r, recipe.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	c, err := b.Training(dir)
	if err != nil {
		return err
	}
	if filepath.Base(dir) != r.Hash() || slices.Contains(f.made, r.Hash()) {
		return fmt.Errorf("%s is no directory for a new run", dir)
	}
	f.made = append(f.made, r.Hash())
	if err := os.MkdirAll(filepath.Join(dir, "checkpoints"), 0o777); err != nil {
		return err
	}
	log, err := runlog.Create(filepath.Join(dir, runlog.FileName), c.Run)
	if err != nil {
		return err
	}
	defer log.Close()
	final := 2.0
	if f.loss != nil {
		final = f.loss(r.Optimizer.Rate, r.Seed)
	}
	for step := range until {
		before, after := b.Plan.PositionAt(step).On(c.Clock), b.Plan.PositionAt(step+1).On(c.Clock)
		s := b.Plan.BatchAt(step)
		line := runlog.Step{Step: step + 1, Tokens: b.Plan.PositionAt(step + 1).Tokens, FLOPs: float64(step + 1), Seconds: float64(step+1) / 10,
			Length: s.Length, Rows: s.Rows, Kept: s.Kept, Rate: 1, Loss: 2, Digest: "-"}
		if math.Floor(after/c.EvaluateEvery) > math.Floor(before/c.EvaluateEvery) || step+1 == b.Plan.Steps() {
			held := 3 - float64(step)/float64(until)
			if step+1 == until {
				held = final
				if f.fluctuates != nil && f.fluctuates(b, until) {
					held = 2.5
				}
			}
			line.HeldOut = &held
		}
		if math.IsInf(final, 1) && step == until/2 {
			line.Loss, line.HeldOut = math.NaN(), nil
			if err := log.Append(line); err != nil {
				return err
			}
			return fmt.Errorf("as train does: %w", &train.DivergedError{Step: step + 1, Loss: math.NaN()})
		}
		if err := log.Append(line); err != nil {
			return err
		}
	}
	return nil
}

func tuning(dir string, f *fake, what ...string) Tuning {
	share := func(v float64) recipe.Amount { return recipe.Amount{Value: v, Percent: true} }
	return Tuning{
		Out: filepath.Join(dir, "out"), What: what, First: share(20), Fluctuation: 1.3, Evaluations: 5, Longest: share(70),
		Budget: share(25), Probes: 7, Seeds: 1, Seed: 5, Backend: "go", Train: f.train,
	}
}

// naive finds what bisection should, by trying every candidate in its place.
func naive(t *testing.T, r *recipe.Recipe, fluctuates func(b *recipe.Bound, until int64) bool) map[string]any {
	t.Helper()
	steady := func(path []any, value any) bool {
		edited, err := r.Edited(recipe.Edit{Path: path, Value: value})
		if err != nil {
			t.Fatal(err)
		}
		b, err := recipe.Open(t.Context(), edited, recipe.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		return !fluctuates(b, 40)
	}
	found, dead := map[string]any{}, map[string]bool{}
	for _, k := range []struct {
		pace, key  string
		path       []any
		candidates []any
	}{
		{"length", "from", []any{"curriculum", 0, "pace", "from"}, upTo(15, 1)},
		{"keep", "from", []any{"routing", "keep", "from"}, upTo(14, 2)},
		{"length", "until", []any{"curriculum", 0, "pace", "until"}, shares()},
		{"keep", "until", []any{"routing", "keep", "until"}, shares()},
	} {
		if dead[k.pace] {
			continue
		}
		i := slices.IndexFunc(k.candidates, func(v any) bool { return steady(k.path, v) })
		if i < 0 {
			dead[k.pace] = true
			continue
		}
		e := recipe.Edit{Path: k.path, Value: k.candidates[i]}
		found[e.At()] = e.Value
		var err error
		if r, err = r.Edited(e); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func upTo(last, step float64) (values []any) {
	for v := step; v <= last; v += step {
		values = append(values, v)
	}
	return values
}

func shares() (values []any) {
	for v := 70; v > 0; v -= 5 {
		values = append(values, fmt.Sprintf("%d%%", v))
	}
	return values
}

// For any oracle that is monotone in what the first fifth of a run does, bisection
// finds what trying everything finds, with no more probes than it says; it goes on
// where it was interrupted, and makes nothing twice.
func TestTuneFindsThresholds(t *testing.T) {
	_, base := tuneDir(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 5 { // each opens hundreds of recipes
			return
		}
		short, few := rapid.IntRange(0, 17).Draw(rt, "short"), rapid.IntRange(0, 17).Draw(rt, "few")
		late, left := rapid.IntRange(0, 17).Draw(rt, "late"), rapid.IntRange(0, 17).Draw(rt, "left")
		fluctuates := func(b *recipe.Bound, until int64) bool {
			first, last := b.Plan.BatchAt(0), b.Plan.BatchAt(until-1)
			return first.Length < short || first.Kept < few || last.Length < late || last.Kept < left
		}
		want := naive(t, base, fluctuates)
		f := &fake{fluctuates: fluctuates}
		tune := tuning(t.TempDir(), f, TuneStart, TunePace)
		got, err := TuneRecipe(t.Context(), base, tune)
		if err != nil {
			rt.Fatal(err)
		}
		after := map[string]any{}
		for _, finding := range got.Findings {
			if finding.Note != noneSteady {
				after[finding.At] = finding.After
			}
		}
		if fmt.Sprint(after) != fmt.Sprint(want) {
			rt.Fatalf("found %v, want %v\n%v", after, want, got.Probes)
		}
		if most := mostProbes(15) + mostProbes(7) + 2*mostProbes(14); f.calls > most {
			rt.Fatalf("%d probes, more than %d", f.calls, most)
		}
		// The file says so, with its comments, and lies elsewhere than its corpus.
		write(t, filepath.Join(tune.Out, TunedFile), string(got.Text))
		tuned, err := recipe.Load(filepath.Join(tune.Out, TunedFile))
		if err != nil {
			rt.Fatal(err)
		}
		b, err := recipe.Open(t.Context(), tuned, recipe.Options{})
		if err != nil {
			rt.Fatalf("the tuned recipe does not open: %v\n%s", err, got.Text)
		}
		b.Close()
		if v, ok := want["curriculum[0].pace.from"]; ok && tuned.Curriculum[0].Pace.Parameters["from"] != v {
			rt.Fatalf("the file does not say %v:\n%s", v, got.Text)
		}
		if strings.Count(string(got.Text), "#") != strings.Count(tuneText, "#") {
			rt.Fatalf("comments were lost:\n%s", got.Text)
		}

		again := &fake{fluctuates: fluctuates}
		tune.Train = again.train
		if repeated, err := TuneRecipe(t.Context(), base, tune); err != nil || again.calls != 0 || fmt.Sprint(repeated) != fmt.Sprint(got) {
			rt.Fatalf("again: %d probes made, %v", again.calls, err)
		}

		cut := &fake{fluctuates: fluctuates, stop: rapid.IntRange(1, f.calls).Draw(rt, "stop")}
		tune = tuning(t.TempDir(), cut, TuneStart, TunePace)
		if _, err := TuneRecipe(t.Context(), base, tune); err != context.Canceled {
			rt.Fatalf("interrupted: %v", err)
		}
		if goneOn, err := TuneRecipe(t.Context(), base, tune); err != nil || cut.calls != f.calls+1 || fmt.Sprint(goneOn.Findings) != fmt.Sprint(got.Findings) {
			rt.Fatalf("%d probes with an interruption, and %d without: %v", cut.calls, f.calls, err)
		}
	})
}

// The rate of the lowest loss is found, whole runs at a share of the budget; what
// diverges counts as no loss, and a smallest rate goes along.
func TestTuneRate(t *testing.T) {
	dir, base := tuneDir(t)
	valley := func(rate float64, seed uint64) float64 {
		if rate > 0.015 {
			return math.Inf(1)
		}
		return 2 + 0.1*math.Pow(math.Log2(rate/0.0113), 2) + 0.01*float64(seed)
	}
	f := &fake{loss: valley}
	tune := tuning(dir, f, TuneRate)
	tune.Seeds = 2
	withMin, err := base.Edited(recipe.Edit{Path: []any{"optimizer", "min_rate"}, Value: 2e-3})
	if err != nil {
		t.Fatal(err)
	}
	got, err := TuneRecipe(t.Context(), withMin, tune)
	if err != nil {
		t.Fatal(err)
	}
	want := Finding{Budget: "25%", What: TuneRate, At: "optimizer.rate", Before: 0.004, After: 0.0113}
	if len(got.Findings) != 1 || got.Findings[0] != want {
		t.Fatalf("found %v, want %v", got.Findings, want)
	}
	var tried []any
	for _, p := range got.Probes {
		if p.Steps != 50 && p.Verdict != ProbeDiverged || (p.Verdict == ProbeDiverged) != (p.Value.(float64) > 0.015) {
			t.Errorf("%+v", p)
		}
		if p.Seed == 5 {
			tried = append(tried, p.Value)
		}
		if _, err := os.Stat(filepath.Join(tune.Out, ProbeDir, p.Run, "checkpoints")); err == nil {
			t.Errorf("%s has its checkpoints still", p.Run)
		}
	}
	if s := fmt.Sprint(tried); s != "[0.004 0.002 0.008 0.016 0.00566 0.0113]" {
		t.Errorf("tried %v", tried)
	}
	if s := string(got.Text); !strings.Contains(s, "min_rate: 0.00565, rate: 0.0113}   # AdamW") {
		t.Errorf("the tuned recipe:\n%s", s)
	}
	if md := got.markdown("gradus tune"); !strings.Contains(md, "0.0113") || strings.Count(md, "\n| 25%") != len(got.Probes)+1 {
		t.Errorf("tune.md:\n%s", md)
	}

	// A valley beyond the last probe is told; so is a recipe that diverges anyhow.
	for _, c := range []struct {
		loss  func(rate float64, seed uint64) float64
		note  string
		after float64
	}{
		{func(rate float64, _ uint64) float64 { return 2 - rate }, "the best may lie beyond", 0.128},
		{func(float64, uint64) float64 { return math.Inf(1) }, "every rate that was tried diverged", 0.004},
	} {
		f := &fake{loss: c.loss}
		got, err := TuneRecipe(t.Context(), base, tuning(t.TempDir(), f, TuneRate))
		if err != nil || !strings.Contains(got.Findings[0].Note, c.note) || got.Findings[0].After != c.after {
			t.Errorf("%v, %v: want %v and a note of %q", got.Findings, err, c.after, c.note)
		}
	}
}

// Every arm of a study gets as many probes, and its rate at the budget.
func TestTuneStudy(t *testing.T) {
	dir, _ := tuneDir(t)
	write(t, filepath.Join(dir, "study.yaml"), `# What is compared.
recipe: base.yaml
seeds: [5, 6]
budgets: [50%, 100%]
baseline: plain
arms:
  - name: plain        # nothing paced
    with: {curriculum: null, routing: null}
    at: {50.0%: {optimizer: {rate: 2e-3}}}
  - name: paced
    says: as it is
`)
	s, err := Load(filepath.Join(dir, "study.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if s.FreshSeed() != 7 {
		t.Errorf("a fresh seed is %d", s.FreshSeed())
	}
	f := &fake{loss: func(rate float64, _ uint64) float64 { return 2 + math.Abs(math.Log2(rate/0.002)) }}
	tune := tuning(dir, f, TuneRate)
	tune.Seed = s.FreshSeed()
	got, err := TuneStudy(t.Context(), s, nil, []string{"50%", "100%"}, tune)
	if err != nil {
		t.Fatal(err)
	}
	effort := map[string]int{}
	for _, p := range got.Probes {
		effort[p.Arm+p.Budget]++
	}
	if s := fmt.Sprint(effort); s != "map[paced100%:7 paced50%:7 plain100%:7 plain50%:7]" || f.calls != 28 {
		t.Errorf("probes: %s, %d runs", s, f.calls)
	}
	write(t, filepath.Join(tune.Out, TunedFile), string(got.Text))
	tuned, err := Load(filepath.Join(tune.Out, TunedFile))
	if err != nil {
		t.Fatalf("%v\n%s", err, got.Text)
	}
	cells, err := tuned.Cells()
	if err != nil {
		t.Fatalf("%v\n%s", err, got.Text)
	}
	for _, c := range cells {
		if c.Recipe.Optimizer.Rate != 0.002 {
			t.Errorf("%s has the rate %v", c.Name, c.Recipe.Optimizer.Rate)
		}
	}
	if strings.Count(string(got.Text), "#") != 2 || strings.Count(string(got.Text), "50") != 3 {
		t.Errorf("the tuned study:\n%s", got.Text)
	}
	if _, err := TuneStudy(t.Context(), s, []string{"plan"}, nil, tune); err == nil || !strings.Contains(err.Error(), "did you mean plain") {
		t.Errorf("an arm that is none: %v", err)
	}
	if _, err := TuneStudy(t.Context(), s, nil, nil, tune); err == nil || !strings.Contains(err.Error(), "plain has no run at 25%, only at 50%, 100%") {
		t.Errorf("a budget without runs: %v", err)
	}
	if _, err := TuneStudy(t.Context(), s, nil, nil, tuning(dir, f, TuneStart)); err == nil || !strings.Contains(err.Error(), "only the rate") {
		t.Errorf("starts of a study: %v", err)
	}
}

// An arm that is like another keeps the rate that was found for it, also where that is
// the one it had, and the other arm gets another.
func TestTuneStudyLike(t *testing.T) {
	dir, _ := tuneDir(t)
	write(t, filepath.Join(dir, "study.yaml"), `recipe: base.yaml
seeds: [5]
baseline: plain
arms:
  - name: plain
    with: {curriculum: null, routing: null, optimizer: {rate: 2e-3, min_rate: 1e-4}}
  - name: paced
    like: plain
    with: {batch: {size: 3}}
`)
	s, err := Load(filepath.Join(dir, "study.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	best := 4e-3 // of plain, whose probes come first
	f := &fake{}
	f.loss = func(rate float64, _ uint64) float64 {
		if f.calls > 7 {
			best = 2e-3
		}
		return 2 + math.Abs(math.Log2(rate/best))
	}
	tune := tuning(dir, f, TuneRate)
	tune.Seed = 6
	got, err := TuneStudy(t.Context(), s, nil, []string{"100%"}, tune)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tune.Out, TunedFile), string(got.Text))
	tuned, err := Load(filepath.Join(tune.Out, TunedFile))
	if err != nil {
		t.Fatalf("%v\n%s", err, got.Text)
	}
	cells, err := tuned.Cells()
	if err != nil {
		t.Fatalf("%v\n%s", err, got.Text)
	}
	for i, want := range []struct{ rate, least float64 }{{4e-3, 2e-4}, {2e-3, 1e-4}} {
		if o := cells[i].Recipe.Optimizer; o.Rate != want.rate || *o.MinRate != want.least {
			t.Errorf("%s has the rates %v and %v, want %v\n%s", cells[i].Name, o.Rate, *o.MinRate, want, got.Text)
		}
	}
}

// A probe is steady up to the factor, against the best so far and not the first.
func TestJudge(t *testing.T) {
	held := func(losses ...float64) *runlog.Log {
		log := &runlog.Log{}
		for i, l := range losses {
			log.Steps = append(log.Steps, runlog.Step{Step: int64(i + 1)}, runlog.Step{Step: int64(i + 2), HeldOut: &l})
		}
		return log
	}
	up := math.Log(1.3)
	for _, c := range []struct {
		log  *runlog.Log
		want string
	}{
		{held(5, 4, 3), ProbeSteady}, {held(3, 3+up-1e-9, 3+up-1e-9), ProbeSteady}, {held(5, 3, 3+up+1e-9, 2), ProbeFluctuates},
		{held(5, 4.9, 5.1, 5.15), ProbeSteady}, {held(3, 3.2, 3.4), ProbeFluctuates}, {held(), ProbeSteady},
		{held(3, 900, 3), ProbeFluctuates}, {held(math.Inf(1), 3), ProbeDiverged}, {held(3, math.NaN(), 3), ProbeDiverged},
	} {
		p := Probe{}
		if p.judge(c.log, 1.3); p.Verdict != c.want {
			t.Errorf("%v: %+v, want %s", c.log.Steps, p, c.want)
		}
		if _, err := json.Marshal(p); err != nil {
			t.Error(err)
		}
	}
}

// What cannot be tuned is refused, and nothing is trained.
func TestTuneRefuses(t *testing.T) {
	dir, base := tuneDir(t)
	edited := func(edits ...recipe.Edit) *recipe.Recipe {
		r, err := base.Edited(edits...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	f := &fake{}
	for name, c := range map[string]struct {
		recipe *recipe.Recipe
		spoil  func(t *Tuning)
		says   string
	}{
		"what":        {base, func(t *Tuning) { t.What = []string{"end"} }, `unknown "end"`},
		"nothing":     {base, func(t *Tuning) { t.What = nil }, "nothing is to be tuned"},
		"fluctuation": {base, func(t *Tuning) { t.Fluctuation = 1 }, "give more than 1"},
		"first":       {base, func(t *Tuning) { t.First = recipe.Amount{Value: 20} }, "give a share"},
		"too short":   {base, func(t *Tuning) { t.First.Value = 1 }, "the first 1% of its run are 2 steps"},
		"seeds":       {base, func(t *Tuning) { t.Seeds = 0 }, "0 seeds"},
		"no pace":     {edited(recipe.Edit{Path: []any{"curriculum"}, Value: []any{}}, recipe.Edit{Path: []any{"routing"}, Value: map[string]any{"policy": "none"}}), func(*Tuning) {}, "no pace that could be tuned"},
		"no held-out": {edited(recipe.Edit{Path: []any{"evaluate", "held_out"}, Value: "0%"}), func(*Tuning) {}, "nothing is held out"},
	} {
		tune := tuning(dir, f, TuneStart, TunePace)
		c.spoil(&tune)
		if _, err := TuneRecipe(t.Context(), c.recipe, tune); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if f.calls != 0 {
		t.Errorf("%d runs were made", f.calls)
	}

	// A probe of another backend is not taken for this one's.
	tune := tuning(dir, f, TuneStart)
	if _, err := TuneRecipe(t.Context(), base, tune); err != nil {
		t.Fatal(err)
	}
	tune.Backend = "xla:cpu"
	if _, err := TuneRecipe(t.Context(), base, tune); err == nil || !strings.Contains(err.Error(), "whose backend is") {
		t.Errorf("another backend: %v", err)
	}
}
