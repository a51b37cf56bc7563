package tokenizer_test

import (
	"fmt"

	"github.com/gradus-ml/gradus/tokenizer"
)

func Example() {
	tok, err := tokenizer.New("r50k")
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens := tok.Encode(nil, []byte("A step at a time."))
	fmt.Println(tokens, tok.Vocabulary(), tok.EndOfDocument())
	fmt.Printf("%s\n", tok.Decode(nil, tokens[:2]))
	// Output:
	// [32 2239 379 257 640 13] 50257 50256
	// A step
}
