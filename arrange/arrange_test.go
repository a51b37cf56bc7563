package arrange

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// kind draws an arrangement of documents.
func kind(t *rapid.T, s *corpus.Samples) Arrangement {
	length := rapid.IntRange(1, 40).Draw(t, "length")
	var a Arrangement
	var err error
	switch name := rapid.SampledFrom([]string{"pad", "bucket", "pack", "decompose"}).Draw(t, "kind"); name {
	case "pad":
		a, err = Pad(s, length)
	case "bucket":
		lengths := []int{length}
		for range rapid.IntRange(0, 3).Draw(t, "more") {
			length += rapid.IntRange(1, 30).Draw(t, "step")
			lengths = append(lengths, length)
		}
		a, err = Bucket(s, lengths)
	case "pack":
		a, err = Pack(s, length, "")
	default:
		shortest := rapid.IntRange(0, 4).Draw(t, "shortest")
		a, err = Decompose(s, 1<<shortest, 1<<rapid.IntRange(shortest, 6).Draw(t, "longest"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Every input of every sample lies in exactly one piece of exactly one unit or
// is discarded at the end of its document; no unit of one call holds a sample of
// another; and the arrangement says of its units what it said when it emitted
// them.
func TestUnitsHoldEveryInputOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "documents")
		lengths := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 50), rapid.IntRange(0, 300)), n, n).Draw(t, "lengths")
		s := open(t, dir, whole, lengths...)
		defer s.Corpus().Close()
		a := kind(t, s)
		defer a.Close()

		ids := rapid.Permutation(slices.Collect(all(s))).Draw(t, "order")
		ids = ids[rapid.IntRange(0, n).Draw(t, "left out"):]
		cut := rapid.IntRange(0, len(ids))
		calls := parts(ids, cut.Draw(t, "cut"), cut.Draw(t, "cut"))
		units, discards := make([][]unit, len(calls)), make([]int64, len(calls))
		for i, part := range calls {
			units[i], discards[i] = arranged(t, a, slices.Values(part))
		}
		if err := a.Finish(); err != nil {
			t.Fatal(err)
		}
		row, packed := a.Lengths(), a.Packed()
		if !slices.IsSorted(row) || len(row) == 0 {
			t.Fatalf("lengths %v", row)
		}
		seen, holders := map[int64]bool{}, map[int64][]int64{}
		held := make([]bool, s.Corpus().Tokens())
		for i, part := range calls {
			for _, u := range units[i] {
				if seen[u.id] || u.id < 0 || u.id>>48 != 0 {
					t.Fatalf("unit %d comes twice or is out of range", u.id)
				}
				seen[u.id] = true
				sum := 0
				var samples []int64
				for _, p := range a.Pieces([]Piece{{Len: 7}}, u.id)[1:] {
					document := s.Corpus().DocumentAt(p.Start)
					if _, end := s.Corpus().Bounds(document); p.Len < 1 || p.Start+int64(p.Len) > end-1 || !slices.Contains(part, document) {
						t.Fatalf("unit %d holds %v; document %d ends at %d; samples were %v", u.id, p, document, end, part)
					}
					for at := p.Start; at < p.Start+int64(p.Len); at++ {
						if held[at] {
							t.Fatalf("token %d is an input twice", at)
						}
						held[at] = true
					}
					sum += p.Len
					samples = append(samples, document)
					holders[document] = append(holders[document], u.id)
				}
				if len(samples) > 1 && !packed {
					t.Fatalf("unit %d has %d pieces, of an arrangement that packs none", u.id, len(samples))
				}
				if sum != u.inputs || sum > row[u.bucket] || a.Bucket(u.id) != u.bucket {
					t.Fatalf("unit %+v holds %d inputs, in bucket %d of %v", u, sum, a.Bucket(u.id), row)
				}
				if got := a.Samples([]int64{7}, u.id)[1:]; !slices.Equal(got, samples) {
					t.Fatalf("unit %d is of samples %v, want %v", u.id, got, samples)
				}
			}
			for _, id := range part {
				start, end := s.Span(id)
				whole := true
				for at := start; at < end-1; at++ {
					if !held[at] {
						whole = false
						discards[i]--
					} else if !whole {
						t.Fatalf("document %d has a hole before token %d", id, at-start)
					}
				}
			}
			if discards[i] != 0 {
				t.Fatalf("call %d: %d inputs more were said to be discarded than were", i, discards[i])
			}
		}
		for _, id := range ids {
			slices.Sort(holders[id])
			if got := a.Units([]int64{7}, id)[1:]; !slices.Equal(got, holders[id]) {
				t.Fatalf("sample %d is in units %v, want %v", id, got, holders[id])
			}
		}
	})
}

