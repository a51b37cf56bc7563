package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/train"
)

// runGradus is the process of a backend: it trains a recipe and prints its steps.
func runGradus(args []string) error {
	f := flag.NewFlagSet("gradus", flag.ExitOnError)
	path := f.String("recipe", "", "to train")
	out := f.String("out", "", "directory of the run")
	name := f.String("backend", "", "of train.OpenBackend")
	precision := f.String("precision", "", "of matrix products")
	if err := f.Parse(args); err != nil {
		return err
	}
	ctx := context.Background()
	r, err := recipe.Load(*path)
	if err != nil {
		return err
	}
	b, err := recipe.Open(ctx, r, recipe.Options{Dir: filepath.Join(*out, recipe.PlanDir)})
	if err != nil {
		return err
	}
	defer b.Close()
	c, err := b.Training(*out)
	if err != nil {
		return err
	}
	if err := c.Compute(*name, *precision); err != nil {
		return err
	}
	opened, err := train.OpenBackend(*name)
	if err != nil {
		return err
	}
	told := timed{Library: opened.Library + ", on " + opened.On, Parameters: c.Model.Parameters()}
	opened.Close()
	if c.BFloat16 {
		told.Library += ", bfloat16"
	}
	var seconds, flops float64 // of the steps before
	c.Progress = func(p train.Progress) {
		told.Steps = append(told.Steps, step{
			Length: p.Length, Kept: p.Kept, Seconds: p.Seconds - seconds, Waited: p.Waited, Compile: p.Compile, FLOPs: p.FLOPs - flops,
		})
		seconds, flops = p.Seconds, p.FLOPs
	}
	if _, err := train.Train(ctx, c); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(told)
}
