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

// Several files are one corpus, here an array of NumPy's and a flat file as
// nanoGPT writes it.
func ExampleOpenAs() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	array := "\x93NUMPY\x01\x00\x3a\x00{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }\n" + "\x01\x00\x02\x00"
	for name, content := range map[string]string{"part0.npy": array, "part1.bin": "\x03\x00\x04\x00\x05\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			log.Fatal(err)
		}
	}

	form, err := corpus.ParseForm("uint16") // which the flat file does not say
	if err != nil {
		log.Fatal(err)
	}
	c, err := corpus.OpenAs(form, filepath.Join(dir, "part*"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	tokens := make([]int32, c.Tokens())
	if err := c.NewReader().Read(tokens, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Documents(), "documents:", tokens)
	// Output:
	// 2 documents: [1 2 3 4 5]
}
