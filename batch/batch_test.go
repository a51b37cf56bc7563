package batch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// shapers are those built in, by none and by their names, and a stranger's.
func shapers(t tester) map[string]batch.Shaper {
	all := map[string]batch.Shaper{"default": nil, "stranger": toPadding{}}
	for _, name := range []string{"truncate", "reshape", "reshape-overlap", "tail"} {
		s, ok := batch.LookupShaper(name)
		if !ok {
			t.Fatalf("no shaper %s", name)
		}
		all[name] = s
	}
	return all
}

// settings are kinds of unit, ways of shaping, sources and routing.
func settings(t *testing.T) map[string]setting {
	// Documents of no token, of one, of two, and of one less, as many as and one
	// more than a row and its last label take.
	lengths := []int{0, 1, 2, 3, 23, 24, 25, 26, 60, 4, 7, 7, 12, 130, 0, 5}
	one := write(t, t.TempDir(), lengths...)
	slices.Reverse(lengths)
	two := write(t, t.TempDir(), append(lengths, 300, 9)...)

	all := map[string]setting{}
	for name, shaper := range shapers(t) {
		for kind, a := range map[string]arranger{"windows": windows(24), "padded": padded(24), "packed": packed(24)} {
			all[kind+", "+name] = newSetting(t, shaper, []batch.Source{a(t, one)}, length(t, 5, 24, 1), keep(t, 3, 24, 7))
		}
		for kind, a := range map[string]arranger{"bucketed": bucketed(4, 9, 30), "decomposed": decomposed(1, 32)} {
			all[kind+", "+name] = newSetting(t, shaper, []batch.Source{a(t, one), a(t, two)}, keep(t, 3, 30, 1))
		}
		both := []batch.Source{packed(24)(t, one), windows(24)(t, two)}
		all["packed and windows, "+name] = newSetting(t, shaper, both, length(t, 5, 24, 1))
	}
	all["windows"] = newSetting(t, nil, []batch.Source{windows(24)(t, one)})
	all["two sources of windows"] = newSetting(t, nil, []batch.Source{windows(24)(t, one), windows(24)(t, two)})
	return all
}

// Every batch is what a naive reading of the corpus gives.
func TestMakeAgainstNaive(t *testing.T) {
	for name, s := range settings(t) {
		for step := range s.Plan.Steps() {
			got, err := s.maker.Make(step, 0, 1)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := s.naive(t, step)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: step %d:\n%+v\nwant\n%+v", name, step, got, want)
			}
			if got.Targets() != targets(want) {
				t.Fatalf("%s: step %d: %d targets, want %d", name, step, got.Targets(), targets(want))
			}
		}
	}
}

// Rows that are one run from position 0 on have no documents and positions.
func TestUnpackedBatches(t *testing.T) {
	for name, s := range settings(t) {
		b, err := s.maker.Make(0, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.HasPrefix(name, "packed")
		if (b.Documents != nil) != want || (b.Positions != nil) != want {
			t.Errorf("%s: documents %v, positions %v", name, b.Documents, b.Positions)
		}
	}
}

// The shares of all ranks, laid end to end, are the global batch with the same
// kept positions: for any world, more ranks than units included.
func TestRanks(t *testing.T) {
	all := settings(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "setting")]
		step := rapid.Int64Range(0, s.Plan.Steps()-1).Draw(t, "step") // in any order
		world := rapid.IntRange(1, 9).Draw(t, "world")
		whole, err := s.maker.Make(step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		var parts []*batch.Batch
		for rank := range world {
			part, err := s.maker.Make(step, rank, world)
			if err != nil {
				t.Fatal(err)
			}
			if part.Length != whole.Length || part.Shape.Kept != whole.Shape.Kept || len(part.Inputs) != part.Rows*part.Length {
				t.Fatalf("rank %d of %d: shape %+v of %d inputs, global %+v", rank, world, part.Shape, len(part.Inputs), whole.Shape)
			}
			if (part.Kept == nil) != (whole.Kept == nil) || (part.Documents == nil) != (whole.Documents == nil) {
				t.Fatalf("rank %d of %d: kept %v and documents %v, global %v and %v", rank, world, part.Kept, part.Documents, whole.Kept, whole.Documents)
			}
			parts = append(parts, part)
		}
		if together := concat(parts, len(s.Routing.Layers)); !reflect.DeepEqual(together, whole) {
			t.Fatalf("step %d, world %d: the ranks have\n%+v\ntogether, the batch is\n%+v", step, world, together, whole)
		}
	})
}

