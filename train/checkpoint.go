package train

import (
	"cmp"
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

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/npy"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/model"
)

// A checkpoint is a directory, checkpoints/step-0000001000 of a run:
//
//	model.safetensors      the weights, as Hugging Face's library stores them
//	config.json            the model, as that library describes it: it opens the directory
//	average.safetensors    their average, if the run keeps one: the weights to use
//	optimizer.safetensors  AdamW's moments, as "moment1/NAME" and "moment2/NAME"
//	learned.npy            what the routing policy has learned, if it learns
//	state.json             the rest, the checksums of the others, and its own
//
// It is written under a temporary name, synced and renamed, and taken back to a
// temporary name before it is removed, so that one with its proper name is whole.
const (
	checkpointDir    = "checkpoints"
	checkpointPrefix = "step-"
	temporaryPrefix  = ".new-"
	modelFile        = "model.safetensors"
	averageFile      = "average.safetensors"
	optimizerFile    = "optimizer.safetensors"
	learnedFile      = "learned.npy"
	stateFile        = "state.json"
)

// checkpointVersion is that of the layout above. Version 1 knew neither averages,
// nor policies that learn, nor config.json, and is otherwise the same.
const checkpointVersion = 2

// CheckpointState is what state.json holds.
type CheckpointState struct {
	Version   int               `json:"version"`
	Step      int64             `json:"step"`                // steps completed
	Seconds   float64           `json:"seconds"`             // spent in them
	HeldOut   float64           `json:"held_out,omitempty"`  // the last held-out loss, in nats a label; 0: none yet
	Lowest    *float64          `json:"lowest,omitempty"`    // the lowest one so far
	Best      *Best             `json:"best,omitempty"`      // the best checkpoint of the run so far
	Averaged  []int64           `json:"averaged,omitempty"`  // the checkpoints whose mean the average is, if it is that; this one may be one
	Recipe    string            `json:"recipe"`              // hash of the recipe
	Corpus    string            `json:"corpus"`              // fingerprint
	Tokenizer string            `json:"tokenizer,omitempty"` // name of the tokenizer that the corpus was made with; empty: not known
	Model     model.Config      `json:"model"`
	Files     map[string]string `json:"files"`    // SHA-256 of the other files, in hexadecimal
	Checksum  string            `json:"checksum"` // SHA-256 of this file with nothing here
}

// A Best is the checkpoint with the lowest held-out loss, of those that were
// evaluated when they were due.
type Best struct {
	Step    int64   `json:"step"`
	HeldOut float64 `json:"held_out"`
}

// Weights returns the name of the file in the checkpoint with the weights to use:
// those of the average, if there is one.
func (st CheckpointState) Weights() string {
	if _, ok := st.Files[averageFile]; ok {
		return averageFile
	}
	return modelFile
}

// encode returns state.json. There is one way to write a state, so that reading
// can compare every byte.
func (st CheckpointState) encode() ([]byte, error) {
	st.Version, st.Checksum = cmp.Or(st.Version, checkpointVersion), ""
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	st.Checksum = hex.EncodeToString(sum[:])
	text, err = json.MarshalIndent(st, "", "  ")
	return append(text, '\n'), err
}

// writeCheckpoint writes a checkpoint of a model of the run in dir, marks the best, and removes
// all but the newest keep, the best, and those that an average is made of. After an
// error the checkpoints that were there still are.
func writeCheckpoint(dir string, st CheckpointState, c model.Config, s state, keep int) (string, error) {
	root := filepath.Join(dir, checkpointDir)
	name := checkpointName(st.Step)
	final, temporary := filepath.Join(root, name), filepath.Join(root, temporaryPrefix+name)
	if err := fillCheckpoint(temporary, st, c, s); err != nil {
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
	if err := markBest(root, st.Best); err != nil {
		return final, err
	}
	return final, prune(root, keep, st)
}

// fillCheckpoint writes the files of a checkpoint into a new directory.
func fillCheckpoint(dir string, st CheckpointState, c model.Config, s state) error {
	if err := os.RemoveAll(dir); err != nil { // left by a kill
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	st.Version, st.Files = 0, map[string]string{}
	write := func(name string, fill func(io.Writer) error) error {
		sum := sha256.New()
		err := atomicfile.Write(filepath.Join(dir, name), func(w io.Writer) error { return fill(io.MultiWriter(w, sum)) })
		st.Files[name] = hex.EncodeToString(sum.Sum(nil))
		return err
	}
	moments := func(values [][]float32, prefix string) (all []safetensors.Tensor) {
		for i, p := range c.Params() {
			all = append(all, safetensors.Tensor{Name: prefix + p.Name, Shape: p.Shape, Data: values[i]})
		}
		return all
	}
	files := map[string][]safetensors.Tensor{
		modelFile:     c.Store(s.weights),
		optimizerFile: append(moments(s.moment1, "moment1/"), moments(s.moment2, "moment2/")...),
	}
	if s.average != nil {
		files[averageFile] = c.Store(s.average)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := write(name, func(w io.Writer) error {
			return safetensors.Write(w, files[name], map[string]string{"format": "pt"})
		})
		if err != nil {
			return err
		}
	}
	err := write(configFile, func(w io.Writer) error {
		_, err := w.Write(c.HubConfig())
		return err
	})
	if err != nil {
		return err
	}
	if s.learned != nil {
		if err := write(learnedFile, func(w io.Writer) error { return writeNumbers(w, s.learned) }); err != nil {
			return err
		}
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

// writeNumbers writes an array of float64.
func writeNumbers(w io.Writer, values []float64) error {
	out, err := npy.NewWriter(w, npy.Float64, int64(len(values)))
	if err != nil {
		return err
	}
	if err := out.Floats(values); err != nil {
		return err
	}
	return out.Close()
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

// prune removes what kills left behind, and all checkpoints but the newest keep and
// those that the newest one's state needs.
func prune(root string, keep int, st CheckpointState) error {
	names, err := checkpointNames(root)
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	for _, step := range st.Averaged {
		needed[checkpointName(step)] = true
	}
	if st.Best != nil {
		needed[checkpointName(st.Best.Step)] = true
	}
	for _, name := range names[:max(len(names)-keep, 0)] {
		if needed[name] {
			continue
		}
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
		// A copy or a damaged one that somebody called step-0000000020.old is none.
		if digits, ok := strings.CutPrefix(e.Name(), checkpointPrefix); ok && e.IsDir() && isStep(digits) {
			names = append(names, e.Name())
		}
	}
	// The step has ten digits, or more: longer names are later.
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names, nil
}

// isStep reports whether a text is the digits of a checkpoint's step.
func isStep(digits string) bool { return digits != "" && strings.Trim(digits, "0123456789") == "" }

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
