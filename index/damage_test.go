package index

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// tree reads all files of a directory, by name.
func tree(t fataler, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files[filepath.ToSlash(rel)] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t fataler, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// small builds an index of two columns in a new directory.
func small(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "x")
	mustBuild(t, dir, documents(t, 5), 1,
		column{name: "length", whole: true, values: []float64{3, 1, 3, -2, 0}}, column{name: "rarity", whole: false, values: []float64{0.5, 0.25, 8, 4, 0.5}, descending: true})
	return dir
}

// No byte of an index can change, and no file be cut, unnoticed.
func TestAnyFlipIsFound(t *testing.T) {
	dir := small(t)
	files := tree(t, dir)
	names := slices.Sorted(maps.Keys(files))
	if err := prove(dir); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "file")
		content := []byte(files[name])
		at := rapid.IntRange(0, len(content)-1).Draw(t, "offset")
		if rapid.Bool().Draw(t, "cut") {
			content = content[:at]
		} else {
			content[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		write(t, dir, name, string(content))
		defer write(t, dir, name, files[name])
		if err := prove(dir); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), filepath.Base(name)) {
			t.Fatalf("%s changed at %d: %v", name, at, err)
		}
	})
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := prove(dir); !errors.Is(err, fault.Corrupt) {
			t.Errorf("without %s: %v", name, err)
		}
		write(t, dir, name, files[name])
	}
}

// forge changes an index as someone would who also mends the checksums.
func forge(t *testing.T, dir string, change func(*Manifest, map[string][]byte)) {
	t.Helper()
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for name, content := range tree(t, dir) {
		files[name] = []byte(content)
	}
	change(&m, files)
	for i := range m.Metrics {
		for _, f := range []*File{&m.Metrics[i].Values, &m.Metrics[i].Order} {
			if content, ok := files[f.Name]; ok {
				sum := sha256.Sum256(content)
				f.SHA256 = hexDigest(sum[:])
				write(t, dir, f.Name, string(content))
			}
		}
	}
	data, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, manifestName, string(data))
}

// What checksums cannot tell, a forged or badly written index, is found by what
// the arrays and the manifest say of each other.
func TestForgedIsFound(t *testing.T) {
	last := func(content []byte, item int) []byte { return content[len(content)-item:] }
	nan := math.Float64bits(math.NaN())
	for name, change := range map[string]func(*Manifest, map[string][]byte){
		"ids beyond":  func(_ *Manifest, f map[string][]byte) { last(f["order/length.npy"], 4)[1] = 1 },
		"ids swapped": func(_ *Manifest, f map[string][]byte) { o := last(f["order/length.npy"], 8); o[0], o[4] = o[4], o[0] },
		"an id twice": func(_ *Manifest, f map[string][]byte) { o := last(f["order/length.npy"], 8); o[0] = o[4] },
		"a value":     func(_ *Manifest, f map[string][]byte) { last(f["values/length.npy"], 8)[1]++ },
		"beyond 2^53": func(_ *Manifest, f map[string][]byte) { last(f["values/length.npy"], 8)[7] = 0x7f },
		"NaN": func(_ *Manifest, f map[string][]byte) {
			binary.LittleEndian.PutUint64(last(f["values/rarity.npy"], 8), nan)
		},
		"negative zero": func(_ *Manifest, f map[string][]byte) {
			binary.LittleEndian.PutUint64(last(f["values/rarity.npy"], 8), 1<<63)
		},
		"the type":        func(m *Manifest, _ map[string][]byte) { m.Metrics[0].DType = "<f8" },
		"another type":    func(m *Manifest, _ map[string][]byte) { m.Metrics[0].DType = "<c16" },
		"the mean":        func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Mean++ },
		"the maximum":     func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Max++ },
		"quantiles":       func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Quantiles[50] = 1 + 1e-9 },
		"falling":         func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Quantiles[50] = -5 },
		"fewer quantiles": func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Quantiles = m.Metrics[0].Quantiles[1:] },
		"the size":        func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Values.Bytes++ },
		"a path out":      func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Values.Name = "../../etc/passwd" },
		"a name out":      func(m *Manifest, _ map[string][]byte) { m.Metrics[0].Name = "../x" },
		"a name twice":    func(m *Manifest, _ map[string][]byte) { m.Metrics[1] = m.Metrics[0] },
		"no metric":       func(m *Manifest, _ map[string][]byte) { m.Metrics = nil },
		"samples":         func(m *Manifest, _ map[string][]byte) { m.Samples++ },
		"many samples":    func(m *Manifest, _ map[string][]byte) { m.Samples, m.Corpus.Documents = math.MaxInt64, math.MaxInt64 },
		"no cut":          func(m *Manifest, _ map[string][]byte) { m.Cut.Documents = false },
		"other samples":   func(m *Manifest, _ map[string][]byte) { m.Samples, m.Corpus.Documents = 4, 4 },
		"fingerprint":     func(m *Manifest, _ map[string][]byte) { m.Corpus.Fingerprint = "sha256:?" },
		"tokens":          func(m *Manifest, _ map[string][]byte) { m.Corpus.Tokens = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := small(t)
			forge(t, dir, change)
			if err := prove(dir); !errors.Is(err, fault.Corrupt) || errors.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("version", func(t *testing.T) {
		dir := small(t)
		forge(t, dir, func(m *Manifest, _ map[string][]byte) { m.Version = 3 })
		if err := prove(dir); !errors.Is(err, fault.Mismatch) {
			t.Errorf("%v", err)
		}
	})
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "gradus analyze") {
		t.Error(err)
	}
	if Is(t.TempDir()) {
		t.Error("an empty directory is no index")
	}
}

