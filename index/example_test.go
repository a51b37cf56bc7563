package index_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
)

// An index of difficulties that another program found, read back.
func Example() {
	dir, err := os.MkdirTemp("", "gradus-example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := write(dir); err != nil {
		fmt.Println(err)
		return
	}

	x, err := index.Open(filepath.Join(dir, "text.index"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer x.Close()
	c, err := x.Column("difficulty")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("easiest: document", c.At(0), "with", c.Value(c.At(0)))
	fmt.Println("half of the documents have at most", c.Quantile(50))
	// Output:
	// easiest: document 1 with 10
	// half of the documents have at most 20
}

// write makes a corpus of four documents and an index of it in dir.
func write(dir string) error {
	prefix := filepath.Join(dir, "text")
	w, err := corpus.Create(prefix, corpus.Fit(256))
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, word := range []string{"difficult", "is", "learning", "easy"} {
		document := []int32{}
		for _, b := range []byte(word) {
			document = append(document, int32(b))
		}
		if err := w.Append(document); err != nil {
			return err
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 256, EndOfDocument: -1}); err != nil {
		return err
	}

	text, err := corpus.Open(prefix)
	if err != nil {
		return err
	}
	defer text.Close()
	samples, err := text.Samples(corpus.Cut{Documents: true})
	if err != nil {
		return err
	}
	head, err := index.HeadOf(samples)
	if err != nil {
		return err
	}
	x, err := index.Create(filepath.Join(dir, "text.index"), head, false)
	if err != nil {
		return err
	}
	defer x.Abort()
	m := index.Metric{Name: "difficulty", Version: 1, Unit: "points", DType: index.Whole}
	values, err := x.Values(m)
	if err != nil {
		return err
	}
	if err := errors.Join(values.WriteAt([]float64{40, 10, 30, 20}, 0), values.Close()); err != nil {
		return err
	}
	if _, err := x.Finish(context.Background(), m, 1, index.DefaultMemory); err != nil {
		return err
	}
	return x.Commit()
}
