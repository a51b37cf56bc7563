package tokenizer

import (
	"fmt"
	"sync"

	"github.com/gradus-ml/gradus/internal/pretoken"
	"github.com/gradus-ml/gradus/internal/subword"
	"github.com/tiktoken-go/tokenizer/codec"
)

// r50k is GPT-2's tokenizer (Radford et al. 2019, section 2.2): text is split
// into pieces of one kind of character, and the bytes of each piece are merged
// pair by pair in the order in which training merged them.
//
// The vocabulary comes from tiktoken-go; splitting and merging are our own,
// because its regular expression lets one core encode 3.5 MB/s (this: 30 to 50),
// loses the byte 0x7f, and turns invalid UTF-8 into U+FFFD. On any other text
// the tokens are the same. A byte that is not part of valid UTF-8 counts as a
// symbol, and is kept.
type r50k struct {
	texts    []string // of each token
	encoders sync.Pool
}

const (
	r50kTokens        = 50256 // without the end of document, which is the next number
	r50kEndOfDocument = r50kTokens
)

func newR50k() (Tokenizer, error) {
	source := codec.NewR50kBase()
	model := &subword.BPE{Vocabulary: make(map[string]int32, r50kTokens), Bytewise: true, Whole: true, Unknown: subword.None}
	t := &r50k{texts: make([]string, r50kTokens)}
	for id := range t.texts {
		text, err := source.Decode([]uint{uint(id)})
		if err != nil {
			return nil, fmt.Errorf("tokenizer r50k: its vocabulary lacks token %d: %w", id, err)
		}
		t.texts[id] = text
		model.Vocabulary[text] = int32(id)
	}
	model.MergeAll()
	model.Ready()
	t.encoders.New = func() any { return subword.NewEncoder(model) }
	return t, nil
}

func (*r50k) Name() string       { return "r50k" }
func (*r50k) Vocabulary() int    { return r50kTokens + 1 }
func (*r50k) EndOfDocument() int { return r50kEndOfDocument }
func (*r50k) Lossless() bool     { return true }

func (t *r50k) Encode(dst []int32, text []byte) []int32 {
	e := t.encoders.Get().(*subword.Encoder)
	defer t.encoders.Put(e)
	for len(text) > 0 {
		n := pretoken.GPT2(text)
		dst = e.Encode(dst, text[:n])
		text = text[n:]
	}
	return dst
}

func (t *r50k) Decode(dst []byte, tokens []int32) []byte {
	for _, id := range tokens {
		if 0 <= id && int(id) < len(t.texts) {
			dst = append(dst, t.texts[id]...)
		}
	}
	return dst
}
