package experiment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/train"
)

// A Config says how a study is run.
type Config struct {
	Study *Study
	Out   string   // directory of the study: its runs lie in runs/
	Only  []string // patterns of path.Match for names of cells; none: all
	Jobs  int      // runs at once; 0: 1

	KeepWeights bool // checkpoints stay when a run is done
	// Part: another process runs the study, and this one makes a run of it. The study's
	// directory is locked by that one, which has checked the recipes, too.
	Part bool

	// Train runs a cell in its directory, or goes on with it where a log lies there. The
	// directory is locked (internal/dirlock). It is called by Jobs goroutines at once.
	Train func(ctx context.Context, c Cell, dir string) error
	// Elsewhere: Train has the run made by a process of its own, whose Config has Part,
	// and which locks the directory and looks after it.
	Elsewhere bool
	// Begins and Ends are told of each run, and of how many are not over that this session
	// is to make; nil: nobody is. They are called one at a time.
	Begins, Ends func(s Status, left int)
	// Warn is told what is allowed in a recipe and perhaps not meant; nil: nobody is.
	Warn func(text string)
}

// An Outcome is how far a study is.
type Outcome struct {
	Cells []Status // all that the study asks for, in order
	Notes []string // on what the arms have not in common
}

// Over counts the runs that need no more work.
func (o Outcome) Over() int {
	n := 0
	for _, s := range o.Cells {
		if s.Over() {
			n++
		}
	}
	return n
}

// Failed returns the cells that failed in this session.
func (o Outcome) Failed() []Status {
	return slices.DeleteFunc(slices.Clone(o.Cells), func(s Status) bool { return s.Failed == "" })
}

// Survey says how far a study is and changes nothing. Corpora are not opened.
func Survey(s *Study, out string) (Outcome, error) {
	cells, err := s.Cells()
	if err != nil {
		return Outcome{}, err
	}
	return s.survey(cells, out)
}

func (s *Study) survey(cells []Cell, out string) (Outcome, error) {
	o := Outcome{Notes: notes(s, cells)}
	for _, c := range cells {
		status, err := s.status(c, out)
		if err != nil {
			return Outcome{}, err
		}
		o.Cells = append(o.Cells, status)
	}
	return o, sameTexts(o.Cells, nil)
}

// Run makes the runs of a study that are missing and goes on with those that were cut
// off. All recipes are checked before the first run starts. A run that fails or
// diverges is told in the outcome, and the others go on; where ctx is cancelled, runs
// under way save a checkpoint and the error is ctx's.
func Run(ctx context.Context, c Config) (Outcome, error) {
	if err := os.MkdirAll(filepath.Join(c.Out, runsDir), 0o777); err != nil {
		return Outcome{}, err
	}
	if !c.Part {
		lock, err := dirlock.Lock(c.Out)
		if err != nil {
			return Outcome{}, err
		}
		defer lock.Close()
	}
	cells, err := c.Study.Cells()
	if err != nil {
		return Outcome{}, err
	}
	wanted, err := c.wanted(cells)
	if err != nil {
		return Outcome{}, err
	}
	if c.Part { // the others are nothing to it
		cells = slices.DeleteFunc(cells, func(c Cell) bool { return !wanted[c.Name] })
	}
	o, err := c.Study.survey(cells, c.Out)
	if err != nil {
		return o, err
	}
	var todo []int
	for i, s := range o.Cells {
		if wanted[s.Name] && !s.Over() {
			todo = append(todo, i)
		}
	}
	if len(todo) > 0 && !c.Part {
		if err := c.check(ctx, o, todo); err != nil {
			return o, err
		}
	}
	for _, s := range o.Cells { // what a kill has left
		if s.State == Done && !c.Part {
			if err := tidy(ctx, s); err != nil {
				return o, err
			}
		}
	}
	return o, c.runAll(ctx, o.Cells, todo)
}

// Only leaves the cells whose names match one of some patterns, as those of Config.Only;
// none: all.
func (o *Outcome) Only(patterns []string) error {
	var cells []Cell
	for _, s := range o.Cells {
		cells = append(cells, s.Cell)
	}
	wanted, err := Config{Only: patterns}.wanted(cells)
	if err == nil {
		o.Cells = slices.DeleteFunc(o.Cells, func(s Status) bool { return !wanted[s.Name] })
	}
	return err
}

