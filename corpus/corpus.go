// Package corpus reads and writes token sequences on disk.
//
// Its nouns: a Corpus is the tokens of many documents laid end to end. It has
// one part or several, each a file that is mapped into memory: the pair of
// files PREFIX.bin and PREFIX.idx that Megatron-LM and DeepSpeed use, a flat
// file of tokens, or a .npy. A Form says how to read what a file does not say
// about itself. Meta, in PREFIX.json, is what the writer knew about the tokens;
// a corpus of another program has none and works without. A Reader reads in
// sequence and past the map, so that a corpus far larger than memory can be
// gone through. A Writer makes a pair. A Cut says what a sample is, a window of
// the concatenated documents or one document, and Samples are a corpus under a
// cut, addressed by a 64-bit id without a table. A HoldOut is documents kept
// from training.
//
// PREFIX.bin is the tokens and nothing else: little-endian integers of one
// type, documents back to back. PREFIX.idx is described in idx.go, the other
// files in flat.go, PREFIX.json in meta.go and the fingerprint in fingerprint.go.
package corpus

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Corpus is an open corpus. All methods but Close may be called from any
// number of goroutines.
type Corpus struct {
	parts       []*part
	form        Form
	tokens      int64
	documents   int64
	meta        Meta
	borrowed    bool // the parts' maps are another corpus'
	fingerprint func() (string, error)
}

// Open opens a corpus in the form Auto.
func Open(names ...string) (*Corpus, error) { return OpenAs(Auto, names...) }

