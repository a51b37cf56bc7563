// Package tokenizer turns text into tokens and back.
//
// It has one noun, the Tokenizer, and two of them: "bytes", where a byte is a
// token, and "r50k", the byte-pair encoding of GPT-2. Both take any bytes and
// lose none: decoding what was encoded gives the same bytes, valid UTF-8 or not.
package tokenizer

import (
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Tokenizer encodes text. Laws, which a conformance suite holds every one to:
//
//   - Decode(Encode(text)) is text, for any bytes.
//   - Every token Encode gives is in [0, Vocabulary()) and is not
//     EndOfDocument(), whatever the text says.
//   - The same text gives the same tokens, in any number of goroutines at once.
//   - Encode takes no more than n log n time for n bytes.
type Tokenizer interface {
	// Name is the name that New knows the tokenizer by.
	Name() string
	// Vocabulary is the number of different tokens, EndOfDocument included.
	Vocabulary() int
	// EndOfDocument is the token that ends a document.
	EndOfDocument() int
	// Encode appends the tokens of text to dst, without an end-of-document token.
	Encode(dst []int32, text []byte) []int32
	// Decode appends the text of tokens to dst. EndOfDocument and numbers
	// outside the vocabulary stand for no text.
	Decode(dst []byte, tokens []int32) []byte
}

// makers has the tokenizers in the order in which Names lists them.
var makers = []struct {
	name string
	make func() (Tokenizer, error)
}{
	{"bytes", func() (Tokenizer, error) { return byteTokens{}, nil }},
	{"r50k", newR50k},
}

// Names lists what New knows.
func Names() []string {
	names := make([]string, len(makers))
	for i, m := range makers {
		names[i] = m.name
	}
	return names
}

// New returns a tokenizer by name. An unknown name is an error of kind
// fault.Invalid. Making "r50k" takes about 50 ms and 10 MB: make it once.
func New(name string) (Tokenizer, error) {
	for _, m := range makers {
		if m.name == name {
			return m.make()
		}
	}
	return nil, fault.Invalidf("unknown tokenizer %q; known are %s", name, strings.Join(Names(), ", "))
}

// byteTokens has a token for every byte and 256 for the end of a document.
type byteTokens struct{}

func (byteTokens) Name() string       { return "bytes" }
func (byteTokens) Vocabulary() int    { return 257 }
func (byteTokens) EndOfDocument() int { return 256 }

func (byteTokens) Encode(dst []int32, text []byte) []int32 {
	start := len(dst)
	dst = slices.Grow(dst, len(text)+1)[:start+len(text)] // 1: callers add the end of document
	tokens := dst[start:]
	for len(text) >= 4 && len(tokens) >= 4 {
		tokens[0], tokens[1], tokens[2], tokens[3] = int32(text[0]), int32(text[1]), int32(text[2]), int32(text[3])
		text, tokens = text[4:], tokens[4:]
	}
	for i, b := range text {
		tokens[i] = int32(b)
	}
	return dst
}

func (byteTokens) Decode(dst []byte, tokens []int32) []byte {
	for _, t := range tokens {
		if 0 <= t && t < 256 {
			dst = append(dst, byte(t))
		}
	}
	return dst
}
