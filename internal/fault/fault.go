// Package fault sorts errors by what the user can do about them.
//
// There are three kinds: a file that is corrupt, two things that do not belong
// together, and input that makes no sense. The command line turns a kind into
// an exit code; a library caller asks with errors.Is. An error of no kind is an
// ordinary failure (a missing file, a full disk).
package fault

import (
	"errors"
	"fmt"
)

// The kinds, for errors.Is.
var (
	// Corrupt: a file is damaged or was never whole. Exit code 3.
	Corrupt = errors.New("corrupt file")
	// Mismatch: each file is fine, but they do not belong together: another
	// corpus, another recipe, another version. Exit code 4.
	Mismatch = errors.New("mismatch")
	// Invalid: a flag, a recipe or an argument asks for the impossible. Exit code 2.
	Invalid = errors.New("invalid input")
)

// Corruptf returns an error of kind Corrupt; format and args are fmt.Errorf's.
// Name the file and the place in it.
func Corruptf(format string, args ...any) error { return newError(Corrupt, format, args) }

// Mismatchf returns an error of kind Mismatch; say what differs.
func Mismatchf(format string, args ...any) error { return newError(Mismatch, format, args) }

// Invalidf returns an error of kind Invalid; say what would be right.
func Invalidf(format string, args ...any) error { return newError(Invalid, format, args) }

// kindError adds a kind to an error without changing what it says.
type kindError struct {
	kind error
	err  error
}

func newError(kind error, format string, args []any) error {
	return &kindError{kind, fmt.Errorf(format, args...)}
}

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }
