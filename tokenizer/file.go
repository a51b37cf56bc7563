package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/pretoken"
	"github.com/gradus-ml/gradus/internal/subword"
)

// File is a tokenizer that a tokenizer.json file describes, as the tokenizers
// library of Hugging Face writes them. It encodes as that library does without
// special tokens: the file's post-processor, truncation and padding are left
// out, and text that looks like a special token is text.
type File struct {
	content    []byte
	name       string
	vocabulary int
	end        int32
	lossless   bool

	byteLevel  bool
	added      *addedMatcher // in the text as it is
	normalizer pretoken.Normalizer
	normalized *addedMatcher // in the normalized text
	splitter   pretoken.Splitter
	encoders   sync.Pool // of *subword.Encoder

	texts   []string // of each token
	special []bool   // tokens that stand for no text
	decoder decoder
}

// filePrefix begins the name of every File.
const filePrefix = "tokenizer.json#sha256:"

// longestFile is far above the 35 MB that a vocabulary of a million tokens takes.
const longestFile = 512 << 20

// Load reads a tokenizer.json file. endOfDocument is the token that ends a
// document; if it is empty, it is what tokenizer_config.json beside the file
// calls eos_token, or else the first of the usual ones that the file has. A
// file that is no JSON is an error of kind fault.Corrupt; a part of it that is
// not known here, and a token that it does not have, are fault.Invalid.
func Load(path, endOfDocument string) (*File, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	f, spec, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	if endOfDocument == "" {
		if endOfDocument, err = findEnd(path, spec); err != nil {
			return nil, err
		}
	}
	id, ok := spec.ids[endOfDocument]
	if !ok {
		return nil, fault.Invalidf("%s: has no token %q to end documents with; name one it has (--end-of-document), such as %s", path, endOfDocument, spec.someSpecial())
	}
	return f, f.build(path, spec, id)
}

// CorpusFile is where a corpus has the tokenizer it was made with, if that came
// from a file.
func CorpusFile(prefix string) string { return prefix + ".tokenizer.json" }

// OfCorpus returns the tokenizer of a corpus, from what its metadata says: a
// name and the number of the end-of-document token. A File lies beside the
// corpus, in the CorpusFile of one of its parts; if that is not the file that
// the corpus was made with, the error is of kind fault.Mismatch.
func OfCorpus(parts []string, name string, endOfDocument int) (Tokenizer, error) {
	if !FromFile(name) {
		return New(name)
	}
	var missing error
	for _, prefix := range parts {
		path := CorpusFile(prefix)
		content, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			missing = errors.Join(missing, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		f, err := open(path, content, name, endOfDocument)
		if err != nil {
			return nil, err // and no File that is nil
		}
		return f, nil
	}
	return nil, fmt.Errorf("the corpus was made with a tokenizer.json, which should lie beside it: %w", missing)
}

// open reads the tokenizer of a corpus and holds it against the corpus.
func open(path string, content []byte, name string, endOfDocument int) (*File, error) {
	if got := fileName(content); got != name {
		return nil, fault.Mismatchf("%s: is %s, but the corpus was made with %s; put that file there, or prepare the corpus again", path, got, name)
	}
	f, spec, err := parse(path, content)
	if err != nil {
		return nil, err
	}
	if endOfDocument < 0 || endOfDocument >= f.vocabulary {
		return nil, fault.Mismatchf("%s: has %d tokens, the corpus ends documents with number %d", path, f.vocabulary, endOfDocument)
	}
	return f, f.build(path, spec, int32(endOfDocument))
}

// fileName is the name of a File with some content.
func fileName(content []byte) string {
	sum := sha256.Sum256(content)
	return filePrefix + hex.EncodeToString(sum[:16])
}

// FromFile reports whether a name is that of a File.
func FromFile(name string) bool { return strings.HasPrefix(name, filePrefix) }

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, longestFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > longestFile {
		return nil, fault.Invalidf("%s: has more than %d bytes; it is no tokenizer.json", path, longestFile)
	}
	return content, nil
}

