package analyze_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
)

// The documents of a small corpus, in order of how rare their letters are.
func ExampleRun() {
	documents := []string{"jazz", "tea", "eat at ten", "a"}
	if err := run(documents); err != nil {
		fmt.Println(err)
	}
	// Output:
	//   2.0 nats  a
	//   6.8 nats  tea
	//  11.6 nats  jazz
	//  25.4 nats  eat at ten
}

func run(documents []string) error {
	dir, err := os.MkdirTemp("", "gradus-example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w, err := corpus.Create(filepath.Join(dir, "text"), corpus.Uint16)
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, text := range documents {
		tokens := make([]int32, len(text))
		for i := range text {
			tokens[i] = int32(strings.IndexByte(" abcdefghijklmnopqrstuvwxyz", text[i]))
		}
		if err := w.Append(tokens); err != nil {
			return err
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 27, EndOfDocument: -1}); err != nil {
		return err
	}

	c, err := corpus.Open(filepath.Join(dir, "text"))
	if err != nil {
		return err
	}
	defer c.Close()
	samples, err := c.Samples(corpus.Cut{Documents: true})
	if err != nil {
		return err
	}
	result, err := analyze.Run(context.Background(), samples, nil, filepath.Join(dir, "text.index"), analyze.Options{})
	if err != nil {
		return err
	}
	x, err := index.Open(result.Index)
	if err != nil {
		return err
	}
	defer x.Close()
	rarity, err := x.Column("rarity")
	if err != nil {
		return err
	}
	for rank := range rarity.Len() {
		id := rarity.At(rank)
		fmt.Printf("%5.1f nats  %s\n", rarity.Value(id), documents[id])
	}
	return nil
}
