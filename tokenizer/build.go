package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gradus-ml/gradus/internal/pretoken"
	"github.com/gradus-ml/gradus/internal/subword"
)

// builder makes the parts of a File.
type builder struct {
	*spec
	end         int32
	special     []bool // tokens that no text becomes, end among them
	byteLevel   bool   // the pre-tokenizer ends in ByteLevel
	byteDecoder bool   // the decoder is ByteLevel
	lossy       bool   // something drops or changes text
	depth       int
}

// part is what every part of a file has.
type part struct {
	Type string `json:"type"`
}

func typeOf(at string, raw json.RawMessage) (string, error) {
	var p part
	if err := json.Unmarshal(raw, &p); err != nil || p.Type == "" {
		return "", fmt.Errorf("%s: is no object with a type", at)
	}
	return p.Type, nil
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func unsupported(at, kind string) error {
	return fmt.Errorf("%s: the type %q is not supported", at, kind)
}

// pattern is a text or a regular expression.
type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

func (p pattern) finder(at string) (pretoken.Finder, error) {
	switch {
	case p.Regex != nil:
		x, err := pretoken.CompileRegex(*p.Regex)
		if err != nil {
			return nil, fmt.Errorf("%s.Regex: %q: %w", at, *p.Regex, err)
		}
		return x, nil
	case p.String != nil:
		return pretoken.Literal(*p.String), nil
	}
	return nil, fmt.Errorf("%s: is neither a String nor a Regex", at)
}

// nested reads the elements of a sequence.
func (b *builder) nested(at string, list []json.RawMessage, each func(at string, raw json.RawMessage, last bool) error) error {
	const deepest = 20
	if b.depth++; b.depth > deepest {
		return fmt.Errorf("%s: sequences nest more than %d deep", at, deepest)
	}
	defer func() { b.depth-- }()
	for i, raw := range list {
		if err := each(fmt.Sprintf("%s[%d]", at, i), raw, i == len(list)-1); err != nil {
			return err
		}
	}
	return nil
}

// vocabulary returns the model's tokens that text may become.
func (b *builder) vocabulary(text func(string) (string, bool)) map[string]int32 {
	all := make(map[string]int32, len(b.ids))
	for t, id := range b.ids {
		if t, ok := text(t); ok && !b.special[id] {
			all[t] = id
		}
	}
	return all
}

func asItIs(t string) (string, bool) { return t, true }

// unknown returns the token for what the model does not know.
func (b *builder) unknown(token *string) (int32, error) {
	if token == nil || *token == "" {
		return subword.None, nil
	}
	id, ok := b.ids[*token]
	if !ok {
		return 0, fmt.Errorf("model.unk_token: %q is not in the vocabulary", *token)
	}
	return id, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// byteTokens returns the tokens <0x00> to <0xFF>; None where there is none.
func (b *builder) byteTokens() subword.Bytes {
	tokens := new([256]int32)
	for i := range tokens {
		tokens[i] = subword.None
		if id, ok := b.ids[fmt.Sprintf("<0x%02X>", i)]; ok && !b.special[id] {
			tokens[i] = id
		}
	}
	return tokens
}

func (b *builder) model() (subword.Model, error) {
	kind := b.spec.model.kind()
	if b.byteLevel && kind != "BPE" {
		return nil, fmt.Errorf("model: the type %q is not supported behind the pre-tokenizer ByteLevel", kind)
	}
	m := &b.spec.model
	switch kind {
	case "BPE":
		return b.bpe(m)
	case "WordPiece":
		unknown, err := b.unknown(m.Unknown)
		if err == nil && unknown == subword.None {
			err = errors.New("model.unk_token: is missing")
		}
		const usual, most = 100, 1000
		longest := usual
		if m.Longest != nil {
			longest = *m.Longest
		}
		if err == nil && (longest < 0 || longest > most) {
			err = fmt.Errorf("model.max_input_chars_per_word: %d is not supported; at most %d", longest, most)
		}
		prefix := "##"
		if m.Prefix != nil {
			prefix = *m.Prefix
		}
		b.lossy = true
		return &subword.WordPiece{Vocabulary: b.vocabulary(asItIs), Prefix: prefix, Unknown: unknown, Longest: longest}, b.notEnd(unknown, err)
	case "WordLevel":
		unknown, err := b.unknown(m.Unknown)
		b.lossy = true
		return &subword.WordLevel{Vocabulary: b.vocabulary(asItIs), Unknown: unknown}, b.notEnd(unknown, err)
	case "Unigram":
		unknown := int32(subword.None)
		if m.UnknownID != nil {
			if *m.UnknownID < 0 || *m.UnknownID >= int64(len(b.scores)) {
				return nil, fmt.Errorf("model.unk_id: %d is not in the vocabulary", *m.UnknownID)
			}
			unknown = int32(*m.UnknownID)
		}
		var fallback subword.Bytes
		if m.ByteFallback {
			fallback = b.byteTokens()
		}
		texts := make([]string, len(b.scores))
		for i := range texts {
			if !b.special[i] {
				texts[i] = b.texts[i]
			}
		}
		b.lossy = true
		return subword.NewUnigram(texts, b.scores, unknown, fallback), b.notEnd(unknown, nil)
	}
	return nil, unsupported("model", kind)
}

// notEnd refuses a model that would end documents with what it does not know.
func (b *builder) notEnd(unknown int32, err error) error {
	if err == nil && unknown != subword.None && b.end == unknown {
		return errors.New("the token that ends documents stands for unknown text as well; name another one (--end-of-document)")
	}
	return err
}

func (b *builder) bpe(m *jsonModel) (subword.Model, error) {
	if m.Dropout != nil && *m.Dropout != 0 {
		return nil, fmt.Errorf("model.dropout: %v is not supported; the tokens of a text would depend on chance", *m.Dropout)
	}
	unknown, err := b.unknown(m.Unknown)
	if err != nil {
		return nil, err
	}
	model := &subword.BPE{Whole: m.IgnoreMerges, Unknown: unknown, Fuse: m.Fuse, Prefix: text(m.Prefix), Suffix: text(m.Suffix)}
	if m.ByteFallback {
		model.Fallback = b.byteTokens()
	}
	if b.byteLevel {
		model.Bytewise, model.Vocabulary = true, b.vocabulary(bytesOf)
		b.lossy = b.lossy || !hasBytes(model)
		if unknown == b.end && hasBytes(model) {
			model.Unknown = subword.None // every byte is known
		}
	} else {
		model.Vocabulary = b.vocabulary(asItIs)
		b.lossy = true
	}
	if err := b.notEnd(model.Unknown, nil); err != nil {
		return nil, err
	}
	merges, err := readMerges(m.Merges)
	if err != nil {
		return nil, err
	}
	for i, pair := range merges {
		left, ok1 := b.ids[pair[0]]
		right, ok2 := b.ids[pair[1]]
		made, ok3 := b.ids[pair[0]+strings.TrimPrefix(pair[1], model.Prefix)]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("model.merges[%d]: %q and %q, or what they make, are not in the vocabulary", i, pair[0], pair[1])
		}
		if !b.special[made] {
			model.MergeAt(int32(i), left, right, made)
		}
	}
	return model.Ready(), nil
}

// hasBytes reports whether each byte has a token, wherever in a piece it is.
func hasBytes(m *subword.BPE) bool {
	for i := range 256 {
		for _, prefix := range []string{"", m.Prefix} {
			for _, suffix := range []string{"", m.Suffix} {
				if _, ok := m.Vocabulary[prefix+string([]byte{byte(i)})+suffix]; !ok {
					return false
				}
			}
		}
	}
	return true
}

// readMerges reads pairs, or, as in older files, texts with a blank between.
func readMerges(raw json.RawMessage) ([][2]string, error) {
	var pairs [][2]string
	if json.Unmarshal(raw, &pairs) == nil {
		return pairs, nil
	}
	var lines []string
	if err := strict("model.merges", raw, &lines); err != nil {
		return nil, err
	}
	pairs = make([][2]string, 0, len(lines)) // not what the failed attempt left
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("model.merges[%d]: %q is no pair", i, line)
		}
		pairs = append(pairs, [2]string{left, right})
	}
	return pairs, nil
}
