package experiment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/words"
	"github.com/gradus-ml/gradus/saving"
)

// Compare says what the runs that are over saved, and how sure that is.
func (s *Study) Compare(o Outcome) (saving.Result, error) {
	study := saving.Study{
		Name: s.Name, Question: s.Question, Notes: s.Notes, Baseline: s.Baseline,
		Confidence: s.Confidence, Expected: len(o.Cells), Timed: timed(o.Cells),
	}
	baseline := s.arm(s.Baseline)
	arms := append([]Arm{*baseline}, slices.DeleteFunc(slices.Clone(s.Arms), func(a Arm) bool { return a.Name == s.Baseline })...)
	for _, a := range arms {
		study.Arms = append(study.Arms, saving.Arm{Name: a.Name, Says: a.Says, Control: a.Control})
	}
	if p := s.Primary; p != nil {
		budget, err := share(p.Budget)
		if err != nil {
			return saving.Result{}, err
		}
		study.Primary = &saving.Primary{Arm: p.Arm, Budget: budget, Clocks: p.Clocks, Aim: p.Aim}
	}
	for _, c := range o.Cells {
		if c.Log == nil && c.Failed == "" {
			continue // missing
		}
		run := saving.Run{Arm: c.Arm, Budget: c.Budget, Seed: c.Seed, Log: c.Log, Failed: c.Failed}
		if c.State == Diverged && c.Ran != nil && run.Failed == "" {
			run.Failed = c.Ran.Diverged
		}
		study.Runs = append(study.Runs, run)
	}
	r, err := saving.Compare(study)
	if err != nil {
		return r, err
	}
	r.Warnings = append(r.Warnings, o.Notes...)
	return r, nil
}

// timed says how the runs were made that were timed.
func timed(cells []Status) string {
	var ways []string
	for _, c := range cells {
		if c.Ran == nil || !c.Over() {
			continue
		}
		way := fmt.Sprintf("one at a time on %d cores", c.Ran.Cores)
		if c.Ran.Jobs > 1 {
			way = fmt.Sprintf("%d at once on %d cores each", c.Ran.Jobs, c.Ran.Cores)
		}
		way = strings.Replace(way, " 1 cores", " 1 core", 1)
		if c.Ran.Otherwise {
			way += ", in part otherwise"
		}
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	switch len(ways) {
	case 0:
		return ""
	case 1:
		return "Runs were made " + ways[0] + "."
	}
	slices.Sort(ways)
	return "Runs were made in different ways, so that not all of their times compare: " + words.List(ways) + "."
}
