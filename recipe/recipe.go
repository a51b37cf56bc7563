// Package recipe reads recipes: one strict YAML (or JSON) file that says a whole
// run.
//
// Load gives a Recipe with every default filled in and every value checked on
// its own; Open binds it to its corpus and index and compiles the plan, which
// checks the values against each other. An unknown key is an error with its line
// and the nearest known key.
package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A Recipe is a run as the file says it. Amounts of time are counted on the
// budget's clock, or are shares of the budget ("40%").
type Recipe struct {
	Name       string     `yaml:"name,omitempty" json:"name,omitempty"`   // what reports call the run; the file's name if empty
	Corpus     string     `yaml:"corpus" json:"corpus"`                   // prefix of .bin and .idx, another file, or a glob of them
	DType      string     `yaml:"dtype,omitempty" json:"dtype,omitempty"` // how tokens are stored (corpus.Form), where the files do not tell
	Index      string     `yaml:"index,omitempty" json:"index,omitempty"`
	Seed       uint64     `yaml:"seed" json:"seed"`
	Sample     Sample     `yaml:"sample" json:"sample"`
	Batch      Batch      `yaml:"batch" json:"batch"`
	Budget     Budget     `yaml:"budget" json:"budget"`
	Curriculum []Metric   `yaml:"curriculum,omitempty" json:"curriculum,omitempty"`
	Routing    *Routing   `yaml:"routing,omitempty" json:"routing,omitempty"`
	Shapes     int        `yaml:"shapes,omitempty" json:"shapes,omitempty"` // most distinct batch shapes; 0: 16
	Model      Model      `yaml:"model" json:"model"`
	Optimizer  Optimizer  `yaml:"optimizer" json:"optimizer"`
	Evaluate   Evaluate   `yaml:"evaluate,omitempty" json:"evaluate"`
	Checkpoint Checkpoint `yaml:"checkpoint,omitempty" json:"checkpoint"`

	path string
	text []byte
	tree *ast.File // for the lines of messages
}

// Sample says what a sample is: a window of so many tokens, or a document cut
// off after Length tokens.
type Sample struct {
	Window    int  `yaml:"window,omitempty" json:"window,omitempty"`
	Documents bool `yaml:"documents,omitempty" json:"documents,omitempty"`
	Length    int  `yaml:"length,omitempty" json:"length,omitempty"`
}

// Batch is the size of a step.
type Batch struct {
	Size int `yaml:"size" json:"size"` // samples, over all ranks
}

// Budget is how long the run goes on, and the clock that everything follows.
// Exactly one of Steps and Tokens is set.
type Budget struct {
	Steps  float64 `yaml:"steps,omitempty" json:"steps,omitempty"`
	Tokens float64 `yaml:"tokens,omitempty" json:"tokens,omitempty"`
	Clock  string  `yaml:"clock,omitempty" json:"clock,omitempty"` // steps, tokens or layer-tokens
}

// Metric paces one metric: it admits samples, or, for length with Apply, shapes
// the batch.
type Metric struct {
	Metric string `yaml:"metric" json:"metric"`
	By     string `yaml:"by,omitempty" json:"by,omitempty"`       // value or percentile
	Apply  string `yaml:"apply,omitempty" json:"apply,omitempty"` // truncate or reshape
	Pace   Pace   `yaml:"pace" json:"pace"`
}

// Pace is a pace of package pace by its kind: linear, root or steps.
type Pace struct {
	Kind   string    `yaml:"kind" json:"kind"`
	Degree float64   `yaml:"degree,omitempty" json:"degree,omitempty"` // of root; 2 if not given
	From   float64   `yaml:"from,omitempty" json:"from,omitempty"`
	To     float64   `yaml:"to,omitempty" json:"to,omitempty"`
	Step   *float64  `yaml:"step,omitempty" json:"step,omitempty"` // 1 if not given
	Until  *Amounts  `yaml:"until,omitempty" json:"until,omitempty"`
	Values []float64 `yaml:"values,omitempty" json:"values,omitempty"` // of steps
}

// Routing is which tokens the middle layers see.
type Routing struct {
	Policy string `yaml:"policy" json:"policy"` // random-ltd or none
	Layers Layers `yaml:"layers,omitempty" json:"layers,omitempty"`
	Keep   Pace   `yaml:"keep" json:"keep"`
}

// Model is the network.
type Model struct {
	Kind       string `yaml:"kind" json:"kind"`                                 // gpt
	Vocabulary int    `yaml:"vocabulary,omitempty" json:"vocabulary,omitempty"` // the corpus's if not given
	Layers     int    `yaml:"layers" json:"layers"`
	Width      int    `yaml:"width" json:"width"`
	Heads      int    `yaml:"heads" json:"heads"`
	Positions  string `yaml:"positions,omitempty" json:"positions,omitempty"` // learned
	Head       string `yaml:"head,omitempty" json:"head,omitempty"`           // tied or untied
}

