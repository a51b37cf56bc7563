package cmd

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
)

// A run keeps its plan in a directory beside its recipe, over which alone it can
// be opened.

func inspectPlan(ctx context.Context, w io.Writer, path string, o inspectOptions) error {
	b, err := openCopy(ctx, filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return err
	}
	defer b.Close()
	v := viewPlan(b)
	if o.json {
		return printJSON(w, v)
	}
	return printPlan(w, v)
}

// checkPlan proves a kept plan: opening it holds every byte against its checksums,
// and its stages against the recipe's paces.
func checkPlan(ctx context.Context, path string, _ checkOptions) (string, error) {
	b, err := openCopy(ctx, filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return "", err
	}
	defer b.Close()
	return fmt.Sprintf("plan of recipe %s, %d stages, %d units", b.Recipe.Hash(), len(b.Plan.Stages()), b.Plan.Pool()), nil
}
