package arrange

import (
	"bufio"
	"encoding/binary"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/corpus"
)

// fataler is what testing.TB and rapid.T have in common.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// writeLengths writes a corpus of one byte a token with documents of these
// lengths, at once and without waiting for the disk. Its .bin is a hole.
func writeLengths(t fataler, prefix string, lengths []int) {
	t.Helper()
	f, err := os.Create(prefix + ".idx")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer f.Close()
	w, le := bufio.NewWriter(f), binary.LittleEndian
	head := append([]byte("MMIDIDX\x00\x00"), 1, 0, 0, 0, 0, 0, 0, 0, 1) // version 1, uint8
	head = le.AppendUint64(head, uint64(len(lengths)))
	w.Write(le.AppendUint64(head, uint64(len(lengths))+1))
	var number []byte
	tokens := 0
	for _, n := range lengths {
		number = le.AppendUint32(number[:0], uint32(n))
		w.Write(number)
	}
	for _, n := range lengths {
		number = le.AppendUint64(number[:0], uint64(tokens))
		w.Write(number)
		tokens += n
	}
	for i := range len(lengths) + 1 {
		number = le.AppendUint64(number[:0], uint64(i))
		w.Write(number)
	}
	if err := w.Flush(); err != nil {
		t.Fatalf("%v", err)
	}
	if err := os.WriteFile(prefix+".bin", nil, 0o666); err != nil {
		t.Fatalf("%v", err)
	}
	if err := os.Truncate(prefix+".bin", int64(tokens)); err != nil {
		t.Fatalf("%v", err)
	}
}

// open opens documents of these lengths; the caller closes the corpus.
func open(t fataler, dir string, cut corpus.Cut, lengths ...int) *corpus.Samples {
	t.Helper()
	prefix := filepath.Join(dir, "corpus")
	writeLengths(t, prefix, lengths)
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s, err := c.Samples(cut)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

var whole = corpus.Cut{Documents: true}

// all are the ids of all samples.
func all(s *corpus.Samples) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for id := range s.Len() {
			if !yield(id) {
				return
			}
		}
	}
}

// unit is what emit was told.
type unit struct {
	bucket int
	id     int64
	inputs int
}

// arranged arranges samples and returns the units.
func arranged(t fataler, a Arrangement, samples iter.Seq[int64]) (units []unit, discarded int64) {
	t.Helper()
	discarded, err := a.Arrange(samples, func(bucket int, id int64, inputs int) {
		units = append(units, unit{bucket, id, inputs})
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return units, discarded
}

// rows are the pieces of units.
func rows(a Arrangement, units []unit) [][]Piece {
	var list [][]Piece
	for _, u := range units {
		list = append(list, a.Pieces(nil, u.id))
	}
	return list
}

// parts splits ids at random places.
func parts(ids []int64, cuts ...int) [][]int64 {
	cuts = append(cuts, 0, len(ids))
	slices.Sort(cuts)
	var list [][]int64
	for i := range cuts[1:] {
		list = append(list, ids[cuts[i]:cuts[i+1]])
	}
	return list
}
