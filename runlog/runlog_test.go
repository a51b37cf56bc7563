package runlog

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// goldenRun and goldenSteps are what goldenLog spells out: the shortest digits
// that read back, every kind of number that is none, optional keys both ways.
var (
	goldenRun = Run{
		Version: 1, Name: "composed", Recipe: "5f0c", Corpus: "9a1b", Seed: math.MaxUint64,
		Model: "gpt, 2 layers, width 64", Parameters: 123456, Steps: 2, Clock: "layer-tokens",
		Budget: 2e6, Backend: "go:ops_sequential", Rate: 3e-3,
	}
	goldenSteps = []Step{
		{
			Step: 1, Tokens: 512, LayerTokens: 384, FLOPs: 1.5e9, Seconds: 0.1,
			Difficulty: map[string]float64{"rarity": 12.5, "length": 64},
			Length:     64, Rows: 8, Kept: 32, Rate: 1e-7, Loss: 5.545177444479562, GradNorm: 2, Digest: "ab",
		},
		{
			Step: 2, Tokens: 1024, LayerTokens: 2048.0 / 3, FLOPs: 1e21, Seconds: 0.30000000000000004,
			Stage: 1, Length: 64, Rows: 8, Kept: 64, Rate: 0.003, Loss: math.NaN(), GradNorm: math.Inf(1),
			HeldOut: new(math.Inf(-1)), Digest: "cd",
		},
		{
			Step: 3, Tokens: 1536, LayerTokens: 1280, FLOPs: 1e21, Seconds: 0.5,
			Stage: 2, Length: 64, Rows: 8, Kept: 64, Padding: 512, Discarded: 1 << 40, Rate: 0, Digest: "ef",
		},
	}
)

const goldenLog = `{"run":{"version":1,"name":"composed","recipe":"5f0c","corpus":"9a1b","seed":18446744073709551615,"model":"gpt, 2 layers, width 64","parameters":123456,"steps":2,"clock":"layer-tokens","budget":2000000,"backend":"go:ops_sequential","rate":0.003}}
{"step":1,"tokens":512,"layer_tokens":384,"flops":1500000000,"seconds":0.1,"stage":0,"difficulty":{"length":64,"rarity":12.5},"length":64,"rows":8,"kept":32,"rate":1e-7,"loss":5.545177444479562,"grad_norm":2,"digest":"ab"}
{"step":2,"tokens":1024,"layer_tokens":682.6666666666666,"flops":1e+21,"seconds":0.30000000000000004,"stage":1,"length":64,"rows":8,"kept":64,"rate":0.003,"loss":"NaN","grad_norm":"Inf","held_out":"-Inf","digest":"cd"}
{"step":3,"tokens":1536,"layer_tokens":1280,"flops":1e+21,"seconds":0.5,"stage":2,"length":64,"rows":8,"kept":64,"padding":512,"discarded":1099511627776,"rate":0,"loss":0,"grad_norm":0,"digest":"ef"}
`

var nan = cmpopts.EquateNaNs()

// write makes a log of steps in a new directory and returns its path.
func write(t testing.TB, run Run, steps []Step) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	w, err := Create(path, run)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, w, steps)
	return path
}

