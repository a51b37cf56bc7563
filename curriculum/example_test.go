package curriculum_test

import (
	"fmt"
	"log"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/pace"
)

// Six samples with a difficulty each. The easier ones come first, rows grow from
// 2 to 4 tokens, and any step can be asked for at once.
func Example() {
	difficulty := column{30, 10, 50, 20, 60, 40}
	admit, err := pace.NewRoot(pace.Root{From: 20, To: 60, Step: 20, Until: 4, Degree: 1})
	if err != nil {
		log.Fatal(err)
	}
	length, err := pace.NewRoot(pace.Root{From: 2, To: 4, Step: 2, Until: 4, Degree: 1})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := curriculum.Compile(curriculum.Config{
		Seed: 1, Samples: 6, Batch: 2, Window: 4, Layers: 1, Clock: curriculum.Steps, Budget: 7,
		Admit:  []curriculum.Admission{{Metric: "difficulty", Column: difficulty, By: curriculum.Value, Pace: admit}},
		Length: length,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range plan.Stages() {
		fmt.Printf("from step %d: difficulty up to %v, %d samples, %d rows of %d tokens\n", s.First, s.Difficulty[0], s.Pool, s.Rows, s.Length)
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
	// step 6 serves [0 1] of which rank 1 of 2 takes [1]
	// step 0 serves [3 1] of which rank 1 of 2 takes [1]
	// the run ends at 40 tokens
}
