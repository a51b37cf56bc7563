package train

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/model"
)

// bits is a state of random bits: NaNs with their payloads, infinities,
// subnormal numbers and both zeros among them.
func bits(params []model.Param, seed uint64) state {
	stream := keyed.NewKey(seed, "bits").Stream()
	group := func() (values [][]float32) {
		for _, p := range params {
			v := make([]float32, p.Size())
			for i := range v {
				v[i] = math.Float32frombits(stream.Uint32())
			}
			values = append(values, v)
		}
		values[0][0], values[0][1] = float32(math.Copysign(0, -1)), float32(math.Inf(-1))
		return values
	}
	return state{weights: group(), moment1: group(), moment2: group(), average: group(), learned: []float64{1.5, -1, math.Pi}}
}

// saved writes checkpoints of random bits and returns the last one's path.
func saved(t testing.TB, dir string, keep int, steps ...int64) string {
	t.Helper()
	var path string
	for _, step := range steps {
		var err error
		st := CheckpointState{Step: step, Seconds: 0.1 + float64(step), HeldOut: 2.5, Recipe: "r", Corpus: "c", Model: tiny}
		if path, err = writeCheckpoint(dir, st, tiny, bits(tiny.Params(), uint64(step)), keep); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func list(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCheckpointRoundTrip(t *testing.T) {
	dir := t.TempDir()
	path := saved(t, dir, 2, 7)
	if latest, err := LatestCheckpoint(dir); err != nil || latest != path {
		t.Fatalf("the latest is %q (%v), want %q", latest, err, path)
	}
	st, err := ReadCheckpointState(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Step != 7 || st.Seconds != 7.1 || st.HeldOut != 2.5 || st.Recipe != "r" || st.Corpus != "c" || fmt.Sprint(st.Model) != fmt.Sprint(tiny) {
		t.Errorf("state %+v", st)
	}
	got, err := readCheckpoint(path, st, tiny)
	if err != nil {
		t.Fatal(err)
	}
	sameState(t, got, bits(tiny.Params(), 7))
	if got, want := fmt.Sprint(list(t, path)), "[average.safetensors config.json learned.npy model.safetensors optimizer.safetensors state.json]"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}

	other := tiny
	other.Width = 16
	if _, err := readCheckpoint(path, st, other); !errors.Is(err, fault.Mismatch) {
		t.Errorf("read for a wider model: %v", err)
	}
	other = tiny
	other.Layers = 4
	if _, err := readCheckpoint(path, st, other); !errors.Is(err, fault.Mismatch) {
		t.Errorf("read for a deeper model: %v", err)
	}
}

// Whatever byte of a checkpoint is changed, cut off or missing, it is an error
// of the right kind that names the file.
func TestDamagedCheckpoints(t *testing.T) {
	path := saved(t, t.TempDir(), 2, 7)
	for _, name := range []string{stateFile, modelFile, configFile, averageFile, optimizerFile, learnedFile} {
		file := filepath.Join(path, name)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		damage := func(what string, text []byte, kinds ...error) {
			t.Helper()
			if err := os.WriteFile(file, text, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := ReadCheckpointState(path)
			if !slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) }) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		for at := 0; at < len(good); at += 1 + len(good)/60 {
			text := bytes.Clone(good)
			text[at] ^= 1 << (at % 8)
			// A changed version is another version's.
			damage(fmt.Sprintf("bit %d of byte %d flipped", at%8, at), text, fault.Corrupt, fault.Mismatch)
			damage(fmt.Sprintf("cut off after %d bytes", at), good[:at], fault.Corrupt)
		}
		damage("a byte more", append(bytes.Clone(good), ' '), fault.Corrupt)
		damage("all zeros", make([]byte, len(good)), fault.Corrupt)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCheckpointState(path); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.WriteFile(file, good, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ReadCheckpointState(path); err != nil {
		t.Fatalf("mended: %v", err)
	}

	if _, err := ReadCheckpointState(path + "0"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, fault.Corrupt) {
		t.Errorf("no checkpoint at all: %v", err)
	}
}

// No bit of state.json can be changed unnoticed.
func TestDamagedState(t *testing.T) {
	good, err := CheckpointState{Step: 3, Seconds: 1.5, Recipe: "r", Corpus: "c", Model: tiny, Files: map[string]string{modelFile: "00"}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseState("state.json", good); err != nil {
		t.Fatal(err)
	}
	for at := range 8 * len(good) {
		text := bytes.Clone(good)
		text[at/8] ^= 1 << (at % 8)
		if st, err := parseState("state.json", text); !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
			t.Errorf("bit %d of byte %d flipped: %+v, %v", at%8, at/8, st, err)
		}
	}
}

func TestAnotherVersion(t *testing.T) {
	_, err := parseState("state.json", []byte(`{"version": 3, "step": 1}`))
	if !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "version 3; this program reads versions 1 to 2") {
		t.Error(err)
	}
}

// Checkpoints of version 1 had fewer fields, and are read.
func TestVersion1(t *testing.T) {
	text, err := CheckpointState{Version: 1, Step: 3, Recipe: "r", Corpus: "c", Model: tiny, Files: map[string]string{modelFile: "00"}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if st, err := parseState("state.json", text); err != nil || st.Version != 1 || st.Step != 3 || st.Weights() != modelFile {
		t.Errorf("%+v, %v", st, err)
	}
}

// The newest stay, by number and not by name; what kills left behind goes.
func TestPruning(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, checkpointDir)
	for _, left := range []string{temporaryPrefix + "step-0000000002", temporaryPrefix + "old-step-0000000001", temporaryPrefix + "step-0000000099"} {
		if err := os.MkdirAll(filepath.Join(root, left), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, left, modelFile), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if latest, err := LatestCheckpoint(dir); err != nil || latest != "" {
		t.Errorf("what kills left behind is taken for the checkpoint %q (%v)", latest, err)
	}
	for _, c := range []struct {
		step int64
		want string
	}{
		{1, "[step-0000000001]"},
		{2, "[step-0000000001 step-0000000002]"},
		{9_999_999_999, "[step-0000000002 step-9999999999]"},
		{10_000_000_000, "[step-10000000000 step-9999999999]"},
	} {
		path := saved(t, dir, 2, c.step)
		if got := fmt.Sprint(list(t, root)); got != c.want {
			t.Errorf("after step %d: %s, want %s", c.step, got, c.want)
		}
		if latest, err := LatestCheckpoint(dir); err != nil || latest != path {
			t.Errorf("the latest is %q (%v), want %q", latest, err, path)
		}
	}
	// The same step again takes the place of the first.
	again := saved(t, dir, 1, 10_000_000_000)
	if _, err := ReadCheckpointState(again); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(list(t, root)); got != "[step-10000000000]" {
		t.Errorf("one is kept: %s", got)
	}
}

// A checkpoint that cannot be written leaves the one before.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	path := saved(t, dir, 2, 1)
	root := filepath.Join(dir, checkpointDir)
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o777)
	if os.Mkdir(filepath.Join(root, "probe"), 0o777) == nil {
		// A superuser writes anywhere: a file in the way of the run's
		// directory has to do.
		os.Remove(filepath.Join(root, "probe"))
		blocked := t.TempDir()
		if err := os.WriteFile(filepath.Join(blocked, checkpointDir), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := writeCheckpoint(blocked, CheckpointState{Step: 2}, tiny, bits(tiny.Params(), 2), 2); err == nil {
			t.Error("a checkpoint is written into a file")
		}
		return
	}
	if _, err := writeCheckpoint(dir, CheckpointState{Step: 2}, tiny, bits(tiny.Params(), 2), 2); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a directory that cannot be written: %v", err)
	}
	intact(t, dir, path)
}

// intact requires one whole checkpoint, of step 1, and nothing beside it.
func intact(t *testing.T, dir, path string) {
	t.Helper()
	if got := list(t, filepath.Join(dir, checkpointDir)); len(got) != 1 || got[0] != filepath.Base(path) {
		t.Errorf("the checkpoints are %v, want %s alone", got, filepath.Base(path))
	}
	st, err := ReadCheckpointState(path)
	if err != nil {
		t.Error(err)
	}
	got, err := readCheckpoint(path, st, tiny)
	if err != nil {
		t.Fatal(err)
	}
	sameState(t, got, bits(tiny.Params(), 1))
}

func FuzzParseState(f *testing.F) {
	text, err := CheckpointState{Step: 3, Seconds: 1.5, Recipe: "r", Corpus: "c", Model: tiny, Files: map[string]string{modelFile: "00"}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)/2])
	f.Add([]byte(`{"version": 1, "step": -1}`))
	f.Add([]byte(`{"version": 1, "files": null, "model": {"Routed": [1e99]}}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		st, err := parseState("state.json", text)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if again, err := st.encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is read and written as %q (%v)", text, again, err)
		}
	})
}

// A checkpoint that somebody put aside under another name is no checkpoint: it is
// neither the newest nor pruned.
func TestPutAside(t *testing.T) {
	dir := t.TempDir()
	path := saved(t, dir, 2, 7, 8)
	for _, name := range []string{path + ".damaged", path + "-copy", filepath.Join(filepath.Dir(path), "step-")} {
		if err := os.Mkdir(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if latest, err := LatestCheckpoint(dir); err != nil || latest != path {
		t.Errorf("the latest is %q (%v), want %q", latest, err, path)
	}
	saved(t, dir, 2, 9)
	want := []string{"step-", "step-0000000008", "step-0000000008-copy", "step-0000000008.damaged", "step-0000000009"}
	if got := list(t, filepath.Dir(path)); !slices.Equal(got, want) {
		t.Errorf("%q are left, want %q", got, want)
	}
}
