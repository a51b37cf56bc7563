package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/saving"
	"github.com/spf13/cobra"
)

// A comparing is one call of the verb compare.
type comparing struct {
	study, out, backend, precision string
	only                           []string
	jobs                           int
	keep, pack, dry, asJSON        bool
	part                           string // the one run to make, for another process that runs the study

	stdout, stderr io.Writer
}

func newCompare() *cobra.Command {
	var c comparing
	cmd := &cobra.Command{
		Use:   "compare STUDY --out DIR",
		Short: "Run recipes against a baseline, over budgets and seeds: what was saved, and how sure that is",
		Long: `Compare runs a study: a baseline and other recipes (arms), at several budgets and
with several seeds. It makes the runs that are missing, goes on with those that were
cut off, leaves alone what is done, and then says what each arm saved: what the
baseline needs to reach the arm's final held-out loss, divided by what the arm
needed, on every clock, with an interval.

Each run is an ordinary run directory, DIR/runs/ARM-BUDGET-SEED. Its checkpoints go
when it is done, unless --keep-weights. Ctrl-C saves the runs under way; the same
command goes on. Where all is done, it only writes the results again, and needs
neither corpora nor indexes.

With --jobs N, N runs are made at once, each on its share of the cores. Times compare
only between runs that were made in the same way.

What comes of it lies in DIR: study.html, one page; study.json; study.md, the table,
which is printed too.`,
		Example: `  gradus compare studies/small.yaml --out studies/small --dry-run
  gradus compare studies/small.yaml --out studies/small --jobs 2
  gradus compare studies/small.yaml --out studies/small --only 'baseline-*'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "out"); err != nil {
				return err
			}
			c.study, c.stdout, c.stderr = args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()
			if c.part != "" {
				return c.makePart(cmd.Context(), cmd.InOrStdin())
			}
			return c.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.out, "out", "", "directory of the study")
	f.StringVar(&c.backend, "backend", "", "what computes, in place of what the study says: go, onnx, xla:cpu or xla:cuda")
	f.StringVar(&c.precision, "precision", "", "of matrix products, in place of what the study says: float32 or bfloat16")
	f.IntVar(&c.jobs, "jobs", 1, "how many runs are made at once, each on its share of the cores")
	f.StringSliceVar(&c.only, "only", nil, "make only the runs whose names match, such as 'baseline-*' or '*-11'")
	f.BoolVar(&c.keep, "keep-weights", false, "keep the checkpoints of runs that are done")
	f.BoolVar(&c.pack, "pack", false, "compress the logs of runs that are done ("+runlog.FileName+runlog.PackedSuffix+")")
	f.BoolVar(&c.dry, "dry-run", false, "say what is done, what is missing and what that will cost, and stop")
	f.BoolVar(&c.asJSON, "json", false, "print as JSON")
	f.StringVar(&c.part, "part", "", "")
	f.MarkHidden("part")
	return cmd
}

// load reads the study, with the flags over what it says.
func (c *comparing) load() (*experiment.Study, error) {
	if c.jobs < 1 {
		return nil, fault.Invalidf("--jobs is %d; it must be at least 1", c.jobs)
	}
	s, err := experiment.Load(c.study)
	if err != nil {
		return nil, err
	}
	return s, s.On(c.backend, c.precision)
}

// makePart makes one run for a process that runs the study, until its input ends.
func (c *comparing) makePart(ctx context.Context, input io.Reader) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, input)
		cancel()
	}()
	o, err := experiment.Run(ctx, experiment.Config{
		Study: s, Out: c.out, Only: []string{c.part}, Jobs: c.jobs, KeepWeights: c.keep, Part: true, Train: c.trainHere(s, false),
	})
	if err != nil {
		return err
	}
	if failed := o.Failed(); len(failed) > 0 {
		return errors.New(failed[0].Failed)
	}
	return nil
}

func (c *comparing) run(ctx context.Context) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	if c.dry {
		return c.survey(ctx, s)
	}
	for _, path := range c.results() {
		if a, err := os.Stat(path); err == nil {
			if b, err := os.Stat(c.study); err == nil && os.SameFile(a, b) {
				return fault.Invalidf("%s is where the result of the study is to lie; give the study another name, or another --out", path)
			}
		}
	}
	progress := newStudyMeter(c.stderr)
	config := experiment.Config{
		Study: s, Out: c.out, Only: c.only, Jobs: c.jobs, KeepWeights: c.keep,
		Train: c.trainHere(s, true), Begins: progress.begins, Ends: progress.ends,
		Warn: func(text string) { fmt.Fprintf(c.stderr, "warning: %s\n", text) },
	}
	if c.jobs > 1 {
		config.Train, config.Elsewhere = children(c.jobs, c.partArguments), true
	}
	o, err := experiment.Run(ctx, config)
	progress.close()
	if errors.Is(err, context.Canceled) {
		return interrupted(fmt.Sprintf("interrupted; %d of %d runs are done, and those under way are saved; go on with: gradus %s",
			o.Over(), len(o.Cells), c.sameAgain()))
	}
	if err != nil {
		return err
	}
	if c.pack {
		if err := o.Pack(); err != nil {
			return err
		}
	}
	if err := c.write(ctx, s, o); err != nil {
		return err
	}
	return failures(o)
}

// failures is the error of a study of which runs failed now.
func failures(o experiment.Outcome) error {
	failed := o.Failed()
	if len(failed) == 0 {
		return nil
	}
	var text strings.Builder
	for _, f := range failed {
		fmt.Fprintf(&text, "\n  %s: %s", f.Name, f.Failed)
	}
	return fmt.Errorf("%d of %d runs failed; those that diverged stay so, and the same command tries the others again:%s", len(failed), len(o.Cells), text.String())
}

// results are the files that write writes: page, JSON and table.
func (c *comparing) results() []string {
	return []string{filepath.Join(c.out, "study.html"), filepath.Join(c.out, "study.json"), filepath.Join(c.out, "study.md")}
}

// write writes what came of the study, and prints it.
func (c *comparing) write(ctx context.Context, s *experiment.Study, o experiment.Outcome) error {
	if o.Over() == 0 && !c.asJSON {
		_, err := fmt.Fprintf(c.stdout, "no run is done yet\n")
		return err
	}
	result, err := s.Compare(o)
	if err != nil {
		return err
	}
	files := c.results()
	page := files[0]
	if err := saving.Write(ctx, saving.Output{
		Page: page, SVGDir: filepath.Join(c.out, "svg"), JSON: files[1], Table: files[2],
		Command: "gradus " + c.commandLine(),
	}, result); err != nil {
		return err
	}
	if c.asJSON {
		return result.JSON(c.stdout)
	}
	if err := result.Table(c.stdout); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "\npage: %s\n", page)
	return err
}

// trainHere returns what runs a cell in this process.
func (c *comparing) trainHere(s *experiment.Study, shown bool) func(context.Context, experiment.Cell, string) error {
	out := io.Discard
	if shown && isTerminal(c.stderr) {
		out = c.stderr
	}
	return func(ctx context.Context, cell experiment.Cell, dir string) error {
		_, err := trainRecipe(ctx, cell.Recipe, trainRun{dir: dir, resume: holdsRun(dir), backend: s.Backend, precision: s.Precision, locked: true, quiet: true}, out)
		return err
	}
}

// partArguments are the program's arguments for a child that makes one run.
func (c *comparing) partArguments(cell string) []string {
	args := []string{"compare", c.study, "--out", c.out, "--jobs", fmt.Sprint(c.jobs), "--part", cell}
	return append(args, c.computing()...)
}

// computing are the flags that a run depends on.
func (c *comparing) computing() []string {
	var args []string
	if c.backend != "" {
		args = append(args, "--backend", c.backend)
	}
	if c.precision != "" {
		args = append(args, "--precision", c.precision)
	}
	if c.keep {
		args = append(args, "--keep-weights")
	}
	return args
}

// commandLine spells the command that makes the whole study.
func (c *comparing) commandLine() string {
	args := append([]string{"compare", c.study, "--out", c.out}, c.computing()...)
	if c.jobs > 1 {
		args = append(args, "--jobs", fmt.Sprint(c.jobs))
	}
	for i, a := range args {
		args[i] = shellWord(a)
	}
	return strings.Join(args, " ")
}

// sameAgain spells the command that does what this one was asked to, and no more: with the
// flags that change no result, too.
func (c *comparing) sameAgain() string {
	line := c.commandLine()
	for _, pattern := range c.only {
		line += " --only " + shellWord(pattern)
	}
	if c.pack {
		line += " --pack"
	}
	if c.asJSON {
		line += " --json"
	}
	return line
}

// A studyMeter shows a study under way: a line for each run that is over, and on a
// terminal those that are under way.
type studyMeter struct {
	out      io.Writer
	terminal bool
	left     int // runs that are not over
	running  []string
	begun    map[string]time.Time
}

func newStudyMeter(out io.Writer) *studyMeter {
	return &studyMeter{out: out, terminal: isTerminal(out), begun: map[string]time.Time{}}
}

func (m *studyMeter) begins(s experiment.Status, left int) {
	m.left = left
	m.running = append(m.running, s.Name)
	m.begun[s.Name] = time.Now()
	m.show()
}

func (m *studyMeter) ends(s experiment.Status, left int) {
	m.left = left
	for i, name := range m.running {
		if name == s.Name {
			m.running = append(m.running[:i], m.running[i+1:]...)
			break
		}
	}
	m.close()
	fmt.Fprintf(m.out, "%s: %s; %d to go\n", s.Name, ended(s, time.Since(m.begun[s.Name])), left)
	m.show()
}

// show names the runs under way.
func (m *studyMeter) show() {
	if m.terminal && len(m.running) > 0 {
		fmt.Fprintf(m.out, "\r\x1b[K%d to go; under way: %s", m.left, strings.Join(m.running, ", "))
	}
}

func (m *studyMeter) close() {
	if m.terminal {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}

// ended says in a line how a run came out.
func ended(s experiment.Status, took time.Duration) string {
	if s.Failed != "" {
		return s.Failed
	}
	if s.Log == nil || len(s.Log.Steps) == 0 {
		return string(s.State)
	}
	last := s.Log.Steps[len(s.Log.Steps)-1]
	text := fmt.Sprintf("%s after %d steps and %s tokens in %s", s.State, last.Step, count(last.Tokens), took.Round(time.Second))
	if last.HeldOut != nil {
		text += fmt.Sprintf(", held-out loss %s %s", words.Loss(*last.HeldOut), words.Unit(s.Log.Run.Predicts))
	}
	return text
}
