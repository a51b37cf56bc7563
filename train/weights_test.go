package train

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
)

// hub holds models that transformers saved.
func hub(name ...string) string {
	return filepath.Join(append([]string{"..", "model", "testdata", "hub"}, name...)...)
}

// copied returns a directory with files of another.
func copied(t testing.TB, from string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestOpenWeights(t *testing.T) {
	file, err := os.ReadFile(hub("gpt2", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	alone := copied(t, hub("gpt2"), "model.safetensors")
	for path, known := range map[string]bool{hub("gpt2"): true, hub("gpt2", "model.safetensors"): true, alone: false} {
		w, err := OpenWeights(path)
		if err != nil {
			t.Fatal(err)
		}
		if w.Digest != hex.EncodeToString(sum[:]) || (w.Model != nil) != known || known && (w.Model.Width != 8 || w.Model.Vocabulary != 31) {
			t.Errorf("%s: digest %s, model %v", path, w.Digest, w.Model)
		}
	}
}

// Several files with an index are one model, in whatever floats they are.
func TestShardedWeights(t *testing.T) {
	whole, err := OpenWeights(hub("gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	const first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	names := []string{first, second, indexFile}
	dir := copied(t, hub("gpt2-shards"), names...)
	parts, err := OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	if notes, err := parts.Fits(*whole.Model); err != nil || notes != nil {
		t.Fatalf("%v %v", notes, err)
	}
	want, err := whole.Load(*whole.Model, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parts.Load(*whole.Model, 0)
	if err != nil {
		t.Fatal(err)
	}
	const bits = 1.0 / (1 << 8) // of bfloat16, with the hidden one
	for i, p := range whole.Model.Params() {
		for j, v := range want[i] {
			if d := got[i][j] - v; max(d, -d) > bits*max(v, -v) {
				t.Fatalf("%s[%d] is %v, want about %v", p.Name, j, got[i][j], v)
			}
		}
	}
	if slices.Equal(got[0], want[0]) {
		t.Error("nothing was rounded: the files are not what this test is about")
	}

	again := func(change func(dir string)) error {
		dir := copied(t, hub("gpt2-shards"), names...)
		change(dir)
		w, err := OpenWeights(dir)
		if err != nil {
			return err
		}
		_, err = w.Load(*whole.Model, 0)
		return err
	}
	for what, c := range map[string]struct {
		says   string
		change func(dir string)
	}{
		"a file is missing": {"no such file", func(dir string) { os.Remove(filepath.Join(dir, second)) }},
		"files are swapped": {"is in it, and model.safetensors.index.json does not say so", func(dir string) {
			os.Rename(filepath.Join(dir, first), filepath.Join(dir, "x"))
			os.Rename(filepath.Join(dir, second), filepath.Join(dir, first))
			os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, second))
		}},
		"the index names more": {"the tensor more is not in it", func(dir string) {
			text, _ := os.ReadFile(filepath.Join(dir, indexFile))
			write(t, filepath.Join(dir, indexFile), []byte(strings.Replace(string(text), `"weight_map": {`, `"weight_map": {"more": "`+first+`",`, 1)))
		}},
		"the index is cut off": {"unexpected end", func(dir string) { write(t, filepath.Join(dir, indexFile), []byte("{")) }},
		"the index leads away": {"names .safetensors files beside it", func(dir string) {
			write(t, filepath.Join(dir, indexFile), []byte(`{"weight_map": {"a": "../a.safetensors"}}`))
		}},
	} {
		err := again(c.change)
		if err == nil || !strings.Contains(err.Error(), c.says) || !errors.Is(err, fault.Corrupt) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error %v\nwant one saying %q", what, err, c.says)
		}
	}
}

func TestNoWeights(t *testing.T) {
	empty, pickled := t.TempDir(), t.TempDir()
	write(t, filepath.Join(pickled, "pytorch_model.bin"), nil)
	odd := copied(t, hub("gpt2"), "model.safetensors")
	write(t, filepath.Join(odd, "config.json"), []byte(`{"model_type": "llama"}`))
	for path, says := range map[string]string{
		empty: "holds no model.safetensors", pickled: "save them as safetensors", hub("gpt2", "config.json"): "is no .safetensors file",
		odd: `model_type is "llama"`,
	} {
		if _, err := OpenWeights(path); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v\nwant one saying %q", path, err, says)
		}
	}
	if _, err := OpenWeights(filepath.Join(empty, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing path gives %v", err)
	}
	w, err := OpenWeights(hub("vit"))
	if err != nil {
		t.Fatal(err)
	}
	classes := *w.Model
	classes.Classes = 7
	if notes, err := w.Fits(classes); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "the head is drawn anew") {
		t.Errorf("other classes give notes %q, %v", notes, err)
	}
	if w, err = OpenWeights(hub("gpt2")); err != nil {
		t.Fatal(err)
	}
	other := *w.Model
	other.Width = 16
	if _, err := w.Fits(other); !errors.Is(err, fault.Mismatch) {
		t.Errorf("another width gives %v", err)
	}
}

// A run begins with the weights of another: at a rate at which nothing moves it
// ends with them.
func TestBeginWithWeights(t *testing.T) {
	first := small(t, t.TempDir())
	if _, err := Train(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWeights(first.Dir)
	if err != nil {
		t.Fatal(err)
	}
	c := small(t, t.TempDir())
	c.Run.Seed++
	c.Weights, c.Run.Weights = first.Dir, w.Digest
	c.Schedule.Peak, c.Schedule.Min = 1e-30, 1e-30
	if _, err := Train(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	weights := func(dir string) map[string]safetensors.Tensor {
		newest, err := LatestCheckpoint(dir)
		if err != nil {
			t.Fatal(err)
		}
		tensors, _, err := safetensors.Read(filepath.Join(newest, modelFile))
		if err != nil {
			t.Fatal(err)
		}
		return tensors
	}
	unchanged := func(when string) {
		t.Helper()
		before, after := weights(first.Dir), weights(c.Dir)
		for name, x := range before {
			if !slices.Equal(x.Data, after[name].Data) {
				t.Errorf("%s: %s has changed", when, name)
			}
		}
	}
	unchanged("at the end")
	if err := os.RemoveAll(filepath.Join(c.Dir, checkpointDir)); err != nil { // as if killed before the first one
		t.Fatal(err)
	}
	c.Resume = true
	if _, err := Train(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	unchanged("resumed without a checkpoint")
	c.Resume = false
	text, err := os.ReadFile(filepath.Join(c.Dir, "run.jsonl"))
	if err != nil || !strings.Contains(string(text), `"weights":"`+w.Digest+`"`) {
		t.Errorf("the log does not name the weights: %v", err)
	}

	c.Dir, c.Run.Weights = t.TempDir(), "another"
	if _, err := Train(t.Context(), c); !errors.Is(err, fault.Mismatch) {
		t.Errorf("weights that have changed give %v", err)
	}
}

func FuzzParseIndex(f *testing.F) {
	text, err := os.ReadFile(hub("gpt2-shards", indexFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"weight_map": {"a": "../a.safetensors"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := parseIndex(text)
		if err != nil && !errors.Is(err, fault.Corrupt) {
			t.Fatalf("error %v is of no kind", err)
		}
		for _, file := range files {
			if filepath.Base(file) != file || !strings.HasSuffix(file, ".safetensors") {
				t.Fatalf("a file %q", file)
			}
		}
	})
}