// Windows are units as they are, with one label each side shared.
func TestWindows(t *testing.T) {
	s := open(t, t.TempDir(), corpus.Cut{Window: 4}, 6, 0, 8) // 14 tokens: 3 windows
	defer s.Corpus().Close()
	a, err := Windows(s)
	if err != nil {
		t.Fatal(err)
	}
	units, discarded := arranged(t, a, slices.Values([]int64{2, 0, 1}))
	if got := fmt.Sprint(units, discarded, rows(a, units), a.Lengths()); got != "[{0 2 4} {0 0 4} {0 1 4}] 0 [[{8 4}] [{0 4}] [{4 4}]] [4]" {
		t.Error(got)
	}
	if got := fmt.Sprint(a.Samples(nil, 1), a.Units(nil, 2), a.Bucket(2)); got != "[1] [2] 0" {
		t.Error(got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a window behind the last has pieces")
		}
	}()
	a.Pieces(nil, 3)
}

// Documents of 11, 0, 1, 5, 2, 17 and 6 tokens, in every kind; the ids of units,
// what they hold and what is discarded are a promise.
func TestGolden(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := open(t, t.TempDir(), whole, 11, 0, 1, 5, 2, 17, 6)
	defer s.Corpus().Close()
	for _, c := range []struct {
		name string
		a    func() (Arrangement, error)
		want string
	}{
		{"pad 8", func() (Arrangement, error) { return Pad(s, 8) },
			"[{0 0 8} {0 3 4} {0 4 1} {0 5 8} {0 6 5}] 10 [[{0 8}] [{12 4}] [{17 1}] [{19 8}] [{36 5}]]"},
		{"bucket 4 5 12", func() (Arrangement, error) { return Bucket(s, []int{4, 5, 12}) },
			"[{2 0 10} {0 3 4} {0 4 1} {2 5 12} {1 6 5}] 4 [[{0 10}] [{12 4}] [{17 1}] [{19 12}] [{36 5}]]"},
		{"pack 8", func() (Arrangement, error) { return Pack(s, 8, "") },
			"[{0 0 8} {0 1 8} {0 2 8} {0 3 8} {0 4 4}] 0 [[{0 8}] [{19 8}] [{27 8}] [{36 5} {8 2} {17 1}] [{12 4}]]"},
		{"decompose 2 8", func() (Arrangement, error) { return Decompose(s, 2, 8) },
			"[{2 0 8} {0 1 2} {1 3145728 4} {2 5242880 8} {2 5242881 8} {1 6291456 4}] 2 [[{0 8}] [{8 2}] [{12 4}] [{19 8}] [{27 8}] [{36 4}]]"},
		{"decompose 1 4", func() (Arrangement, error) { return Decompose(s, 1, 4) },
			"[{2 0 4} {2 1 4} {1 2 2} {2 3145728 4} {0 4194304 1} {2 5242880 4} {2 5242881 4} {2 5242882 4} {2 5242883 4} {2 6291456 4} {0 6291457 1}] 0 " +
				"[[{0 4}] [{4 4}] [{8 2}] [{12 4}] [{17 1}] [{19 4}] [{23 4}] [{27 4}] [{31 4}] [{36 4}] [{40 1}]]"},
	} {
		a, err := c.a()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		units, discarded := arranged(t, a, all(s))
		if err := a.Finish(); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(units, discarded, rows(a, units)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	for want, lengths := range map[string]func() (Arrangement, error){
		"[2 4 8]":  func() (Arrangement, error) { return Decompose(s, 2, 8) },
		"[4]":      func() (Arrangement, error) { return Decompose(s, 4, 4) },
		"[4 5 12]": func() (Arrangement, error) { return Bucket(s, []int{4, 5, 12}) },
	} {
		a, err := lengths()
		if err != nil || fmt.Sprint(a.Lengths()) != want {
			t.Errorf("%v, %v, want %s", a, err, want)
		}
	}
}

// A unit that is not there panics as an index does.
func TestNoSuchUnit(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := open(t, t.TempDir(), whole, 11, 1)
	defer s.Corpus().Close()
	pad, err1 := Pad(s, 4)
	pack, err2 := Pack(s, 4, "")
	decompose, err3 := Decompose(s, 2, 4)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	defer pack.Close()
	for i, a := range []Arrangement{pad, pack, decompose} {
		units, _ := arranged(t, a, all(s))
		if err := a.Finish(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []int64{-1, units[len(units)-1].id + 1, 1 << 50} {
			for name, do := range map[string]func(){
				"Pieces":  func() { a.Pieces(nil, id) },
				"Samples": func() { a.Samples(nil, id) },
				"Bucket":  func() { a.Bucket(id) },
			} {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("arrangement %d: %s of unit %d does not panic", i, name, id)
						}
					}()
					do()
				}()
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	documents := open(t, t.TempDir(), whole, 100, 100)
	defer documents.Corpus().Close()
	windows := open(t, t.TempDir(), corpus.Cut{Window: 8}, 100, 100)
	defer windows.Corpus().Close()
	for _, c := range []struct {
		say string
		do  func() (Arrangement, error)
	}{
		{"must be a window", func() (Arrangement, error) { return Windows(documents) }},
		{"must be a document", func() (Arrangement, error) { return Pad(windows, 8) }},
		{"must be a document", func() (Arrangement, error) { return Pack(windows, 8, "") }},
		{"must be a document", func() (Arrangement, error) { return OpenPack(windows, 8, t.TempDir()) }},
		{"must be a document", func() (Arrangement, error) { return Decompose(windows, 8, 8) }},
		{"must be a document", func() (Arrangement, error) { return Bucket(windows, []int{8}) }},
		{"rows of 0", func() (Arrangement, error) { return Pad(documents, 0) }},
		{"rows of -1", func() (Arrangement, error) { return Pack(documents, -1, "") }},
		{"rows of 4194305", func() (Arrangement, error) { return Pack(documents, longestRow+1, "") }},
		{"at least one", func() (Arrangement, error) { return Bucket(documents, nil) }},
		{"must ascend", func() (Arrangement, error) { return Bucket(documents, []int{4, 4}) }},
		{"must ascend", func() (Arrangement, error) { return Bucket(documents, []int{8, 4}) }},
		{"powers of two", func() (Arrangement, error) { return Decompose(documents, 3, 8) }},
		{"powers of two", func() (Arrangement, error) { return Decompose(documents, 4, 12) }},
		{"shorter one first", func() (Arrangement, error) { return Decompose(documents, 8, 4) }},
	} {
		if _, err := c.do(); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%v, want %q", err, c.say)
		}
	}
}

// A document of more parts than ids tell apart is refused.
func TestDecomposeNeedsRoom(t *testing.T) {
	s := open(t, t.TempDir(), whole, 1<<20+1, 1<<20+2) // as many inputs as parts are allowed, and one more
	d, err := Decompose(s, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	emit := func(int, int64, int) { n++ }
	if _, err := d.Arrange(slices.Values([]int64{0}), emit); err != nil || n != 1<<20 {
		t.Errorf("%d parts, %v", n, err)
	}
	if _, err := d.Arrange(slices.Values([]int64{1}), emit); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "raise the longest length") {
		t.Error(err)
	}
}
