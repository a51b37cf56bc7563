package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
)

// artifact is a kind of file, or directory, that gradus makes and that inspect
// shows and check proves.
type artifact struct {
	name string
	// is reports whether path looks like one, damaged or not. It opens nothing
	// large.
	is func(path string) bool
	// inspect prints what path holds, as JSON or as text for people.
	inspect func(ctx context.Context, w io.Writer, path string, o inspectOptions) error
	// check proves path and returns what it is in a few words.
	check func(ctx context.Context, path string) (string, error)
}

// artifacts lists all kinds. The first that takes a path has it.
func artifacts() []artifact {
	return []artifact{
		{"index", index.Is, inspectIndex, checkIndex},
		{"corpus", corpus.Exists, inspectCorpus, checkCorpus},
	}
}

// artifactAt tells what a path is.
func artifactAt(path string) (artifact, error) {
	for _, a := range artifacts() {
		if a.is(path) {
			return a, nil
		}
	}
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return artifact{}, fmt.Errorf("%s: %w; a corpus is named by its prefix, an index by its directory", path, fs.ErrNotExist)
	case err != nil:
		return artifact{}, err
	}
	return artifact{}, fault.Invalidf("%s is nothing that gradus makes; a corpus is named by its prefix, an index by its directory", path)
}
