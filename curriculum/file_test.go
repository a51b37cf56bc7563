package curriculum

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// A plan opened from its directory is the plan that was compiled, without columns
// and numbers of samples.
func TestKeptPlans(t *testing.T) {
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "plan")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c := drawConfig(t)
		c.Dir, c.Identity = dir, "a"
		p := compile(t, c)
		for i := range c.Sources {
			c.Sources[i].Columns, c.Sources[i].Samples = nil, 0
		}
		q, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		if q.End() != p.End() || q.Pool() != p.Pool() || q.Discarded() != p.Discarded() || !slices.Equal(q.Passes(), p.Passes()) {
			t.Fatal("the opened plan is another")
		}
		again := q.Sampler()
		for step, ids := range p.Sampler().From(0) {
			if got := again.At(nil, step); !slices.Equal(got, ids) {
				t.Fatalf("step %d: %v, compiled %v", step, got, ids)
			}
		}
		if got, err := Compile(t.Context(), c); err != nil { // now opens it
			t.Fatal(err)
		} else {
			got.Close()
		}
		c.Identity = "b"
		if _, err := Compile(t.Context(), c); !errors.Is(err, fault.Mismatch) {
			t.Fatalf("another identity: %v", err)
		}
	})
}

// Any damaged byte of a kept plan is found, and a file that is missing.
func TestKeptPlanDamaged(t *testing.T) {
	c := Config{
		Dir: t.TempDir(), Sources: []Source{{Samples: 50, Columns: []Column{newColumn(1, randomValues(1, 50, 9)...)}}}, Buckets: []Bucket{{8, 4}},
		Layers: 1, Clock: Steps, Budget: 20, Admit: []Admission{{Metric: "m", By: Percentile, Pace: Timed{Pace: mustPace(t, rootOf(20, 100, 10))}}},
	}
	mustCompile(t, c)
	for _, name := range []string{"plan.json", "order-0-0.npy"} {
		path := filepath.Join(c.Dir, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 0x10
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			if p, err := Open(c); err == nil {
				p.Close()
				t.Fatalf("%s: byte %d changed, and nobody noticed", name, i)
			} else if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
				t.Fatalf("%s: byte %d: %v", name, i, err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.WriteFile(path, good, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// A compilation that was killed leaves no plan.json; the next goes over it.
	want, err := os.ReadFile(filepath.Join(c.Dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(c.Dir, "plan.json"))
	os.WriteFile(filepath.Join(c.Dir, "order-0-0.npy"), []byte("half"), 0o666)
	mustCompile(t, c)
	if got, err := os.ReadFile(filepath.Join(c.Dir, "plan.json")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("compiled again: %s, %v", got, err)
	}
	c.Admit[0].Pace.Pace = mustPace(t, rootOf(10, 100, 10))
	if _, err := Open(c); !errors.Is(err, fault.Mismatch) {
		t.Errorf("another pace: %v", err)
	}
}

func FuzzParseSaved(f *testing.F) {
	c := Config{Dir: f.TempDir(), Sources: []Source{{Samples: 50}}, Buckets: []Bucket{{8, 4}}, Layers: 1, Clock: Steps, Budget: 20}
	p, err := Compile(f.Context(), c)
	if err != nil {
		f.Fatal(err)
	}
	p.Close()
	text, err := os.ReadFile(filepath.Join(c.Dir, planName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := parseSaved("plan.json", text); err != nil && !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
			t.Fatalf("error %v is of no kind", err)
		}
	})
}
