package experiment

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/gradus-ml/gradus/recipe"
)

// A Cell is one run of a study.
type Cell struct {
	Name   string // of its directory: "composed-50-11" is the arm composed at 50 % with seed 11
	Arm    string
	Budget float64 // as a share of the budget of the arm's recipe: 0.5
	Seed   uint64
	Recipe *recipe.Recipe // whole, with budget, seed and name set
}

// Cells returns the runs that the study asks for, in the order in which they are
// made: seed by seed, the baseline and the primary comparison first. All their
// recipes are read and checked; errors name the line of the study or of the recipe
// that is to be changed.
//
// A cell's recipe is its arm's with its budget scaled. All cells hold out the same
// text: that which the baseline's recipe holds out with its own seed.
func (s *Study) Cells() ([]Cell, error) {
	b, err := s.builder()
	if err != nil {
		return nil, err
	}
	var cells []Cell
	for _, arm := range s.inOrder() {
		for _, budget := range arm.Budgets {
			for _, seed := range arm.Seeds {
				c, err := b.cell(arm, budget, seed)
				if err != nil {
					return nil, fmt.Errorf("arm %s at %s: %w", arm.Name, budget, err)
				}
				cells = append(cells, c)
			}
		}
	}
	if err := s.compare(cells); err != nil {
		return nil, err
	}
	var seeds []uint64 // in the order in which they come
	for _, c := range cells {
		if !slices.Contains(seeds, c.Seed) {
			seeds = append(seeds, c.Seed)
		}
	}
	slices.SortStableFunc(cells, func(a, b Cell) int { return slices.Index(seeds, a.Seed) - slices.Index(seeds, b.Seed) })
	return cells, nil
}

// inOrder returns the arms: the baseline, that of the primary comparison, the others.
func (s *Study) inOrder() []Arm {
	first := func(a Arm) int {
		switch {
		case a.Name == s.Baseline:
			return 0
		case s.Primary != nil && a.Name == s.Primary.Arm:
			return 1
		}
		return 2
	}
	arms := slices.Clone(s.Arms)
	slices.SortStableFunc(arms, func(a, b Arm) int { return first(a) - first(b) })
	return arms
}

// A builder makes the recipes of cells.
type builder struct {
	study   *Study
	files   map[string]*recipe.File
	heldOut uint64 // seed of the choice of held-out text
}

// builder returns one that knows what the baseline holds out.
func (s *Study) builder() (*builder, error) {
	b := &builder{study: s, files: map[string]*recipe.File{}}
	base, err := b.merged(*s.arm(s.Baseline), "")
	if err != nil {
		return nil, err
	}
	baseline, err := base.Recipe()
	if err != nil {
		return nil, fmt.Errorf("arm %s: %w", s.Baseline, err)
	}
	b.heldOut = baseline.Seed
	if e := baseline.Evaluate.Seed; e != nil {
		b.heldOut = *e
	}
	return b, nil
}

// merged returns the recipe of an arm at a budget, before that is scaled; an empty
// budget: without the patches at one.
func (b *builder) merged(arm Arm, budget string) (f *recipe.File, err error) {
	if arm.Like != "" {
		f, err = b.merged(*b.study.arm(arm.Like), budget)
	} else {
		f, err = b.load(arm)
	}
	if err != nil {
		return nil, err
	}
	patches := []recipe.Patch{arm.With}
	if want, err := share(budget); err == nil {
		for at, patch := range arm.At {
			if have, err := share(at); err == nil && have == want {
				patches = append(patches, patch)
			}
		}
	}
	return f.Merge(patches...)
}

// load returns the file that an arm starts from.
func (b *builder) load(arm Arm) (*recipe.File, error) {
	name, at := b.study.Recipe, "recipe"
	if arm.Recipe != "" {
		name = arm.Recipe
		at = fmt.Sprintf("arms[%d].recipe", slices.IndexFunc(b.study.Arms, func(a Arm) bool { return a.Name == arm.Name }))
	}
	path := name
	if beside := filepath.Join(filepath.Dir(b.study.Path()), name); !filepath.IsAbs(name) {
		if _, err := os.Stat(beside); err == nil {
			path = beside
		}
	}
	if f := b.files[path]; f != nil {
		return f, nil
	}
	f, err := recipe.LoadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.study.file.Place(at), err)
	}
	b.files[path] = f
	return f, nil
}

