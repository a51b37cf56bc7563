package deepspeed

import (
	"cmp"
	"fmt"
	"slices"
)

// A NoteKind says what became of a key.
type NoteKind string

// The kinds of Note.
const (
	// Kept: the recipe says the same.
	Kept NoteKind = "kept"
	// Changed: the recipe says something like it; the note says what differs.
	Changed NoteKind = "changed"
	// Assumed: the file does not say it; the note says what was taken.
	Assumed NoteKind = "assumed"
	// Missing: the file does not say it and nothing can be taken: the recipe has
	// FillIn in its place.
	Missing NoteKind = "missing"
	// NoEffect: DeepSpeed itself reads nothing from the key.
	NoEffect NoteKind = "no-effect"
	// LeftOut: a recipe has nothing for it, or no need of it.
	LeftOut NoteKind = "left-out"
	// Trainer: the key is no matter of data efficiency; DeepSpeed as the trainer
	// goes on reading it.
	Trainer NoteKind = "trainer"
)

// A Note says what became of one key, with all that is below it, or of something
// that no key says.
type Note struct {
	Key  string   `json:"key,omitempty"`  // such as "data_efficiency.seed"; empty: of no key
	Line int      `json:"line,omitempty"` // of the key, from 1; 0: of no key
	Kind NoteKind `json:"kind"`
	Text string   `json:"text"`
}

// A place is where a key stands.
type place struct {
	line   int // from 1
	offset int // where it ends, in bytes from the start of the file
}

// notes collects notes.
type notes []placedNote

type placedNote struct {
	Note
	offset int // of the key; 0: of no key
}

func (n *notes) add(key string, at place, kind NoteKind, format string, args ...any) {
	*n = append(*n, placedNote{Note{key, at.line, kind, fmt.Sprintf(format, args...)}, at.offset})
}

// sorted returns the notes in the order of the file, one a key: the one that
// was added first. Those of no key come first.
func (n notes) sorted() []Note {
	ordered := slices.Clone(n)
	slices.SortStableFunc(ordered, func(a, b placedNote) int { return cmp.Compare(a.offset, b.offset) })
	ordered = slices.CompactFunc(ordered, func(a, b placedNote) bool { return a.offset == b.offset && a.offset > 0 })
	var sorted []Note
	for _, note := range ordered {
		sorted = append(sorted, note.Note)
	}
	return sorted
}
