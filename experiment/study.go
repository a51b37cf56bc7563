// Package experiment runs studies: a baseline and other recipes, over budgets and
// seeds, as one strict YAML file says.
//
// Load reads a study; its Cells are the runs that it asks for, each with a whole
// recipe. Run makes those that are missing, goes on with those that were cut off,
// and leaves alone what is done, so that a study may be stopped at any moment and
// started again.
package experiment

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/saving"
	"github.com/gradus-ml/gradus/train"
)

// A Study is what its file says. Shares of a budget are percentages, such as "50%".
type Study struct {
	Name       string   `yaml:"name,omitempty"`       // the file's name, if not given
	Question   string   `yaml:"question,omitempty"`   // that the study answers, in a sentence
	Notes      string   `yaml:"notes,omitempty"`      // for the reader of the page
	Recipe     string   `yaml:"recipe,omitempty"`     // what every arm starts from, beside the study or from the working directory
	Backend    string   `yaml:"backend,omitempty"`    // as train.OpenBackend has it; go, if not given
	Precision  string   `yaml:"precision,omitempty"`  // of matrix products; the backend's, if not given
	Seeds      []uint64 `yaml:"seeds"`                // runs of one seed are paired
	Budgets    []string `yaml:"budgets,omitempty"`    // of arms that name none of their own; 100%, if not given
	Baseline   string   `yaml:"baseline"`             // an arm's name
	Primary    *Primary `yaml:"primary,omitempty"`    // the comparison that was fixed before the runs
	Confidence float64  `yaml:"confidence,omitempty"` // of intervals; 0.95, if not given
	Arms       []Arm    `yaml:"arms"`

	file *recipe.File
}

// A Primary is the comparison that a study is for.
type Primary struct {
	Arm    string   `yaml:"arm"`
	Budget string   `yaml:"budget,omitempty"` // of the arm's runs; 100%, if not given
	Clocks []string `yaml:"clocks,omitempty"` // on which the saving is claimed; seconds and tokens, if not given
	Aim    float64  `yaml:"aim,omitempty"`    // 2: half as much; that, if not given
}

// An Arm is one recipe of a study: the study's, another one, or another arm's, with
// patches over it.
type Arm struct {
	Name    string                  `yaml:"name"`
	Says    string                  `yaml:"says,omitempty"`    // what it changes, in a sentence
	Recipe  string                  `yaml:"recipe,omitempty"`  // a recipe of its own
	Like    string                  `yaml:"like,omitempty"`    // the arm whose recipe it starts from, patches at a budget included
	Control string                  `yaml:"control,omitempty"` // the arm whose gain it helps to attribute
	Budgets []string                `yaml:"budgets,omitempty"`
	Seeds   []uint64                `yaml:"seeds,omitempty"`
	With    recipe.Patch            `yaml:"with,omitempty"` // at every budget
	At      map[string]recipe.Patch `yaml:"at,omitempty"`   // at one, over With
}

// Load reads a study and checks what can be without its recipes. Errors are of kind
// fault.Invalid, with the line.
func Load(path string) (*Study, error) {
	f, err := recipe.LoadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(f)
}

// Parse is Load on the text of a study.
func Parse(path string, text []byte) (*Study, error) {
	f, err := recipe.ParseFile(path, text)
	if err != nil {
		return nil, err
	}
	return parse(f)
}

