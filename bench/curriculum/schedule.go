package main

import (
	"fmt"
	"math"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/pace"
)

// leastDifficulty is where a curriculum by value begins: 2.3 per cent of the
// samples, so that the first pool is larger than a batch.
const leastDifficulty = 2600

// difficulties are the values of a pace of so many stages: equal parts of all
// samples, or equal steps of rarity.
func difficulties(by curriculum.By, stages int) ([]float64, error) {
	d := make([]float64, stages)
	for i := range d {
		if by == curriculum.Percentile {
			d[i] = 100 * float64(i+1) / float64(stages)
			continue
		}
		d[i] = math.Round(leastDifficulty + (greatestRarity-leastDifficulty)*float64(i+1)/float64(stages))
		if i > 0 && d[i] == d[i-1] {
			return nil, fmt.Errorf("%d stages are too many for whole nats from %d to %d", stages, leastDifficulty, greatestRarity)
		}
	}
	return d, nil
}

// A stairs pace takes the next value every so many steps, and stays at the last.
type stairs struct {
	values []float64
	every  float64
}

func (s stairs) at(clock float64) int { return min(int(clock/s.every), len(s.values)-1) }

func (s stairs) At(clock float64) float64 { return s.values[s.at(clock)] }

func (s stairs) Next(clock float64) float64 {
	if at := s.at(clock); at < len(s.values)-1 {
		return float64(at+1) * s.every
	}
	return math.Inf(1)
}

var _ pace.Stepped = stairs{}
