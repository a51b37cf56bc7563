package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// elsewhere is what to do about a damaged checkpoint.
const elsewhere = "go on from an older checkpoint (move this one away)"

// ReadCheckpointState reads state.json of a checkpoint and verifies the files'
// checksums. A damaged or incomplete checkpoint is an error of kind
// fault.Corrupt, one of another version fault.Mismatch.
func ReadCheckpointState(path string) (CheckpointState, error) {
	st, err := readState(path)
	if err != nil {
		return st, err
	}
	files := []string{modelFile, optimizerFile}
	for _, name := range []string{configFile, averageFile, learnedFile} {
		if _, ok := st.Files[name]; ok {
			files = append(files, name)
		}
	}
	return st, verify(path, st, files...)
}

// readState reads state.json alone.
func readState(path string) (CheckpointState, error) {
	if _, err := os.Stat(path); err != nil {
		return CheckpointState{}, fmt.Errorf("train: no checkpoint: %w", err)
	}
	name := filepath.Join(path, stateFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return CheckpointState{}, missing(err)
	}
	return parseState(name, text)
}

// verify compares files of a checkpoint with their checksums.
func verify(path string, st CheckpointState, files ...string) error {
	for _, file := range files {
		sum, err := fileSum(filepath.Join(path, file))
		if err != nil {
			return missing(err)
		}
		if sum != st.Files[file] {
			return fault.Corruptf("%s: its SHA-256 is not the one in %s; %s", filepath.Join(path, file), stateFile, elsewhere)
		}
	}
	return nil
}

// parseState reads a state.json; name is for errors.
func parseState(name string, text []byte) (CheckpointState, error) {
	var st CheckpointState
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fault.Corruptf("%s: %w; %s", name, err, elsewhere)
	}
	if st.Version < 1 || st.Version > checkpointVersion {
		return st, fault.Mismatchf("%s: version %d; this program reads versions 1 to %d", name, st.Version, checkpointVersion)
	}
	if again, err := st.encode(); err != nil || !bytes.Equal(again, text) {
		return st, fault.Corruptf("%s: its checksum does not fit its content; %s", name, elsewhere)
	}
	if st.Step < 0 {
		return st, fault.Corruptf("%s: it is of step %d; %s", name, st.Step, elsewhere)
	}
	return st, nil
}

// missing says that a file which a whole checkpoint has is not there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Corruptf("the checkpoint is not whole: %w; %s", err, elsewhere)
	}
	return fmt.Errorf("train: checkpoint: %w", err)
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// readCheckpoint reads a checkpoint of a model whose state was read and verified.
func readCheckpoint(path string, st CheckpointState, c model.Config) (s state, err error) {
	if s.weights, err = readWeightsOf(path, modelFile, c); err != nil {
		return s, err
	}
	moments, _, err := safetensors.Read(filepath.Join(path, optimizerFile))
	if err != nil {
		return s, err
	}
	if s.moment1, err = pick(moments, filepath.Join(path, optimizerFile), "moment1/", c.Params()); err != nil {
		return s, err
	}
	if s.moment2, err = pick(moments, filepath.Join(path, optimizerFile), "moment2/", c.Params()); err != nil {
		return s, err
	}
	if _, ok := st.Files[averageFile]; ok {
		if s.average, err = readWeightsOf(path, averageFile, c); err != nil {
			return s, err
		}
	}
	if _, ok := st.Files[learnedFile]; ok {
		s.learned, err = readNumbers(filepath.Join(path, learnedFile))
	}
	return s, err
}

// readWeightsOf reads a model's weights from a file of a checkpoint.
func readWeightsOf(path, file string, c model.Config) ([][]float32, error) {
	name := filepath.Join(path, file)
	stored, _, err := safetensors.Read(name)
	if err != nil {
		return nil, err
	}
	weights, err := c.Restore(stored)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return weights, nil
}

// pick returns the values of all parameters, whose names in the file have a prefix.
func pick(from map[string]safetensors.Tensor, name, prefix string, params []model.Param) ([][]float32, error) {
	values := make([][]float32, len(params))
	for i, p := range params {
		t, ok := from[prefix+p.Name]
		if !ok || !slices.Equal(t.Shape, p.Shape) {
			return nil, fault.Mismatchf("%s: tensor %s has shape %v and the recipe's model wants %v", name, prefix+p.Name, t.Shape, p.Shape)
		}
		values[i] = t.Data
	}
	return values, nil
}

// readNumbers reads an array of float64.
func readNumbers(name string) ([]float64, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, missing(err)
	}
	array, err := npy.Parse(name, data)
	if err != nil {
		return nil, err
	}
	if array.DType() != npy.Float64 {
		return nil, fault.Corruptf("%s: its numbers are %s, not %s; %s", name, array.DType(), npy.Float64, elsewhere)
	}
	values := make([]float64, array.Len())
	array.Float64s(values, 0)
	return values, nil
}
