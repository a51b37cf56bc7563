// Command curriculum measures plans and samplers, for evidence/curriculum.
//
// Its nouns: a contender is something that is measured, always a process of its
// own that answers requests; a round asks every contender once, so that a ratio
// compares neighbours in time; a Spread is the least, the median and the
// greatest of several rounds. The original is DeepSpeed's data sampler, or where
// there is none the same steps in NumPy.
//
// The metrics are generated from a seed and written as an index, like those of
// gradus analyze; all contenders read its files.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/bench/measure"
)

// options of the benchmark; the flags say what they are.
type options struct {
	dir, out      string
	indexes       string // directory of the indexes
	python        string
	numpy         bool
	parts         string
	seed          uint64
	runs          int
	originalRuns  int
	large, keep   bool
	samples       sizes // of drawing
	stages        sizes
	units         int // ids of a batch
	steps         int // of the whole plan that is drawn from
	round         int // steps drawn in a round
	originalRound int
	calls         int   // of random steps in a round
	changeSamples sizes // of changes of difficulty
	changeStages  int   // of one metric; of two a tenth
	compile       int64 // samples of the plan that is compiled
	compileStages int
	computed      bool // a metric that is computed instead of an index
}

// sizes is a list of whole numbers as a flag.
type sizes []int64

func (s *sizes) String() string {
	text := make([]string, len(*s))
	for i, n := range *s {
		text[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(text, ",")
}

func (s *sizes) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || n < 1 || n != float64(int64(n)) {
			return fmt.Errorf("%q is not a whole number above 0", part)
		}
		*s = append(*s, int64(n))
	}
	return nil
}

// defaults are the options of make bench-curriculum.
func defaults() options {
	return options{
		dir: filepath.Join("bin", "curriculum"), out: filepath.Join("evidence", "curriculum"), python: "python3",
		parts: "drawing,changes,compile,packing", seed: 1, runs: 5, originalRuns: 3,
		samples: sizes{1e7, 1e8}, stages: sizes{100, 1000}, units: 512, steps: 1_000_000,
		round: 8192, originalRound: 512, calls: 4000, changeSamples: sizes{1e6, 1e7}, changeStages: 100, compile: 1e8, compileStages: 100,
	}
}

// enlarged turns the defaults into what -large measures.
func (o options) enlarged() options {
	o.parts, o.samples, o.computed = "drawing", sizes{1e9}, true
	return o
}

// The commands of the contenders in Go.
var contenders = map[string]func([]string) error{"plan": runPlan, "bare": runBare}

func main() {
	if len(os.Args) > 1 && contenders[os.Args[1]] != nil {
		exit(contenders[os.Args[1]](os.Args[2:]))
	}
	o := defaults()
	if slices.ContainsFunc(os.Args[1:], func(a string) bool { return strings.TrimLeft(a, "-") == "large" }) {
		o = o.enlarged()
	}
	flag.StringVar(&o.dir, "dir", o.dir, "directory for indexes and temporary files")
	flag.StringVar(&o.out, "out", o.out, "directory of the results")
	flag.StringVar(&o.python, "python", o.python, "Python to look for DeepSpeed in, or else NumPy")
	flag.BoolVar(&o.numpy, "numpy", o.numpy, "the original's steps in NumPy, even where DeepSpeed is")
	flag.StringVar(&o.parts, "parts", o.parts, "what to measure")
	flag.Uint64Var(&o.seed, "seed", o.seed, "of the metrics and the plans")
	flag.IntVar(&o.runs, "runs", o.runs, "rounds, an odd number")
	flag.IntVar(&o.originalRuns, "original-runs", o.originalRuns, "rounds in which the original takes part, an odd number, at most -runs")
	flag.BoolVar(&o.large, "large", o.large, "measure 1,000,000,000 samples, into files of their own")
	flag.BoolVar(&o.keep, "keep", o.keep, "keep the indexes for the next run: 3.6 GB")
	flag.Var(&o.samples, "samples", "numbers of samples to draw from, separated by commas")
	flag.Var(&o.stages, "stages", "numbers of stages, separated by commas")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-curriculum:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures all parts and writes the results.
func run(ctx context.Context, o options) (err error) {
	if o.runs < 1 || o.runs%2 == 0 || o.originalRuns < 1 || o.originalRuns%2 == 0 || o.originalRuns > o.runs {
		return errors.New("-runs and -original-runs must be odd, so that a median is a run, and the original's not the more")
	}
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	// Everything lies in a directory of this run, which goes with it; but indexes
	// that are to be kept.
	o.indexes = o.dir
	if o.dir, err = os.MkdirTemp(o.dir, "run-"); err != nil {
		return err
	}
	work := o.dir
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if !o.keep {
		o.indexes = work
	}
	r := Report{Command: measure.Command("bench-curriculum", nil, "dir", "out", "python", "keep"), Machine: measure.Here(), Revision: measure.Revision(), Seed: o.seed, Load: [2]float64{measure.Load(), 0}}
	found, why, err := findOriginal(ctx, o)
	if err != nil {
		return err
	}
	r.NoOriginal = why
	if found != nil {
		r.Original = found.name
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, options, *original, *Report) error
	}{{"drawing", measureDrawing}, {"changes", measureChanges}, {"compile", measureCompile}, {"packing", measurePacking}} {
		if !slices.Contains(strings.Split(o.parts, ","), part.name) {
			continue
		}
		say("measuring %s", part.name)
		if err := part.run(ctx, o, found, &r); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	r.Load[1] = measure.Load()
	return r.write(o.out, o.large)
}

var began = time.Now()

// say tells how far the benchmark is, and since when it runs.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench-curriculum: %4.0f s: "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
}

// decode reads the JSON that a contender has printed.
func decode[T any](data []byte, from string) (value T, err error) {
	if err = json.Unmarshal(data, &value); err != nil {
		err = fmt.Errorf("answer of %s: %w", from, err)
	}
	return value, err
}
