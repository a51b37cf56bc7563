package experiment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// What became of a probe.
const (
	ProbeSteady     = "steady"
	ProbeFluctuates = "fluctuates"
	ProbeDiverged   = "diverged"
	ProbeRefused    = "refused" // the recipe cannot be run with the value
	ProbeFinished   = "finished"
)

// A Probe is one run of a tuning.
type Probe struct {
	Run     string  `json:"run"` // hash of its recipe, which names its directory; empty: it was refused
	Arm     string  `json:"arm,omitempty"`
	Budget  string  `json:"budget,omitempty"`
	What    string  `json:"what"`
	At      string  `json:"at"`
	Value   any     `json:"value"` // that was tried
	Seed    uint64  `json:"seed"`
	Verdict string  `json:"verdict"`
	Why     string  `json:"why,omitempty"`   // of a refusal
	Same    bool    `json:"same,omitempty"`  // it does, up to its end, what the run of another candidate did, and is that one
	Worst   float64 `json:"worst,omitempty"` // largest perplexity, in multiples of the best before it, 1e9 at most; 0: not evaluated
	HeldOut float64 `json:"held_out"`        // its last held-out loss, nats; 0: none that is a number

	Steps       int64   `json:"steps"`
	Tokens      int64   `json:"tokens"`
	LayerTokens float64 `json:"layer_tokens"`
	FLOPs       float64 `json:"flops"`
	Seconds     float64 `json:"seconds"` // in training steps
}

// line says a probe.
func (p Probe) line() string {
	text := fmt.Sprintf("  %v, seed %d: %s", p.Value, p.Seed, p.Verdict)
	if p.Arm != "" {
		text = fmt.Sprintf("  %s %v, seed %d: %s", p.Arm, p.Value, p.Seed, p.Verdict)
	}
	switch {
	case p.Verdict == ProbeRefused:
		text += ": " + p.Why
	case p.Verdict == ProbeDiverged:
		text += fmt.Sprintf(" at step %d", p.Steps)
	case p.What == TuneRate:
		text = fmt.Sprintf("%s, held-out loss %.4f", text, p.HeldOut)
	default:
		text += fmt.Sprintf(", at worst %.2f times the best perplexity, held-out loss %.4f at the end", p.Worst, p.HeldOut)
	}
	if p.Same {
		text += " (the same steps as those of another value)"
	}
	return text
}

// A ran is a run of a probe.
type ran struct {
	name    string // its hash
	log     *runlog.Log
	until   int64
	refused error // it could not begin

	diverged bool // which the log need not show: weights may be no numbers before a loss is
	same     bool // it is that of another candidate
	moves    func(k knob) bool
}

// of takes over what a run says of itself.
func (p *Probe) of(r ran) {
	if r.refused != nil {
		p.Verdict, p.Why = ProbeRefused, r.refused.Error()
		return
	}
	p.Run, p.Same = r.name, r.same
	if n := len(r.log.Steps); n > 0 {
		last := r.log.Steps[n-1]
		p.Steps, p.Tokens, p.LayerTokens, p.FLOPs, p.Seconds = last.Step, last.Tokens, last.LayerTokens, last.FLOPs, last.Seconds
	}
	for _, s := range r.log.Steps {
		if s.HeldOut != nil && finite(*s.HeldOut) {
			p.HeldOut = *s.HeldOut
		}
	}
	if r.diverged || ranAway(r.log) {
		p.Verdict = ProbeDiverged
	}
}

