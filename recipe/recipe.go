// Package recipe reads recipes: one strict YAML (or JSON) file that says a whole
// run.
//
// Load gives a Recipe with every default filled in and every value checked on
// its own; Open binds it to its corpora and indexes and compiles the plan, which
// checks the values against each other. An unknown key is an error with its line
// and the nearest known key. Schema describes recipes to editors.
package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/train"
)

// A Recipe is a run as the file says it. Amounts of time are counted on the
// budget's clock, or are shares of the budget ("40%").
//
// The tags of this type and of those below it are what Schema and the checks of
// words read: a key whose yaml tag lacks omitempty must be there, help says what
// it is, values lists the words it may be, least is the smallest number.
type Recipe struct {
	Name       string     `yaml:"name,omitempty" json:"name,omitempty" help:"what reports call the run; the file's name if not given"`
	Corpus     Names      `yaml:"corpus,omitempty" json:"corpus,omitempty" help:"prefix of .bin and .idx, another file of tokens, a pattern of them, or a list of such names"`
	DType      string     `yaml:"dtype,omitempty" json:"dtype,omitempty" values:"{forms}" help:"how tokens are stored, where the files do not tell"`
	Index      string     `yaml:"index,omitempty" json:"index,omitempty" help:"directory that 'gradus analyze' wrote for the corpus"`
	Sources    []Source   `yaml:"sources,omitempty" json:"sources,omitempty" help:"several corpora to mix, instead of corpus, dtype and index"`
	Seed       uint64     `yaml:"seed,omitempty" json:"seed" help:"of every draw of the run"`
	Version    int        `yaml:"version,omitempty" json:"version" help:"of the order of samples; the current one if not given"`
	Compat     string     `yaml:"compat,omitempty" json:"compat,omitempty" values:"deepspeed" help:"deepspeed: the layer-tokens of each row are rounded down, and paces round down even below 'from'"`
	Sample     Sample     `yaml:"sample" json:"sample" help:"what a sample is, and what one row of a batch holds"`
	Batch      Batch      `yaml:"batch" json:"batch" help:"size of a step, over all ranks"`
	Budget     Budget     `yaml:"budget" json:"budget" help:"when the run ends, and the clock that everything follows"`
	Curriculum []Metric   `yaml:"curriculum,omitempty" json:"curriculum,omitempty" help:"metrics with their paces; a sample must be admitted by all"`
	Control    string     `yaml:"control,omitempty" json:"control,omitempty" values:"reverse|random" help:"compare the curriculum with pools of the same sizes: the hardest samples first, or any"`
	Masking    *Masking   `yaml:"masking,omitempty" json:"masking,omitempty" help:"which tokens a model of kind bert has to tell from the rest"`
	Augment    *Augment   `yaml:"augment,omitempty" json:"augment,omitempty" help:"how images are changed each time that they come; evaluations have them as they are"`
	Routing    *Routing   `yaml:"routing,omitempty" json:"routing,omitempty" help:"which tokens the middle layers see"`
	Shapes     int        `yaml:"shapes,omitempty" json:"shapes,omitempty" least:"1" help:"most distinct batch shapes; 16 if not given"`
	Model      Model      `yaml:"model" json:"model" help:"the network"`
	Optimizer  *Optimizer `yaml:"optimizer,omitempty" json:"optimizer,omitempty" help:"AdamW and its learning rate; a model of kind external needs none"`
	Evaluate   Evaluate   `yaml:"evaluate,omitempty" json:"evaluate" help:"when and on what the held-out loss is taken"`
	Checkpoint Checkpoint `yaml:"checkpoint,omitempty" json:"checkpoint" help:"when the run is saved, besides its end"`
	Stop       *Stop      `yaml:"stop,omitempty" json:"stop,omitempty" help:"when the run ends before its budget does"`

	path  string        // beside which files are looked for
	file  *File         // what it was read from
	image *corpus.Image // of the sources, once they are open; nil: text

	weights *train.Weights // of Model.From; nil: none
}

