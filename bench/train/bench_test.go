package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/recipe"
)

// A backend is a command of this very program, in tests too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "gradus" {
		exit(runGradus(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// The whole benchmark, small: every number is there, the page shows it, and nothing
// is left behind.
func TestRun(t *testing.T) {
	o := defaults()
	dir := t.TempDir()
	o.dir, o.out, o.python = filepath.Join(dir, "work"), filepath.Join(dir, "out"), "no-python"
	o.sizes, o.backends, o.runs, o.cycles, o.each = "tiny", "go,xla:cpu:/none.so", 1, 2, 2
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(o.out, resultsName))
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Missing) != 2 || len(r.Sizes) != 1 || len(r.Sizes[0].Results) != 1 {
		t.Fatalf("missing %q, %d sizes", r.Missing, len(r.Sizes))
	}
	got := r.Sizes[0].Results[0]
	if got.Contender != "go" || got.Waited == nil || len(got.Shapes) != 6 {
		t.Fatalf("%+v", got)
	}
	for i, s := range got.Shapes {
		if s.Length < 4 || s.Kept < 2 || !(s.FLOPs > 0) || !(s.Seconds.Median > 0) || s.Compile == nil || s.OfTorch != nil {
			t.Errorf("shape %d: %+v", i, s)
		}
		if i == 0 != (s.Saved == nil) || (s.Kept < s.Length) != (s.Quotient != nil) || (i > 0) != (s.Theory > 0) {
			t.Errorf("shape %d: theory %v, saved %v, quotient %v", i, s.Theory, s.Saved, s.Quotient)
		}
	}
	page, err := os.ReadFile(filepath.Join(o.out, pageName))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "/none") || strings.Contains(string(page), dir) || !strings.Contains(string(page), "| 16 | 4 |") {
		t.Errorf("page:\n%s", page)
	}
	if left, err := os.ReadDir(o.dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The recipe goes through the shapes as the schedule says.
func TestRecipeFollowsSchedule(t *testing.T) {
	o := defaults()
	o.cycles, o.each = 2, 3
	s := allSizes()[0]
	dir := t.TempDir()
	if err := s.prepare(o, dir); err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Load(filepath.Join(dir, recipeName))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{Dir: filepath.Join(dir, "plan")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	schedule := s.schedule(o)
	if b.Plan.Steps() != int64(len(schedule)) {
		t.Fatalf("%d steps, want %d", b.Plan.Steps(), len(schedule))
	}
	for i, want := range schedule {
		got := b.Plan.BatchAt(int64(i)).Shape
		if got.Length != want.length || got.Kept != want.kept || got.Rows != s.Rows {
			t.Errorf("step %d: %+v, want %+v", i, got, want)
		}
	}
}
