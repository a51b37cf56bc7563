package prepare_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/tokenizer"
)

func ExampleRun() {
	dir, err := os.MkdirTemp("", "prepare")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	tok, err := tokenizer.New("r50k")
	if err != nil {
		log.Fatal(err)
	}
	result, err := prepare.Run(context.Background(), filepath.Join(dir, "tiny"), prepare.Options{
		Inputs:    []string{"-"},
		Stdin:     strings.NewReader(`{"text":"Step by step."}` + "\n" + `{"text":"Gradus ad Parnassum."}` + "\n"),
		Format:    prepare.JSONL,
		Tokenizer: tok,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Documents, "documents,", result.Tokens, "tokens of type", result.DType)
	// Output: 2 documents, 14 tokens of type uint16
}