// wanted returns which cells Only names.
func (c Config) wanted(cells []Cell) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, cell := range cells {
		wanted[cell.Name] = len(c.Only) == 0
		for _, pattern := range c.Only {
			ok, err := path.Match(pattern, cell.Name)
			if err != nil {
				return nil, fault.Invalidf("--only %q: %w", pattern, err)
			}
			wanted[cell.Name] = wanted[cell.Name] || ok
		}
	}
	if !slices.Contains(slices.Collect(maps.Values(wanted)), true) {
		return nil, fault.Invalidf("--only %s matches none of the study's %d runs; they are called ARM-BUDGET-SEED, such as %s",
			strings.Join(c.Only, ", "), len(cells), cells[0].Name)
	}
	return wanted, nil
}

// runAll runs cells, Jobs at once.
func (c Config) runAll(ctx context.Context, cells []Status, todo []int) error {
	next := make(chan int)
	var telling sync.Mutex
	left := len(todo)
	tell := func(whom func(Status, int), s Status, over int) {
		telling.Lock()
		defer telling.Unlock()
		if left -= over; whom != nil {
			whom(s, left)
		}
	}
	var workers sync.WaitGroup
	for range max(c.Jobs, 1) {
		workers.Go(func() {
			for i := range next {
				tell(c.Begins, cells[i], 0)
				c.runOne(ctx, &cells[i])
				if ctx.Err() == nil {
					tell(c.Ends, cells[i], 1)
				}
			}
		})
	}
	for _, i := range todo {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// runOne makes one run, and finds out how it ended.
func (c Config) runOne(ctx context.Context, s *Status) {
	train := c.train
	if c.Elsewhere {
		train = func(ctx context.Context, s *Status) error { return c.Train(ctx, s.Cell, s.Dir) }
	}
	err := train(ctx, s)
	if again, readErr := c.Study.status(s.Cell, c.Out); readErr == nil {
		again.Cost = s.Cost
		*s = again
	} else if err == nil {
		err = readErr
	}
	if err == nil && !s.Over() {
		err = fmt.Errorf("it ended before its last step")
	}
	if err != nil && ctx.Err() == nil {
		s.Failed = err.Error()
	}
}

// train runs a cell and records how.
func (c Config) train(ctx context.Context, s *Status) error {
	if err := os.MkdirAll(s.Dir, 0o777); err != nil {
		return err
	}
	lock, err := lockRun(ctx, s.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	now, err := c.Study.status(s.Cell, c.Out) // another process may have just let go of it
	if err != nil || now.Over() {
		return err
	}
	if now.State == Missing { // a kill may have left half a beginning
		if err := empty(s.Dir); err != nil {
			return err
		}
	}
	ran := Ran{Jobs: max(c.Jobs, 1), Cores: runtime.GOMAXPROCS(0), KeepWeights: c.KeepWeights}
	if before := now.Ran; before != nil && now.State == Begun {
		ran.Otherwise = before.Otherwise || before.Jobs != ran.Jobs || before.Cores != ran.Cores
	}
	if err := ran.write(s.Dir); err != nil {
		return err
	}
	err = c.Train(ctx, s.Cell, s.Dir)
	var diverged *train.DivergedError
	switch {
	case errors.As(err, &diverged):
		ran.Diverged = diverged.Error()
		return errors.Join(err, ran.write(s.Dir))
	case err != nil || c.KeepWeights:
		return err
	}
	return removeWeights(s.Dir)
}

// lockRun locks a run's directory. It waits for a process that holds it: one of a study
// that was killed may still be saving its run.
func lockRun(ctx context.Context, dir string) (*os.File, error) {
	const patience = 2 * time.Minute
	for begin := time.Now(); ; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		lock, err := dirlock.Lock(dir)
		if err == nil || !errors.Is(err, fault.Invalid) || time.Since(begin) > patience {
			return lock, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// empty removes what lies in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// tidy removes the weights of a run that is done and was killed before it did so. A
// directory that no study has written is left alone.
func tidy(ctx context.Context, s Status) error {
	if s.Ran == nil || s.Ran.KeepWeights || !holdsWeights(s.Dir) {
		return nil
	}
	lock, err := lockRun(ctx, s.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	return removeWeights(s.Dir)
}

// weights are what a run leaves behind that a comparison does not read.
var weights = []string{"checkpoints", recipe.PlanDir}

func holdsWeights(dir string) bool {
	return slices.ContainsFunc(weights, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

func removeWeights(dir string) error {
	for _, name := range weights {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
