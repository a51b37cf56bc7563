package experiment

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// State is how far a cell is.
type State string

const (
	Missing  State = "missing"  // it has not begun
	Begun    State = "begun"    // it was cut off, and goes on
	Done     State = "done"     // it ran to its end
	Diverged State = "diverged" // its loss is no number, or rose too far; it is not run again
)

// A Status is a cell and what lies in its directory.
type Status struct {
	Cell
	Dir    string
	State  State
	Log    *runlog.Log // nil: Missing
	Ran    *Ran        // nil: not known
	Failed string      // why the run ended early, if it failed in this session
	Cost   *Cost       // of the whole run; nil: not asked for
}

// Over reports whether the run needs no more work.
func (s Status) Over() bool { return s.State == Done || s.State == Diverged }

// RanName is the file in a run's directory that says how the run was made.
const RanName = "ran.json"

// Ran says how a run of a study was made: what its times depend on, and how it ended.
type Ran struct {
	Version     int    `json:"version"`
	Jobs        int    `json:"jobs"`                   // runs at once
	Cores       int    `json:"cores"`                  // that this one had
	Otherwise   bool   `json:"otherwise,omitempty"`    // a part of it was made with other numbers of these
	KeepWeights bool   `json:"keep_weights,omitempty"` // its checkpoints stay
	Diverged    string `json:"diverged,omitempty"`     // how its loss came to be no number
}

const ranVersion = 1

// runsDir is where a study's runs lie.
const runsDir = "runs"

// Dir returns the directory of a cell's run, in that of a study.
func (c Cell) Dir(out string) string { return filepath.Join(out, runsDir, c.Name) }

// status reads what lies in a cell's directory. A run of another recipe or backend is
// fault.Mismatch.
func (s *Study) status(c Cell, out string) (Status, error) {
	st := Status{Cell: c, Dir: c.Dir(out), State: Missing}
	log, err := runlog.Read(filepath.Join(st.Dir, runlog.FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	if err := s.belongs(c, st.Dir, log.Run); err != nil {
		return st, err
	}
	st.Log, st.State = log, Begun
	if st.Ran, err = readRan(st.Dir); err != nil {
		return st, err
	}
	switch n := int64(len(log.Steps)); {
	case st.Ran != nil && st.Ran.Diverged != "" || ranAway(log):
		st.State = Diverged
	case n == log.Run.Steps:
		st.State = Done
	}
	return st, nil
}

// belongs reports a run that is not the cell's.
func (s *Study) belongs(c Cell, dir string, was runlog.Run) error {
	const way = "move the run away to make it anew, or give another --out"
	var now train.Config
	if err := now.Compute(s.Backend, s.Precision); err != nil {
		return err
	}
	switch hash := c.Recipe.Hash(); {
	case was.Recipe != hash:
		return fault.Mismatchf("%s was made by another recipe (%s; %s in %s is %s now); %s", dir, was.Recipe, c.Name, s.Path(), hash, way)
	case was.Seed != c.Seed:
		return fault.Mismatchf("%s has seed %d, and the study asks for %d; %s", dir, was.Seed, c.Seed, way)
	case was.Backend != now.Run.Backend:
		return fault.Mismatchf("%s was made on the backend %s, and the study asks for %s; give that with --backend, or %s", dir, was.Backend, now.Run.Backend, way)
	case was.Precision != now.Run.Precision:
		return fault.Mismatchf("%s was made in %s, and the study asks for %s; %s", dir, precisionName(was.Precision), precisionName(now.Run.Precision), way)
	}
	return nil
}

func precisionName(p string) string {
	if p == "" {
		return "float32"
	}
	return p
}

// ranAway reports a log whose last losses are no numbers.
func ranAway(log *runlog.Log) bool {
	if len(log.Steps) == 0 {
		return false
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	last := log.Steps[len(log.Steps)-1]
	return !finite(last.Loss) || !finite(last.GradNorm) || last.HeldOut != nil && !finite(*last.HeldOut)
}

func readRan(dir string) (*Ran, error) {
	name := filepath.Join(dir, RanName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Ran
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fault.Corruptf("%s: %w; remove it, and nothing is lost but how the run was made", name, err)
	}
	if r.Version != ranVersion {
		return nil, fault.Mismatchf("%s has version %d; this program reads version %d", name, r.Version, ranVersion)
	}
	return &r, nil
}

func (r Ran) write(dir string) error {
	r.Version = ranVersion
	return atomicfile.Write(filepath.Join(dir, RanName), func(w io.Writer) error {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", text)
		return err
	})
}