func TestAppendRefuses(t *testing.T) {
	s := documents(t, 3)
	for say, values := range map[string][]float64{
		"sample 1 has the value NaN":      {1, math.NaN(), 1},
		"sample 2 has the value +Inf":     {1, 1, math.Inf(1)},
		"sample 0 has the value -Inf":     {math.Inf(-1), 1, 1},
		"too large to be summed":          {math.MaxFloat64, math.MaxFloat64, math.MaxFloat64},
		"the file takes 0 to 3":           {1, 2, 3, 4},
		"whole: sample 1 has the value 0": {1, 0.5, 1},
		"whole: sample 2 has the value 1": {1, 1, 1 << 54},
	} {
		dir := t.TempDir()
		whole := strings.HasPrefix(say, "whole")
		err := build(filepath.Join(dir, "x"), s, false, 1, column{name: map[bool]string{true: "whole", false: "real"}[whole], whole: whole, values: values})
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: %v, want %s", values, err, say)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	dir := filepath.Join(t.TempDir(), "x")
	for _, name := range []string{"", "../x", "A", "a/b", ".hidden", "ends."} {
		if err := build(dir, s, false, 1, column{name: name, whole: true, values: []float64{1, 2, 3}}); !errors.Is(err, fault.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	one := column{name: "one", whole: true, values: []float64{1, 2, 3}}
	if err := build(dir, s, false, 1, one, one); !errors.Is(err, fault.Invalid) {
		t.Errorf("the same metric twice: %v", err)
	}
	if err := build(dir, s, false, 1); err == nil {
		t.Error("an index without a metric")
	}
	head, err := HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(dir, head, false)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.Values(one.metric())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := w.Commit(); err == nil {
		t.Error("committed with an open column")
	}
	w.Abort()
	if _, err := os.Stat(dir + ".partial"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// fill writes one column of an index.
func fill(t fataler, w *Writer, c column) {
	t.Helper()
	v, err := w.Values(c.metric())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.WriteAt(c.values, 0), v.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(context.Background(), c.metric(), 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
}

// A Writer takes up what one before it has left, and a statistic is kept.
func TestResume(t *testing.T) {
	s, dir := documents(t, 3), filepath.Join(t.TempDir(), "x")
	head, err := HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(dir, head, false)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, column{name: "one", whole: true, values: []float64{3, 1, 2}})
	done := w.Manifest().Metrics[0]
	v, err := w.Values(Metric{Name: "two", Version: 1, DType: Real})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.WriteAt([]float64{0.5, 0.25}, 1), v.Close()); err != nil {
		t.Fatal(err)
	}
	w.Suspend()

	if w, err = Resume(dir, head, false); err != nil {
		t.Fatal(err)
	}
	two := Metric{Name: "two", Version: 1, Unit: "things", DType: Real}
	if v, err = w.Values(two); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.WriteAt([]float64{1}, 0), v.Close(), w.Add(done)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(context.Background(), two, 1, 0); err != nil {
		t.Fatal(err)
	}
	kept, err := KeepStatistic(w.Dir(), "counts", 3, []byte("many"))
	if err != nil {
		t.Fatal(err)
	}
	w.AddStatistic(kept)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := prove(dir); err != nil {
		t.Fatal(err)
	}
	x := open(t, dir)
	defer x.Close()
	if c, err := x.Column("two"); err != nil || c.At(0) != 2 || c.Value(0) != 1 {
		t.Error(err)
	}
	if data, err := x.Statistic("counts"); err != nil || string(data) != "many" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := x.Statistic("none"); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := documents(t, 2)
	one, other := column{name: "one", whole: true, values: []float64{1, 2}}, column{name: "other", whole: true, values: []float64{4, 3}}
	dir := filepath.Join(t.TempDir(), "x")
	if err := build(dir, s, false, 1, one); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	if err := build(dir, s, false, 1, other); !errors.Is(err, fault.Invalid) {
		t.Errorf("over an index: %v", err)
	}
	write(t, dir, "thesis.tex", "years of work")
	if err := build(dir, s, true, 1, other); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("over a foreign file: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "thesis.tex")); err != nil {
		t.Fatal(err)
	}
	if after := tree(t, dir); !maps.Equal(before, after) {
		t.Error("a refused index has changed the old one")
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), "file", "text")
	if err := build(file, s, true, 1, one); !errors.Is(err, fault.Invalid) {
		t.Errorf("over a file: %v", err)
	}
	if err := build("", s, true, 1, one); !errors.Is(err, fault.Invalid) {
		t.Errorf("nowhere: %v", err)
	}
	if err := build(filepath.Join(dir, "none", "x"), s, true, 1, one); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing directory: %v", err)
	}
	// Two at once: the second is refused, and does not disturb the first.
	head, err := HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Create(dir, head, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := build(dir, s, true, 1, other); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("two at once: %v", err)
	}
	fill(t, w, one)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := prove(dir); err != nil {
		t.Error(err)
	}
}

// What a killed process leaves at DIR.partial is cleared away, also when it
// was killed within an atomic file; a link to a directory stays one.
func TestLeftovers(t *testing.T) {
	s := documents(t, 2)
	base := t.TempDir()
	real := filepath.Join(base, "real")
	for _, sub := range []string{"real", "real.partial/values", "real.partial/order"} {
		if err := os.MkdirAll(filepath.Join(base, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	write(t, real+".partial", "values/old.npy", "half")
	write(t, real+".partial", "values/.old.npy.ABC.tmp", "half")
	write(t, real+".partial", ".manifest.json.ABC.tmp", "half")
	link := filepath.Join(base, "link")
	if err := os.Symlink("real", link); err != nil {
		t.Skip(err)
	}
	if err := build(link, s, false, 1, column{name: "one", whole: true, values: []float64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if err := prove(real); err != nil {
		t.Error(err)
	}
	if files := tree(t, base); len(files) != 4 {
		t.Errorf("%v", slices.Sorted(maps.Keys(files)))
	}
}

// A crash between any two steps of putting an index in place leaves the old
// one, the new one, or none that opens; and the next attempt succeeds.
func TestCrashPoints(t *testing.T) {
	s := documents(t, 3)
	for _, replace := range []bool{false, true} {
		for crash := 0; ; crash++ {
			dir := filepath.Join(t.TempDir(), "x")
			old := column{name: "old", whole: true, values: []float64{1, 2, 3}}
			if replace {
				mustBuild(t, dir, s, 1, old)
			}
			head, err := HeadOf(s)
			if err != nil {
				t.Fatal(err)
			}
			w, err := Create(dir, head, true)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, w, column{name: "new", whole: true, values: []float64{3, 2, 1}})
			write(t, w.Dir(), StateName, "how far it is")
			// Commit, but for the last part, of which only some steps are done.
			data, err := w.manifest.encode()
			if err != nil {
				t.Fatal(err)
			}
			write(t, w.place.partial, manifestName, string(data))
			steps := w.place.steps(w.sweep)
			for _, step := range steps[:min(crash, len(steps))] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			w.place.lock.Close() // the process dies

			found := "none"
			if x, err := Open(dir); err == nil {
				found = x.Metrics()[0]
				if err := prove(dir); err != nil {
					t.Errorf("replace %v, crash %d: %v", replace, crash, err)
				}
				x.Close()
			} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fault.Corrupt) {
				t.Errorf("replace %v, crash %d: %v", replace, crash, err)
			}
			want := []string{"none", "none", "none", "new", "new"}
			if replace { // the state goes, and the old one steps aside
				want = []string{"old", "old", "old", "old", "old", "none", "new", "new", "new"}
			}
			if found != want[crash] {
				t.Errorf("replace %v, crash %d of %d: %s, want %s", replace, crash, len(steps), found, want[crash])
			}
			if err := build(dir, s, true, 1, old); err != nil {
				t.Errorf("replace %v, crash %d: the next attempt: %v", replace, crash, err)
			}
			if err := prove(dir); err != nil {
				t.Error(err)
			}
			if crash >= len(steps) {
				break
			}
		}
	}
}

// Whatever body a manifest has, sealed or not, it is refused with a kind or
// describes something sound.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(goldenHead+strings.Repeat("        7,\n", 100)+"        7\n      ]\n    }\n  ]"), true)
	f.Add([]byte(`{"version": 1, "samples": 1e999`), true)
	f.Add([]byte(`{"version": 7`), true)
	f.Add([]byte(`{`), true)
	f.Add([]byte(goldenHead), false)
	f.Fuzz(func(t *testing.T, body []byte, sealed bool) {
		if sealed {
			body = fmt.Appendf(body, "%s%x%s", sealHead, sha256.Sum256(body), sealTail)
		}
		m, err := parseManifest("manifest.json", body)
		switch {
		case err == nil:
			if m.Samples < 1 || len(m.Metrics) == 0 || len(m.Metrics[0].Quantiles) != 101 {
				t.Fatalf("%+v", m)
			}
		case !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) || errors.Is(err, fault.Invalid):
			t.Fatalf("an error of the wrong kind: %v", err)
		}
	})
}
