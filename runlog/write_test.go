package runlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
)

// tenSteps is a plain run, so that the tests can cut it anywhere.
func tenSteps() []Step {
	var steps []Step
	for n := int64(1); n <= 10; n++ {
		steps = append(steps, Step{
			Step: n, Tokens: 64 * n, LayerTokens: 64 * float64(n), FLOPs: 1e6 * float64(n), Seconds: 0.1 * float64(n),
			Length: 8, Rows: 8, Kept: 8, Rate: 0.01, Loss: 5 / float64(n), GradNorm: 1, Digest: "d",
		})
	}
	return steps
}

func TestTornAndResumedAtEveryByteOfTheLastLine(t *testing.T) {
	steps := tenSteps()
	whole := contents(t, write(t, goldenRun, steps))
	last := strings.LastIndex(strings.TrimSuffix(whole, "\n"), "\n") + 1
	for cut := last; cut <= len(whole); cut++ {
		path := put(t, whole[:cut])
		log, err := Read(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		wantSteps, wantTorn := 9, cut > last
		if cut == len(whole) {
			wantSteps, wantTorn = 10, false
		}
		if len(log.Steps) != wantSteps || log.Torn != wantTorn {
			t.Fatalf("cut at %d: %d steps, torn %v; want %d, %v", cut, len(log.Steps), log.Torn, wantSteps, wantTorn)
		}
		w, err := Resume(path, 9)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		appendAll(t, w, steps[9:])
		if diff := cmp.Diff(whole, contents(t, path)); diff != "" {
			t.Fatalf("cut at %d: %s", cut, diff)
		}
		if _, err := Resume(put(t, whole[:cut]), 10); cut < len(whole) && !errors.Is(err, fault.Corrupt) {
			t.Fatalf("cut at %d: resume at 10 gave %v, want a corrupt file", cut, err)
		}
	}
}

func TestResumeAtEveryStep(t *testing.T) {
	steps := tenSteps()
	whole := contents(t, write(t, goldenRun, steps))
	for n := range len(steps) + 1 {
		// What comes after the step is dropped, be it damaged.
		path := put(t, whole+"\x00\x00 not JSON\n{")
		w, err := Resume(path, int64(n))
		if err != nil {
			t.Fatal(err)
		}
		appendAll(t, w, steps[n:])
		if diff := cmp.Diff(whole, contents(t, path)); diff != "" {
			t.Errorf("resumed at %d: %s", n, diff)
		}
		if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
			t.Errorf("resumed at %d: left %v", n, names)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	whole := contents(t, write(t, goldenRun, tenSteps()))
	for _, c := range []struct {
		name, content string
		step          int64
		kind          error
		want          string
	}{
		{"beyond the end", whole, 11, fault.Corrupt, "ends after step 10, but the run is to go on from step 11"},
		{"damage before the step", strings.Replace(whole, `"step":3`, `"step":x`, 1), 5, fault.Corrupt, "line 4"},
		{"no first line", whole[:10], 0, fault.Corrupt, "within its first line"},
		{"a step before the first", whole, -1, fault.Invalid, "want 0 or more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := put(t, c.content)
			_, err := Resume(path, c.step)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.want)
			}
			if contents(t, path) != c.content {
				t.Error("a refused resume changed the file")
			}
		})
	}
	if _, err := Resume(filepath.Join(t.TempDir(), "none"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	path := write(t, goldenRun, nil)
	if _, err := Create(path, goldenRun); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing log: got %v", err)
	}
	for _, c := range []struct {
		run  Run
		want string
	}{
		{Run{}, `clock is ""`},
		{Run{Clock: "steps", Version: 7}, "version to write is 7"},
		{Run{Clock: "steps", Steps: -1}, "steps is -1"},
		{Run{Clock: "steps", Name: strings.Repeat("x", maxLine)}, "shorten its strings"},
	} {
		path := filepath.Join(t.TempDir(), FileName)
		if _, err := Create(path, c.run); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want invalid input with %q", err, c.want)
		}
		if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 0 {
			t.Errorf("a refused run left %v", names)
		}
	}
	if _, err := Create(filepath.Join(t.TempDir(), "none", FileName), goldenRun); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: got %v", err)
	}
}

func TestAppendRefusesAndGoesOn(t *testing.T) {
	steps := tenSteps()
	path := filepath.Join(t.TempDir(), FileName)
	w, err := Create(path, goldenRun)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		if err := w.Append(Step{Step: s.Step + 1}); !errors.Is(err, fault.Invalid) {
			t.Fatalf("a gap: got %v", err)
		}
		if i > 0 {
			back := s
			back.Seconds = 0
			if err := w.Append(back); !errors.Is(err, fault.Invalid) {
				t.Fatalf("falling seconds: got %v", err)
			}
		}
		if err := w.Append(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(t, write(t, goldenRun, steps)), contents(t, path)); diff != "" {
		t.Error(diff)
	}
}

// A write that fails stays failed: going on would leave a gap in the log.
func TestAppendFails(t *testing.T) {
	steps := tenSteps()
	path := write(t, goldenRun, steps[:2])
	before := contents(t, path)
	w, err := Resume(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	first := w.Append(steps[2])
	if !errors.Is(first, os.ErrClosed) {
		t.Fatalf("got %v, want a closed file", first)
	}
	if err := w.Append(steps[2]); err != first {
		t.Errorf("then got %v, want the first failure", err)
	}
	if err := w.Close(); err != first {
		t.Errorf("Close gave %v, want the first failure", err)
	}
	if contents(t, path) != before {
		t.Error("the failed step left something in the log")
	}
}
