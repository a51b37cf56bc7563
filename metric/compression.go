package metric

import (
	"fmt"

	"github.com/klauspost/compress/flate"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Form is what of a sample is compressed.
type Form string

const (
	// AnyForm is Text if the corpus's tokenizer is known, and Tokens otherwise.
	AnyForm Form = ""
	// Text is the bytes that the tokens decode to.
	Text Form = "text"
	// Tokens are the bytes of the tokens as the corpus stores them:
	// little-endian integers of its type (of 4 bytes if there is no corpus).
	Tokens Form = "tokens"
)

// Compression returns the metric "compression": the bytes that remain of a
// sample under raw DEFLATE (RFC 1951) divided by those it has, and 0 if it has
// none. Each sample is compressed by itself, by level 6 of
// github.com/klauspost/compress/flate, whose release therefore is part of the
// definition: a test notices one that compresses otherwise. Smaller is easier:
// it repeats itself. The block header and the code tables count, so that a
// sample of a few bytes lies above 1.
//
// Compressibility as a measure of a text's redundancy goes back to Cilibrasi
// and Vitányi, "Clustering by compression" (2005); as a difficulty it follows
// the entropy-based ones of arXiv 2212.03597, §2.
//
// Another form than the three is an error of kind fault.Invalid.
func Compression(of Form) (Metric, error) {
	info := compressionInfo
	if of != AnyForm {
		info.Spec = fmt.Sprintf("%s:of=%s", info.Spec, of)
	}
	return newCompression(info, of)
}

var compressionInfo = Info{
	Name:    "compression",
	Spec:    "compression",
	Version: 1,
	Unit:    "compressed bytes a byte",
	Kind:    Real,
	Summary: "share of its bytes that remains under DEFLATE, level 6 (RFC 1951)",
}

func compressionDefinition() Definition {
	return Definition{
		Name:    compressionInfo.Name,
		Summary: compressionInfo.Summary,
		Keys:    []Key{{"of", "text (default where the tokenizer is known) or tokens"}},
		Make: func(args *Args) (Metric, error) {
			return newCompression(args.Info(compressionInfo), Form(args.String("of", "")))
		},
	}
}

func newCompression(info Info, of Form) (Metric, error) {
	if of != AnyForm && of != Text && of != Tokens {
		return nil, fault.Invalidf("of=%s: text or tokens can be compressed", of)
	}
	return compression{info, of}, nil
}

type compression struct {
	info Info
	of   Form
}

func (c compression) Info() Info { return c.info }

func (compression) Statistics() []Statistic { return nil }

func (c compression) Scorer(source Source) (Scorer, error) {
	if c.of == Text && source.Text() == nil {
		return nil, noTokenizer(c.info, source, "or write "+compressionInfo.Name+":of=tokens")
	}
	s := &compressionScorer{source: source}
	if c.of == Tokens {
		s.source.Tokenizer = nil
	}
	s.size = corpus.Int32.Size()
	if source.Samples != nil {
		s.size = source.Samples.Corpus().DType().Size()
	}
	var err error
	s.deflate, err = flate.NewWriter(&s.remain, 6)
	return s, err
}

// noTokenizer says that a metric cannot do without text.
func noTokenizer(info Info, source Source, orElse string) error {
	name := "the corpus"
	if source.Samples != nil {
		name = "corpus " + source.Samples.Corpus().Path()
	}
	return fault.Invalidf("%s needs text, and %s does not say which tokenizer its tokens are of; make the corpus by gradus prepare, name the tokenizer in its .json, %s", info.Name, name, orElse)
}

type compressionScorer struct {
	source  Source
	size    int64 // bytes of a stored token
	bytes   []byte
	remain  byteCount
	deflate *flate.Writer
}

// byteCount is a writer that only counts.
type byteCount int64

func (n *byteCount) Write(p []byte) (int, error) {
	*n += byteCount(len(p))
	return len(p), nil
}

func (c *compressionScorer) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		if t := c.source.Text(); t != nil {
			c.bytes = t.Decode(c.bytes[:0], s.Tokens)
		} else {
			c.bytes = appendStored(c.bytes[:0], s.Tokens, c.size)
		}
		if values[i] = 0; len(c.bytes) == 0 {
			continue
		}
		c.remain = 0
		c.deflate.Reset(&c.remain)
		if _, err := c.deflate.Write(c.bytes); err != nil {
			return &SampleError{ID: s.ID, Err: err}
		}
		if err := c.deflate.Close(); err != nil {
			return &SampleError{ID: s.ID, Err: err}
		}
		values[i] = float64(c.remain) / float64(len(c.bytes))
	}
	return nil
}

// appendStored appends the tokens as little-endian integers of size bytes.
func appendStored(b []byte, tokens []int32, size int64) []byte {
	for _, t := range tokens {
		for at := int64(0); at < size; at++ {
			b = append(b, byte(int64(t)>>(8*at)))
		}
	}
	return b
}
