package lookup_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/metric/lookup"
)

// Difficulties that another program wrote, in any order, one for each document.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "lookup")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "difficulty.jsonl")
	rows := `{"document": 1, "difficulty": 0.75}
{"document": 0, "difficulty": 2}
`
	if err := os.WriteFile(path, []byte(rows), 0o666); err != nil {
		log.Fatal(err)
	}
	samples := twoDocuments(filepath.Join(dir, "corpus"))
	defer samples.Corpus().Close()

	l, err := lookup.Open(path, lookup.Options{Field: "difficulty", Key: "document"})
	if err != nil {
		log.Fatal(err)
	}
	scorer, err := l.Scorer(metric.Source{Samples: samples})
	if err != nil {
		log.Fatal(err)
	}
	values := make([]float64, 2)
	err = scorer.Score(values, []metric.Sample{{ID: 0}, {ID: 1}})
	fmt.Println(values, err)
	// Output:
	// [2 0.75] <nil>
}

func twoDocuments(prefix string) *corpus.Samples {
	w, err := corpus.Create(prefix, corpus.Fit(10))
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort()
	for _, document := range [][]int32{{1, 2, 3}, {4}} {
		if err := w.Append(document); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		log.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		log.Fatal(err)
	}
	samples, err := c.Samples(corpus.Cut{Documents: true})
	if err != nil {
		log.Fatal(err)
	}
	return samples
}
