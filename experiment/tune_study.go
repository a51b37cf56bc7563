package experiment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
)

// TuneStudy finds the learning rate of arms of a study at some of its budgets, each
// with the same number of probes, and puts it into the study as a patch of that arm
// at that budget. No arms: all; no budgets: that of the Tuning. The seeds of the
// probes should not be the study's own, or its runs are those that chose the rates.
func TuneStudy(ctx context.Context, s *Study, arms, budgets []string, t Tuning) (Tuned, error) {
	if err := t.Check(); err != nil {
		return Tuned{}, err
	}
	if !slices.Equal(t.What, []string{TuneRate}) {
		return Tuned{}, fault.Invalidf("%s is a study, of which only the %s can be tuned; tune the paces of a recipe before", s.Path(), TuneRate)
	}
	if len(budgets) == 0 {
		budgets = []string{t.Budget.String()}
	}
	w := newTuner(t, s.Name)
	w.result.Settings.Budget = strings.Join(budgets, ", ")
	if _, err := s.Cells(); err != nil { // all its recipes are sound
		return Tuned{}, err
	}
	tasks, without, err := s.rateTasks(arms, budgets, t.Seed)
	if err != nil {
		return Tuned{}, err
	}
	for _, why := range without {
		w.say("left out: %s", why)
	}
	for _, task := range tasks {
		if err := w.addWhole(ctx, task.recipe, 1, w.Probes*w.Seeds); err != nil {
			return Tuned{}, err
		}
	}
	w.sayMost()
	text := s.file.Text()
	for _, task := range tasks {
		w.say("%s at %s of its budget", task.arm, task.budget)
		found, err := w.searchRate(ctx, task.recipe, task.rateTask)
		if err != nil {
			return w.result, fmt.Errorf("arm %s at %s: %w", task.arm, task.budget, err)
		}
		edits := found.edits
		if len(edits) == 0 && s.arm(task.arm).Like != "" { // or it would take over what the other arm gets
			if edits, err = keptRate(task.recipe); err != nil {
				return w.result, err
			}
		}
		for _, e := range edits {
			e.Path = append(s.patchPath(task.arm, task.budget), e.Path...)
			if text, err = recipe.Apply(s.Path(), text, e); err != nil {
				return w.result, err
			}
		}
	}
	if w.result.Text, err = s.movedTo(text, filepath.Join(t.Out, TunedFile)); err != nil {
		return w.result, err
	}
	_, err = Parse(filepath.Join(t.Out, TunedFile), w.result.Text)
	return w.result, err
}

// IsStudy reports whether a file is a study and no recipe: whether it has arms.
func IsStudy(path string) (bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var top struct{ Arms any }
	return yaml.Unmarshal(text, &top) == nil && top.Arms != nil, nil // what cannot be read is reported by whoever reads it
}

// FreshSeed returns a seed that no run of the study has, nor any greater one: the runs
// of a study should not be those that its rates were chosen by.
func (s *Study) FreshSeed() uint64 {
	most := uint64(0)
	for _, a := range s.Arms {
		most = max(most, slices.Max(a.Seeds))
	}
	return most + 1
}

// A studyTask is the search for the rate of an arm at a budget.
type studyTask struct {
	rateTask
	recipe *recipe.Recipe
}

// rateTasks returns the searches that arms and budgets ask for, and why some of them
// are left out: no run of the study would have what they find.
func (s *Study) rateTasks(arms, budgets []string, seed uint64) (tasks []studyTask, without []string, err error) {
	for _, name := range arms {
		if err := s.knownArm("arms", name); err != nil {
			return nil, nil, err
		}
	}
	b, err := s.builder()
	if err != nil {
		return nil, nil, err
	}
	for _, arm := range s.inOrder() {
		if len(arms) > 0 && !slices.Contains(arms, arm.Name) {
			continue
		}
		for _, budget := range budgets {
			want, err := share(budget)
			if err != nil {
				return nil, nil, err
			}
			if !slices.ContainsFunc(arm.Budgets, func(b string) bool { v, err := share(b); return err == nil && v == want }) {
				without = append(without, fmt.Sprintf("%s has no run at %s, only at %s", arm.Name, budget, strings.Join(arm.Budgets, ", ")))
				continue
			}
			c, err := b.cell(arm, budget, seed)
			if err != nil {
				return nil, nil, fmt.Errorf("arm %s at %s: %w", arm.Name, budget, err)
			}
			tasks = append(tasks, studyTask{rateTask{arm.Name, budget, 1, true}, c.Recipe})
		}
	}
	if len(tasks) == 0 {
		return nil, nil, fault.Invalidf("%s: no rate that is found would be used: %s; give --budget one of those", s.Path(), strings.Join(without, "; "))
	}
	return tasks, without, nil
}

// patchPath returns where the patch of an arm at a budget stands, or should.
func (s *Study) patchPath(name, budget string) []any {
	i := slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == name })
	want, _ := share(budget)
	for key := range s.Arms[i].At {
		if have, err := share(key); err == nil && have == want {
			return []any{"arms", i, "at", key}
		}
	}
	return []any{"arms", i, "at", percentage(want) + "%"}
}
