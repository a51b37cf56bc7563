package batch_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// The rows of the shapers built in: where each begins, and what it repeats.
func TestBuiltInShapers(t *testing.T) {
	for _, c := range []struct {
		name         string
		full, length int
		want         [][2]int
	}{
		{"truncate", 24, 5, [][2]int{{0, 0}}},
		{"truncate", 24, 24, [][2]int{{0, 0}}},
		{"reshape", 24, 5, [][2]int{{0, 0}, {5, 0}, {10, 0}, {15, 0}}},
		{"reshape", 24, 13, [][2]int{{0, 0}}},
		{"reshape", 24, 24, [][2]int{{0, 0}}},
		{"reshape-overlap", 24, 5, [][2]int{{0, 0}, {5, 0}, {10, 0}, {15, 0}, {19, 1}}},
		{"reshape-overlap", 24, 8, [][2]int{{0, 0}, {8, 0}, {16, 0}}},
		{"reshape-overlap", 24, 13, [][2]int{{0, 0}, {11, 2}}},
		{"reshape-overlap", 24, 24, [][2]int{{0, 0}}},
		{"reshape-overlap", 2, 1, [][2]int{{0, 0}, {1, 0}}},
		{"reshape-overlap", 1, 1, [][2]int{{0, 0}}},
	} {
		s, ok := batch.LookupShaper(c.name)
		if !ok {
			t.Fatalf("no shaper %s", c.name)
		}
		var got [][2]int
		for row := range s.Rows(c.full, c.length) {
			first, repeated := s.From(row, c.full, c.length)
			got = append(got, [2]int{first, repeated})
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s of %d into rows of %d: %v, want %v", c.name, c.full, c.length, got, c.want)
		}
	}
}

func TestRegistry(t *testing.T) {
	if s, ok := batch.LookupShaper("tail"); !ok || s != (tail{}) {
		t.Errorf("tail is %v, %v", s, ok)
	}
	if s, ok := batch.LookupShaper("to-padding"); ok {
		t.Errorf("to-padding, which is not registered, is %v", s)
	}
	var names []string
	for _, s := range batch.Shapers() {
		names = append(names, s.Name)
		if s.Summary == "" || s.Shaper == nil {
			t.Errorf("shaper %+v", s)
		}
	}
	if want := []string{"reshape", "reshape-overlap", "tail", "truncate"}; !slices.Equal(names, want) {
		t.Errorf("shapers %v, want %v", names, want)
	}
	for name, register := range map[string]func(){
		"a name that is taken": func() { batch.RegisterShaper("truncate", "again", toPadding{}) },
		"no name":              func() { batch.RegisterShaper("", "nameless", toPadding{}) },
		"no shaper":            func() { batch.RegisterShaper("nothing", "nothing", nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			register()
		}()
	}
}

// A listed shaper has the rows of a list, whatever the unit.
type listed [][2]int

func (l listed) Rows(full, length int) int                        { return len(l) }
func (l listed) From(row, full, length int) (first, repeated int) { return l[row][0], l[row][1] }

// shape makes the maker of batches of one window of full tokens in rows of length.
func shape(t tester, source batch.Source, s batch.Shaper, length int) (*batch.Maker, error) {
	t.Helper()
	full := source.Samples.Cut().Window
	plan, err := curriculum.Compile(context.Background(), curriculum.Config{
		Sources: []curriculum.Source{{Samples: source.Samples.Len()}}, Buckets: []curriculum.Bucket{{Length: full, Units: 1}},
		Length: curriculum.Timed{Pace: pace.Constant(length)}, RowsPer: s.Rows,
		Layers: 1, Clock: curriculum.Steps, Budget: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plan.Close() })
	return batch.NewMaker(batch.Config{Sources: []batch.Source{source}, Plan: plan, Shaper: s})
}

// A shaper that does not do what it must is refused when the maker is made.
func TestShaperRefused(t *testing.T) {
	source := windows(10)(t, write(t, t.TempDir(), 11))
	for want, rows := range map[string]listed{
		"row 1 of a unit of 10 tokens, cut into rows of 4, begins with input -1; it must be 0 to 9": {{0, 0}, {-1, 0}},
		"row 0 of a unit of 10 tokens, cut into rows of 4, begins with input 10; it must be 0 to 9": {{10, 0}},
		"row 1 of a unit of 10 tokens, cut into rows of 4, has 4 tokens and repeats -1":             {{0, 0}, {4, -1}},
		"row 1 of a unit of 10 tokens, cut into rows of 4, has 4 tokens and repeats 4":              {{0, 0}, {0, 4}},
		"row 1 of a unit of 10 tokens, cut into rows of 4, has 2 tokens and repeats 2":              {{6, 0}, {8, 2}},
		"predicts input 3, and an earlier row does so already; count it as repeated":                {{0, 0}, {3, 0}},
		"repeats input 4, and no earlier row has it":                                                {{0, 0}, {4, 1}},
		"row 2 of a unit of 10 tokens, cut into rows of 4, predicts input 0":                        {{0, 0}, {4, 0}, {0, 0}},
	} {
		if _, err := shape(t, source, rows, 4); !errors.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v: %v, want %q", rows, err, want)
		}
	}
}

// A shaper of any rows is taken if and only if each input predicts at most once
// and what it repeats was there; and then the batch is what it says.
func TestAnyShaper(t *testing.T) {
	source := windows(10)(t, write(t, t.TempDir(), 11))
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, 10).Draw(t, "length")
		var s listed
		for range rapid.IntRange(1, 4).Draw(t, "rows") {
			// Mostly rows that go on from one another, so that many are taken.
			next := 0
			if len(s) > 0 {
				next = s[len(s)-1][0] + length
			}
			repeated := rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "repeated")
			s = append(s, [2]int{next - repeated + rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(t, "aside"), repeated})
		}
		ok, held := true, map[int]bool{}
		var inputs, labels []int32
		for _, row := range s {
			targets := 0
			for i := range length {
				at := row[0] + i
				switch {
				case at < 0:
					ok = false
				case at >= 10:
					inputs, labels = append(inputs, endOfDocument), append(labels, batch.Ignore)
				case i < row[1]:
					ok = ok && held[at]
					inputs, labels = append(inputs, int32(at)), append(labels, batch.Ignore)
				default:
					ok = ok && !held[at]
					inputs, labels = append(inputs, int32(at)), append(labels, int32(at+1))
					targets++
				}
			}
			ok = ok && targets > 0
			for i := range length {
				held[row[0]+i] = true
			}
		}
		m, err := shape(t, source, s, length)
		if (err == nil) != ok || err != nil && !errors.Is(err, fault.Invalid) {
			t.Fatalf("%v: %v, want it taken: %v", s, err, ok)
		}
		if !ok {
			return
		}
		b, err := m.Make(0, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.Inputs, inputs) || !slices.Equal(b.Labels, labels) {
			t.Fatalf("%v: inputs %v, labels %v; want %v, %v", s, b.Inputs, b.Labels, inputs, labels)
		}
		if want := 10 - targets(b); b.Discarded != want {
			t.Fatalf("%v: %d discarded, want %d", s, b.Discarded, want)
		}
	})
}