// Source is one corpus of a mixture.
type Source struct {
	Name   string `yaml:"name" json:"name,omitempty" help:"what messages and reports call it; each has its own"`
	Corpus Names  `yaml:"corpus,omitempty" json:"corpus,omitempty" help:"prefix of .bin and .idx, another file of tokens, a pattern of them, or a list of such names"`
	DType  string `yaml:"dtype,omitempty" json:"dtype,omitempty" values:"{forms}" help:"how tokens are stored, where the files do not tell"`
	Index  string `yaml:"index,omitempty" json:"index,omitempty" help:"directory that 'gradus analyze' wrote for the corpus"`
	Weight *Pace  `yaml:"weight,omitempty" json:"weight,omitempty" help:"share of the rows, in proportion to the other weights; 1 if not given"`
}

// Sample says what a sample is: a window of so many tokens, a document, or an
// image; and how documents are arranged in rows of at most Length tokens (package arrange).
type Sample struct {
	Window    int    `yaml:"window,omitempty" json:"window,omitempty" least:"1" help:"tokens of a sample, cut from the concatenated documents"`
	Documents bool   `yaml:"documents,omitempty" json:"documents,omitempty" help:"every document is a sample"`
	Images    bool   `yaml:"images,omitempty" json:"images,omitempty" help:"every document is an image and a sample, its row the patches that the model sees, and the class token"`
	Length    int    `yaml:"length,omitempty" json:"length,omitempty" least:"1" help:"tokens of the longest row, with documents; of an image, which says so itself, for a plan without its corpus"`
	Arrange   string `yaml:"arrange,omitempty" json:"arrange,omitempty" values:"pad|pack|decompose|bucket" help:"pad: one document a row, cut off; pack: several side by side; decompose: parts whose lengths are powers of two; bucket: one a row, the shortest row that holds it"`
	Shortest  int    `yaml:"shortest,omitempty" json:"shortest,omitempty" least:"1" help:"tokens of the shortest row of decompose; it and length are powers of two"`
	Lengths   []int  `yaml:"lengths,omitempty" json:"lengths,omitempty" help:"tokens of the rows of bucket, ascending; the last is length"`
	Step      int    `yaml:"step,omitempty" json:"step,omitempty" least:"1" help:"rows of bucket have the multiples of it as lengths, up to length"`
}

// Batch is the size of a step over all ranks. With several row lengths every
// batch has rows of one of them, and about as many tokens as any other.
type Batch struct {
	Size       int    `yaml:"size,omitempty" json:"size,omitempty" least:"1" help:"rows of full length; shorter rows are more, for as many tokens"`
	Tokens     int    `yaml:"tokens,omitempty" json:"tokens,omitempty" least:"1" help:"tokens of a step: as many rows as fit"`
	AtLeast    int    `yaml:"at_least,omitempty" json:"at_least,omitempty" least:"1" help:"fewest rows, with tokens; 1 if not given"`
	AtMost     int    `yaml:"at_most,omitempty" json:"at_most,omitempty" least:"1" help:"most rows, with tokens"`
	Ramp       *Pace  `yaml:"ramp,omitempty" json:"ramp,omitempty" help:"grows the step to its size: its value is what size is, or with tokens what tokens is, at the moment"`
	Rate       string `yaml:"rate,omitempty" json:"rate,omitempty" values:"none|linear|sqrt" help:"how the learning rate follows the rows of a step, from those of full length on (or from size, given beside tokens)"`
	Accumulate int    `yaml:"accumulate,omitempty" json:"accumulate,omitempty" least:"1" help:"parts of its rows that a step is computed in, one after another, where memory is short; the result is that of the whole batch, but for rounding"`
}

// Budget is how long the run goes on, and the clock that everything follows.
// Exactly one of Steps and Tokens is set.
type Budget struct {
	Steps  float64 `yaml:"steps,omitempty" json:"steps,omitempty" help:"optimizer steps"`
	Tokens float64 `yaml:"tokens,omitempty" json:"tokens,omitempty" help:"tokens, or layer-tokens with that clock"`
	Clock  string  `yaml:"clock,omitempty" json:"clock,omitempty" values:"steps|tokens|layer-tokens" help:"what time is counted in; layer-tokens are tokens summed over layers, divided by layers"`
}