func parse(f *recipe.File) (*Study, error) {
	s := &Study{file: f}
	if err := f.Decode(s); err != nil {
		return nil, err
	}
	s.fill()
	for _, check := range []func() error{s.checkSelf, s.checkArms, s.checkPrimary} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Path returns the study's file.
func (s *Study) Path() string { return s.file.Path() }

func (s *Study) fill() {
	if s.Name == "" {
		base := filepath.Base(s.Path())
		s.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if s.Backend == "" {
		s.Backend = "go"
	}
	if len(s.Budgets) == 0 {
		s.Budgets = []string{"100%"}
	}
	for i := range s.Arms {
		a := &s.Arms[i]
		if len(a.Budgets) == 0 {
			a.Budgets = s.Budgets
		}
		if len(a.Seeds) == 0 {
			a.Seeds = s.Seeds
		}
	}
	if p := s.Primary; p != nil {
		if p.Budget == "" {
			p.Budget = "100%"
		}
		if len(p.Clocks) == 0 {
			p.Clocks = []string{"seconds", "tokens"}
		}
		if p.Aim == 0 {
			p.Aim = 2
		}
	}
}

func (s *Study) checkSelf() error {
	switch {
	case len(s.Arms) == 0:
		return s.file.Errorf("arms", "there are none; name at least a baseline and what is compared with it")
	case len(s.Seeds) == 0:
		return s.file.Errorf("seeds", "there are none; give at least three, such as seeds: [11, 12, 13]")
	case s.Confidence != 0 && !(s.Confidence > 0.5 && s.Confidence < 1):
		return s.file.Errorf("confidence", "it is %v; give a share above 0.5 and below 1, such as 0.95", s.Confidence)
	}
	if err := new(train.Config).Compute(s.Backend, s.Precision); err != nil {
		return s.file.Errorf("backend", "%s", err)
	}
	if err := s.checkSeeds("seeds", s.Seeds); err != nil {
		return err
	}
	return s.checkBudgets("budgets", s.Budgets)
}

// armName is what an arm may be called: it becomes part of a directory's name.
var armName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._]*(-[A-Za-z0-9._]+)*$`)

func (s *Study) checkArms() error {
	for i, a := range s.Arms {
		at := fmt.Sprintf("arms[%d]", i)
		switch first := slices.IndexFunc(s.Arms, func(b Arm) bool { return strings.EqualFold(a.Name, b.Name) }); {
		case a.Name == "":
			return s.file.Errorf(at, "it has no name")
		case !armName.MatchString(a.Name) || len(a.Name) > 60:
			return s.file.Errorf(at+".name", "%q cannot name a directory everywhere; take letters, digits, and - . _ between them", a.Name)
		case first != i:
			return s.file.Errorf(at+".name", "there are two arms called %s", a.Name)
		case a.Recipe != "" && a.Like != "":
			return s.file.Errorf(at+".like", "it has a recipe of its own too; give one of recipe and like")
		case a.Recipe == "" && a.Like == "" && s.Recipe == "":
			return s.file.Errorf(at, "it starts from nothing; give the study a recipe, or the arm one of recipe and like")
		}
		if err := s.knownArm(at+".like", a.Like); err != nil {
			return err
		}
		if err := s.knownArm(at+".control", a.Control); err != nil {
			return err
		}
		if a.Control != "" && (a.Control == a.Name || a.Control == s.Baseline || a.Name == s.Baseline) {
			return s.file.Errorf(at+".control", "%s is no control of %s; a control is of another arm, and neither is the baseline", a.Name, a.Control)
		}
		if err := s.checkSeeds(at+".seeds", a.Seeds); err != nil {
			return err
		}
		if err := s.checkBudgets(at+".budgets", a.Budgets); err != nil {
			return err
		}
		if err := s.checkLikes(at, a); err != nil {
			return err
		}
	}
	for i, a := range s.Arms { // each of which starts from one that is there
		if err := s.checkAt(fmt.Sprintf("arms[%d].at", i), a); err != nil {
			return err
		}
	}
	if s.Baseline == "" {
		return s.file.Errorf("baseline", "it is not given; name the arm that the others are compared with")
	}
	return s.knownArm("baseline", s.Baseline)
}

// checkAt reports patches of an arm at budgets that nobody would see: two at one, and
// one at a budget that neither the arm has nor one that starts from it.
func (s *Study) checkAt(at string, a Arm) error {
	runs := map[float64]bool{}
	for _, b := range s.Arms {
		if !s.startsFrom(b, a.Name) {
			continue
		}
		for _, budget := range b.Budgets {
			if v, err := share(budget); err == nil { // others are reported where they stand
				runs[v] = true
			}
		}
	}
	seen := map[float64]string{}
	for _, budget := range slices.Sorted(maps.Keys(a.At)) {
		v, err := share(budget)
		switch first, twice := seen[v]; {
		case err != nil:
			return s.file.Errorf(at, "%s", err)
		case twice:
			return s.file.Errorf(at, "%s and %s are one budget; put both patches into one", first, budget)
		case !runs[v]:
			return s.file.Errorf(at, "%s has no run at %s, only at %s", a.Name, budget, strings.Join(a.Budgets, ", "))
		}
		seen[v] = budget
	}
	return nil
}

// startsFrom reports whether an arm is the one of a name, or is like it.
func (s *Study) startsFrom(a Arm, name string) bool {
	for a.Name != name && a.Like != "" {
		a = *s.arm(a.Like)
	}
	return a.Name == name
}

// checkLikes reports an arm that starts from itself.
func (s *Study) checkLikes(at string, a Arm) error {
	for b, n := a, 0; b.Like != ""; n++ {
		if n > len(s.Arms) {
			return s.file.Errorf(at+".like", "it starts from itself, by way of %s", a.Like)
		}
		next := s.arm(b.Like)
		if next == nil {
			return nil // reported where it stands
		}
		b = *next
	}
	return nil
}

func (s *Study) checkPrimary() error {
	p := s.Primary
	if p == nil {
		return nil
	}
	if p.Arm == "" {
		return s.file.Errorf("primary", "it names no arm")
	}
	if err := s.knownArm("primary.arm", p.Arm); err != nil {
		return err
	}
	budget, err := share(p.Budget)
	if err != nil {
		return s.file.Errorf("primary.budget", "%s", err)
	}
	arm := s.arm(p.Arm)
	has := func(b string) bool { v, err := share(b); return err == nil && v == budget }
	switch {
	case p.Arm == s.Baseline:
		return s.file.Errorf("primary.arm", "it is the baseline, which cannot be compared with itself")
	case !slices.ContainsFunc(arm.Budgets, has):
		return s.file.Errorf("primary.budget", "%s has no run at %s, only at %s", p.Arm, p.Budget, strings.Join(arm.Budgets, ", "))
	case !(p.Aim > 1) || math.IsInf(p.Aim, 1):
		return s.file.Errorf("primary.aim", "it is %v; it is how many times less the arm is to need, so give more than 1, such as 2", p.Aim)
	}
	for i, c := range p.Clocks {
		if !slices.Contains(saving.Clocks(), c) {
			nearest, _ := spell.Nearest(c, saving.Clocks())
			return s.file.Errorf(fmt.Sprintf("primary.clocks[%d]", i), "unknown clock %q; did you mean %s? There are %s", c, nearest, strings.Join(saving.Clocks(), ", "))
		}
	}
	return nil
}

// arm returns the arm of a name, or nil.
func (s *Study) arm(name string) *Arm {
	if i := slices.IndexFunc(s.Arms, func(a Arm) bool { return a.Name == name }); i >= 0 {
		return &s.Arms[i]
	}
	return nil
}

// knownArm reports a name that no arm has; the empty one is left alone.
func (s *Study) knownArm(at, name string) error {
	if name == "" || s.arm(name) != nil {
		return nil
	}
	var names []string
	for _, a := range s.Arms {
		names = append(names, a.Name)
	}
	nearest, _ := spell.Nearest(name, names)
	return s.file.Errorf(at, "there is no arm %q; did you mean %s?", name, nearest)
}

func (s *Study) checkSeeds(at string, seeds []uint64) error {
	for i, seed := range seeds {
		if slices.Index(seeds, seed) < i {
			return s.file.Errorf(fmt.Sprintf("%s[%d]", at, i), "seed %d stands there twice; each run counts once", seed)
		}
	}
	return nil
}

func (s *Study) checkBudgets(at string, budgets []string) error {
	seen := map[float64]bool{}
	for i, b := range budgets {
		v, err := share(b)
		at := fmt.Sprintf("%s[%d]", at, i)
		if err != nil {
			return s.file.Errorf(at, "%s", err)
		}
		if seen[v] {
			return s.file.Errorf(at, "the budget %s stands there twice", b)
		}
		seen[v] = true
	}
	return nil
}

// share returns a percentage as a share of 1.
func share(percentage string) (float64, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(percentage), "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(v > 0 && v <= 100_000) {
		return 0, fault.Invalidf("%q is no share of the budget; write a percentage above 0, such as 50%%", percentage)
	}
	return v / 100, nil
}

// percentage writes a share of 1 as a number of per cent, without the sign.
func percentage(share float64) string {
	return strconv.FormatFloat(math.Round(share*100*1e9)/1e9, 'f', -1, 64)
}
