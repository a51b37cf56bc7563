package batch_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/route"
)

// From a corpus over a plan to the tensors of a step: rows grow from 2 to 4
// tokens, of which the middle one of three layers sees 2.
func Example() {
	dir, err := os.MkdirTemp("", "batch")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "tiny")
	w, err := corpus.Create(prefix, corpus.Uint8)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort()
	if err := w.Append([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}); err != nil {
		log.Fatal(err)
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 17, EndOfDocument: -1}); err != nil {
		log.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	samples, err := c.Samples(corpus.Cut{Window: 4})
	if err != nil {
		log.Fatal(err)
	}

	length, err := pace.NewRoot(pace.Root{From: 2, To: 4, Step: 2, Until: 2, Degree: 1})
	if err != nil {
		log.Fatal(err)
	}
	routed := route.Inner(3)
	plan, err := curriculum.Compile(context.Background(), curriculum.Config{
		Seed: 1, Sources: []curriculum.Source{{Samples: samples.Len()}}, Buckets: []curriculum.Bucket{{Length: 4, Units: 2}},
		Length: curriculum.Timed{Pace: length}, Keep: curriculum.Timed{Pace: pace.Constant(2)},
		Layers: 3, Routed: len(routed), Clock: curriculum.Steps, Budget: 4,
	})
	if err != nil {
		log.Fatal(err)
	}
	maker, err := batch.NewMaker(batch.Config{
		Sources: []batch.Source{{Samples: samples}}, Plan: plan, Seed: 1,
		Routing: batch.Routing{Policy: route.RandomLTD{}, Layers: routed},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range []int64{3, 0} { // in any order
		b, err := maker.Make(step, 0, 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("step %d: %d rows of %d tokens from samples %v\n", step, b.Rows, b.Length, b.IDs)
		fmt.Println("  inputs", b.Inputs)
		fmt.Println("  labels", b.Labels)
		fmt.Println("  kept  ", b.Kept)
	}
	// Output:
	// step 3: 2 rows of 4 tokens from samples [0 2]
	//   inputs [0 1 2 3 8 9 10 11]
	//   labels [1 2 3 4 9 10 11 12]
	//   kept   [[0 1 2 3]]
	// step 0: 2 rows of 2 tokens from samples [0 1]
	//   inputs [0 1 4 5]
	//   labels [1 2 5 6]
	//   kept   []
}
