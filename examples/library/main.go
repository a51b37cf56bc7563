// Command library goes the way of the data without the gradus program: text into a
// corpus, the corpus into an index, a plan of both, and the batches of any step.
//
//	go run ./examples/library DIR FILE...
//
// leaves the corpus and the index in DIR.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/route"
	"github.com/gradus-ml/gradus/tokenizer"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: library DIR FILE...")
	}
	ctx, prefix, dir := context.Background(), filepath.Join(os.Args[1], "corpus"), filepath.Join(os.Args[1], "index")

	// A corpus: the tokens of all files, here their bytes, cut into windows.
	bytes := must(tokenizer.New("bytes"))
	must(prepare.Run(ctx, prefix, prepare.Options{Inputs: os.Args[2:], Tokenizer: bytes, Force: true}))
	samples := must(must(corpus.Open(prefix)).Samples(corpus.Cut{Window: 32}))

	// An index: how rare the tokens of each window are.
	must(analyze.Run(ctx, samples, []metric.Metric{metric.Rarity()}, dir, analyze.Options{Force: true}))
	rarity := must(must(index.Open(dir)).Column("rarity"))

	// A plan of 100 steps: in the first 40 the easiest fifth of the windows becomes
	// all of them, and rows grow; the middle one of 3 layers sees 8 tokens of a row.
	admitted := must(pace.NewRoot(pace.Root{From: 20, To: 100, Step: 1, Until: 40, Degree: 2}))
	length := must(pace.NewLinear(pace.Ramp{From: 16, To: 32, Step: 8, Until: 40}))
	routed := route.Inner(3)
	plan := must(curriculum.Compile(ctx, curriculum.Config{
		Seed:    1234,
		Sources: []curriculum.Source{{Samples: samples.Len(), Columns: []curriculum.Column{rarity}}},
		Buckets: []curriculum.Bucket{{Length: 32, Units: 4}},
		Admit:   []curriculum.Admission{{Metric: "rarity", By: curriculum.Percentile, Pace: curriculum.Timed{Pace: admitted}}},
		Length:  curriculum.Timed{Pace: length},
		Keep:    curriculum.Timed{Pace: pace.Constant(8)},
		Layers:  3, Routed: len(routed),
		Clock: curriculum.Steps, Budget: 100,
	}))

	// Batches: the tensors of any step for any rank, which a trainer takes.
	maker := must(batch.NewMaker(batch.Config{
		Sources: []batch.Source{{Samples: samples}}, Plan: plan, Seed: 1234,
		Routing: batch.Routing{Policy: route.RandomLTD{}, Layers: routed},
	}))
	for _, step := range []int64{99, 0, 20} {
		b := must(maker.Make(step, 0, 2)) // the first of two ranks
		fmt.Printf("step %d: %d rows of %d tokens, samples %v\n", step, b.Rows, b.Length, b.IDs)
		fmt.Printf("  row 0: %q, a routed layer sees %v\n", bytes.Decode(nil, b.Inputs[:b.Length]), b.Kept[0][:b.Shape.Kept])
	}
}

// must ends the program at an error. A program that goes on returns it, and closes
// the corpus, the index and the plan.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