// Metric paces one metric: it admits samples, or, for length with Apply, shapes
// the batch.
type Metric struct {
	Metric string `yaml:"metric" json:"metric" help:"name of a metric of the index, or length with apply"`
	By     string `yaml:"by,omitempty" json:"by,omitempty" values:"value|percentile" help:"what the pace's value is compared with; percentile if not given"`
	Apply  string `yaml:"apply,omitempty" json:"apply,omitempty" values:"{shapers}" help:"the pace is the length of a row; this says what becomes of the rest of a sample"`
	Rest   string `yaml:"rest,omitempty" json:"rest,omitempty" values:"drop|overlap" help:"with reshape: what becomes of tokens that fill no row; overlap is reshape-overlap"`
	Pace   *Pace  `yaml:"pace" json:"pace" help:"how difficult samples may be, or how long rows are"`
	Floor  *Pace  `yaml:"floor,omitempty" json:"floor,omitempty" help:"samples easier than this are dropped"`
}

// Optimizer is AdamW and the learning rate's schedule.
type Optimizer struct {
	Kind        string    `yaml:"kind,omitempty" json:"kind,omitempty" values:"adamw" help:"adamw"`
	Rate        float64   `yaml:"rate" json:"rate" help:"learning rate at its peak"`
	MinRate     *float64  `yaml:"min_rate,omitempty" json:"min_rate,omitempty" help:"at the end; a tenth of rate if not given, and 0 with the decays cooldown and sqrt"`
	Warmup      *Amount   `yaml:"warmup,omitempty" json:"warmup,omitempty" help:"the rate rises from 0 until here; 2% if not given"`
	Decay       string    `yaml:"decay,omitempty" json:"decay,omitempty" values:"cosine|linear|constant|cooldown|sqrt" help:"how the rate falls; cosine if not given. cooldown: it is constant and falls at the end; sqrt: by the square root of the clock"`
	Cooldown    *Amount   `yaml:"cooldown,omitempty" json:"cooldown,omitempty" help:"how long the fall at the end takes, with the decay cooldown; 20% if not given"`
	Fall        string    `yaml:"fall,omitempty" json:"fall,omitempty" values:"1-sqrt|linear" help:"the form of that fall; 1-sqrt if not given"`
	Clock       string    `yaml:"clock,omitempty" json:"clock,omitempty" values:"steps|tokens|layer-tokens" help:"what warmup and decay are counted in, and shares are of what the run takes of it; the budget's clock if not given"`
	Betas       []float64 `yaml:"betas,omitempty" json:"betas,omitempty" help:"two numbers; [0.9, 0.95] if not given"`
	Epsilon     float64   `yaml:"epsilon,omitempty" json:"epsilon,omitempty" help:"1e-8 if not given"`
	WeightDecay *float64  `yaml:"weight_decay,omitempty" json:"weight_decay,omitempty" help:"0.1 if not given"`
	Clip        *float64  `yaml:"clip,omitempty" json:"clip,omitempty" help:"largest norm of the gradient; 1 if not given, 0: none"`
	Average     *Average  `yaml:"average,omitempty" json:"average,omitempty" help:"an average of the weights, which is evaluated and used in their place"`
}

// Average is which average of the weights a run keeps.
type Average struct {
	Kind  string  `yaml:"kind" json:"kind" values:"ema|checkpoints" help:"ema: a moving average of all steps; checkpoints: the mean of the last ones"`
	Decay float64 `yaml:"decay,omitempty" json:"decay,omitempty" help:"of ema: what a step leaves of the average before it; 0.999 if not given"`
	Last  int     `yaml:"last,omitempty" json:"last,omitempty" least:"1" help:"of checkpoints: how many; 5 if not given"`
}