// OpenAs opens the parts that names stand for as one corpus. A name is the
// prefix of a pair or one of its files, a flat .bin of tokens (if the form says
// how they are stored), a .npy of integers, or a pattern of such names, as in
// "shards/*.bin"; a name that exists as it stands is no pattern.
//
// Parts follow each other in the order of their absolute paths, compared
// element by element and byte by byte, whatever the order of the names; one
// that comes twice is an error of kind fault.Invalid. Windows run across the
// parts, which may store tokens in different types, but whose Meta must agree
// where it is known.
//
// The index of a pair is read and checked whole, 20 bytes a document; tokens
// are paged in as they are read. A damaged or cut-off file is an error of kind
// fault.Corrupt; a PREFIX.json of another corpus or a later version, a file of
// floats, or one of another type than the form says is fault.Mismatch; a flat
// file of which the form says nothing is fault.Invalid.
func OpenAs(form Form, names ...string) (*Corpus, error) {
	if !form.valid() {
		return nil, fault.Invalidf("corpus: form %d is none", form)
	}
	places, err := resolve(form, names)
	if err != nil {
		return nil, err
	}
	c := &Corpus{form: form}
	for _, at := range places {
		p := &part{name: at.name}
		c.parts = append(c.parts, p)
		if err := p.open(at.kind, form); err != nil {
			c.Close()
			return nil, err
		}
	}
	if err := c.join(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// join lays the parts end to end.
func (c *Corpus) join() (err error) {
	for _, p := range c.parts {
		p.token, p.document = c.tokens, c.documents
		if p.tokens > math.MaxInt64-c.tokens || p.documents > math.MaxInt64-c.documents {
			return fault.Invalidf("%s: with it the corpus has more than 2^63 tokens", p.name)
		}
		c.tokens += p.tokens
		c.documents += p.documents
	}
	c.meta, err = joinMeta(c.parts)
	c.fingerprint = sync.OnceValues(c.findFingerprint)
	return err
}

// Head returns the corpus as it would be if it ended after some documents and
// tokens, with the fingerprint it would have: whether a corpus was made from
// another one by adding documents or parts behind it is whether its head has
// the other's fingerprint. Documents must be the number of those that begin
// before the end, empty ones included, and tokens where the last one of them
// ends; only of a part that is a single document, without an index, it may be
// any token. Where the corpus cannot end is an error of kind fault.Mismatch.
//
// The head uses the files of c: it is not to be used after c.Close, and need
// not be closed.
func (c *Corpus) Head(documents, tokens int64) (*Corpus, error) {
	h := &Corpus{form: c.form, borrowed: true}
	for i := 0; i < len(c.parts) && (i == 0 || h.parts[i-1].document+h.parts[i-1].documents < documents); i++ {
		p := *c.parts[i]
		d, t := min(documents-p.document, p.documents), min(tokens-p.token, p.tokens)
		if d < 0 || t < 0 {
			break
		}
		if d < p.documents || t < p.tokens {
			layout, ok := p.layout.head(d, t)
			if !ok {
				break
			}
			p.layout, p.documents, p.tokens, p.side = layout, d, t, nil
		}
		h.parts = append(h.parts, &p)
	}
	if err := h.join(); err != nil {
		return nil, err
	}
	if h.documents != documents || h.tokens != tokens {
		return nil, fault.Mismatchf("corpus %s, of %d documents and %d tokens, has no end of a document after %d documents and %d tokens", c.Path(), c.documents, c.tokens, documents, tokens)
	}
	h.meta = c.meta
	return h, nil
}

// Close gives the maps back; no other method may be called after it or while
// it runs, nor one of a Head or Reader of this corpus. A second Close does
// nothing.
func (c *Corpus) Close() error {
	if c.borrowed {
		return nil
	}
	var errs []error
	for _, p := range c.parts {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// Paths returns the names of the parts, in order: of a pair the prefix, else the
// file. OpenAs opens the same corpus from them, in the form Form returns.
func (c *Corpus) Paths() []string {
	names := make([]string, len(c.parts))
	for i, p := range c.parts {
		names[i] = p.name
	}
	return names
}

// Path returns the name of the only part, or a list of all for people to read,
// shortened if there are many.
func (c *Corpus) Path() string {
	names := c.Paths()
	if n := len(names); n > 4 {
		names = []string{names[0], names[1], fmt.Sprintf("... (%d more)", n-3), names[n-1]}
	}
	return strings.Join(names, ", ")
}

// Form returns the form the corpus was opened in.
func (c *Corpus) Form() Form { return c.form }

// Documents returns the number of documents, empty ones included.
func (c *Corpus) Documents() int64 { return c.documents }

// Tokens returns the number of tokens of all documents together.
func (c *Corpus) Tokens() int64 { return c.tokens }

// DType returns how tokens are stored: where parts differ, in the type that
// holds the tokens of all.
func (c *Corpus) DType() DType {
	widest := c.parts[0].dtype
	for _, p := range c.parts {
		if a, b := kinds[p.dtype], kinds[widest]; a.largest > b.largest || a.largest == b.largest && p.dtype < widest {
			widest = p.dtype
		}
	}
	return widest
}

// FileBytes returns the size of all files of tokens and their indexes.
func (c *Corpus) FileBytes() int64 {
	n := int64(0)
	for _, p := range c.parts {
		n += int64(p.bin.Len())
		if p.idx != nil {
			n += int64(p.idx.Len())
		}
	}
	return n
}

// Bounds returns where a document begins and ends, [start, end), in tokens of
// the concatenation. The document must be in [0, Documents()); it panics
// otherwise, as indexing a slice does.
func (c *Corpus) Bounds(document int64) (start, end int64) {
	if document < 0 || document >= c.documents {
		panic(fmt.Sprintf("corpus: document %d of %d", document, c.documents))
	}
	p := c.parts[sort.Search(len(c.parts), func(i int) bool { return c.parts[i].document+c.parts[i].documents > document })]
	document -= p.document
	return p.token + p.layout.start(document), p.token + p.layout.start(document+1)
}

// DocumentAt returns the document that holds a token of the concatenation, in
// O(log Documents()), and -1 for a token outside [0, Tokens()).
func (c *Corpus) DocumentAt(token int64) int64 {
	if token < 0 || token >= c.tokens {
		return -1
	}
	p := c.parts[c.partAt(token)]
	return p.document + p.documentAt(token-p.token)
}

// partAt returns the part that holds a token, and len(c.parts) for the end.
func (c *Corpus) partAt(token int64) int {
	return sort.Search(len(c.parts), func(i int) bool { return c.parts[i].token+c.parts[i].tokens > token })
}

// Meta returns what the corpus' writer knew. For a corpus without PREFIX.json
// that is nothing: Vocabulary 0 and EndOfDocument -1.
func (c *Corpus) Meta() Meta { return c.meta }

// Fingerprint returns the content hash of the corpus, "sha256:" and 64 hex
// digits. It takes the one of PREFIX.json if sizes and modification times of
// both files are still those noted there, and otherwise reads everything, once
// per open Corpus, on all cores.
func (c *Corpus) Fingerprint() (string, error) { return c.fingerprint() }

// Release gives back the memory of the pages that Read, Bounds and DocumentAt
// touched so far, where the system counts them as this process's; they are
// paged in again as they are touched. Going through all documents of a corpus
// touches 16 bytes of index for each.
func (c *Corpus) Release() {
	for _, p := range c.parts {
		p.bin.Release()
		if p.idx != nil {
			p.idx.Release()
		}
	}
}
