package curriculum_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/pace"
)

// difficulty is a metric of six samples, in memory. An *index.Column is the same
// over a file.
type difficulty struct{}

var values = []float64{30, 10, 50, 20, 60, 40}

func (difficulty) Len() int64                        { return int64(len(values)) }
func (difficulty) Values(dst []float64, start int64) { copy(dst, values[start:]) }
func (difficulty) Ranked(rank int64) float64         { return float64(10 * (rank + 1)) }
func (d difficulty) Quantile(percent float64) float64 {
	return d.Ranked(max(int64(percent*6/100+0.999)-1, 0))
}

// Six samples with a difficulty each. The easier ones come first, rows grow from
// 2 to 4 tokens, and any step can be asked for at once.
func Example() {
	admit, err := pace.NewRoot(pace.Root{From: 20, To: 60, Step: 20, Until: 4, Degree: 1})
	if err != nil {
		log.Fatal(err)
	}
	length, err := pace.NewRoot(pace.Root{From: 2, To: 4, Step: 2, Until: 4, Degree: 1})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := curriculum.Compile(context.Background(), curriculum.Config{
		Seed:    1,
		Sources: []curriculum.Source{{Samples: 6, Columns: []curriculum.Column{difficulty{}}}},
		Buckets: []curriculum.Bucket{{Length: 4, Units: 2}}, // batches of two samples of four tokens
		Admit:   []curriculum.Admission{{Metric: "difficulty", By: curriculum.Value, Pace: curriculum.Timed{Pace: admit}}},
		Length:  curriculum.Timed{Pace: length},
		Layers:  1, Clock: curriculum.Steps, Budget: 7,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer plan.Close()
	for _, s := range plan.Stages() {
		batch := s.Batches[0]
		fmt.Printf("from step %d: difficulty up to %v, %d samples, %d rows of %d tokens\n", s.First, s.Difficulty[0], s.Pool, batch.Rows, batch.Length)
	}
	sampler := plan.Sampler()
	for _, step := range []int64{6, 0} {
		ids := sampler.At(nil, step)
		fmt.Println("step", step, "serves", ids, "of which rank 1 of 2 takes", curriculum.Slice(ids, 1, 2))
	}
	fmt.Println("the run ends at", plan.End().Tokens, "tokens")
	// Output:
	// from step 0: difficulty up to 20, 2 samples, 2 rows of 2 tokens
	// from step 2: difficulty up to 40, 4 samples, 2 rows of 2 tokens
	// from step 4: difficulty up to 60, 6 samples, 2 rows of 4 tokens
	// step 6 serves [1 2] of which rank 1 of 2 takes [2]
	// step 0 serves [1 3] of which rank 1 of 2 takes [3]
	// the run ends at 40 tokens
}
