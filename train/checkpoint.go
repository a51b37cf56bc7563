package train

import (
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
	"strings"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// A checkpoint is a directory, checkpoints/step-0000001000 of a run:
//
//	model.safetensors      the weights, under Hugging Face's names
//	optimizer.safetensors  AdamW's moments, as "moment1/NAME" and "moment2/NAME"
//	state.json             the rest, and the checksums of the two
//
// It is written under a temporary name, synced and renamed, so that one with its
// proper name is whole.
const (
	checkpointDir    = "checkpoints"
	checkpointPrefix = "step-"
	temporaryPrefix  = ".new-"
	modelFile        = "model.safetensors"
	optimizerFile    = "optimizer.safetensors"
	stateFile        = "state.json"
)

// checkpointVersion is that of the layout above.
const checkpointVersion = 1

// CheckpointState is what state.json holds.
type CheckpointState struct {
	Version int               `json:"version"`
	Step    int64             `json:"step"`    // steps completed
	Seconds float64           `json:"seconds"` // spent in them
	Recipe  string            `json:"recipe"`  // hash of the recipe
	Corpus  string            `json:"corpus"`  // fingerprint
	Model   model.Config      `json:"model"`
	Files   map[string]string `json:"files"` // SHA-256 of the other files
}

// writeCheckpoint writes a checkpoint of the run in dir and removes all but the
// newest keep.
func writeCheckpoint(dir string, st CheckpointState, params []model.Param, s state, keep int) (string, error) {
	root := filepath.Join(dir, checkpointDir)
	name := fmt.Sprintf("%s%010d", checkpointPrefix, st.Step)
	final, temporary := filepath.Join(root, name), filepath.Join(root, temporaryPrefix+name)
	if err := os.RemoveAll(temporary); err != nil { // left by a kill
		return "", err
	}
	if err := os.MkdirAll(temporary, 0o777); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	defer os.RemoveAll(temporary) // gone already where all went well
	st.Version = checkpointVersion
	st.Files = map[string]string{}
	var weights, moments []safetensors.Tensor
	for i, p := range params {
		weights = append(weights, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: s.weights[i]})
		moments = append(moments,
			safetensors.Tensor{Name: "moment1/" + p.Name, Shape: p.Shape, Data: s.moment1[i]},
			safetensors.Tensor{Name: "moment2/" + p.Name, Shape: p.Shape, Data: s.moment2[i]})
	}
	for file, tensors := range map[string][]safetensors.Tensor{modelFile: weights, optimizerFile: moments} {
		sum := sha256.New()
		err := atomicfile.Write(filepath.Join(temporary, file), func(w io.Writer) error {
			return safetensors.Write(io.MultiWriter(w, sum), tensors, map[string]string{"format": "pt"})
		})
		if err != nil {
			return "", fmt.Errorf("train: checkpoint: %w", err)
		}
		st.Files[file] = hex.EncodeToString(sum.Sum(nil))
	}
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	err = atomicfile.Write(filepath.Join(temporary, stateFile), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	if err := os.RemoveAll(final); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	if err := os.Rename(temporary, final); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	if err := syncDir(root); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	return final, prune(root, keep)
}

// syncDir makes the renames in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prune removes all but the newest keep checkpoints, and what kills left behind.
func prune(root string, keep int) error {
	names, err := checkpointNames(root)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	var stale []string
	if len(names) > keep {
		stale = names[:len(names)-keep]
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			stale = append(stale, e.Name())
		}
	}
	for _, name := range stale {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("train: removing an old checkpoint: %w", err)
		}
	}
	return nil
}

// checkpointNames returns the checkpoints in a directory, oldest first.
func checkpointNames(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), checkpointPrefix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names) // the step has ten digits, so this is its order
	return names, nil
}

// LatestCheckpoint returns the newest checkpoint of the run in dir, "" if there
// is none.
func LatestCheckpoint(dir string) (string, error) {
	root := filepath.Join(dir, checkpointDir)
	names, err := checkpointNames(root)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return filepath.Join(root, names[len(names)-1]), nil
}

// ReadCheckpointState reads state.json of a checkpoint and verifies the files'
// checksums. A damaged checkpoint is an error of kind fault.Corrupt.
func ReadCheckpointState(path string) (CheckpointState, error) {
	var st CheckpointState
	name := filepath.Join(path, stateFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fault.Corruptf("%s: %w", name, err)
	}
	if st.Version != checkpointVersion {
		return st, fault.Mismatchf("%s: version %d; this program reads version %d", name, st.Version, checkpointVersion)
	}
	for _, file := range []string{modelFile, optimizerFile} {
		sum, err := fileSum(filepath.Join(path, file))
		if err != nil {
			return st, err
		}
		if sum != st.Files[file] {
			return st, fault.Corruptf("%s: its SHA-256 is not the one in %s; go on from an older checkpoint (move this one away)",
				filepath.Join(path, file), stateFile)
		}
	}
	return st, nil
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

// readCheckpoint reads a checkpoint whose state was read and verified.
func readCheckpoint(path string, params []model.Param) (state, error) {
	var s state
	weights, _, err := safetensors.Read(filepath.Join(path, modelFile))
	if err != nil {
		return s, err
	}
	moments, _, err := safetensors.Read(filepath.Join(path, optimizerFile))
	if err != nil {
		return s, err
	}
	for _, p := range params {
		for _, x := range []struct {
			to   *[][]float32
			from map[string]safetensors.Tensor
			name string
		}{{&s.weights, weights, p.Name}, {&s.moment1, moments, "moment1/" + p.Name}, {&s.moment2, moments, "moment2/" + p.Name}} {
			t, ok := x.from[x.name]
			if !ok || !slices.Equal(t.Shape, p.Shape) {
				return s, fault.Mismatchf("%s: tensor %s has shape %v and the recipe's model wants %v", path, x.name, t.Shape, p.Shape)
			}
			*x.to = append(*x.to, t.Data)
		}
	}
	return s, nil
}