// Optimizer is AdamW and the learning rate's schedule.
type Optimizer struct {
	Kind        string    `yaml:"kind,omitempty" json:"kind,omitempty"`         // adamw
	Rate        float64   `yaml:"rate" json:"rate"`                             // at the peak
	MinRate     *float64  `yaml:"min_rate,omitempty" json:"min_rate,omitempty"` // at the end; a tenth of the rate if not given
	Warmup      *Amount   `yaml:"warmup,omitempty" json:"warmup,omitempty"`     // 2% if not given
	Decay       string    `yaml:"decay,omitempty" json:"decay,omitempty"`       // cosine, linear or constant
	Betas       []float64 `yaml:"betas,omitempty" json:"betas,omitempty"`
	Epsilon     float64   `yaml:"epsilon,omitempty" json:"epsilon,omitempty"`
	WeightDecay *float64  `yaml:"weight_decay,omitempty" json:"weight_decay,omitempty"` // 0.1 if not given
	Clip        *float64  `yaml:"clip,omitempty" json:"clip,omitempty"`                 // 1 if not given; 0: none
}

// Evaluate is when and on what the held-out loss is taken.
type Evaluate struct {
	Every   *Amount `yaml:"every,omitempty" json:"every,omitempty"`       // 5% if not given
	HeldOut *Amount `yaml:"held_out,omitempty" json:"held_out,omitempty"` // share of the corpus, whole documents; 2% if not given
	Corpus  string  `yaml:"corpus,omitempty" json:"corpus,omitempty"`     // a corpus of its own instead
	Tokens  int64   `yaml:"tokens,omitempty" json:"tokens,omitempty"`     // at most so many of them; 0: all
}

// Checkpoint is when the run is saved, besides its end.
type Checkpoint struct {
	Every *Amount `yaml:"every,omitempty" json:"every,omitempty"` // 10% if not given
	Keep  int     `yaml:"keep,omitempty" json:"keep,omitempty"`   // newest ones that stay; 2 if not given
}

// Load reads a recipe.
func Load(path string) (*Recipe, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse is Load on the text of a recipe; relative paths in it are looked for
// beside path, then in the working directory.
func Parse(path string, text []byte) (*Recipe, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlError(path, err)
	}
	r := &Recipe{path: path, text: text, tree: tree}
	if n := len(tree.Docs); n > 1 {
		return nil, fault.Invalidf("%s: it holds %d documents; a recipe is one", path, n)
	} else if n == 0 || tree.Docs[0].Body == nil {
		return nil, fault.Invalidf("%s: it is empty; a recipe needs at least corpus, sample, batch, budget, model and optimizer", path)
	}
	if err := checkKeys(path, tree.Docs[0].Body); err != nil {
		return nil, err
	}
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(r); err != nil {
		return nil, yamlError(path, err)
	}
	r.fill()
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// fill sets what the file leaves open.
func (r *Recipe) fill() {
	if r.Name == "" {
		base := filepath.Base(r.path)
		r.Name = base[:len(base)-len(filepath.Ext(base))]
	}
	set(&r.Model.Positions, "learned")
	set(&r.Model.Head, "tied")
	set(&r.Optimizer.Kind, "adamw")
	set(&r.Optimizer.Decay, "cosine")
	set(&r.Optimizer.Epsilon, 1e-8)
	setTo(&r.Optimizer.MinRate, r.Optimizer.Rate/10)
	setTo(&r.Optimizer.Warmup, Amount{2, true})
	setTo(&r.Optimizer.WeightDecay, 0.1)
	setTo(&r.Optimizer.Clip, 1)
	if r.Optimizer.Betas == nil {
		r.Optimizer.Betas = []float64{0.9, 0.95}
	}
	setTo(&r.Evaluate.Every, Amount{5, true})
	if r.Evaluate.Corpus == "" {
		setTo(&r.Evaluate.HeldOut, Amount{2, true})
	}
	setTo(&r.Checkpoint.Every, Amount{10, true})
	set(&r.Checkpoint.Keep, 2)
	if r.Budget.Clock == "" {
		r.Budget.Clock = "tokens"
		if r.Budget.Steps != 0 {
			r.Budget.Clock = "steps"
		}
	}
	for i := range r.Curriculum {
		m := &r.Curriculum[i]
		if m.Apply == "" {
			set(&m.By, "percentile")
		}
		m.Pace.fill()
	}
	if r.Routing != nil {
		set(&r.Routing.Policy, "random-ltd")
		r.Routing.Keep.fill()
	}
}

func (p *Pace) fill() {
	if p.Kind == "root" {
		set(&p.Degree, 2)
	}
	if p.Kind != "steps" {
		setTo(&p.Step, 1)
	}
}

func set[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

func setTo[T any](to **T, value T) {
	if *to == nil {
		*to = &value
	}
}

// Hash names everything in the recipe that the run depends on: all of it but its
// name and where its files lie (their contents have fingerprints of their own).
func (r *Recipe) Hash() string {
	c := *r
	c.Name, c.Corpus, c.Index, c.Evaluate.Corpus = "", "", "", ""
	text, err := json.Marshal(c)
	if err != nil { // plain values only
		panic(fmt.Sprintf("recipe: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Path returns the file that the recipe was read from.
func (r *Recipe) Path() string { return r.path }

// find returns where a file named in the recipe lies: beside the recipe, or else
// as the name says. exists tells whether something is there.
func (r *Recipe) find(name string, exists func(string) bool) string {
	if filepath.IsAbs(name) {
		return name
	}
	if beside := filepath.Join(filepath.Dir(r.path), name); exists(beside) {
		return beside
	}
	return name
}

// Text returns the file as it was read.
func (r *Recipe) Text() []byte { return r.text }
