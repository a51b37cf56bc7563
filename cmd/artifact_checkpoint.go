package cmd

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/safetensors"
	"github.com/gradus-ml/gradus/train"
)

// checkpointView is what inspect shows of a checkpoint.
type checkpointView struct {
	Kind string `json:"kind"`
	Path string `json:"path"`
	train.CheckpointState
	Weights []tensorView `json:"weights"` // as they lie in the file
	Numbers int64        `json:"numbers"` // in all weights
}

type tensorView struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

func viewCheckpoint(path string) (checkpointView, error) {
	v := checkpointView{Kind: "checkpoint", Path: path}
	var err error
	if v.CheckpointState, err = train.ReadCheckpointState(path); err != nil {
		return v, err
	}
	tensors, err := safetensors.ReadHeader(filepath.Join(path, "model.safetensors"))
	if err != nil {
		return v, err
	}
	for _, t := range tensors {
		v.Weights = append(v.Weights, tensorView{t.Name, t.Shape})
		v.Numbers += t.Elements()
	}
	return v, nil
}

func inspectCheckpoint(_ context.Context, out io.Writer, path string, o inspectOptions) error {
	v, err := viewCheckpoint(path)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "checkpoint\t%s\n", path)
	fmt.Fprintf(w, "step\t%d, after %.1f s of training\n", v.Step, v.Seconds)
	fmt.Fprintf(w, "model\t%s\n", v.Model)
	if b := v.Best; b != nil {
		fmt.Fprintf(w, "best so far\tstep %d, held-out loss %.4f\n", b.Step, b.HeldOut)
	}
	fmt.Fprintf(w, "recipe\t%s\n", v.Recipe)
	fmt.Fprintf(w, "corpus\t%s\n", v.Corpus)
	for _, file := range slices.Sorted(maps.Keys(v.Files)) {
		fmt.Fprintf(w, "%s\tsha256:%s\n", file, v.Files[file])
	}
	fmt.Fprintf(w, "weights\t%d numbers in %d tensors\n\n", v.Numbers, len(v.Weights))
	printTensors(w, v.Weights)
	return w.Flush()
}

// printTensors lists tensors, those of several layers once.
func printTensors(w io.Writer, tensors []tensorView) {
	for _, t := range foldLayers(tensors) {
		times := ""
		if t.times > 1 {
			times = fmt.Sprintf("x %d", t.times)
		}
		fmt.Fprintf(w, "  %s\t%v\t%s\n", t.Name, t.Shape, times)
	}
}

// foldedTensor is a tensor that every one of several layers has.
type foldedTensor struct {
	tensorView
	times int
}

// foldLayers lists tensors once that differ only in the numbers in their names:
// transformer.h.*.ln_1.weight.
func foldLayers(all []tensorView) []foldedTensor {
	var folded []foldedTensor
	for _, t := range all {
		parts := strings.Split(t.Name, ".")
		for i, part := range parts {
			if _, err := strconv.Atoi(part); err == nil {
				parts[i] = "*"
			}
		}
		t.Name = strings.Join(parts, ".")
		i := slices.IndexFunc(folded, func(f foldedTensor) bool { return f.Name == t.Name && slices.Equal(f.Shape, t.Shape) })
		if i < 0 {
			i, folded = len(folded), append(folded, foldedTensor{tensorView: t})
		}
		folded[i].times++
	}
	return folded
}

func checkCheckpoint(_ context.Context, path string, _ checkOptions) (string, error) {
	v, err := viewCheckpoint(path)
	if err != nil {
		return "", err
	}
	if err := v.fits(); err != nil {
		return "", err
	}
	return fmt.Sprintf("checkpoint of step %d, %d weights", v.Step, v.Numbers), nil
}

// fits reports weights that are not those of the model which the state names.
func (v checkpointView) fits() error {
	name := filepath.Join(v.Path, "model.safetensors")
	if err := v.Model.Validate(); err != nil {
		return fault.Corruptf("%s: %w", filepath.Join(v.Path, "state.json"), err)
	}
	if v.Model.Layers > len(v.Weights) { // so that no absurd number is believed below
		return fault.Corruptf("%s: %d tensors for a model of %d layers", name, len(v.Weights), v.Model.Layers)
	}
	stored := map[string]safetensors.Tensor{}
	for _, t := range v.Weights {
		stored[t.Name] = safetensors.Tensor{Name: t.Name, Shape: t.Shape}
	}
	if err := v.Model.Restorable(stored); err != nil { // with its own state
		return fault.Corruptf("%s: %v", name, err)
	}
	return nil
}
