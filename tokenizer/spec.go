package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A tokenizer.json file is one JSON object. Its parts are objects whose "type"
// says what they are; null is a part that does nothing.
type jsonFile struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"` // not looked at
	Padding       json.RawMessage `json:"padding"`    // nor this
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"` // nor this: it adds special tokens
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// jsonModel has the fields of every kind of model.
type jsonModel struct {
	Type         string          `json:"type"`
	Vocabulary   json.RawMessage `json:"vocab"`
	Unknown      *string         `json:"unk_token"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	Fuse         bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Dropout      *float64        `json:"dropout"`
	Merges       json.RawMessage `json:"merges"`
	Longest      *int            `json:"max_input_chars_per_word"`
	UnknownID    *int64          `json:"unk_id"`
}

// spec is a file as it was read, with every token's number and text.
type spec struct {
	file   jsonFile
	model  jsonModel
	ids    map[string]int32
	texts  []string  // of each number; "" where there is none
	scores []float64 // Unigram
}

// readSpec reads a file and its vocabulary.
func readSpec(path string, content []byte) (*spec, error) {
	s := &spec{ids: map[string]int32{}}
	if !json.Valid(content) {
		err := json.Unmarshal(content, &s.file)
		return nil, fault.Corruptf("%s: not JSON: %w; it is damaged, or cut off", path, err)
	}
	if err := strict("", content, &s.file); err != nil {
		return nil, fault.Invalidf("%s: %w; it is no tokenizer.json, or a newer one", path, err)
	}
	if err := strict("model", s.file.Model, &s.model); err != nil {
		return nil, fault.Invalidf("%s: %w", path, err)
	}
	if err := s.readVocabulary(); err != nil {
		return nil, fault.Invalidf("%s: %w", path, err)
	}
	return s, nil
}

// strict reads JSON into a value that has a field for all of it. A part that is
// not there stays as it is.
func strict(at string, raw []byte, into any) error {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil || err == io.EOF {
		return nil
	}
	what := strings.TrimPrefix(err.Error(), "json: ")
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		what = fmt.Sprintf("%q is a %s", wrong.Field, wrong.Value)
	}
	if at != "" {
		what = at + ": " + what
	}
	return errors.New(what)
}

// kind says what a model is; files of before 2021 leave it out.
func (m *jsonModel) kind() string {
	switch {
	case m.Type != "":
		return m.Type
	case len(m.Merges) > 0:
		return "BPE"
	case bytes.HasPrefix(bytes.TrimSpace(m.Vocabulary), []byte("[")):
		return "Unigram"
	case m.Longest != nil:
		return "WordPiece"
	}
	return "WordLevel"
}

// readVocabulary numbers the tokens of the model and the added ones.
func (s *spec) readVocabulary() error {
	type numbered struct {
		text string
		id   int64
	}
	var all []numbered
	if s.model.kind() == "Unigram" {
		var pairs [][2]json.RawMessage
		if err := strict("model.vocab", s.model.Vocabulary, &pairs); err != nil {
			return err
		}
		s.scores = make([]float64, len(pairs))
		for i, p := range pairs {
			var text string
			if json.Unmarshal(p[0], &text) != nil || json.Unmarshal(p[1], &s.scores[i]) != nil {
				return fmt.Errorf("model.vocab: entry %d is not a text and a number", i)
			}
			all = append(all, numbered{text, int64(i)})
		}
	} else {
		var ids map[string]int64
		if err := strict("model.vocab", s.model.Vocabulary, &ids); err != nil {
			return err
		}
		for text, id := range ids {
			all = append(all, numbered{text, id})
		}
	}
	for _, t := range s.file.AddedTokens {
		all = append(all, numbered{t.Content, t.ID})
	}
	highest := int64(-1)
	for _, t := range all {
		// Numbers may have gaps, but not so many that memory is lost on them.
		if t.id < 0 || t.id > 1<<20+16*int64(len(all)) {
			return fmt.Errorf("token %q has the number %d, in a vocabulary of %d", t.text, t.id, len(all))
		}
		highest = max(highest, t.id)
	}
	if highest < 0 {
		return errors.New("model.vocab: there are no tokens")
	}
	s.texts = make([]string, highest+1)
	for _, t := range all {
		s.ids[t.text], s.texts[t.id] = int32(t.id), t.text
	}
	return nil
}

// usualEnds end a document in the vocabularies that are published, the more
// telling first.
var usualEnds = []string{"<|endoftext|>", "<|end_of_text|>", "</s>", "<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>", "<eos>", "<|eos|>", "<EOS>", "[EOS]", "[SEP]"}

// findEnd looks for the token that ends a document.
func findEnd(path string, s *spec) (string, error) {
	config := filepath.Join(filepath.Dir(path), "tokenizer_config.json")
	content, err := os.ReadFile(config)
	switch {
	case err == nil:
		var c struct {
			End json.RawMessage `json:"eos_token"`
		}
		if err := json.Unmarshal(content, &c); err != nil {
			return "", fault.Corruptf("%s: %w", config, err)
		}
		var token struct {
			Content string `json:"content"`
		}
		if json.Unmarshal(c.End, &token.Content) == nil || json.Unmarshal(c.End, &token) == nil {
			if _, ok := s.ids[token.Content]; ok {
				return token.Content, nil
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	for _, usual := range usualEnds {
		if slices.ContainsFunc(s.file.AddedTokens, func(t addedToken) bool { return t.Content == usual }) {
			return usual, nil
		}
	}
	return "", fault.Invalidf("%s: does not say which token ends a document; name it (--end-of-document), such as %s", path, s.someSpecial())
}

// someSpecial lists the first special tokens, for a message.
func (s *spec) someSpecial() string {
	var names []string
	for _, t := range s.file.AddedTokens {
		if t.Special && len(names) < 8 {
			names = append(names, fmt.Sprintf("%q", t.Content))
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("%q", s.texts[len(s.texts)-1])
	}
	return strings.Join(names, ", ")
}
