package train

import (
	"bytes"
	"cmp"
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
//	state.json             the rest, the checksums of the two, and its own
//
// It is written under a temporary name, synced and renamed, and taken back to a
// temporary name before it is removed, so that one with its proper name is whole.
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
	Version  int               `json:"version"`
	Step     int64             `json:"step"`               // steps completed
	Seconds  float64           `json:"seconds"`            // spent in them
	HeldOut  float64           `json:"held_out,omitempty"` // the last held-out loss, in nats a label; 0: none yet
	Recipe   string            `json:"recipe"`             // hash of the recipe
	Corpus   string            `json:"corpus"`             // fingerprint
	Model    model.Config      `json:"model"`
	Files    map[string]string `json:"files"`    // SHA-256 of the other files, in hexadecimal
	Checksum string            `json:"checksum"` // SHA-256 of this file with nothing here
}

// encode returns state.json. There is one way to write a state, so that reading
// can compare every byte.
func (st CheckpointState) encode() ([]byte, error) {
	st.Version, st.Checksum = checkpointVersion, ""
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	st.Checksum = hex.EncodeToString(sum[:])
	text, err = json.MarshalIndent(st, "", "  ")
	return append(text, '\n'), err
}

// writeCheckpoint writes a checkpoint of the run in dir and removes all but the
// newest keep. After an error the checkpoints that were there still are.
func writeCheckpoint(dir string, st CheckpointState, params []model.Param, s state, keep int) (string, error) {
	root := filepath.Join(dir, checkpointDir)
	name := checkpointName(st.Step)
	final, temporary := filepath.Join(root, name), filepath.Join(root, temporaryPrefix+name)
	if err := fillCheckpoint(temporary, st, params, s); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", errors.Join(err, os.RemoveAll(temporary)))
	}
	if err := discard(root, name); err != nil { // of the same step
		return "", err
	}
	if err := os.Rename(temporary, final); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	if err := atomicfile.SyncDir(root); err != nil {
		return "", fmt.Errorf("train: checkpoint: %w", err)
	}
	return final, prune(root, keep)
}

// fillCheckpoint writes the files of a checkpoint into a new directory.
func fillCheckpoint(dir string, st CheckpointState, params []model.Param, s state) error {
	if err := os.RemoveAll(dir); err != nil { // left by a kill
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	var weights, moments []safetensors.Tensor
	for i, p := range params {
		weights = append(weights, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: s.weights[i]})
		moments = append(moments,
			safetensors.Tensor{Name: "moment1/" + p.Name, Shape: p.Shape, Data: s.moment1[i]},
			safetensors.Tensor{Name: "moment2/" + p.Name, Shape: p.Shape, Data: s.moment2[i]})
	}
	st.Files = map[string]string{}
	for _, file := range []struct {
		name    string
		tensors []safetensors.Tensor
	}{{modelFile, weights}, {optimizerFile, moments}} {
		sum := sha256.New()
		err := atomicfile.Write(filepath.Join(dir, file.name), func(w io.Writer) error {
			return safetensors.Write(io.MultiWriter(w, sum), file.tensors, map[string]string{"format": "pt"})
		})
		if err != nil {
			return err
		}
		st.Files[file.name] = hex.EncodeToString(sum.Sum(nil))
	}
	text, err := st.encode()
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, stateFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// discard removes a checkpoint, if it is there. A kill in the middle leaves what
// is left of it under a temporary name.
func discard(root, name string) error {
	old, doomed := filepath.Join(root, name), filepath.Join(root, temporaryPrefix+"old-"+name)
	if err := os.RemoveAll(doomed); err != nil {
		return fmt.Errorf("train: removing an old checkpoint: %w", err)
	}
	if err := os.Rename(old, doomed); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("train: removing an old checkpoint: %w", err)
	}
	if err := os.RemoveAll(doomed); err != nil {
		return fmt.Errorf("train: removing an old checkpoint: %w", err)
	}
	return nil
}

// prune removes all but the newest keep checkpoints, and what kills left behind.
func prune(root string, keep int) error {
	names, err := checkpointNames(root)
	if err != nil {
		return err
	}
	for _, name := range names[:max(len(names)-keep, 0)] {
		if err := discard(root, name); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporaryPrefix) {
			if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
				return fmt.Errorf("train: removing what a kill left behind: %w", err)
			}
		}
	}
	return nil
}

// checkpointName returns the name of a step's checkpoint.
func checkpointName(step int64) string { return fmt.Sprintf("%s%010d", checkpointPrefix, step) }

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
	// The step has ten digits, or more: longer names are later.
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names, nil
}

// Checkpoints returns the checkpoints of the run in dir, the oldest first.
func Checkpoints(dir string) ([]string, error) {
	root := filepath.Join(dir, checkpointDir)
	names, err := checkpointNames(root)
	for i, name := range names {
		names[i] = filepath.Join(root, name)
	}
	return names, err
}

// LatestCheckpoint returns the newest checkpoint of the run in dir, "" if there
// is none.
func LatestCheckpoint(dir string) (string, error) {
	all, err := Checkpoints(dir)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[len(all)-1], nil
}

// elsewhere is what to do about a damaged checkpoint.
const elsewhere = "go on from an older checkpoint (move this one away)"

// ReadCheckpointState reads state.json of a checkpoint and verifies the files'
// checksums. A damaged or incomplete checkpoint is an error of kind
// fault.Corrupt, one of another version fault.Mismatch.
func ReadCheckpointState(path string) (CheckpointState, error) {
	if _, err := os.Stat(path); err != nil {
		return CheckpointState{}, fmt.Errorf("train: no checkpoint: %w", err)
	}
	name := filepath.Join(path, stateFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return CheckpointState{}, missing(err)
	}
	st, err := parseState(name, text)
	if err != nil {
		return CheckpointState{}, err
	}
	for _, file := range []string{modelFile, optimizerFile} {
		sum, err := fileSum(filepath.Join(path, file))
		if err != nil {
			return CheckpointState{}, missing(err)
		}
		if sum != st.Files[file] {
			return CheckpointState{}, fault.Corruptf("%s: its SHA-256 is not the one in %s; %s", filepath.Join(path, file), stateFile, elsewhere)
		}
	}
	return st, nil
}

// parseState reads a state.json; name is for errors.
func parseState(name string, text []byte) (CheckpointState, error) {
	var st CheckpointState
	if err := json.Unmarshal(text, &st); err != nil {
		return st, fault.Corruptf("%s: %w; %s", name, err, elsewhere)
	}
	if st.Version != checkpointVersion {
		return st, fault.Mismatchf("%s: version %d; this program reads version %d", name, st.Version, checkpointVersion)
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
