package curriculum

import (
	"encoding/json"
	"errors"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/pace"
)

// Where batches of the buckets cost differently and levels pass quickly, stages and
// pools may not settle on each other before the rounds run out. The kept plan is
// the one that was compiled all the same.
func TestKeptPlanThatDidNotSettle(t *testing.T) {
	unsettled := 0
	for seed := range uint64(12) {
		for _, units := range []int{1, 3} {
			p, err := pace.NewLinear(pace.Ramp{From: 5, To: 100, Step: 0.5, Until: 8000})
			if err != nil {
				t.Fatal(err)
			}
			c := Config{
				Seed: seed, Dir: t.TempDir(), Layers: 4, Clock: Tokens, Budget: 9000, Shapes: 100, Buckets: []Bucket{{16, 8}, {32, 8}, {64, units}},
				Sources: []Source{{Samples: 200, Units: halves{16, 32, 64}, Columns: []Column{newColumn(1, randomValues(seed, 200, 500)...)}}},
				Admit:   []Admission{{Metric: "m", By: Percentile, Pace: Timed{Pace: p}}},
			}
			compiled := mustCompile(t, c)
			s, err := readSaved(c.Dir)
			if err != nil {
				t.Fatal(err)
			}
			if s.Basis != nil {
				unsettled++
			}
			opened, err := Open(c)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			again := opened.Sampler()
			for step, ids := range compiled.Sampler().From(0) {
				if got := again.At(nil, step); !slices.Equal(got, ids) {
					t.Fatalf("seed %d: step %d: %v, compiled %v", seed, step, got, ids)
				}
			}
			opened.Close()
		}
	}
	if unsettled == 0 {
		t.Error("every plan settled, so nothing was tested")
	}
}

// longer is an arrangement whose first bucket stays empty.
type longer struct{ halves }

func (l longer) Arrange(samples iter.Seq[int64], emit func(bucket int, unit int64, inputs int)) (int64, error) {
	for id := range samples {
		b := 1 + int(id)%(len(l.halves)-1)
		emit(b, 4*id, l.halves[b]-1)
	}
	return 0, nil
}

// A bucket that turns out to be empty does not confuse what is expected of others.
func TestExpectBesideAnEmptyBucket(t *testing.T) {
	c := Config{
		Dir: t.TempDir(), Layers: 1, Clock: Steps, Budget: 50, Buckets: []Bucket{{16, 8}, {32, 4}, {64, 2}},
		Sources: []Source{{Samples: 300, Units: longer{halves{16, 32, 64}}}},
	}
	for range 2 { // compiled, opened
		p := mustCompile(t, c)
		e := p.Expect(0)
		units := 0.0
		for step := range p.Steps() {
			units += float64(p.BatchAt(step).Units)
		}
		if math.Abs(e.Padding-units) > 1e-6 || e.Discarded != 0 || math.Abs(e.Inputs-(50*128-units)) > 1e-6 {
			t.Errorf("it expects %+v, for %v units that lack 1 of a row each", e, units)
		}
	}
}

// A plan.json that nobody wrote, with all its checksums, is an error and no panic.
func TestForgedPlans(t *testing.T) {
	p, err := pace.NewLinear(pace.Ramp{From: 20, To: 100, Step: 10, Until: 10})
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Dir: t.TempDir(), Layers: 1, Clock: Steps, Budget: 20, Buckets: []Bucket{{16, 8}, {32, 4}, {64, 2}},
		Sources: []Source{{Samples: 300, Units: halves{16, 32, 64}, Columns: []Column{newColumn(1, randomValues(1, 300, 500)...)}}},
		Admit:   []Admission{{Metric: "m", By: Percentile, Pace: Timed{Pace: p}}},
	}
	mustCompile(t, c)
	path := filepath.Join(c.Dir, planName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, forge := range map[string]func(*saved){
		"no levels":            func(s *saved) { s.Levels = nil },
		"no difficulty":        func(s *saved) { s.Levels[1].Difficulty = nil },
		"more difficulties":    func(s *saved) { s.Levels[1].Difficulty = []float64{1, 2} },
		"another metric":       func(s *saved) { s.Levels = []level{{}}; s.Sources[0].Never, s.Sources[0].Runs = nil, nil },
		"empty basis":          func(s *saved) { s.Basis = &basis{} },
		"basis without pools":  func(s *saved) { s.Basis = &basis{Levels: s.Levels, Pools: make([][][]int64, len(s.Levels))} },
		"no use":               func(s *saved) { s.Sources[0].Buckets[0].Segments[0].Used = nil },
		"no deciles":           func(s *saved) { s.Sources[0].Runs[0].Deciles = nil },
		"nothing never":        func(s *saved) { s.Sources[0].Never = nil },
		"negative samples":     func(s *saved) { s.Sources[0].Samples = -1 },
		"endless samples":      func(s *saved) { s.Sources[0].Samples = 1 << 60 },
		"a beginning before 0": func(s *saved) { s.First.Steps = -5 },
		"other layers":         func(s *saved) { s.First.Layers = 3 },
		"fewer buckets":        func(s *saved) { s.Sources[0].Buckets = s.Sources[0].Buckets[:2] },
		"nothing admitted at first": func(s *saved) {
			for b := range s.Sources[0].Buckets {
				for j := range s.Sources[0].Buckets[b].Segments {
					s.Sources[0].Buckets[b].Segments[j].Entry = len(s.Levels) - 1
				}
			}
		},
	} {
		var s saved
		if err := json.Unmarshal(good, &s); err != nil {
			t.Fatal(err)
		}
		forge(&s)
		bad, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if p, err := Open(c); err == nil {
			p.Close()
			t.Errorf("%s: it was opened", name)
		} else if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: error %v is of no kind", name, err)
		}
	}
}

// A unit of the order that is no sample is found when the plan is opened.
func TestForgedOrder(t *testing.T) {
	c := Config{Dir: t.TempDir(), Layers: 1, Clock: Steps, Budget: 20, Buckets: []Bucket{{16, 8}}, Sources: []Source{{Samples: 300}}}
	mustCompile(t, c)
	path := filepath.Join(c.Dir, "order-0-0.npy")
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)-1] = 1 // the highest byte of the last unit
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := readSaved(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Sources[0].Buckets[0].Checksum, err = fileSum(path); err != nil {
		t.Fatal(err)
	}
	text, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, planName), text, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c); !errors.Is(err, fault.Corrupt) {
		t.Errorf("error %v", err)
	}
}
