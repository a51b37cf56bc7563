// Command train measures training steps, for evidence/train: on each backend that
// works here, what token dropping and shorter rows save beside what theory says, and
// how fast the same model is in PyTorch on the same cores.
//
// Its nouns: a size is a model and its full batch; a shape is the rows' length and
// the tokens that the inner layers keep; a contender is a backend of gradus or
// PyTorch, and a round runs every contender once, each in a process of its own. A
// process goes through all shapes in turn, again and again, so that all of them see
// the same weather. The time of a shape in a round is the median of its steps.
//
// Gradus is measured as it trains: recipe, plan, batches made ahead of the step, run
// log. The text is random tokens.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
	"github.com/gradus-ml/gradus/train"
)

// options of the benchmark; the flags say what they are.
type options struct {
	dir, out  string
	python    string
	backends  string
	precision string
	sizes     string
	rows      int
	length    int
	runs      int
	cycles    int
	each      int
	threads   int
	peak      float64
	compile   bool
	seed      uint64
}

func defaults() options {
	return options{
		dir: filepath.Join("bin", "train"), out: filepath.Join("evidence", "train"), python: "python3",
		sizes: "small,medium", runs: 3, cycles: 4, each: 3, threads: 2, seed: 1,
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "gradus" {
		exit(runGradus(os.Args[2:]))
	}
	o := defaults()
	flag.StringVar(&o.dir, "dir", o.dir, "directory for corpora and runs, which go at the end")
	flag.StringVar(&o.out, "out", o.out, "directory of the results")
	flag.StringVar(&o.python, "python", o.python, "Python to look for torch in")
	flag.StringVar(&o.backends, "backend", o.backends, "backends to measure, separated by commas, as for gradus train --backend; all that work here if not given")
	flag.StringVar(&o.precision, "precision", o.precision, "of matrix products: float32 or bfloat16")
	flag.StringVar(&o.sizes, "size", o.sizes, "models to measure, separated by commas: "+strings.Join(sizeNames(), ", "))
	flag.IntVar(&o.rows, "rows", o.rows, "rows of a batch, instead of the size's")
	flag.IntVar(&o.length, "length", o.length, "tokens of a row, instead of the size's")
	flag.IntVar(&o.runs, "runs", o.runs, "rounds, an odd number")
	flag.IntVar(&o.cycles, "cycles", o.cycles, "how often a process goes through the shapes; the first time is not counted")
	flag.IntVar(&o.each, "each", o.each, "steps of a shape in a row; the first is not counted")
	flag.IntVar(&o.threads, "threads", o.threads, "of PyTorch")
	flag.Float64Var(&o.peak, "peak", o.peak, "TFLOP/s that the device can do at most, to say what share of them is used")
	flag.BoolVar(&o.compile, "compile", o.compile, "PyTorch with torch.compile")
	flag.Uint64Var(&o.seed, "seed", o.seed, "of the text, the weights and the dropped tokens")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-train:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures all sizes and writes the results.
func run(ctx context.Context, o options) (err error) {
	if o.runs < 1 || o.runs%2 == 0 || o.cycles < 2 || o.each < 2 {
		return errors.New("-runs must be odd, so that a median is a run, and -cycles and -each at least 2")
	}
	sizes, err := o.wanted()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	r := Report{
		Command: measure.Command("bench-train", kindsOf, "dir", "out", "python"), Machine: measure.Here(), Revision: measure.Revision(), Seed: o.seed,
		Load: [2]float64{measure.Load(), 0}, Peak: o.peak,
	}
	contenders, missing := findBackends(o)
	if r.Missing = missing; len(contenders) == 0 {
		return fmt.Errorf("no backend works here: %s", strings.Join(missing, "; "))
	}
	torch, why := findTorch(ctx, o)
	if torch != nil {
		contenders = append(contenders, torch)
	} else {
		r.Missing = append(r.Missing, why)
	}
	for _, s := range sizes {
		say("measuring %s", s)
		result, err := measureSize(ctx, o, s, contenders)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		r.Sizes = append(r.Sizes, result)
	}
	r.Load[1] = measure.Load()
	return r.write(o.out)
}

// A contender makes steps of a size, and tells what each took.
type contender interface {
	name() string
	run(ctx context.Context, o options, s Size, dir string) (timed, error)
}

// timed is what a process of a contender tells.
type timed struct {
	Library    string `json:"library"`
	Parameters int64  `json:"parameters"`
	Steps      []step `json:"steps"`
}

// step is one training step; seconds of the clock.
type step struct {
	Length  int     `json:"length"`
	Kept    int     `json:"kept"`
	Seconds float64 `json:"seconds"`
	Waited  float64 `json:"waited"`  // for the batch, before the step
	Compile float64 `json:"compile"` // of its graphs, before the step
	FLOPs   float64 `json:"flops"`
}

// backend is a contender of gradus.
type backend struct{ flag, kind string }

func (b backend) name() string { return b.kind }

// findBackends returns the backends asked for that open here, and why others do not.
func findBackends(o options) (found []contender, missing []string) {
	names := train.Backends()
	if o.backends != "" {
		names = strings.Split(o.backends, ",")
	}
	for _, name := range names {
		b, err := train.OpenBackend(name)
		if err != nil {
			say("%v", err)
			missing = append(missing, withoutPaths(err))
			continue
		}
		found = append(found, backend{name, b.Name})
		b.Close()
	}
	return found, missing
}

// withoutPaths is the first clause of an error, which names no file of this machine.
func withoutPaths(err error) string {
	return strings.SplitN(strings.SplitN(err.Error(), ";", 2)[0], "/", 2)[0]
}

func (b backend) run(ctx context.Context, o options, s Size, dir string) (timed, error) {
	self, err := os.Executable()
	if err != nil {
		return timed{}, err
	}
	return answer(exec.CommandContext(ctx, self, "gradus", "-recipe", filepath.Join(filepath.Dir(dir), recipeName), "-out", dir,
		"-backend", b.flag, "-precision", o.precision))
}

// answer runs a process and decodes what it prints.
func answer(cmd *exec.Cmd) (t timed, err error) {
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
			return t, fmt.Errorf("%w: %s", err, strings.Join(lines[max(0, len(lines)-3):], " / "))
		}
		return t, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return t, json.Unmarshal([]byte(lines[len(lines)-1]), &t)
}

// kindsOf drops the paths of libraries from the flag -backend.
func kindsOf(name, value string) string {
	if name != "backend" {
		return value
	}
	var kinds []string
	for backend := range strings.SplitSeq(value, ",") {
		kinds = append(kinds, strings.SplitN(backend, ":/", 2)[0])
	}
	return strings.Join(kinds, ",")
}

var began = time.Now()

// say tells how far the benchmark is, and since when it runs.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench-train: %4.0f s: "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
}
