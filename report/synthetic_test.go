package report

import (
	"math"

	"github.com/gradus-ml/gradus/runlog"
)

// synthetic makes the log of a run of 400 steps of 8 rows of up to 256 tokens,
// evaluated every 20 steps, whose loss falls as a power of layer-tokens. A
// composed one grows length and kept tokens over the first 60 %.
func synthetic(name string, seed uint64, composed bool, advantage float64) *runlog.Log {
	const steps, full, rows, layers = 400, 256, 8, 6
	log := &runlog.Log{Run: runlog.Run{
		Version: 1, Name: name, Recipe: "c0ffee00" + name, Corpus: "9a1b77de5c0f4e21", Seed: seed,
		Model: "gpt, 6 layers, width 128, 4 heads", Parameters: 1_234_432, Steps: steps,
		Clock: "layer-tokens", Budget: steps * rows * full, Backend: "go:ops_sequential", Rate: 3e-3,
	}}
	var s runlog.Step
	for n := 1; n <= steps; n++ {
		s.Step, s.Length, s.Rows, s.Kept = int64(n), full, rows, full
		s.Difficulty, s.Stage = nil, 0
		if composed {
			share := min(1, float64(n)/(0.6*steps))
			s.Length = 64 + 32*int(share*6)
			s.Kept = min(s.Length, 64+32*int(share*share*6))
			s.Stage = int(share * 6)
			s.Difficulty = map[string]float64{"rarity": 1400 + 900*math.Sqrt(share)}
		}
		tokens := float64(s.Length * rows)
		layerTokens := (2*tokens + (layers-2)*float64(s.Kept*rows)) / layers
		s.Tokens += int64(tokens)
		s.LayerTokens += layerTokens
		s.FLOPs += 7.4e6 * layerTokens
		s.Seconds += 0.02 + layerTokens*1.1e-4
		s.Rate = 3e-3 * min(float64(n)/8, 0.55+0.45*math.Cos(math.Pi*s.LayerTokens/log.Run.Budget))
		s.Loss = 1.35 + 3.6*math.Pow(1+advantage*s.LayerTokens/2e4, -0.42) + 0.01*math.Sin(float64(n)*float64(seed))
		s.GradNorm = 0.8
		s.HeldOut = nil
		if n%20 == 0 {
			s.HeldOut = new(s.Loss + 0.02)
		}
		s.Digest = "digest-of-" + name
		log.Steps = append(log.Steps, s)
	}
	return log
}
