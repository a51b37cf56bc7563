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
	Sample string         `json:"sample"` // what fills a row, in words
	Recipe *recipe.Recipe `json:"recipe"` // with every default filled in
}

func inspectRecipe(_ context.Context, w io.Writer, path string, o inspectOptions) error {
	r, err := recipe.Load(path)
	if err != nil {
		return err
	}
	v := recipeView{Kind: "recipe", Path: path, Name: r.Name, Hash: r.Hash(), Sample: sampleWords(r), Recipe: r}
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
	fmt.Fprintf(t, "samples\t%s\n", v.Sample)
	for _, s := range sourcesOf(r) {
		fmt.Fprintf(t, "%s\t%s\n", or(s.Name, "corpus"), sourceWords(s))
	}
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
	what := fmt.Sprintf("recipe %s of %d steps in %d stages, %d shapes", b.Recipe.Hash(), b.Plan.Steps(), len(b.Plan.Stages()), len(b.Plan.Shapes()))
	if n := len(b.Sources); n > 1 {
		names := make([]string, n)
		for i := range b.Sources {
			names[i] = b.Sources[i].Name
		}
		what += fmt.Sprintf("; %d sources: %s", n, strings.Join(names, ", "))
	}
	if b.Recipe.Sample.Documents {
		what += "; " + sampleWords(b.Recipe)
	}
	for _, w := range b.Warnings {
		what += "; warning: " + w
	}
	return what, nil
}

// sourceWords says what a recipe says of a corpus.
func sourceWords(s recipe.Source) string {
	words := or(s.Corpus.String(), "not named")
	if s.Index != "" {
		words += ", index " + s.Index
	}
	if s.Weight != nil && s.Weight.Kind != "constant" {
		words += ", weight " + s.Weight.Kind
	} else if s.Weight != nil {
		words += fmt.Sprintf(", weight %v", s.Weight.Parameters["value"])
	}
	return words
}
