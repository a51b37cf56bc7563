package cmd

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/prepare"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/report"
	"github.com/gradus-ml/gradus/tokenizer"
	"github.com/spf13/cobra"
)

//go:embed demo/*.yaml
var demoRecipes embed.FS

// demoRuns are the demo's recipes, the baseline first.
var demoRuns = []string{"baseline", "composed"}

func newDemo() *cobra.Command {
	var input, out string
	var force bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Do it all once: prepare, analyze, train twice, report",
		Long: `Demo takes real text (the source of the Go distribution, or --input), prepares and
analyzes it, trains a small model twice from the same initial weights, once plainly
and once with both techniques, and reports what was saved, whatever that is. It
takes a few minutes on two cores.

Everything lands in one directory, recipes included. What was interrupted goes on
where it stopped when the command is given again.`,
		Example: "  gradus demo\n  gradus demo --input ~/texts --out demo-texts",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := demo{dir: out, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
			err := d.run(cmd.Context(), input, force)
			if errors.Is(err, context.Canceled) {
				return interrupted("interrupted; the same command goes on from here")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&input, "input", "", "file, directory or glob of text (default: the Go distribution's source)")
	f.StringVar(&out, "out", "demo", "directory for everything")
	f.BoolVar(&force, "force", false, "begin anew where a demo of other text lies")
	return cmd
}

const (
	// demoDocument splits the user's files, so that whole documents can be held
	// out even where the text is one file.
	demoDocument = 16 << 10
	// demoLeast is the smallest corpus that the demo trains on, in tokens.
	demoLeast = 100_000
)

// A demo is one directory under way.
type demo struct {
	dir            string
	stdout, stderr io.Writer
}

// demoFile marks a directory as a demo's and says of what text.
const demoFile = "demo.json"

type demoMark struct {
	Input string `json:"input"`
}

func (d *demo) run(ctx context.Context, input string, force bool) error {
	text := prepare.Options{Split: demoDocument}
	if input == "" {
		root, err := goSource(ctx)
		if err != nil {
			return err
		}
		input, text = root, prepare.Options{Include: []string{"*.go"}}
	} else if abs, err := filepath.Abs(input); err == nil {
		input = abs
	}
	if err := d.open(input, force); err != nil {
		return err
	}
	if err := d.prepare(ctx, input, text); err != nil {
		return err
	}
	if err := d.analyze(ctx); err != nil {
		return err
	}
	for i, name := range demoRuns {
		fmt.Fprintf(d.stderr, "[%d/5] train %s\n", 3+i, name)
		if err := d.train(ctx, name); err != nil {
			return err
		}
	}
	return d.report(ctx)
}

// goSource returns where the Go distribution keeps its source.
func goSource(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("the Go distribution was not found ('go env GOROOT': %w); name a text with --input", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "src")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the Go distribution has no source here (%w); name a text with --input", err)
	}
	return dir, nil
}

// open takes the directory: a new one, or one of a demo of the same text.
func (d *demo) open(input string, force bool) error {
	name := filepath.Join(d.dir, demoFile)
	text, err := os.ReadFile(name)
	switch {
	case err == nil:
		var mark demoMark
		if err := json.Unmarshal(text, &mark); err != nil {
			return fault.Corruptf("%s: %w; remove the directory, or choose another --out", name, err)
		}
		if mark.Input == input && !force {
			return nil
		}
		if !force {
			return fault.Mismatchf("%s holds a demo of %s; begin anew with --force, or choose another --out", d.dir, mark.Input)
		}
		if err := os.RemoveAll(d.dir); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if entries, err := os.ReadDir(d.dir); err == nil && len(entries) > 0 {
			return fault.Invalidf("%s is not empty and no demo's; choose another --out", d.dir)
		}
	}
	if _, err := os.Stat(input); err != nil && !strings.ContainsAny(input, "*?[") {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o777); err != nil {
		return err
	}
	return atomicfile.Write(name, func(w io.Writer) error { return printJSON(w, demoMark{input}) })
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) prepare(ctx context.Context, input string, o prepare.Options) error {
	if corpus.Exists(d.path("corpus")) {
		fmt.Fprintln(d.stderr, "[1/5] prepare: done before")
		return nil
	}
	fmt.Fprintf(d.stderr, "[1/5] prepare %s\n", input)
	var err error
	if o.Tokenizer, err = tokenizer.New("bytes"); err != nil {
		return err
	}
	g := newGauge(d.stderr)
	o.Inputs, o.Progress = []string{input}, prepareProgress(g)
	r, err := prepare.Run(ctx, d.path("corpus"), o)
	g.close()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stderr, "      %d documents, %s tokens\n", r.Documents, count(r.Tokens))
	return nil
}

func (d *demo) analyze(ctx context.Context) error {
	if index.Is(d.path("index")) {
		fmt.Fprintln(d.stderr, "[2/5] analyze: done before")
		return nil
	}
	fmt.Fprintln(d.stderr, "[2/5] analyze: how rare are the tokens of every sample")
	r, err := recipe.Parse(d.path("composed.yaml"), d.recipe("composed"))
	if err != nil {
		return err
	}
	c, err := corpus.Open(d.path("corpus"))
	if err != nil {
		return err
	}
	defer c.Close()
	if c.Tokens() < demoLeast {
		return fault.Invalidf("the text has %d tokens, too few to learn from and to hold some out; give at least %d with --input, and another --out", c.Tokens(), demoLeast)
	}
	samples, err := c.Samples(r.Cut())
	if err != nil {
		return err
	}
	g := newGauge(d.stderr)
	result, err := analyze.Run(ctx, samples, []metric.Metric{metric.Rarity()}, d.path("index"), analyze.Options{Progress: analyzeProgress(g)})
	g.close()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.stderr, "      %s samples\n", count(result.Manifest.Samples))
	return nil
}

// recipe returns the text of one of the demo's recipes.
func (d *demo) recipe(name string) []byte {
	text, err := demoRecipes.ReadFile("demo/" + name + ".yaml")
	if err != nil {
		panic(err) // it is embedded
	}
	return text
}

// train runs a recipe, or goes on with it.
func (d *demo) train(ctx context.Context, name string) error {
	file := d.path(name + ".yaml")
	err := atomicfile.Write(file, func(w io.Writer) error {
		_, err := w.Write(d.recipe(name))
		return err
	})
	if err != nil {
		return err
	}
	r, err := recipe.Load(file)
	if err != nil {
		return err
	}
	dir := d.path(name)
	_, err = trainRecipe(ctx, r, trainRun{dir: dir, resume: holdsRun(dir)}, d.stderr)
	return err
}

func (d *demo) report(ctx context.Context) error {
	dirs := make([]string, len(demoRuns))
	for i, name := range demoRuns {
		dirs[i] = d.path(name)
	}
	runs, names, err := readRuns(dirs)
	if err != nil {
		return err
	}
	c, err := report.Compare(runs, names, 0)
	if err != nil {
		return err
	}
	page := d.path("report.html")
	_, err = report.Write(ctx, report.Output{
		Page: page, SVGDir: d.path("report-svg"), Command: "gradus report " + commandLine(dirs, page, ""),
	}, runs, names, c)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.stdout)
	if err := c.Table(d.stdout); err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.stdout, "\nreport: %s\n", page)
	return err
}