// cell returns one run.
func (b *builder) cell(arm Arm, budget string, seed uint64) (Cell, error) {
	share, err := share(budget)
	if err != nil {
		return Cell{}, err
	}
	f, err := b.merged(arm, budget)
	if err != nil {
		return Cell{}, err
	}
	whole, err := f.Recipe()
	if err != nil {
		return Cell{}, err
	}
	name := fmt.Sprintf("%s-%s-%d", arm.Name, percentage(share), seed)
	text := fmt.Sprintf("name: %s\nseed: %d\n", name, seed)
	if e := whole.Evaluate; e.Corpus == nil && e.Seed == nil {
		text += fmt.Sprintf("evaluate: {seed: %d}\n", b.heldOut)
	}
	unit := "tokens"
	if whole.Budget.Steps != 0 {
		unit = "steps"
	}
	text += fmt.Sprintf("budget: {%s: %.0f}\n", unit, math.Max(math.Round(whole.BudgetTotal()*share), 1))
	own, err := recipe.ParsePatch(fmt.Sprintf("%s (%s)", b.study.Path(), name), []byte(text))
	if err != nil {
		return Cell{}, err
	}
	if f, err = f.Merge(own); err != nil {
		return Cell{}, err
	}
	r, err := f.Recipe()
	if err != nil {
		return Cell{}, err
	}
	return Cell{Name: name, Arm: arm.Name, Budget: share, Seed: seed, Recipe: r}, nil
}

// compare holds that the cells can be compared: that no two are the same run, and
// that all are evaluated on the same text in the same way.
func (s *Study) compare(cells []Cell) error {
	type run struct {
		hash, texts string
	}
	first := map[run]Cell{}
	base := evaluationOf(cells[0].Recipe) // the baseline's
	for _, c := range cells {
		at := fmt.Sprintf("arms[%d]", slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == c.Arm }))
		if c.Recipe.External() {
			return s.file.Errorf(at, "its model is external: a trainer of one's own takes the batches, and gradus cannot run it")
		}
		id := run{c.Recipe.Hash(), fmt.Sprint(textsOf(c.Recipe))}
		if other, ok := first[id]; ok {
			return s.file.Errorf(at, "%s is the same run as %s: what the arm changes has no effect there", c.Name, other.Name)
		}
		first[id] = c
		for i, part := range evaluationOf(c.Recipe) {
			if was := base[i]; !reflect.DeepEqual(part, was) {
				return s.file.Errorf(at, "its held-out loss does not compare with the baseline's: %s is %v there and %v here", part.name, was.value, part.value)
			}
		}
	}
	return nil
}

// A setting is something of a recipe, with its name.
type setting struct {
	name  string
	value any
}

// evaluationOf returns what the held-out loss of a recipe depends on besides the
// weights.
func evaluationOf(r *recipe.Recipe) []setting {
	heldOut := r.Seed
	if r.Evaluate.Seed != nil {
		heldOut = *r.Evaluate.Seed
	}
	var share any
	var chosen any = "evaluate.corpus"
	text := r.Evaluate.Corpus
	if text == nil {
		text, share, chosen = textsOf(r), r.Evaluate.HeldOut.Of(1), heldOut
	}
	return []setting{
		{"the kind of model", r.Model.Kind}, {"the length of a sample", r.Window()},
		{"the text", text.String()}, {"evaluate.held_out", share}, {"the seed of the choice of held-out text", chosen},
		{"evaluate.tokens", r.Evaluate.Tokens}, {"masking", maskingOf(r)},
	}
}

// maskingOf writes a recipe's masking.
func maskingOf(r *recipe.Recipe) string {
	text, err := json.Marshal(r.Masking)
	if err != nil { // plain values only
		panic(fmt.Sprintf("experiment: %v", err))
	}
	return string(text)
}

// textsOf returns the names of a recipe's corpora.
func textsOf(r *recipe.Recipe) recipe.Names {
	names := slices.Clone(r.Corpus)
	for _, source := range r.Sources {
		names = append(names, source.Corpus...)
	}
	return names
}
