package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// artifact is a kind of file, or directory, that gradus makes or reads, and that
// inspect shows and check proves.
type artifact struct {
	name string
	// is reports whether path looks like one, damaged or not. It opens nothing
	// large.
	is func(path string) bool
	// inspect prints what path holds, as JSON or as text for people.
	inspect func(ctx context.Context, w io.Writer, path string, o inspectOptions) error
	// check proves path and returns what it is in a few words.
	check func(ctx context.Context, path string, o checkOptions) (string, error)
}

// artifacts lists all kinds. The first that takes a path has it.
func artifacts() []artifact {
	return []artifact{
		{"index", index.Is, inspectIndex, checkIndex},
		{"corpus", corpus.Exists, inspectCorpus, checkCorpus},
		{"run", holdsAny(runlog.FileName, runlog.FileName+runlog.PackedSuffix, "checkpoints"), inspectRun, checkRun},
		{"plan", curriculum.Kept, inspectPlan, checkPlan},
		{"weights", holdsWeights, inspectWeights, checkWeights},
		{"checkpoint", holdsAny("state.json", "model.safetensors"), inspectCheckpoint, checkCheckpoint},
		{"run log", hasEnding(".jsonl", ".gz"), inspectLog, checkLog},
		{"recipe", hasEnding(".yaml", ".yml", ".json"), inspectRecipe, checkRecipe},
	}
}

// holdsAny recognises a directory by files of which it has at least one.
func holdsAny(names ...string) func(dir string) bool {
	return func(dir string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
	}
}

// hasEnding recognises a file by the ending of its name.
func hasEnding(endings ...string) func(path string) bool {
	return func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular() && slices.Contains(endings, filepath.Ext(path))
	}
}

// howNamed says how the kinds are named on a command line.
const howNamed = "a corpus is named by its prefix, an index, a run, its plan, a checkpoint or exported weights by its directory, a recipe or a run log by its file"

// artifactAt tells what a path is, and where it lies: checkpoints/best of a run is
// the checkpoint that it names.
func artifactAt(path string) (artifact, string, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && filepath.Base(path) == "best" {
		best, err := train.BestCheckpoint(filepath.Join(filepath.Dir(path), ".."))
		if err != nil {
			return artifact{}, "", err
		}
		if best != "" { // else it lies in no run's checkpoints
			path = best
		}
	}
	for _, a := range artifacts() {
		if a.is(path) {
			return a, path, nil
		}
	}
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return artifact{}, "", fmt.Errorf("%s: %w; %s", path, fs.ErrNotExist, howNamed)
	case err != nil:
		return artifact{}, "", err
	}
	return artifact{}, "", fault.Invalidf("%s is nothing that gradus makes; %s", path, howNamed)
}
