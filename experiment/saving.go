package experiment

import (
	"fmt"
	"slices"

	"github.com/gradus-ml/gradus/saving"
)

// Compare says what the runs that are over saved, and how sure that is.
func (s *Study) Compare(o Outcome) (saving.Result, error) {
	study := saving.Study{
		Name: s.Name, Question: s.Question, Notes: s.Notes, Baseline: s.Baseline,
		Confidence: s.Confidence, Expected: len(o.Cells),
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
	r.Warnings = append(append(r.Warnings, o.Notes...), machines(o.Cells)...)
	return r, nil
}

// machines says so where runs were made in ways that make their times unlike.
func machines(cells []Status) []string {
	var kinds []string
	for _, c := range cells {
		if c.Ran == nil || !c.Over() {
			continue
		}
		kind := fmt.Sprintf("%d at once on %d cores each", c.Ran.Jobs, c.Ran.Cores)
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) < 2 {
		return nil
	}
	text := "Times do not compare between all runs, which were made in different ways: "
	for i, k := range kinds {
		if i > 0 {
			text += "; "
		}
		text += k
	}
	return []string{text + "."}
}
