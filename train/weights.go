package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// Files of a model as Hugging Face's library writes them.
const (
	configFile = "config.json"
	indexFile  = "model.safetensors.index.json" // of weights in several files
	suffix     = ".safetensors"
)

// maxConfig bounds config.json and the index: those of the largest models have a
// few hundred thousand bytes.
const maxConfig = 16 << 20

// Weights are those of a trained model in files, for a new run to begin with.
type Weights struct {
	Path      string        // of the directory or file that was named
	Model     *model.Config // what the files say of the model; nil: they hold weights alone
	Tokenizer string        // name of the one of the corpus that a checkpoint was trained on; empty: not known
	Digest    string        // SHA-256 of the files' bytes, in hexadecimal: the weights' name by content

	files []string          // in the order of their names
	in    map[string]string // the file of each tensor; nil: all in the one
}

// OpenWeights finds trained weights and reads what is said of their model. Path is
// a directory of Hugging Face's library (config.json and model.safetensors, or
// model.safetensors.index.json and its files), a .safetensors file (beside its
// config.json, or alone), a checkpoint, a run, of which the newest checkpoint is
// taken, or checkpoints/best of one. The weights themselves are left where they are, but for their digest.
func OpenWeights(path string) (*Weights, error) {
	w := &Weights{Path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	dir := path
	if filepath.Base(path) == bestFile && !info.IsDir() {
		if dir, err = readBest(path); err != nil {
			return nil, err
		}
	} else if !info.IsDir() {
		if !strings.HasSuffix(path, suffix) {
			return nil, fault.Invalidf("%s is no %s file; name one, or a directory that holds a model, a checkpoint or a run", path, suffix)
		}
		dir, w.files = filepath.Dir(path), []string{path}
	} else if newest, err := LatestCheckpoint(path); err != nil {
		return nil, err
	} else if newest != "" {
		dir = newest
	}
	exists := existing(dir)
	if exists(stateFile) {
		if err := w.openCheckpoint(dir); err != nil {
			return nil, err
		}
	} else if exists(configFile) {
		if err := w.readConfig(filepath.Join(dir, configFile)); err != nil {
			return nil, err
		}
	}
	if err := w.find(dir); err != nil {
		return nil, err
	}
	w.Digest, err = digest(w.files)
	return w, err
}

// existing returns whether a file is in a directory.
func existing(dir string) func(name string) bool {
	return func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
}

// openCheckpoint takes the weights to use of a checkpoint.
func (w *Weights) openCheckpoint(dir string) error {
	st, err := ReadCheckpointState(dir)
	if err != nil {
		return err
	}
	c := st.Model
	w.Model, w.Tokenizer = &c, st.Tokenizer
	if w.files == nil {
		w.files = []string{filepath.Join(dir, st.Weights())}
	}
	return nil
}

func (w *Weights) readConfig(name string) error {
	text, err := readSmall(name)
	if err != nil {
		return err
	}
	c, err := model.ParseHubConfig(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.Model = &c
	return nil
}

// find sets the files of a model in a directory, if none was named.
func (w *Weights) find(dir string) error {
	exists := existing(dir)
	switch {
	case w.files != nil:
		return nil
	case exists(modelFile):
		w.files = []string{filepath.Join(dir, modelFile)}
		return nil
	case exists(indexFile):
		name := filepath.Join(dir, indexFile)
		text, err := readSmall(name)
		if err != nil {
			return err
		}
		if w.in, err = parseIndex(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, file := range slices.Compact(slices.Sorted(maps.Values(w.in))) {
			w.files = append(w.files, filepath.Join(dir, file))
		}
		return nil
	case exists("pytorch_model.bin") || exists("pytorch_model.bin.index.json"):
		return fault.Invalidf("%s holds weights in PyTorch's own format, which runs code when it is read; save them as safetensors (save_pretrained does)", dir)
	}
	return fault.Invalidf("%s holds no %s, no %s and no checkpoint; name the directory of a model, of a checkpoint, or of a run that has saved one", dir, modelFile, indexFile)
}

// parseIndex reads the index of weights in several files: the file of each tensor.
func parseIndex(text []byte) (map[string]string, error) {
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fault.Corruptf("%w", err)
	}
	if len(index.Map) == 0 {
		return nil, fault.Corruptf("its weight_map names no tensor")
	}
	for _, name := range slices.Sorted(maps.Keys(index.Map)) {
		if file := index.Map[name]; !strings.HasSuffix(file, suffix) || strings.ContainsAny(file, `/\`) || !filepath.IsLocal(file) {
			return nil, fault.Corruptf("tensor %q is in the file %q; an index names %s files beside it", name, file, suffix)
		}
	}
	return index.Map, nil
}

// readSmall reads a file that describes others.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fault.Corruptf("%s: it has more than %d bytes", name, maxConfig)
	}
	return text, err
}

// digest returns the SHA-256 of files, end to end.
func digest(files []string) (string, error) {
	sum := sha256.New()
	for _, name := range files {
		if err := addFile(sum, name); err != nil {
			return "", fmt.Errorf("weights: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func addFile(sum io.Writer, name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening it might never return
		return fault.Invalidf("%s is no regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(sum, f)
	return err
}

// Headers returns the tensors in the files by their names, without their numbers.
func (w *Weights) Headers() (map[string]safetensors.Tensor, error) {
	return w.read(func(name string) (map[string]safetensors.Tensor, error) {
		headers, err := safetensors.ReadHeader(name)
		tensors := map[string]safetensors.Tensor{}
		for _, t := range headers {
			tensors[t.Name] = t
		}
		return tensors, err
	})
}

// Whole reads everything, and reports weights that are not those of the model which
// the files name.
func (w *Weights) Whole() error {
	if w.Model == nil {
		return fault.Invalidf("%s says nothing of its model; put its %s beside it", w.Path, configFile)
	}
	stored, err := w.tensors()
	if err != nil {
		return err
	}
	if _, err := w.Model.Restore(stored); err != nil {
		return fmt.Errorf("%s: %w", w.Path, err)
	}
	return nil
}

// Fits reports what a run with a model would make of the weights: an error, or
// notes on a head that it draws anew, and what of the files it does not use. It
// reads the headers only.
func (w *Weights) Fits(c model.Config) (notes []string, err error) {
	stored, err := w.Headers()
	if err != nil {
		return nil, err
	}
	if notes, err = c.Adoptable(stored); err != nil {
		return nil, fmt.Errorf("%s: %w", w.Path, err)
	}
	return notes, nil
}

// Load reads the weights for a model, in the order of its Params. A head of
// another size is drawn from the seed, as Fits says.
func (w *Weights) Load(c model.Config, seed uint64) ([][]float32, error) {
	stored, err := w.tensors()
	if err != nil {
		return nil, err
	}
	weights, err := c.Adopt(stored, seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.Path, err)
	}
	return weights, nil
}

// tensors reads everything in the files.
func (w *Weights) tensors() (map[string]safetensors.Tensor, error) {
	return w.read(func(name string) (map[string]safetensors.Tensor, error) {
		tensors, _, err := safetensors.Read(name)
		return tensors, err
	})
}

// read reads all files, and holds that an index is true of them.
func (w *Weights) read(file func(name string) (map[string]safetensors.Tensor, error)) (map[string]safetensors.Tensor, error) {
	stored := map[string]safetensors.Tensor{}
	for _, name := range w.files {
		tensors, err := file(name)
		if errors.Is(err, fs.ErrNotExist) && w.in != nil {
			return nil, fault.Corruptf("%s: %s names it: %w", name, indexFile, err)
		} else if err != nil {
			return nil, err
		}
		for tensor, t := range tensors {
			if w.in != nil && w.in[tensor] != filepath.Base(name) {
				return nil, fault.Corruptf("%s: the tensor %s is in it, and %s does not say so", name, tensor, indexFile)
			}
			stored[tensor] = t
		}
	}
	for tensor, name := range w.in {
		if _, ok := stored[tensor]; !ok {
			return nil, fault.Corruptf("%s: the tensor %s is not in it, and %s says so", name, tensor, indexFile)
		}
	}
	return stored, nil
}

// loadWeights begins a new run with trained weights, if it has any. The optimizer
// begins anew.
func (r *run) loadWeights() error {
	if r.Weights == "" {
		return nil
	}
	w, err := OpenWeights(r.Weights)
	if err != nil {
		return err
	}
	if r.Run.Weights != "" && w.Digest != r.Run.Weights {
		return fault.Mismatchf("%s has changed while the run was prepared: its SHA-256 is %s and was %s", r.Weights, w.Digest, r.Run.Weights)
	}
	s, err := r.engine.save() // for the moments, which are 0
	if err != nil {
		return err
	}
	if s.weights, err = w.Load(r.Model, r.Run.Seed); err != nil {
		return err
	}
	s.average = nil // it begins with the weights
	return r.engine.load(s)
}