// judge says whether the held-out loss of a log fluctuates: whether its perplexity is
// ever more than a factor above its best before.
func (p *Probe) judge(log *runlog.Log, factor float64) {
	best := math.Inf(1)
	for _, s := range log.Steps {
		switch {
		case s.HeldOut == nil:
			continue
		case !finite(*s.HeldOut):
			p.Verdict = ProbeDiverged
			return
		}
		best = min(best, *s.HeldOut)
		p.Worst = max(p.Worst, min(math.Exp(*s.HeldOut-best), 1e9)) // JSON has no infinity
	}
	p.Verdict = ProbeSteady
	if p.Worst > factor {
		p.Verdict = ProbeFluctuates
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// run makes the run of a recipe up to a step, unless its log is there. The
// recipe's hash names its directory, so that whoever asks for the same run again
// finds it. A recipe that cannot be run is no error: it is refused.
//
// like, if not nil, is the recipe with the values that are tuned as they were. A run
// that does what another one of the same like did, step by step up to its end, is that
// one.
func (w *tuner) run(ctx context.Context, r, like *recipe.Recipe, until func(b *recipe.Bound) (int64, error)) (ran, error) {
	out := ran{name: r.Hash()}
	dir := filepath.Join(w.Out, ProbeDir, out.name)
	b, err := recipe.Open(ctx, r, recipe.Options{})
	if errors.Is(err, fault.Invalid) {
		out.refused = err
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer b.Close()
	if out.until, err = until(b); err != nil {
		return out, err
	}
	out.moves = func(k knob) bool { return movesIn(b, k, out.until) }
	c, err := b.Training(dir)
	if err != nil {
		return out, err
	}
	if len(c.Evaluation) == 0 {
		return out, fault.Invalidf("%s: nothing is held out, and a probe is judged by its held-out loss; give evaluate.held_out, or evaluate.corpus", r.Path())
	}
	if err := c.Compute(w.Backend, w.Precision); err != nil {
		return out, err
	}
	key := ""
	if like != nil {
		key = serves(b, c, like, out.until)
		if twin, ok := w.served[key]; ok {
			out.name, out.log, out.diverged, out.same = twin.name, twin.log, twin.diverged, true
			return out, nil
		}
	}
	if err := w.made(ctx, r, dir, c.Run, &out); err != nil {
		return out, err
	}
	if like != nil {
		w.served[key] = out
	}
	return out, w.strip(dir)
}

// made makes the run of a probe, or finds it made.
func (w *tuner) made(ctx context.Context, r *recipe.Recipe, dir string, as runlog.Run, out *ran) (err error) {
	done := func() (bool, error) {
		out.log, err = madeLog(dir, as)
		return out.log != nil && (ranAway(out.log) || int64(len(out.log.Steps)) >= out.until), err
	}
	there, err := done()
	if err != nil {
		return err
	}
	if !there {
		err := w.Train(ctx, r, dir, out.until)
		d := (*train.DivergedError)(nil)
		if out.diverged = errors.As(err, &d); err != nil && !out.diverged {
			return err
		}
		if there, err = done(); err != nil {
			return err
		}
		if out.log == nil || !there && !out.diverged {
			return fmt.Errorf("%s was trained up to step %d, and its log does not reach it", dir, out.until)
		}
		w.sayPace(out.log)
	}
	out.log.Steps = out.log.Steps[:min(int64(len(out.log.Steps)), out.until)]
	return nil
}

// serves names what a run does up to a step, from which its losses follow.
func serves(b *recipe.Bound, c train.Config, like *recipe.Recipe, until int64) string {
	h := sha256.New()
	fmt.Fprintln(h, like.Hash(), c.Run.Corpus, until)
	sampler := b.Plan.Sampler()
	var ids []int64
	for step := b.Plan.First(); step < until; step++ {
		ids = sampler.At(ids[:0], step)
		form, after, factor := b.Plan.BatchAt(step), b.Plan.PositionAt(step+1), 1.0
		if c.RateFactor != nil {
			factor = c.RateFactor(step)
		}
		fmt.Fprintln(h, curriculum.Digest(step, ids), form.Shape, after, c.Schedule.At(after.On(c.RateClock))*factor)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// madeLog reads the log of a run that was begun; nil: none was. One of another run is
// an error of kind fault.Mismatch.
func madeLog(dir string, want runlog.Run) (*runlog.Log, error) {
	path := logFile(dir)
	log, err := runlog.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, k := range []struct{ name, is, want string }{
		{"recipe", log.Run.Recipe, want.Recipe}, {"corpus", log.Run.Corpus, want.Corpus},
		{"backend", log.Run.Backend, want.Backend}, {"precision", log.Run.Precision, want.Precision},
	} {
		if k.is != k.want {
			return nil, fault.Mismatchf("%s is of a run whose %s is %q, and the probe's is %q; give another --out, or remove %s", path, k.name, k.is, k.want, dir)
		}
	}
	return log, nil
}

// strip removes what a finished probe needs no more.
func (w *tuner) strip(dir string) error {
	if w.Keep {
		return nil
	}
	return errors.Join(os.RemoveAll(filepath.Join(dir, "checkpoints")), os.RemoveAll(filepath.Join(dir, recipe.PlanDir)))
}

// movesIn reports whether a pace leaves its start before a step.
func movesIn(b *recipe.Bound, k knob, until int64) bool {
	first, last := b.Plan.First(), until-1
	before, after := b.Plan.BatchAt(first), b.Plan.BatchAt(last)
	switch k.path[0] {
	case "routing":
		return before.Kept != after.Kept
	case "batch":
		return before.Units != after.Units
	}
	i, _ := k.path[1].(int)
	m := b.Recipe.Curriculum[i]
	if m.Apply != "" {
		return before.Length != after.Length
	}
	at := 0 // which of the admissions it is
	for _, other := range b.Recipe.Curriculum[:i] {
		if other.Apply == "" {
			at++
		}
	}
	stages := b.Plan.Stages()
	return stages[b.Plan.StageAt(first)].Difficulty[at] != stages[b.Plan.StageAt(last)].Difficulty[at]
}
