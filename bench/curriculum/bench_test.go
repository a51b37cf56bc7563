package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/bench/measure"
)

// The contenders are commands of this very program, in tests too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && contenders[os.Args[1]] != nil {
		exit(contenders[os.Args[1]](os.Args[2:]))
	}
	os.Exit(m.Run())
}

// tiny is the benchmark in a few seconds.
func tiny(t *testing.T) options {
	o := defaults()
	dir := t.TempDir()
	o.dir, o.out, o.python, o.parts = filepath.Join(dir, "work"), filepath.Join(dir, "out"), "no-python", "drawing,changes,compile"
	o.runs, o.originalRuns = 3, 1
	o.samples, o.stages, o.steps, o.round, o.originalRound, o.calls = sizes{30_000}, sizes{10}, 1000, 20, 5, 20
	o.changeSamples, o.compile, o.compileStages = sizes{60_000}, 60_000, 20
	o.changeStages = 10
	return o
}

func results(t *testing.T, o options, name string) (r Report, page string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.out, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.out, pageName))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(text)
}

// The whole benchmark, small, and a large run after it: every number is there,
// the page shows both runs, and nothing is left behind.
func TestRun(t *testing.T) {
	o := tiny(t)
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r, _ := results(t, o, resultsName)
	if len(r.Drawing) != 1 || len(r.Changes) != 3 || len(r.Compile) != 1 || r.NoOriginal == "" {
		t.Fatalf("%d drawings, %d changes, %d plans, original %q", len(r.Drawing), len(r.Changes), len(r.Compile), r.NoOriginal)
	}
	d := r.Drawing[0]
	for what, s := range map[string]measure.Spread{
		"gradus": d.Gradus, "copy": d.Copy, "gather": d.Gather, "of gather": d.OfGather, "first": d.First, "random": d.Random.P99,
		"plan": r.Changes[0].Plan, "change": r.Changes[2].Step, "other": r.Changes[1].Other, "compile": r.Compile[0].Seconds,
	} {
		if !(s.Min > 0 && s.Min <= s.Median && s.Median <= s.Max) || s.Runs < 1 {
			t.Errorf("%s: %+v", what, s)
		}
	}
	if left, err := os.ReadDir(o.dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	l := o.enlarged()
	l.large, l.samples = true, sizes{70_000}
	if err := run(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if r, page := results(t, o, largeName); len(r.Drawing) != 1 || !strings.Contains(page, "| 30,000 |") || !strings.Contains(page, "| 70,000 |") || strings.Contains(page, "%!") {
		t.Errorf("%d drawings of a large run; the page:\n%s", len(r.Drawing), page)
	}
}

// The original's steps in NumPy are measured in every kind of curriculum; the
// script itself holds that they serve what it admits.
func TestOriginal(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("there is no python3 with NumPy")
	}
	o := tiny(t)
	o.python, o.numpy = python, true
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r, _ := results(t, o, resultsName)
	if r.Drawing[0].Original == nil || r.Drawing[0].Over == nil || r.Compile[0].NumPy == nil {
		t.Fatalf("the original was not measured: %+v", r)
	}
	for _, c := range r.Changes {
		if c.Original == nil || c.Original.Min <= 0 {
			t.Errorf("%d metrics by %s: %+v", c.Metrics, c.By, c.Original)
		}
	}
}

func TestStairs(t *testing.T) {
	s := stairs{[]float64{1, 5, 7}, 4}
	for clock, want := range map[float64]float64{0: 1, 3.5: 1, 4: 5, 7: 5, 8: 7, 100: 7} {
		if got := s.At(clock); got != want {
			t.Errorf("at %v: %v, want %v", clock, got, want)
		}
	}
	if got := s.Next(3); got != 4 {
		t.Errorf("next after 3: %v", got)
	}
	if got := s.At(s.Next(4)); got != 7 {
		t.Errorf("next after 4 has %v", got)
	}
}

// What arrange's benchmark prints, twice each.
func TestParsePacking(t *testing.T) {
	text := `goos: linux
BenchmarkPack/1M/1024-2    	       1	 615625965 ns/op	        99.99 %fill	        99.65 %shared	       615.6 ns/document	        51.40 ns/piece	  343304 B/op	     141 allocs/op
BenchmarkPack/10M/8192    	       1	1847350614 ns/op	       100.0 %fill	        99.98 %shared	       184.7 ns/document	        87.21 ns/piece	 1802992 B/op	     147 allocs/op
BenchmarkPack/1M/1024-2    	       1	 515625965 ns/op	        99.99 %fill	        99.65 %shared	       515.6 ns/document	        41.40 ns/piece	  343304 B/op	     141 allocs/op
BenchmarkPack/1M/1024-2    	       1	 415625965 ns/op	        99.99 %fill	        99.65 %shared	       415.6 ns/document	        41.40 ns/piece	  343304 B/op	     141 allocs/op
PASS
`
	got, err := parsePacking(text)
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if p := got[0]; p.Documents != 1_000_000 || p.Length != 1024 || p.Each != (measure.Spread{Min: 415.6, Median: 515.6, Max: 615.6, Runs: 3}) || p.Fill != 99.99 || p.Shared != 99.65 || p.Heap != 343304 {
		t.Errorf("%+v", p)
	}
	if p := got[1]; p.Documents != 10_000_000 || p.Length != 8192 || p.Piece.Median != 87.21 {
		t.Errorf("%+v", p)
	}
	if _, err := parsePacking("PASS"); err == nil {
		t.Error("no benchmark was taken for one")
	}
}

// Documents of 4, 7, 3 and 9 inputs in rows of 5, by hand: next fit makes the
// rows 4, 5, 2+3, 5, 4, and padded ones 4, 5, 2, 3, 5, 4.
func TestNextFit(t *testing.T) {
	p := Packing{Length: 5}
	p.beside([]int{5, 8, 4, 10, 1}, 1)
	if want := 100 * 23. / 25; p.NextFit != want {
		t.Errorf("next fit is %v %% full, want %v", p.NextFit, want)
	}
	if want := 100 * 23. / 30; p.Padded != want {
		t.Errorf("padded rows are %v %% full, want %v", p.Padded, want)
	}
}

// A contender that fails says why.
func TestContenderFails(t *testing.T) {
	c, _, err := startSelf[Planned](t.Context(), t.TempDir(), "plan", "-samples", "5000", "-stages", "10", "-every", "3")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if d, err := ask[Drawn](c, "from", 3, 4); err != nil || d.IDs != 4*512 || d.First > d.Seconds {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := ask[Drawn](c, "dance"); err == nil || !strings.Contains(err.Error(), `unknown request ["dance"]`) {
		t.Errorf("a request that there is not: %v", err)
	}
	if _, _, err := startSelf[Planned](t.Context(), t.TempDir(), "plan", "-index", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("an index that there is not was opened")
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{1.5: "1.50 s", 0.0123: "12.3 ms", 0.000456: "456 us", 0.99996: "1.00 s", 1234: "1234 s", 3e-8: "30 ns"} {
		if got := duration(v); got != want {
			t.Errorf("%v s is written %s, want %s", v, got, want)
		}
	}
	if got := mib(1536 << 20); got != "1536 MiB" {
		t.Errorf("1.5 GiB is written %s", got)
	}
	var s sizes
	if err := s.Set("1e6,250"); err != nil || s.String() != "1000000,250" {
		t.Errorf("%v, %v", s, err)
	}
	for _, bad := range []string{"", "0", "1.5", "x"} {
		if s.Set(bad) == nil {
			t.Errorf("%q was taken for sizes", bad)
		}
	}
	var b bytes.Buffer
	if err := writePage(&b, nil, nil); err != nil || !strings.HasPrefix(b.String(), "# ") {
		t.Errorf("an empty page: %v", err)
	}
}
