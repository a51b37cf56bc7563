package metric

import "encoding"

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
	// Add counts a run of neighbouring tokens. Each token of the corpus is in
	// exactly one run. The run is only valid during the call.
	Add(tokens []int32) error
	// Merge adds what another statistic of the same name has counted, and
	// leaves that one as it is.
	Merge(other Statistic) error
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}
