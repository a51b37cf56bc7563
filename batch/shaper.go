package batch

import (
	"slices"
	"strings"
	"sync"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A Shaper says how the full row of a unit becomes rows of the length that a
// stage has. A full row is full inputs; length is from 1 to full. Its methods
// must be pure functions; what they return is checked by NewMaker.
type Shaper interface {
	// Rows returns the number of rows, at least 1. It is what
	// curriculum.Config.RowsPer wants to know.
	Rows(full, length int) int

	// From returns the input with which a row begins, for rows 0 to Rows-1: it
	// holds the inputs first, first+1, ..., first+length-1, and what lies past
	// full is padding. repeated is how many of its first inputs an earlier row
	// held: they give context and predict nothing, so that no input predicts
	// twice. Each row must predict something of a full unit.
	From(row, full, length int) (first, repeated int)
}

// A NamedShaper is a Shaper that recipes reach by its name, as in 'apply: NAME'.
type NamedShaper struct {
	Name    string
	Summary string // one line of help
	Shaper  Shaper
}

var registry = struct {
	sync.RWMutex
	shapers []NamedShaper // in order of Name
}{shapers: []NamedShaper{
	{"reshape", "cut each unit into as many whole rows as it has, and discard the rest", Reshape{}},
	{"reshape-overlap", "cut each unit into rows of which the last one overlaps, and discard nothing", ReshapeOverlap{}},
	{"truncate", "keep the first inputs of each unit, and discard the rest", Truncate{}},
}}

// RegisterShaper makes a shaper available to recipes; call it from an init
// function, or before the first recipe is loaded. It panics if there is no name or
// no shaper, or if the name is taken.
func RegisterShaper(name, summary string, s Shaper) {
	if name == "" || s == nil {
		panic("batch: RegisterShaper without a name or without a shaper")
	}
	registry.Lock()
	defer registry.Unlock()
	at, taken := slices.BinarySearchFunc(registry.shapers, name, func(s NamedShaper, name string) int { return strings.Compare(s.Name, name) })
	if taken {
		panic("batch: RegisterShaper of " + name + ", which is registered already")
	}
	registry.shapers = slices.Insert(registry.shapers, at, NamedShaper{name, summary, s})
}

// LookupShaper returns the shaper of a name.
func LookupShaper(name string) (Shaper, bool) {
	for _, s := range Shapers() {
		if s.Name == name {
			return s.Shaper, true
		}
	}
	return nil, false
}

// Shapers returns all shapers in order of name.
func Shapers() []NamedShaper {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Clone(registry.shapers)
}

// Truncate makes a unit one row of its first inputs. The rest is discarded.
type Truncate struct{}

// Rows returns 1.
func (Truncate) Rows(full, length int) int { return 1 }

// From returns the unit's beginning.
func (Truncate) From(row, full, length int) (first, repeated int) { return 0, 0 }

// Reshape cuts a unit into floor(full/length) rows, one after the other. The last
// full mod length inputs fill no row and are discarded.
type Reshape struct{}

// Rows returns floor(full/length).
func (Reshape) Rows(full, length int) int { return full / length }

// From returns where the row before ended.
func (Reshape) From(row, full, length int) (first, repeated int) { return row * length, 0 }

// ReshapeOverlap cuts a unit into ceil(full/length) rows. The last one ends where
// the unit ends, so it begins with inputs of the row before, which predict nothing
// a second time: every input predicts once, and none is discarded.
type ReshapeOverlap struct{}

// Rows returns ceil(full/length).
func (ReshapeOverlap) Rows(full, length int) int { return (full-1)/length + 1 }

// From returns where the row before ended, or if the row would not end within the
// unit, the last place where it does.
func (ReshapeOverlap) From(row, full, length int) (first, repeated int) {
	first = min(row*length, full-length)
	return first, row*length - first
}

// A cut is where one row lies in a unit's full row.
type cut struct{ first, repeated int }

// cuts asks a shaper for the rows of a unit, and holds it to what Shaper says.
func cuts(s Shaper, full, length, rows int) ([]cut, error) {
	if n := s.Rows(full, length); n != rows {
		return nil, fault.Mismatchf("the plan has %d rows of %d tokens for a unit of %d and the shaper makes %d; compile the plan with its Rows as RowsPer",
			rows, length, full, n)
	}
	list := make([]cut, rows)
	held := make([]bool, full)
	for r := range list {
		first, repeated := s.From(r, full, length)
		end := min(first+length, full)
		switch {
		case first < 0 || first >= full:
			return nil, fault.Invalidf("row %d of a unit of %d tokens, cut into rows of %d, begins with input %d; it must be 0 to %d", r, full, length, first, full-1)
		case repeated < 0 || repeated >= end-first:
			return nil, fault.Invalidf("row %d of a unit of %d tokens, cut into rows of %d, has %d tokens and repeats %d; it must repeat at least 0 and fewer than it has",
				r, full, length, end-first, repeated)
		}
		for i := first; i < end; i++ {
			if again := i < first+repeated; held[i] != again {
				said, was := "predicts", "an earlier row does so already; count it as repeated"
				if again {
					said, was = "repeats", "no earlier row has it"
				}
				return nil, fault.Invalidf("row %d of a unit of %d tokens, cut into rows of %d, %s input %d, and %s", r, full, length, said, i, was)
			}
			held[i] = true
		}
		list[r] = cut{first, repeated}
	}
	return list, nil
}