// Evaluate is when and on what the held-out loss is taken.
type Evaluate struct {
	Every   *Amount `yaml:"every,omitempty" json:"every,omitempty" help:"5% if not given"`
	HeldOut *Amount `yaml:"held_out,omitempty" json:"held_out,omitempty" help:"share of each corpus, in whole documents; 2% if not given"`
	Corpus  Names   `yaml:"corpus,omitempty" json:"corpus,omitempty" help:"a corpus of its own instead"`
	Tokens  int64   `yaml:"tokens,omitempty" json:"tokens,omitempty" least:"1" help:"at most so many tokens; all if not given"`
	Seed    *uint64 `yaml:"seed,omitempty" json:"seed,omitempty" help:"of the choice of held-out documents; the run's if not given. Runs of several seeds compare where it is the same"`
}

// heldOutSeed returns the seed that held-out documents are chosen with.
func (r *Recipe) heldOutSeed() uint64 {
	if s := r.Evaluate.Seed; s != nil {
		return *s
	}
	return r.Seed
}

// Checkpoint is when the run is saved, besides its end.
type Checkpoint struct {
	Every *Amount `yaml:"every,omitempty" json:"every,omitempty" help:"10% if not given"`
	Keep  int     `yaml:"keep,omitempty" json:"keep,omitempty" least:"1" help:"newest ones that stay, beside the best by held-out loss; 2 if not given"`
}

// Stop is when a run ends that goes nowhere. A loss that is no number ends any.
type Stop struct {
	Above float64 `yaml:"above" json:"above" help:"the run stops at a held-out loss of more than so many times its best, such as 1.5"`
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
	f, err := ParseFile(path, text)
	if err != nil {
		return nil, err
	}
	return f.Recipe()
}

// Recipe reads the file as a recipe.
func (f *File) Recipe() (*Recipe, error) {
	if f.root() == nil {
		return nil, fault.Invalidf("%s: it is empty; a recipe needs at least sample, batch, budget and model, and to be trained corpus and optimizer", f.path)
	}
	r := &Recipe{path: f.path, file: f}
	if err := f.Decode(r); err != nil {
		return nil, err
	}
	if err := r.openWeights(); err != nil {
		return nil, err
	}
	r.fill()
	if err := r.settle(); err != nil {
		return nil, err
	}
	if err := r.validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// Hash names everything in the recipe that the run depends on: all of it but
// what things are called and where files lie (their contents have fingerprints
// of their own). A default that is written out gives the same hash.
func (r *Recipe) Hash() string {
	c := *r
	c.Name, c.Corpus, c.DType, c.Index, c.Evaluate.Corpus = "", nil, "", "", nil
	c.Model.Preset = "" // its numbers stand in the other keys
	if r.weights != nil {
		c.Model.From = r.weights.Digest
	}
	if c.Sample.Images {
		c.Sample.Length = 0 // the images have it
	}
	if c.Routing != nil && !r.routes() { // what layers would keep has no effect
		c.Routing = &Routing{Policy: noPolicy, Always: Always{First: r.images()}}
	}
	c.Sources = nil
	for _, s := range r.sources() {
		c.Sources = append(c.Sources, Source{DType: s.DType, Weight: s.Weight})
	}
	if len(c.Sources) == 1 {
		c.Sources[0].Weight = nil // all of it, whatever it is
	}
	var canonical any // objects with their keys in order
	text, err := json.Marshal(c)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		err = d.Decode(&canonical)
	}
	if err == nil {
		text, err = json.Marshal(canonical)
	}
	if err != nil { // plain values only
		panic(fmt.Sprintf("recipe: %v", err))
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// Path returns the file that the recipe was read from.
func (r *Recipe) Path() string { return r.path }

// Text returns the file as it was read.
func (r *Recipe) Text() []byte { return r.file.text }

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

// BudgetTotal returns the budget on its clock.
func (r *Recipe) BudgetTotal() float64 { return r.Budget.Steps + r.Budget.Tokens }

// External reports whether the model is the reader's own, and Train cannot run
// it.
func (r *Recipe) External() bool { return r.Model.Kind == external }

const external = "external"
