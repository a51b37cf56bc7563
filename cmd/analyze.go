package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/metric/formula"
	"github.com/gradus-ml/gradus/metric/lookup"
	"github.com/gradus-ml/gradus/metric/program"
	"github.com/gradus-ml/gradus/table"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

// What --metric knows besides metric's own, and what a main of one's own registers.
func init() {
	for _, d := range []metric.Definition{formula.Definition(), lookup.Definition(), program.Definition(), train.LossDefinition()} {
		metric.Register(d)
	}
}

// analyzeFlags are the flags of analyze.
type analyzeFlags struct {
	corpus   []string
	dtype    string
	cut      corpus.Cut
	metrics  []string
	out      string
	memory   string
	from     string // index to go on from
	frozen   bool
	shard    string
	wait     time.Duration
	merge    bool
	parquet  string
	json     bool
	analyzer analyze.Options
}

func newAnalyze() *cobra.Command {
	var f analyzeFlags
	cmd := &cobra.Command{
		Use:   "analyze --corpus PREFIX (--window N | --documents) --out DIR",
		Short: "Measure how hard every sample of a corpus is",
		Long: `Analyze measures every sample of a corpus by metrics and makes an index: a
directory with each sample's values, all samples in order of each metric, and a
manifest that says what it was made of. The arrays are .npy files, which NumPy
maps too.

A corpus is the prefix of a .bin and .idx in Megatron's format, a .npy file of
tokens, or, with --dtype, a .bin of tokens alone. Several of them, or a quoted
glob, are one corpus, in order of their names.

A sample is a window of N+1 tokens of the concatenated documents (N inputs and
the N targets one place further), or one document.

The index is the same for any number of workers and any memory. It appears under
its name when it is complete. What a killed or interrupted analysis has done is
kept in DIR.partial: the same command goes on from there.

Many machines: --shard I/N does one part of N, on any machine that sees the
corpus and DIR, and --merge makes the index of them. A metric that needs
statistics of the whole corpus is scored only when all parts have gathered
theirs: run the parts again when they say so, or let them --wait.

A corpus that has grown at its end: --from OLD counts only what is new and copies
the values that follow from a sample alone; the new index is what an analysis of
everything gives. With --frozen the statistics stay the old ones too, and only
new samples are scored.

Metrics, as [NAME=]METRIC[:PARAMETERS]; NAME is what the index calls it:
` + describeMetrics() + `
Parameters: ` + describeParameters(),
		Example: `  gradus analyze --corpus data/gosrc --window 256 --out data/gosrc.index
  gradus analyze --corpus 'data/web-*' --documents --metric rarity --metric readability --out data/web.index
  gradus analyze --corpus data/gosrc --window 256 --metric 'srv=formula:length * 1e6 + rarity' --out data/srv.index
  gradus analyze --corpus data/web --window 2048 --out data/web.index --shard $SLURM_ARRAY_TASK_ID/64 --wait 1h
  gradus analyze --merge --out data/web.index`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.validate(cmd); err != nil {
				return err
			}
			if f.merge {
				return f.runMerge(cmd)
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.corpus, "corpus", nil, "name of the corpus, without ending; a quoted glob, or several times, for a corpus of several files")
	addDType(cmd, &f.dtype)
	flags.StringVar(&f.out, "out", "", "directory of the index")
	flags.IntVar(&f.cut.Window, "window", 0, "make every N tokens (and one more) a sample")
	flags.BoolVar(&f.cut.Documents, "documents", false, "make every document a sample")
	flags.StringArrayVar(&f.metrics, "metric", []string{"length", "rarity"}, "what to measure (may be repeated)")
	flags.BoolVar(&f.analyzer.Force, "force", false, "replace an existing index")
	flags.BoolVar(&f.analyzer.Restart, "restart", false, "throw away what an interrupted analysis has done")
	flags.IntVar(&f.analyzer.Workers, "workers", 0, "how many cores to use (default: all)")
	flags.StringVar(&f.memory, "memory", "1GiB", "about how much memory to use, beside what a metric itself needs")
	flags.DurationVar(&f.analyzer.Checkpoint, "checkpoint", 0, "how often what is done is made durable (default: each 2s, or less often where that takes long)")
	flags.StringVar(&f.from, "from", "", "index of the corpus before it grew, to go on from")
	flags.BoolVar(&f.frozen, "frozen", false, "with --from: keep its statistics, and score new samples only")
	flags.StringVar(&f.shard, "shard", "", "do part I of N, written I/N, the first being 0/N")
	flags.DurationVar(&f.wait, "wait", 0, "with --shard: how long to wait for the statistics of other parts")
	flags.BoolVar(&f.merge, "merge", false, "make the index of its parts")
	flags.StringVar(&f.parquet, "parquet", "", "also write the values as a Parquet table to this file")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func describeMetrics() string {
	var lines strings.Builder
	w := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	for _, m := range metric.Definitions() {
		fmt.Fprintf(w, "  %s\t%s\n", m.Usage(), m.Summary)
	}
	w.Flush()
	return lines.String()
}

func describeParameters() string {
	var lines strings.Builder
	w := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w)
	for _, m := range metric.Definitions() {
		for _, k := range m.Keys {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", m.Name, k.Name, k.Help)
		}
	}
	w.Flush()
	return strings.TrimSuffix(lines.String(), "\n")
}

// validate looks at the flags alone.
func (f *analyzeFlags) validate(cmd *cobra.Command) error {
	if err := needFlags(cmd, "out"); err != nil {
		return err
	}
	memory, err := parseBytes(f.memory)
	if err != nil || memory < leastMemory {
		return fault.Invalidf("--memory %s: an amount of at least 64MiB is needed, such as 512MiB or 8GiB", f.memory)
	}
	debug.SetMemoryLimit(memory) // garbage is then collected before it is reached
	f.analyzer.Memory = memory / 2
	changed := cmd.Flags().Changed
	switch {
	case f.analyzer.Checkpoint < 0:
		return fault.Invalidf("--checkpoint %v: it must be a time above 0", f.analyzer.Checkpoint)
	case f.merge && f.shard != "":
		return fault.Invalidf("--merge makes the index of parts that are done; it does not go with --shard")
	case f.wait != 0 && f.shard == "":
		return fault.Invalidf("--wait is for --shard")
	case f.shard != "" && f.parquet != "":
		return fault.Invalidf("--parquet is for the whole index: give it with --merge")
	case f.frozen && f.from == "":
		return fault.Invalidf("--frozen keeps the statistics of an older index; give it by --from")
	case f.merge && len(f.corpus) == 0:
		return nil // the parts say it
	}
	if err := needFlags(cmd, "corpus"); err != nil {
		return err
	}
	if changed("window") && f.cut.Window < 1 {
		return fault.Invalidf("--window %d: a window has at least 1 token", f.cut.Window)
	}
	if err := f.cut.Validate(); err != nil {
		return fault.Invalidf("%w (--window N or --documents); see '%s --help'", err, cmd.CommandPath())
	}
	return nil
}

const leastMemory = 64 << 20

// open opens the corpus and cuts it.
func (f *analyzeFlags) open() (*corpus.Samples, error) {
	c, err := openCorpus(f.dtype, f.corpus...)
	if err != nil {
		return nil, err
	}
	s, err := c.Samples(f.cut)
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// parse makes the metrics. "length,rarity" is two, as neither takes parameters.
func (f *analyzeFlags) parse() ([]metric.Metric, error) {
	var specs []string
	for _, text := range f.metrics {
		if strings.ContainsAny(text, ":=") {
			specs = append(specs, text)
		} else {
			specs = append(specs, strings.Split(text, ",")...)
		}
	}
	return metric.Definitions().Parse(specs...)
}

// job plans the analysis of samples that open opens. What it uses is open until
// done is called.
func (f *analyzeFlags) job(open func() (*corpus.Samples, error)) (job *analyze.Job, done func(), err error) {
	measured, err := f.parse()
	if err != nil {
		return nil, nil, err
	}
	samples, err := open()
	if err != nil {
		return nil, nil, err
	}
	closeOld := func() error { return nil }
	if job, err = analyze.NewJob(samples, measured); err == nil {
		closeOld, err = f.extend(job)
	}
	if err != nil {
		samples.Corpus().Close()
		return nil, nil, err
	}
	return job, func() { closeOld(); samples.Corpus().Close() }, nil
}

func (f *analyzeFlags) run(cmd *cobra.Command) error {
	job, done, err := f.job(f.open)
	if err != nil {
		return err
	}
	defer done()
	g := newGauge(cmd.ErrOrStderr())
	f.analyzer.Progress = analyzeProgress(g)
	if f.shard != "" {
		return f.runShard(cmd, job, g)
	}
	result, err := job.Run(cmd.Context(), f.out, f.analyzer)
	g.close()
	if err != nil {
		return goOn(err, f.out+".partial")
	}
	return f.finish(cmd, result, job.Samples())
}

// extend lets the job go on from the index --from, which is in use until done is
// called.
func (f *analyzeFlags) extend(job *analyze.Job) (done func() error, err error) {
	if f.from == "" {
		return func() error { return nil }, nil
	}
	old, err := index.Open(f.from)
	if err != nil {
		return nil, err
	}
	if err := job.Extend(old, f.frozen); err != nil {
		old.Close()
		return nil, err
	}
	f.analyzer.Force = f.analyzer.Force || filepath.Clean(f.from) == filepath.Clean(f.out)
	return old.Close, nil
}

// goOn tells who interrupts an analysis that nothing is lost.
func goOn(err error, kept string) error {
	if errors.Is(err, context.Canceled) {
		if _, err := os.Stat(kept); err != nil {
			return interrupted("interrupted before anything was worth keeping")
		}
		return interrupted(fmt.Sprintf("interrupted; what is done is kept in %s, and the same command goes on from there", kept))
	}
	return err
}

// finish does what comes after an index is in place.
func (f *analyzeFlags) finish(cmd *cobra.Command, r analyze.Result, samples *corpus.Samples) error {
	if f.parquet != "" {
		if err := f.writeTable(cmd.Context(), r.Index, samples); err != nil {
			return fmt.Errorf("the index %s is made, but its table is not: %w", r.Index, err)
		}
	}
	view := analysisView{Result: r, PeakMemory: peakMemory()}
	if f.json {
		return printJSON(cmd.OutOrStdout(), view)
	}
	return printAnalysis(cmd.OutOrStdout(), view)
}

// writeTable writes the values as a Parquet table.
func (f *analyzeFlags) writeTable(ctx context.Context, dir string, samples *corpus.Samples) error {
	x, err := index.Open(dir)
	if err != nil {
		return err
	}
	defer x.Close()
	_, err = table.Write(ctx, x, f.parquet, table.Options{Samples: samples, Force: f.analyzer.Force})
	return err
}

// analysisView is what analyze prints.
type analysisView struct {
	analyze.Result
	// PeakMemory is the largest resident set of the process, in bytes; 0 where
	// the system does not tell.
	PeakMemory int64 `json:"peak_memory_bytes"`
}
