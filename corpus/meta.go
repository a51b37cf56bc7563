package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"regexp"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Meta is what the writer of a corpus knew about its tokens.
type Meta struct {
	// Tokenizer is the name under which package tokenizer has it; may be empty.
	Tokenizer string `json:"tokenizer"`
	// Vocabulary is the number of different tokens; all are below it. 0: unknown.
	Vocabulary int `json:"vocabulary"`
	// EndOfDocument is the token that ends each document. -1: none, or unknown.
	EndOfDocument int `json:"end_of_document"`
	// Image says that every document is an image; nil: they are text.
	Image *Image `json:"image,omitempty"`
}

func (m Meta) validate() error {
	switch {
	case m.Vocabulary < 0 || int64(m.Vocabulary) > math.MaxInt32+1:
		return fmt.Errorf("a vocabulary of %d; it must be 0 (unknown) to 2^31", m.Vocabulary)
	case m.EndOfDocument < -1 || m.EndOfDocument >= 0 && m.Vocabulary > 0 && m.EndOfDocument >= m.Vocabulary:
		return fmt.Errorf("the end-of-document token %d; it must be -1 (none) or within the vocabulary of %d", m.EndOfDocument, m.Vocabulary)
	}
	return m.Image.Validate()
}

// joinMeta returns what the writers of the parts knew together. Where two knew
// the same thing differently, that is an error of kind fault.Mismatch.
func joinMeta(parts []*part) (Meta, error) {
	m := Meta{EndOfDocument: -1}
	var tokenizer, vocabulary, end *part // that say so
	differ := func(what string, a, b *part, x, y any) error {
		return fault.Mismatchf("%s and %s are no parts of one corpus: %s %v and %v; prepare them alike, or open them one by one", a.name, b.name, what, x, y)
	}
	for _, p := range parts {
		if p.side == nil {
			continue
		}
		own := p.side.Meta
		if m.Image == nil {
			m.Image = own.Image // those of another tokenizer are refused below
		} else if !own.Image.Same(m.Image) {
			return m, fault.Mismatchf("%s and %s are no parts of one corpus: their images differ in shape, or in classes; prepare them alike, or open them one by one", parts[0].name, p.name)
		}
		switch {
		case own.Tokenizer == "":
		case tokenizer == nil:
			m.Tokenizer, tokenizer = own.Tokenizer, p
		case m.Tokenizer != own.Tokenizer:
			return m, differ("their tokenizers are", tokenizer, p, m.Tokenizer, own.Tokenizer)
		}
		switch {
		case own.Vocabulary == 0:
		case vocabulary == nil:
			m.Vocabulary, vocabulary = own.Vocabulary, p
		case m.Vocabulary != own.Vocabulary:
			return m, differ("their vocabularies have a size of", vocabulary, p, m.Vocabulary, own.Vocabulary)
		}
		switch {
		case own.EndOfDocument < 0:
		case end == nil:
			m.EndOfDocument, end = own.EndOfDocument, p
		case m.EndOfDocument != own.EndOfDocument:
			return m, differ("documents end with", end, p, m.EndOfDocument, own.EndOfDocument)
		}
	}
	return m, nil
}

// sidecar is PREFIX.json, one JSON object. Documents, tokens, dtype and both
// sizes repeat what the other files say, so that a file of another corpus is
// noticed; the modification times (nanoseconds since 1970, UTC) tell whether
// the fingerprint still holds.
type sidecar struct {
	Version int `json:"version"` // 1
	Meta
	Documents   int64  `json:"documents"`
	Tokens      int64  `json:"tokens"`
	DType       string `json:"dtype"`
	Fingerprint string `json:"fingerprint"`
	BinBytes    int64  `json:"bin_bytes"`
	IdxBytes    int64  `json:"idx_bytes"`
	BinModified int64  `json:"bin_modified_ns"`
	IdxModified int64  `json:"idx_modified_ns"`
}

const (
	sidecarVersion = 1
	// sidecarLimit is far above the 400 bytes a sidecar has, and the names of the
	// classes of images, and far below what would hurt.
	sidecarLimit = 4 << 20
)

var fingerprintForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// readSidecar reads PREFIX.json and holds it against the pair. It returns
// nil if there is none.
func readSidecar(p *part) (*sidecar, error) {
	name := p.name + ".json"
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, sidecarLimit+1))
	if err != nil {
		return nil, err
	}
	if len(data) > sidecarLimit {
		return nil, fault.Corruptf("%s: larger than %d bytes; it is not what 'gradus prepare' writes", name, sidecarLimit)
	}
	s := &sidecar{Meta: Meta{EndOfDocument: -1}}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fault.Corruptf("%s: %w", name, err)
	}
	switch err := s.validate(); {
	case s.Version != sidecarVersion:
		return nil, fault.Mismatchf("%s: version %d; this gradus knows version %d", name, s.Version, sidecarVersion)
	case err != nil:
		return nil, fault.Corruptf("%s: it has %w", name, err)
	case !fingerprintForm.MatchString(s.Fingerprint):
		return nil, fault.Corruptf("%s: %q is no fingerprint", name, s.Fingerprint)
	case s.Documents != p.documents || s.Tokens != p.tokens || s.DType != p.dtype.String():
		return nil, fault.Mismatchf("%s describes another corpus: %d documents, %d tokens of type %s; %s.idx has %d, %d, %s. Remove the .json if the other two files are right, or prepare again",
			name, s.Documents, s.Tokens, s.DType, p.name, p.documents, p.tokens, p.dtype)
	}
	return s, nil
}

// unchanged reports whether both files are still those that were hashed.
func (s *sidecar) unchanged(bin, idx fs.FileInfo) bool {
	return s.BinBytes == bin.Size() && s.IdxBytes == idx.Size() &&
		s.BinModified == bin.ModTime().UnixNano() && s.IdxModified == idx.ModTime().UnixNano()
}

// encode returns the file's content.
func (s *sidecar) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return b.Bytes(), err
}
