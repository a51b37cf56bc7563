package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/gradus-ml/gradus/recipe"
)

// recipeView is what inspect shows of a recipe.
type recipeView struct {
	Kind   string         `json:"kind"`
	Path   string         `json:"path"`
	Name   string         `json:"name"`
	Hash   string         `json:"hash"`
	Recipe *recipe.Recipe `json:"recipe"` // with every default filled in
}

func inspectRecipe(_ context.Context, w io.Writer, path string, o inspectOptions) error {
	r, err := recipe.Load(path)
	if err != nil {
		return err
	}
	v := recipeView{Kind: "recipe", Path: path, Name: r.Name, Hash: r.Hash(), Recipe: r}
	if o.json {
		return printJSON(w, v)
	}
	filled, err := json.Marshal(r)
	if err != nil {
		return err
	}
	text, err := yaml.JSONToYAML(filled)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "recipe\t%s\n", path)
	fmt.Fprintf(t, "name\t%s\n", v.Name)
	fmt.Fprintf(t, "hash\t%s\n", v.Hash)
	t.Flush()
	_, err = fmt.Fprintf(w, "\nWith every default filled in:\n\n  %s\n",
		strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n  "))
	return err
}

func checkRecipe(ctx context.Context, path string, _ checkOptions) (string, error) {
	b, err := openRecipe(ctx, path)
	if err != nil {
		return "", err
	}
	defer b.Close()
	return fmt.Sprintf("recipe %s of %d steps in %d stages, %d shapes",
		b.Recipe.Hash(), b.Plan.Steps(), len(b.Plan.Stages()), len(b.Plan.Shapes())), nil
}