// parse reads a file; build makes it work.
func parse(path string, content []byte) (*File, *spec, error) {
	s, err := readSpec(path, content)
	if err != nil {
		return nil, nil, err
	}
	return &File{content: content, name: fileName(content), vocabulary: len(s.texts), texts: s.texts}, s, nil
}

// build puts the parts together for an end-of-document token.
func (f *File) build(path string, s *spec, end int32) (err error) {
	wrap := func(err error) error { return fault.Invalidf("%s: %w", path, err) }
	f.end = end
	f.special = make([]bool, f.vocabulary)
	f.special[end] = true
	for _, t := range s.file.AddedTokens {
		f.special[t.ID] = f.special[t.ID] || t.Special
	}
	b := &builder{spec: s, end: end, special: f.special}
	if f.normalizer, err = b.normalizer("normalizer", s.file.Normalizer); err != nil {
		return wrap(err)
	}
	if f.splitter, err = b.splitter("pre_tokenizer", s.file.PreTokenizer, true); err != nil {
		return wrap(err)
	}
	f.byteLevel = b.byteLevel
	model, err := b.model()
	if err != nil {
		return wrap(err)
	}
	if f.decoder, err = b.decoder("decoder", s.file.Decoder); err != nil {
		return wrap(err)
	}
	f.encoders.New = func() any { return subword.NewEncoder(model) }
	f.added, f.normalized = newAddedMatcher(), newAddedMatcher()
	for _, t := range s.file.AddedTokens {
		t.Special = f.special[t.ID]
		content := []byte(t.Content)
		switch {
		case !t.Normalized:
			f.added.add(content, t)
		case f.normalizer != nil:
			content = f.normalizer.Normalize(content)
			f.texts[t.ID] = string(content)
			fallthrough
		default:
			f.normalized.add(content, t)
		}
		b.lossy = b.lossy || !t.Special && (t.LStrip || t.RStrip)
	}
	f.lossless = b.byteLevel && !b.lossy && f.normalizer == nil && b.byteDecoder
	return nil
}

// Name is made of the file's content, so that a file that was moved is the
// same and one that was changed is not. OfCorpus knows the tokenizer by it.
func (f *File) Name() string { return f.name }

// Content is the file, byte for byte.
func (f *File) Content() []byte { return bytes.Clone(f.content) }

// Vocabulary is one more than the highest number of a token.
func (f *File) Vocabulary() int { return f.vocabulary }

// EndOfDocument is the token that ends a document.
func (f *File) EndOfDocument() int { return int(f.end) }

// Lossless reports whether the steps of the file keep every byte: it is
// byte-level, and nothing in it changes or drops text.
func (f *File) Lossless() bool { return f.lossless }

// Encode appends the tokens of text. If the file is not byte-level, runs of
// bytes that are not valid UTF-8 count as U+FFFD.
func (f *File) Encode(dst []int32, text []byte) []int32 {
	if !f.byteLevel && !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	e := f.encoders.Get().(*subword.Encoder)
	defer f.encoders.Put(e)
	add := func(id int32) { dst = append(dst, id) }
	piece := func(p pretoken.Piece) { dst = e.Encode(dst, p.Text) }
	f.added.split(text, func(part []byte, first bool) {
		if f.normalizer != nil {
			part = f.normalizer.Normalize(part)
		}
		f.normalized.split(part, func(part []byte, begins bool) {
			f.splitter.Split(pretoken.Piece{Text: part, First: first && begins}, piece)
		}, add)
	}, add)
	return dst
}

// Decode appends the text of tokens, special ones left out, as the file's
// decoder has it.
func (f *File) Decode(dst []byte, tokens []int32) []byte {
	texts := make([]string, 0, len(tokens))
	for _, id := range tokens {
		if 0 <= id && int(id) < len(f.texts) && !f.special[id] {
			texts = append(texts, f.texts[id])
		}
	}
	for _, text := range f.decoder(texts) {
		dst = append(dst, text...)
	}
	return dst
}

// isPath reports whether a name is that of a file and of no tokenizer.
func isPath(name string) bool {
	return strings.EqualFold(filepath.Ext(name), ".json") || strings.ContainsRune(name, os.PathSeparator)
}