// For any documents, kind of unit and length of row: a label is the token after
// its input, and of the same document; no input predicts twice, and by
// reshape-overlap each one does; and the counts of padding and of what is
// discarded are exact.
func TestAnyDocuments(t *testing.T) {
	dir := t.TempDir()
	named := shapers(t)
	rapid.Check(t, func(t *rapid.T) {
		lengths := append(rapid.SliceOfN(rapid.IntRange(0, 40), 1, 30).Draw(t, "documents"), 30)
		full := rapid.IntRange(1, 29).Draw(t, "full")
		kind := rapid.SampledFrom([]string{"windows", "padded", "packed"}).Draw(t, "kind")
		short := rapid.IntRange(1, full).Draw(t, "length")
		shaper := rapid.SampledFrom([]string{"truncate", "reshape", "reshape-overlap", "tail", "stranger"}).Draw(t, "shaper")
		c := write(t, dir, lengths...)
		a := map[string]func(int) arranger{"windows": windows, "padded": padded, "packed": packed}[kind](full)
		s := newSetting(t, named[shaper], []batch.Source{a(t, c)}, func(c *curriculum.Config) {
			c.Length = curriculum.Timed{Pace: pace.Constant(short)}
			c.Budget = 2
		})
		b, err := s.maker.Make(rapid.Int64Range(0, 1).Draw(t, "step"), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		rows := b.Rows / len(b.IDs)
		positions, covered, held := int64(0), int64(0), int64(0)
		for u, id := range b.IDs {
			seen := map[int32]bool{}
			predicts := map[int32]bool{}
			for i := u * rows * short; i < (u+1)*rows*short; i++ {
				in, label := b.Inputs[i], b.Labels[i]
				switch {
				case in == endOfDocument:
					if label != batch.Ignore {
						t.Fatalf("padding predicts %d", label)
					}
					continue
				case label == batch.Ignore:
					if !seen[in] {
						t.Fatalf("input %d predicts nothing and stands in no earlier row", in)
					}
				case label != in+1 || kind != "windows" && c.DocumentAt(int64(in)) != c.DocumentAt(int64(label)):
					t.Fatalf("label %d behind input %d", label, in)
				case predicts[in]:
					t.Fatalf("input %d predicts twice", in)
				default:
					predicts[in] = true
				}
				seen[in] = true
				positions++
			}
			covered += int64(len(predicts))
			inputs := 0
			for _, p := range s.Sources[0].Units.Pieces(nil, id) {
				inputs += p.Len
			}
			held += int64(inputs)
			if shaper == "reshape-overlap" && len(predicts) != inputs {
				t.Fatalf("%d of the %d inputs of a unit predict", len(predicts), inputs)
			}
		}
		repeated := positions - covered
		if b.Padding+b.Targets()+repeated != int64(b.Rows*b.Length) || b.Targets() != covered || b.Discarded != held-covered {
			t.Fatalf("%d rows of %d: padding %d, %d targets, %d repeated, %d discarded; the units hold %d and %d predict",
				b.Rows, b.Length, b.Padding, b.Targets(), repeated, b.Discarded, held, covered)
		}
	})
}

// A packed unit that is cut into rows: each row counts its documents and their
// positions anew.
func TestCutPack(t *testing.T) {
	c := write(t, t.TempDir(), 8, 4, 3) // 7, 3 and 2 inputs fill a row of 12
	s := newSetting(t, batch.ReshapeOverlap{}, []batch.Source{packed(13)(t, c)}, func(c *curriculum.Config) {
		c.Length, c.Buckets[0].Units = curriculum.Timed{Pace: pace.Constant(5)}, 1
	})
	got, err := s.maker.Make(0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	const p = endOfDocument
	want := &batch.Batch{
		Shape:     curriculum.Shape{Rows: 3, Length: 5, Kept: 5},
		IDs:       []int64{0},
		Inputs:    []int32{0, 1, 2, 3, 4 /**/, 5, 6, 8, 9, 10 /**/, 9, 10, 12, 13, p},
		Labels:    []int32{1, 2, 3, 4, 5 /**/, 6, 7, 9, 10, 11 /**/, -1, -1, 13, 14, -1},
		Documents: []int32{0, 0, 0, 0, 0 /**/, 0, 0, 1, 1, 1 /**/, 0, 0, 1, 1, 2},
		Positions: []int32{0, 1, 2, 3, 4 /**/, 0, 1, 0, 1, 2 /**/, 0, 1, 0, 1, 0},
		Padding:   1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestMakeRefuses(t *testing.T) {
	c := write(t, t.TempDir(), 200)
	s := newSetting(t, nil, []batch.Source{windows(24)(t, c)})
	for _, c := range []struct {
		step        int64
		rank, world int
	}{{-1, 0, 1}, {14, 0, 1}, {1 << 62, 0, 1}, {0, 0, 0}, {0, -1, 2}, {0, 2, 2}, {0, 0, -3}} {
		if b, err := s.maker.Make(c.step, c.rank, c.world); !errors.Is(err, fault.Invalid) {
			t.Errorf("step %d, rank %d of %d: %v, %v", c.step, c.rank, c.world, b, err)
		}
	}
}

func TestNewMakerRefuses(t *testing.T) {
	c := write(t, t.TempDir(), 200, 9, 9, 9)
	one := []batch.Source{windows(24)(t, c)}
	two := []batch.Source{windows(24)(t, c), windows(25)(t, c)}
	plain := newSetting(t, nil, one).Plan
	reshaped := newSetting(t, batch.Reshape{}, one, length(t, 12, 24, 12)).Plan
	mixed := newSetting(t, nil, []batch.Source{one[0], one[0]}).Plan
	schedule, err := curriculum.Compile(context.Background(), curriculum.Config{
		Sources: make([]curriculum.Source, 1), Buckets: []curriculum.Bucket{{Length: 24, Units: 2}},
		Layers: 1, Clock: curriculum.Steps, Budget: 3, ScheduleOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, refused := range map[string]struct {
		batch.Config
		kind error
	}{
		"the plan has 1 sources, and there are 2": {batch.Config{Plan: plain, Sources: two}, fault.Mismatch},
		"source 1: its units have [25] inputs":    {batch.Config{Plan: mixed, Sources: two}, fault.Mismatch},
		"2 layers are routed by no policy":        {batch.Config{Plan: plain, Sources: one, Routing: batch.Routing{Layers: []int{1, 2}}}, fault.Invalid},
		"source 0: windows: a sample is a document and must be a window": {
			batch.Config{Plan: plain, Sources: []batch.Source{{Samples: padded(24)(t, c).Samples}}}, fault.Invalid,
		},
		"the plan has rows of 24 tokens in bucket 0, and the units have [12]": {
			batch.Config{Plan: plain, Sources: []batch.Source{windows(12)(t, c)}}, fault.Mismatch,
		},
		"the plan has 2 rows of 12 tokens for a unit of 24 and the shaper makes 1": {batch.Config{Plan: reshaped, Sources: one}, fault.Mismatch},
		"the plan has 2 rows of 12 tokens for a unit of 25 and the shaper makes 3": {
			batch.Config{Plan: reshaped, Sources: two[1:], Shaper: batch.ReshapeOverlap{}}, fault.Mismatch,
		},
		"a plan of the schedule only has no batches": {batch.Config{Plan: schedule, Sources: one}, fault.Invalid},
	} {
		if _, err := batch.NewMaker(refused.Config); !errors.Is(err, refused.kind) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// damaged is an arrangement with other pieces than it had.
type damaged struct {
	arrange.Arrangement
	pieces []arrange.Piece
}

func (d damaged) Pieces(dst []arrange.Piece, unit int64) []arrange.Piece {
	return append(dst, d.pieces...)
}

// Pieces that do not fit the row or the corpus are noticed.
func TestDamagedArrangement(t *testing.T) {
	c := write(t, t.TempDir(), 200)
	s := newSetting(t, nil, []batch.Source{packed(24)(t, c)})
	for want, pieces := range map[string][]arrange.Piece{
		"a piece of 25 inputs behind 0 others, and its row has 24": {{Start: 0, Len: 25}},
		"a piece of 5 inputs behind 20 others, and its row has 24": {{Start: 0, Len: 20}, {Start: 40, Len: 5}},
		"a piece of 0 inputs behind 3 others":                      {{Start: 0, Len: 3}, {Start: 40}},
		"a piece of -1 inputs behind 0 others":                     {{Start: 0, Len: -1}},
		"tokens -1 to 4 were asked for":                            {{Start: -1, Len: 4}},
		"tokens 190 to 201 were asked for":                         {{Start: 190, Len: 10}},
	} {
		config := s.Config
		config.Sources = []batch.Source{{Samples: s.Sources[0].Samples, Units: damaged{s.Sources[0].Units, pieces}}}
		m, err := batch.NewMaker(config)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := m.Make(0, 0, 1); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "of source 0") {
			t.Errorf("%v: %v, %v; want %q", pieces, b, err, want)
		}
	}
}

// A corpus that changes under an open map is not a batch's to notice, but a
// token that cannot be is.
func TestCorruptToken(t *testing.T) {
	dir := t.TempDir()
	w, err := corpus.Create(filepath.Join(dir, "c"), corpus.Int32)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if err := w.Append(make([]int32, 40)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "c.bin"), 4*17+3) // the sign of token 17
	c, err := corpus.Open(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for kind, a := range map[string]arranger{"windows": windows(39), "padded": padded(39), "packed": packed(40), "decomposed": decomposed(1, 64)} {
		s := newSetting(t, nil, []batch.Source{a(t, c)}, func(c *curriculum.Config) { c.Buckets[0].Units = 1 })
		failed := false
		for step := range s.Plan.Steps() {
			if _, err := s.maker.Make(step, 0, 1); err != nil {
				failed = true
				if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "unit ") {
					t.Errorf("%s: a negative token: %v", kind, err)
				}
			}
		}
		if !failed {
			t.Errorf("%s: a negative token is in no batch", kind)
		}
	}
	if _, err := batch.Evaluation(c, c.All(), 8, 2, 0, nil); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a negative token held out: %v", err)
	}
}

// flip inverts a byte of a file.
func flip(t *testing.T, name string, at int) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 0xff
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// A plan that goes on from an earlier run begins where that stood.
func TestLaterPlan(t *testing.T) {
	c := write(t, t.TempDir(), 200)
	s := newSetting(t, nil, []batch.Source{windows(24)(t, c)}, func(c *curriculum.Config) {
		c.From = &curriculum.Origin{
			Position: curriculum.Position{Steps: 5, Tokens: 5, LayerSum: 20, Layers: 4},
			Done:     func(int, int64) bool { return false },
		}
	})
	if _, err := s.maker.Make(4, 0, 1); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "step 4 of a plan of steps 5 to 13") {
		t.Errorf("step 4: %v", err)
	}
	got, err := s.maker.Make(5, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := s.naive(t, 5); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}
