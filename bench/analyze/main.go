// Command analyze measures gradus analyze, for evidence/analyze.
//
// Its nouns: a program is the gradus under test, always run as a process of its
// own; the bare loop is the same work without an analyzer around it; a Spread is
// the least, the median and the greatest of several runs. Everything is measured
// in one run on one machine, over one corpus of Go's own source, in rounds: each
// round runs every contender once, so that a ratio compares neighbours in time.
//
// It makes what it needs below its directory: the corpus, its eightfold, and for
// slow metrics its beginning. The results are a page and the same as JSON.
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
	"runtime"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/bench/measure"
)

// options of the benchmark; the flags say what they are.
type options struct {
	program         string
	dir, out        string
	inputs          string
	python          string
	parts           string
	runs            int
	deepspeedRuns   int
	deepspeedTokens int64
	sliceTokens     int64
	memory          string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		exit(runBare(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "copy" {
		exit(runCopy(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.program, "gradus", "./gradus", "program to measure")
	flag.StringVar(&o.dir, "dir", filepath.Join("bin", "analyze"), "directory for the corpus and the indexes")
	flag.StringVar(&o.out, "out", filepath.Join("evidence", "analyze"), "directory of the results")
	flag.StringVar(&o.inputs, "inputs", "", "text to measure on, separated by commas (default: src, test and api of Go's own tree)")
	flag.StringVar(&o.python, "python", "python3", "Python to look for DeepSpeed in")
	flag.StringVar(&o.parts, "parts", "rarity,metrics,memory", "what to measure")
	flag.IntVar(&o.runs, "runs", 7, "runs of each contender, an odd number")
	flag.IntVar(&o.deepspeedRuns, "deepspeed-runs", 3, "runs of DeepSpeed, an odd number, at most -runs")
	flag.Int64Var(&o.deepspeedTokens, "deepspeed-tokens", 0, "how much of the corpus DeepSpeed is given (default: all)")
	flag.Int64Var(&o.sliceTokens, "slice-tokens", 8_000_000, "how much of the corpus slow metrics are given")
	flag.StringVar(&o.memory, "memory", "64MiB", "--memory of the analysis whose peak is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-analyze:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) error {
	if o.runs < 1 || o.runs%2 == 0 || o.deepspeedRuns < 1 || o.deepspeedRuns%2 == 0 || o.deepspeedRuns > o.runs {
		return errors.New("-runs and -deepspeed-runs must be odd, so that a median is a run, and DeepSpeed's not the more")
	}
	if err := os.MkdirAll(o.dir, 0o777); err != nil {
		return err
	}
	p := &program{path: o.program, workers: runtime.NumCPU()}
	if err := p.look(ctx); err != nil {
		return err
	}
	c, err := prepareCorpus(ctx, p, o)
	if err != nil {
		return err
	}
	r := Report{Command: measure.Command("bench-analyze", nil, "gradus", "dir", "out", "python", "inputs"), Machine: measure.Here(), Revision: measure.Revision(), Corpus: c}
	for _, part := range []struct {
		name string
		run  func(context.Context, *program, options, *Report) error
	}{{"rarity", measureRarity}, {"metrics", measureMetrics}, {"memory", measureMemory}} {
		if !slices.Contains(strings.Split(o.parts, ","), part.name) {
			continue
		}
		say("measuring %s", part.name)
		if err := part.run(ctx, p, o, &r); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return r.write(o.out)
}

// say tells how far the benchmark is.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench-analyze: "+format+"\n", args...) }

// decode reads the JSON that a child process has printed.
func decode[T any](data []byte, from string) (value T, err error) {
	if err = json.Unmarshal(data, &value); err != nil {
		err = fmt.Errorf("output of %s: %w", from, err)
	}
	return value, err
}
