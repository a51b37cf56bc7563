package corpus_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
)

func Example() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	prefix := filepath.Join(dir, "tiny")

	w, err := corpus.Create(prefix, corpus.Fit(257))
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort()
	for _, text := range []string{"step", "by step"} {
		document := []int32{}
		for _, b := range []byte(text) {
			document = append(document, int32(b))
		}
		if err := w.Append(append(document, 256)); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}); err != nil {
		log.Fatal(err)
	}

	c, err := corpus.Open(prefix)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Documents(), "documents,", c.Tokens(), "tokens of type", c.DType())

	samples, err := c.Samples(corpus.Cut{Window: 4})
	if err != nil {
		log.Fatal(err)
	}
	for id := range samples.Len() {
		start, end := samples.Span(id)
		tokens := make([]int32, end-start)
		if err := c.Read(tokens, start); err != nil {
			log.Fatal(err)
		}
		fmt.Println(samples.Cut(), "sample", id, tokens)
	}
	// Output:
	// 2 documents, 13 tokens of type uint16
	// window 4 sample 0 [115 116 101 112 256]
	// window 4 sample 1 [256 98 121 32 115]
	// window 4 sample 2 [115 116 101 112 256]
}
