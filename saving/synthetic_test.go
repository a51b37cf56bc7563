package saving

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/runlog"
)

// world is what synthetic runs are drawn from: a held-out loss that falls as a power of
// the amount, floor + height (amount / full)^-power, in which an arm that saves a factor s
// ends where the baseline would with s times as much. A seed moves all its runs by one
// normal draw, and each run by another of its own.
type world struct {
	floor, height, power float64
	paired, own          float64 // standard deviations
}

func worlds() []world {
	return []world{
		{1.2, 0.9, 0.35, 0.01, 0.003},
		{2.0, 1.1, 0.25, 0.005, 0.01},
		{0.6, 0.8, 0.5, 0.003, 0.02},
	}
}

const fullTokens = 2_000_000

// run is a run of an arm that saves a factor, with a log of a few steps.
func (w world) run(arm string, budget float64, seed uint64, saves float64, draw keyed.Key) Run {
	p := draw.Sub(seed).Stream().Normal() * w.paired
	s := draw.Sub(seed).Sub(uint64(math.Round(budget * 1000))).Sub(nameKey(arm)).Stream()
	loss := w.floor + w.height*math.Pow(saves*budget, -w.power) + p + s.Normal()*w.own
	pace := 1 + 0.02*s.Normal() // of the machine
	log := &runlog.Log{Run: runlog.Run{
		Version: 1, Name: fmt.Sprintf("%s-%g-%d", arm, 100*budget, seed), Recipe: "c0ffee" + arm, Corpus: "9a1b77de5c0f4e21", Seed: seed,
		Model: "gpt, 6 layers, width 128, 4 heads", Parameters: 1_234_432, Clock: "tokens", Budget: budget * fullTokens, Backend: "go", Rate: 3e-3,
	}}
	steps := int(16 * budget)
	log.Run.Steps = int64(steps)
	for n := 1; n <= steps; n++ {
		done := budget * fullTokens * float64(n) / float64(steps)
		step := runlog.Step{
			Step: int64(n), Tokens: int64(done), LayerTokens: done, FLOPs: 7.4e6 * done, Seconds: done * 1e-4 * pace,
			Length: 256, Rows: 8, Kept: 256, Loss: loss + 1/float64(n), Rate: 1e-3, Digest: "digest-of-" + arm,
		}
		if n == steps {
			step.HeldOut = new(loss)
		}
		log.Steps = append(log.Steps, step)
	}
	return Run{Arm: arm, Budget: budget, Seed: seed, Log: log}
}

func nameKey(name string) (k uint64) {
	for _, b := range []byte(name) {
		k = k*257 + uint64(b)
	}
	return k
}

// study is a baseline at 25, 50, 100 and 200 % and arms at some budgets, each of which
// saves the factor that stands beside its name.
func (w world) study(seeds int, draw keyed.Key, budgets []float64, arms map[string]float64) Study {
	s := Study{Name: "synthetic", Question: "What is saved?", Baseline: "baseline", Arms: []Arm{{Name: "baseline", Says: "rows of full length in random order"}}}
	for seed := range uint64(seeds) {
		for _, b := range []float64{0.25, 0.5, 1, 2} {
			s.Runs = append(s.Runs, w.run("baseline", b, seed+11, 1, draw))
		}
	}
	for _, name := range sortedKeys(arms) {
		s.Arms = append(s.Arms, Arm{Name: name, Says: "saves " + factor(arms[name])})
		for seed := range uint64(seeds) {
			for _, b := range budgets {
				s.Runs = append(s.Runs, w.run(name, b, seed+11, arms[name], draw))
			}
		}
	}
	return s
}

// motley is a study of several techniques and their controls, with what can go wrong: a
// run that diverged, one that was cut off, one that failed, one that is missing, and an arm
// of another shape.
func motley() Study {
	w := world{1.35, 0.62, 0.4, 0.012, 0.004}
	draw := keyed.NewKey(7, "motley")
	s := w.study(3, draw, nil, nil)
	s.Name, s.Question = "gosrc-small", "Do short rows first and random-LTD reach the baseline's loss with half the time?"
	s.Notes = "Every arm's learning rate was searched with six probes at a quarter of the budget."
	s.Primary = &Primary{Arm: "composed", Budget: 0.5, Clocks: []string{"seconds", "tokens"}, Aim: 2}
	for _, a := range []struct {
		Arm
		saves, perToken float64 // the factor in tokens, and how much less a token costs
		budgets         []float64
	}{
		{Arm{Name: "length", Says: "rows grow from 32 to 256 tokens over the first 40 %"}, 1.45, 1.25, []float64{0.5, 1}},
		{Arm{Name: "random-ltd", Says: "inner layers see 64 to 256 tokens of a row, drawn anew for each layer"}, 1.05, 1.3, []float64{0.5, 1}},
		{Arm{Name: "composed", Says: "both, and rare words late"}, 2.1, 1.45, []float64{0.5, 1}},
		{Arm{Name: "reversed", Says: "long rows first", Control: "composed"}, 0.8, 1.4, []float64{0.5}},
		{Arm{Name: "batch ramp", Says: "full rows, as many tokens in each update as composed has", Control: "composed"}, 1.25, 1, []float64{0.5}},
		{Arm{Name: "constant drop of a quarter of the tokens", Says: "a name that is long", Control: "random-ltd"}, 0.97, 1.3, []float64{0.5}},
		{Arm{Name: "a | shallower <net>"}, 0.1, 1.5, []float64{0.25}},
	} {
		s.Arms = append(s.Arms, a.Arm)
		for _, b := range a.budgets {
			for seed := range uint64(3) {
				run := w.run(a.Name, b, seed+11, a.saves, draw)
				for i := range run.Log.Steps {
					step := &run.Log.Steps[i]
					step.LayerTokens /= a.perToken
					step.FLOPs /= a.perToken
					step.Seconds /= a.perToken
					step.Waited, step.Compile, step.Discarded = 0.02, 1.5/float64(i+1), 300
				}
				s.Runs = append(s.Runs, run)
			}
		}
	}
	s.Expected = len(s.Runs) + 1
	log := func(arm string, seed uint64) *Run {
		for i := range s.Runs {
			if s.Runs[i].Arm == arm && s.Runs[i].Seed == seed {
				return &s.Runs[i]
			}
		}
		return nil
	}
	r := log("reversed", 12)
	r.Log.Steps[7].Loss, r.Log.Steps[7].HeldOut = math.NaN(), new(math.NaN())
	r = log("random-ltd", 11)
	r.Log.Steps = r.Log.Steps[:2]
	r = log("length", 13)
	r.Log, r.Failed = nil, "no space left on device"
	for seed := range uint64(3) {
		log("a | shallower <net>", seed+11).Log.Run.Parameters = 900_000
	}
	return s
}

func pow(x, y float64) float64 { return math.Pow(x, y) }
