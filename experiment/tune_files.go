package experiment

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/recipe"
)

// What lies in the directory of a tuning.
const (
	ProbeDir  = "probes"     // a run directory for each probe, named by its recipe's hash
	TunedFile = "tuned.yaml" // the recipe, or the study, with what was found
)

// WriteTuned writes what a tuning came to into its directory: the tuned file,
// tune.json and tune.md. command is what repeats it.
func WriteTuned(dir string, t Tuned, command string) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{TunedFile, t.Text}, {"tune.json", append(text, '\n')}, {"tune.md", []byte(t.markdown(command))}} {
		err := atomicfile.Write(filepath.Join(dir, f.name), func(w io.Writer) error {
			_, err := w.Write(f.text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// markdown writes the findings and every probe.
func (t Tuned) markdown(command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Tuning of %s\n\n", t.Name)
	rows := [][]string{{"what", "found", "before", "note"}}
	for _, f := range t.Findings {
		rows = append(rows, []string{label(f.Arm, f.Budget, f.At), plainly(f.After), plainly(f.Before), f.Note})
	}
	words.Table(&b, rows, 4)
	s := t.Settings
	b.WriteString("\n")
	if s.First != "" {
		fmt.Fprintf(&b, "A start or a pace was probed by the first %s of the run, evaluated %d times. It is steady if the held-out perplexity never rises\n"+
			"above %v times its best so far; bisection takes for granted that a larger start, or a shorter pace, is no less steady.\n", s.First, s.Evaluations, s.Fluctuation)
	}
	if s.Budget != "" {
		fmt.Fprintf(&b, "A rate was probed by whole runs at %s of the budget, at most %d rates for a search. Of those within %v nats of the lowest loss\n"+
			"(or within the standard error of the paired difference, with several seeds), the smallest was taken.\n", s.Budget, s.Probes, s.Tolerance)
	}
	fmt.Fprintf(&b, "Seeds: %d, from %d on. Backend: %s. Again: `%s`\n\n## Every probe\n\n", s.Seeds, s.Seed, s.Backend, command)
	rows = [][]string{{"what", "value", "seed", "verdict", "worst rise", "held-out loss", "steps", "tokens", "FLOPs", "time", "run"}}
	for _, p := range t.Probes {
		row := []string{label(p.Arm, p.Budget, p.At), plainly(p.Value), strconv.FormatUint(p.Seed, 10), p.Verdict, "", "", "", "", "", "", p.Run}
		if p.Same {
			row[3] += ", the same steps as another"
		}
		if p.Worst > 0 {
			row[4] = fmt.Sprintf("%.3f", p.Worst)
		}
		if p.HeldOut > 0 {
			row[5] = fmt.Sprintf("%.4f", p.HeldOut)
		}
		if p.Verdict != ProbeRefused {
			row[6], row[7] = words.Whole(float64(p.Steps)), words.ClockNamed("tokens").Format(float64(p.Tokens))
			row[8], row[9] = words.ClockNamed("flops").Format(p.FLOPs), words.Duration(p.Seconds)
		}
		rows = append(rows, row)
	}
	words.Table(&b, rows, 4)
	return b.String()
}

// label names what a row of a table is about.
func label(arm, budget, at string) string {
	for _, part := range []string{budget, arm} {
		if part != "" {
			at = part + " " + at
		}
	}
	return at
}

// plainly writes a value as a recipe does.
func plainly(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// movedTo returns the text of a recipe that is to lie at another place: the files that
// are found beside it are named from there.
func movedTo(r *recipe.Recipe, to string) ([]byte, error) {
	m := mover{from: filepath.Dir(r.Path()), to: filepath.Dir(to)}
	m.names(r.Corpus, "corpus")
	m.name(r.Index, "index")
	for i, s := range r.Sources {
		m.names(s.Corpus, "sources", i, "corpus")
		m.name(s.Index, "sources", i, "index")
	}
	m.names(r.Evaluate.Corpus, "evaluate", "corpus")
	m.name(r.Model.From, "model", "from")
	return recipe.Apply(r.Path(), r.Text(), m.edits...)
}

// movedTo returns the text of a study that is to lie at another place.
func (s *Study) movedTo(text []byte, to string) ([]byte, error) {
	m := mover{from: filepath.Dir(s.Path()), to: filepath.Dir(to)}
	m.name(s.Recipe, "recipe")
	for i, a := range s.Arms {
		m.name(a.Recipe, "arms", i, "recipe")
	}
	return recipe.Apply(s.Path(), text, m.edits...)
}

// A mover finds the edits that names need when their file moves.
type mover struct {
	from, to string // directories
	edits    []recipe.Edit
}

func (m *mover) names(names recipe.Names, path ...any) {
	if len(names) == 1 {
		m.name(names[0], path...)
		return
	}
	for i, name := range names {
		m.name(name, append(path[:len(path):len(path)], i)...)
	}
}

// name notes a name that is found beside the file, and stands there for one file or
// for the prefix of several. Others are looked for from the working directory, and
// stay.
func (m *mover) name(name string, path ...any) {
	if name == "" || filepath.IsAbs(name) || filepath.Clean(m.from) == filepath.Clean(m.to) {
		return
	}
	beside := filepath.Join(m.from, name)
	if _, err := os.Stat(beside); err != nil {
		found, err := filepath.Glob(beside + "*")
		if err != nil || len(found) == 0 {
			return
		}
	}
	from, err := filepath.Abs(beside)
	if err != nil {
		return
	}
	to, err := filepath.Abs(m.to)
	if err != nil {
		return
	}
	if moved, err := filepath.Rel(to, from); err == nil {
		m.edits = append(m.edits, recipe.Edit{Path: path, Value: filepath.ToSlash(moved)})
	}
}
