// Package tokenizer turns text into tokens and back.
//
// It has one noun, the Tokenizer, and three kinds of them: "bytes", where a byte
// is a token; "r50k", the byte-pair encoding of GPT-2; and a File, what the
// tokenizer.json of a published model describes. The first two take any bytes
// and lose none; a File may be as lossless as they are, or not.
package tokenizer

import (
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Tokenizer encodes text. Laws, which a conformance suite holds every one to:
//
//   - If it is Lossless, Decode(Encode(text)) is text, for any bytes.
//   - Every token Encode gives is in [0, Vocabulary()) and is not
//     EndOfDocument(), whatever the text says.
//   - The same text gives the same tokens, in any number of goroutines at once.
//   - Encode takes no more than n log n time for n bytes.
type Tokenizer interface {
	// Name is the name that New, or OfCorpus for a File, knows the tokenizer by.
	Name() string
	// Vocabulary is the number of different tokens, EndOfDocument included.
	Vocabulary() int
	// EndOfDocument is the token that ends a document.
	EndOfDocument() int
	// Lossless reports whether all text comes back from its tokens. One that
	// lower-cases, or has no token for some characters, is not.
	Lossless() bool
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

// New returns a tokenizer by name, or by the path of a tokenizer.json file (see
// Load). An unknown name is an error of kind fault.Invalid. Making "r50k" takes
// about 100 ms and 20 MB: make it once.
func New(name string) (Tokenizer, error) {
	for _, m := range makers {
		if m.name == name {
			return m.make()
		}
	}
	switch {
	case FromFile(name):
		return nil, fault.Invalidf("tokenizer %s lies beside the corpus that was made with it; open it with that corpus", name)
	case isPath(name):
		f, err := Load(name, "")
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	return nil, fault.Invalidf("unknown tokenizer %q; known are %s, and tokenizer.json files by their path", name, strings.Join(Names(), ", "))
}

// byteTokens has a token for every byte and 256 for the end of a document.
type byteTokens struct{}

func (byteTokens) Name() string       { return "bytes" }
func (byteTokens) Vocabulary() int    { return 257 }
func (byteTokens) EndOfDocument() int { return 256 }
func (byteTokens) Lossless() bool     { return true }

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
