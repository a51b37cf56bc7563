package corpus

import (
	"fmt"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Cut says what a sample is. Exactly one field is set.
type Cut struct {
	// Window is N: a sample is N+1 tokens of the concatenated documents, which
	// makes N inputs and the N targets one place further.
	Window int `json:"window,omitempty"`
	// Documents makes every document a sample, whole.
	Documents bool `json:"documents,omitempty"`
}

// Validate reports a cut that is none, with an error of kind fault.Invalid.
func (k Cut) Validate() error {
	switch {
	case k.Window < 0:
		return fault.Invalidf("a window of %d tokens; it must be 1 or more", k.Window)
	case k.Window > 0 && k.Documents:
		return fault.Invalidf("a sample is either a window of %d tokens or a document; choose one", k.Window)
	case k.Window == 0 && !k.Documents:
		return fault.Invalidf("it is not said what a sample is: give a window of at least 1 token, or documents")
	}
	return nil
}

// String returns "window 256" or "documents".
func (k Cut) String() string {
	if k.Documents {
		return "documents"
	}
	return fmt.Sprintf("window %d", k.Window)
}

// Samples are the samples of a corpus under a cut, with ids from 0 to Len()-1.
// It holds nothing per sample, and may be used from any number of goroutines.
type Samples struct {
	corpus *Corpus
	cut    Cut
	len    int64
}

// Samples cuts the corpus. Windows ignore document boundaries; what is left at
// the end and does not fill a window belongs to no sample. A corpus without a
// single sample is an error of kind fault.Invalid, as is an invalid cut.
func (c *Corpus) Samples(cut Cut) (*Samples, error) {
	if err := cut.Validate(); err != nil {
		return nil, err
	}
	s := &Samples{corpus: c, cut: cut, len: c.documents}
	if !cut.Documents {
		s.len = max(c.tokens-1, 0) / int64(cut.Window)
	}
	switch {
	case s.len > 0:
		return s, nil
	case c.tokens < 2 || cut.Documents:
		return nil, fault.Invalidf("corpus %s has %d documents and %d tokens, too few for a sample; prepare more text", c.Path(), c.documents, c.tokens)
	default:
		return nil, fault.Invalidf("a window of %d needs %[1]d+1 tokens, and corpus %s has %d; choose a window of at most %d or prepare more text", cut.Window, c.Path(), c.tokens, c.tokens-1)
	}
}

// Len returns the number of samples, at least 1.
func (s *Samples) Len() int64 { return s.len }

// Span returns the tokens [start, end) of the concatenation that are sample id.
// Window id of size N begins at id*N and has N+1 tokens: neighbours share one.
// The id must be in [0, Len()); it panics otherwise, as indexing a slice does.
func (s *Samples) Span(id int64) (start, end int64) {
	if id < 0 || id >= s.len {
		panic(fmt.Sprintf("corpus: sample %d of %d", id, s.len))
	}
	if s.cut.Documents {
		return s.corpus.Bounds(id)
	}
	n := int64(s.cut.Window)
	return id * n, id*n + n + 1
}

// Cut returns what a sample is.
func (s *Samples) Cut() Cut { return s.cut }

// Corpus returns the corpus the samples are cut from.
func (s *Samples) Corpus() *Corpus { return s.corpus }
