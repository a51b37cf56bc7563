package cmd

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/train"
)

// holdsWeights recognises a directory of Hugging Face's library, which export
// huggingface and save_pretrained write. A checkpoint that has lost its state has
// the optimizer's still.
func holdsWeights(dir string) bool {
	return holdsAny("config.json")(dir) && holdsAny("model.safetensors", "model.safetensors.index.json")(dir) &&
		!holdsAny("state.json", "optimizer.safetensors")(dir)
}

// weightsView is what inspect shows of exported weights.
type weightsView struct {
	Kind       string       `json:"kind"`
	Path       string       `json:"path"`
	Model      model.Config `json:"model"`
	Parameters int64        `json:"parameters"`
	Digest     string       `json:"sha256"`  // of the files with the weights
	Weights    []tensorView `json:"weights"` // by their names
}

func viewWeights(path string) (weightsView, *train.Weights, error) {
	w, err := train.OpenWeights(path)
	if err != nil {
		return weightsView{}, nil, err
	}
	if w.Model == nil { // the file went away
		return weightsView{}, nil, fault.Invalidf("%s says nothing of its model", path)
	}
	tensors, err := w.Headers()
	if err != nil {
		return weightsView{}, nil, err
	}
	v := weightsView{Kind: "weights", Path: path, Model: *w.Model, Parameters: w.Model.Parameters(), Digest: w.Digest}
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		v.Weights = append(v.Weights, tensorView{name, tensors[name].Shape})
	}
	return v, w, nil
}

func inspectWeights(_ context.Context, out io.Writer, path string, o inspectOptions) error {
	v, _, err := viewWeights(path)
	if err != nil {
		return err
	}
	if o.json {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "exported weights\t%s\n", filepath.Clean(path))
	fmt.Fprintf(w, "model\t%s\n", v.Model)
	fmt.Fprintf(w, "parameters\t%d\n", v.Parameters)
	fmt.Fprintf(w, "weights\tsha256:%s\n", v.Digest)
	fmt.Fprintf(w, "tensors\t%d\n\n", len(v.Weights))
	printTensors(w, v.Weights)
	return w.Flush()
}

// checkWeights reads all weights, and holds them against their config.json.
func checkWeights(_ context.Context, path string, _ checkOptions) (string, error) {
	v, w, err := viewWeights(path)
	if err != nil {
		return "", err
	}
	if err := w.Whole(); err != nil {
		return "", err
	}
	return fmt.Sprintf("exported weights of %s: %d parameters in %d tensors", v.Model, v.Parameters, len(v.Weights)), nil
}
