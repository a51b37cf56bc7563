package metric

import (
	"encoding"

	"github.com/gradus-ml/gradus/corpus"
)

// Statistic is something counted over all tokens of a corpus. Several workers,
// or machines, each gather their part, and the parts are merged. The result
// must be the same bytes however the corpus was divided and in whatever order
// parts were added and merged: so a statistic counts in integers, or keeps
// what it needs to add exactly.
//
// MarshalBinary gives the state in a canonical form, for a part that is stored
// or sent; UnmarshalBinary takes hostile input and answers it with an error of
// kind fault.Corrupt.
type Statistic interface {
	// Name identifies what is counted and how: metrics whose statistics have
	// the same name share one.
	Name() string
	// New returns an empty statistic of the same name.
	New() Statistic
	// Context is how many tokens before a run Add wants to see: 0 for counts of
	// single tokens, n-1 for those of n-grams.
	Context() int
	// Add counts a run of neighbouring tokens. Each token of the corpus is in
	// exactly one run. The context is the tokens just before the run, Context()
	// of them or, near the start of the corpus, as many as there are. Both are
	// only valid during the call.
	Add(context, tokens []int32) error
	// Merge adds what another statistic of the same name has counted, and
	// leaves that one as it is.
	Merge(other Statistic) error
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// RawAdder is a Statistic of Context 0 that can count tokens as they are
// stored, which saves making int32 of them.
type RawAdder interface {
	Statistic
	// AddRaw does what Add would for the tokens in raw, little-endian integers
	// of type dtype. If it does not take that type it does nothing and returns
	// false.
	AddRaw(raw []byte, dtype corpus.DType) bool
}

// Dependent is a Statistic that needs others before it can count: those of the
// whole corpus, gathered in an earlier pass.
type Dependent interface {
	Statistic
	// Needs returns empty statistics, one of each that must come before.
	Needs() []Statistic
	// Bind gives the gathered ones by name, to an empty statistic. New keeps
	// what was bound.
	Bind(gathered map[string]Statistic) error
}