func appendAll(t testing.TB, w *Writer, steps []Step) {
	t.Helper()
	for _, s := range steps {
		if err := w.Append(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func contents(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func put(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGoldenBytes(t *testing.T) {
	path := write(t, goldenRun, goldenSteps)
	if diff := cmp.Diff(goldenLog, contents(t, path)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	log, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Log{Run: goldenRun, Steps: goldenSteps}, log, nan); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestReadFreeForm(t *testing.T) {
	// Another trainer's JSON library: keys in another order, white space.
	log, err := Read(put(t, `{ "run": {"name":"x","version":1,"recipe":"","corpus":"","seed":1,"model":"","parameters":0,"steps":0,"clock":"steps","budget":0,"backend":"","rate":0} }
 { "digest": "", "tokens": 8, "step": 1, "layer_tokens": 8.0, "flops": 1E3, "seconds": 0, "stage": 0, "length": 8, "rows": 1, "kept": 8, "rate": 0, "grad_norm": 0, "loss": 2.0, "difficulty": {}, "held_out": 2 }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Step{{Step: 1, Tokens: 8, LayerTokens: 8, FLOPs: 1000, Length: 8, Rows: 1, Kept: 8, Loss: 2, HeldOut: new(2.0)}}
	if diff := cmp.Diff(want, log.Steps); diff != "" {
		t.Error(diff)
	}
}

func TestReadRefuses(t *testing.T) {
	lines := strings.SplitAfter(goldenLog, "\n")
	run, one, two := lines[0], lines[1], lines[2]
	edit := func(line, old, new string) string {
		if !strings.Contains(line, old) {
			t.Fatalf("%q is not in %q", old, line)
		}
		return strings.Replace(line, old, new, 1)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "is empty"},
		{"torn run", run[:20], "within its first line"},
		{"not a log", "hello\n", "line 1: it is not"},
		{"a step first", one, "line 1: it is not"},
		{"array", "[]\n", "line 1: it is not"},
		{"version zero", edit(run, `"version":1`, `"version":0`), "version is 0"},
		{"unknown run key", edit(run, `"name"`, `"nom"`), `line 1: json: unknown field "nom"`},
		{"missing run key", edit(run, `"seed":18446744073709551615,`, ""), `line 1: the key "seed" is missing`},
		{"seed too large", edit(run, "18446744073709551615", "18446744073709551616"), "line 1: json: cannot unmarshal"},
		{"unknown clock", edit(run, "layer-tokens", "sundial"), `clock is "sundial", want one of ["steps"`},
		{"negative budget", edit(run, "2000000", "-1"), "budget is -1"},
		{"two values", edit(run, "\n", "{}\n"), "line 1: there is more than one JSON value"},
		{"blank line", run + "\n" + one, "line 2: the JSON value is cut short"},
		{"cut line", run + one[:30] + "\n" + two, "line 2: the JSON value is cut short"},
		{"gap", run + two, "line 2: step is 2, want 1"},
		{"repeat", run + one + one, "line 3: step is 1, want 2"},
		{"missing key", run + edit(one, `,"digest":"ab"`, ""), `line 2: the key "digest" is missing`},
		{"null", run + edit(one, `"loss":5.545177444479562`, `"loss":null`), `line 2: the key "loss" is missing`},
		{"null difficulty", run + edit(one, `12.5`, `null`), `line 2: null where a number must stand`},
		{"unknown key", run + edit(one, `"loss"`, `"lost"`), `line 2: json: unknown field "lost"`},
		{"a word for a number", run + edit(one, `5.545177444479562`, `"nan"`), `line 2: "nan" is neither a number`},
		{"NaN where none may be", run + edit(one, `0.1,`, `"NaN",`), `line 2: json: cannot unmarshal`},
		{"too large", run + edit(one, `1500000000`, `1e999`), `line 2: json: cannot unmarshal`},
		{"negative", run + edit(one, `"flops":1`, `"flops":-1`), `line 2: flops is -1.5e+09`},
		{"tokens fall", run + one + edit(two, `:1024`, `:511`), `line 3: tokens falls from 512 to 511`},
		{"seconds fall", run + one + edit(two, `0.30000000000000004`, `0`), `line 3: seconds falls from 0.1 to 0`},
		{"kept beyond length", run + edit(one, `"kept":32`, `"kept":65`), `line 2: kept is 65, want 0 to length, which is 64`},
		{"padding beyond the batch", run + edit(one, `"kept":32`, `"kept":32,"padding":513`), `line 2: padding is 513, want 0 to rows times length, which are 8 and 64`},
		{"padding of no rows", run + edit(edit(one, `"rows":8`, `"rows":0`), `"kept":32`, `"kept":32,"padding":1`), `line 2: padding is 1`},
		{"negative padding", run + edit(one, `"kept":32`, `"kept":32,"padding":-1`), `line 2: padding is -1`},
		{"negative discarded", run + edit(one, `"kept":32`, `"kept":32,"discarded":-1`), `line 2: discarded is -1`},
		{"half a token discarded", run + edit(one, `"kept":32`, `"kept":32,"discarded":0.5`), `line 2: json: cannot unmarshal`},
		{"zeros after a crash", run + one + strings.Repeat("\x00", 100) + "\n", "line 3: invalid character"},
		{"endless line", run + strings.Repeat(" ", maxLine) + "\n", "line 2: it is longer than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := put(t, c.content)
			_, err := Read(path)
			if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want a corrupt file, its path and %q", err, c.want)
			}
		})
	}
	if _, err := Read(put(t, `{"run":{"version":2,"new":"key"}}`+"\n")); !errors.Is(err, fault.Mismatch) {
		t.Errorf("a later version: got %v, want a mismatch", err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: got %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	any64 := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}))
	grow := rapid.Float64Range(0, 1e12)
	rapid.Check(t, func(rt *rapid.T) {
		run := Run{
			Version: 1, Name: rapid.String().Draw(rt, "name"), Seed: rapid.Uint64().Draw(rt, "seed"),
			Clock: rapid.SampledFrom(Clocks()).Draw(rt, "clock"), Budget: grow.Draw(rt, "budget"), Rate: grow.Draw(rt, "rate"),
		}
		var steps []Step
		var s Step
		for range rapid.IntRange(0, 20).Draw(rt, "steps") {
			s.Step++
			s.Tokens += rapid.Int64Range(0, 1<<40).Draw(rt, "tokens")
			s.LayerTokens += grow.Draw(rt, "layer tokens")
			s.FLOPs += grow.Draw(rt, "flops")
			s.Seconds += grow.Draw(rt, "seconds")
			s.Length = rapid.IntRange(0, 4096).Draw(rt, "length")
			s.Rows = rapid.IntRange(0, 4096).Draw(rt, "rows")
			s.Kept = rapid.IntRange(0, s.Length).Draw(rt, "kept")
			s.Padding = rapid.Int64Range(0, int64(s.Rows)*int64(s.Length)).Draw(rt, "padding")
			s.Discarded = rapid.Int64Min(0).Draw(rt, "discarded")
			s.Loss, s.GradNorm = any64.Draw(rt, "loss"), any64.Draw(rt, "norm")
			s.Difficulty = nil
			if m := rapid.MapOf(rapid.String(), any64).Draw(rt, "difficulty"); len(m) > 0 {
				s.Difficulty = m
			}
			s.HeldOut = nil
			if rapid.Bool().Draw(rt, "evaluated") {
				s.HeldOut = new(any64.Draw(rt, "held out"))
			}
			s.Digest = rapid.String().Draw(rt, "digest")
			steps = append(steps, s)
		}
		log, err := Read(write(t, run, steps))
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(&Log{Run: run, Steps: steps}, log, nan); diff != "" {
			rt.Fatal(diff)
		}
	})
}

// FuzzRead checks that any bytes give a log or a fault, and that what is read
// can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(goldenLog))
	f.Add([]byte(goldenLog[:len(goldenLog)-9]))
	f.Add([]byte(strings.Replace(goldenLog, "1500000000", `"NaN"`, 1)))
	f.Add([]byte(`{"run":{"version":2}}` + "\n"))
	f.Add([]byte("{\"run\":null}\n"))
	f.Add([]byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "in.jsonl")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		log, err := Read(path)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		log.Torn = false
		again, err := Read(write(t, log.Run, log.Steps))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(log, again, nan); diff != "" {
			t.Fatal(diff)
		}
	})
}
