package recipe

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/pace"
	"github.com/gradus-ml/gradus/tokenizer"
)

// sources returns the corpora of the run; a single one has no name.
func (r *Recipe) sources() []Source {
	if r.Sources != nil {
		return r.Sources
	}
	return []Source{{Corpus: r.Corpus, DType: r.DType, Index: r.Index}}
}

// sourceAt returns where a key of a source stands.
func (r *Recipe) sourceAt(i int, key string) string {
	if r.Sources == nil {
		return key
	}
	return strings.TrimSuffix(fmt.Sprintf("sources[%d].%s", i, key), ".")
}

func (r *Recipe) validateSources() error {
	if r.Sources == nil {
		return nil
	}
	if r.Corpus != nil || r.DType != "" || r.Index != "" {
		return r.errorf("sources", "corpus, dtype and index stand at the top as well; give either them or sources")
	}
	if len(r.Sources) == 0 {
		return r.errorf("sources", "it is empty; name at least one corpus")
	}
	first := map[string]int{}
	for i, s := range r.Sources {
		at := fmt.Sprintf("sources[%d]", i)
		if s.Name == "" {
			return r.errorf(at, "it has no name; give it one, for messages and reports")
		}
		if j, taken := first[s.Name]; taken {
			return r.errorf(at+".name", "%q is the name of sources[%d] already; each needs its own", s.Name, j)
		}
		first[s.Name] = i
		definition, _ := pace.Lookup(s.Weight.Kind)
		for _, parameter := range definition.Parameters {
			if parameter.Name == "step" && s.Weight.given["step"] == nil {
				return r.errorf(at+".weight", "it has no step; a weight needs one, such as 'step: 0.05', for the usual 1 is meant for tokens and percentiles")
			}
		}
	}
	return nil
}

// A BoundSource is one corpus of a run, open.
type BoundSource struct {
	Name    string // empty if it is the only one
	Corpus  *corpus.Corpus
	Samples *corpus.Samples
	Units   arrange.Arrangement // what one place of a batch serves
	Index   *index.Index        // nil if no metric admits samples
	HeldOut *corpus.HoldOut     // for evaluation; nil: nothing

	held *heldOut // how HeldOut was chosen
}

// HoldsOut reports whether a sample, wholly or in part, is held out for
// evaluation.
func (s *BoundSource) HoldsOut(sample int64) bool {
	return s.HeldOut != nil && s.HeldOut.Holds(s.Samples.Span(sample))
}

// words names the source in a message.
func (s *BoundSource) words() string {
	if s.Name == "" {
		return "the corpus"
	}
	return "source " + s.Name
}

func (s *BoundSource) close() error {
	var errs []error
	if s.Units != nil {
		errs = append(errs, s.Units.Close())
	}
	if s.Index != nil {
		errs = append(errs, s.Index.Close())
	}
	if s.Corpus != nil {
		errs = append(errs, s.Corpus.Close())
	}
	return errors.Join(errs...)
}

// openCorpus opens names of the recipe as one corpus.
func (r *Recipe) openCorpus(form corpus.Form, names Names) (*corpus.Corpus, error) {
	found := make([]string, len(names))
	for i, name := range names {
		found[i] = r.find(name, corpus.Exists)
	}
	return corpus.OpenAs(form, found...)
}

// openSourceCorpus opens the corpus of a source.
func (r *Recipe) openSourceCorpus(s Source) (*corpus.Corpus, error) {
	form := corpus.Auto
	if s.DType != "" {
		form, _ = corpus.ParseForm(s.DType) // settled
	}
	return r.openCorpus(form, s.Corpus)
}

// Tokenizer returns the tokenizer that the recipe's first corpus was made with. It
// opens that corpus, and no index.
func (r *Recipe) Tokenizer() (tokenizer.Tokenizer, error) {
	c, err := r.openSourceCorpus(r.sources()[0])
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return tokenizer.OfCorpus(c.Paths(), c.Meta().Tokenizer, c.Meta().EndOfDocument)
}

// openSources fills Sources, all but what is held out.
func (b *Bound) openSources(dir string) error {
	r := b.Recipe
	for i, s := range r.sources() {
		b.Sources = append(b.Sources, BoundSource{Name: s.Name})
		if err := b.openSource(i, &b.Sources[i], dir); err != nil {
			return err
		}
	}
	for i := 1; i < len(b.Sources); i++ {
		if err := b.agree(r.sourceAt(i, "corpus"), b.Sources[i].words(), b.Sources[i].Corpus.Meta()); err != nil {
			return err
		}
	}
	for i := range b.Sources {
		if err := b.openIndex(i); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bound) openSource(i int, s *BoundSource, dir string) error {
	r := b.Recipe
	from := r.sources()[i]
	if len(from.Corpus) == 0 {
		return r.errorf(r.sourceAt(i, "corpus"), "it is not named; give the prefix of a corpus that 'gradus prepare' wrote")
	}
	var err error
	if s.Corpus, err = r.openSourceCorpus(from); err != nil {
		return fmt.Errorf("%s: %w", r.place(r.sourceAt(i, "corpus")), err)
	}
	if r.Sample.Images {
		if err := r.bindImages(i, s.Corpus); err != nil {
			return err
		}
	} else if s.Corpus.Meta().Image != nil && !r.External() {
		b.warn(r.sourceAt(i, "corpus"), "it holds images, and a %s reads their pixels and classes as tokens; a vit, with 'sample: {images: true}', sees images", r.Model.Kind)
	}
	cut := func(err error) error {
		if s.Name != "" {
			err = fmt.Errorf("%s: %w", s.words(), err)
		}
		return fmt.Errorf("%s: %w", r.place("sample"), err)
	}
	if s.Samples, err = s.Corpus.Samples(r.Cut()); err != nil {
		return cut(err)
	}
	switch {
	case dir == "":
		s.Units, err = r.arrange(s.Samples, "")
	case r.Sample.Arrange == "pack" && curriculum.Kept(dir):
		s.Units, err = arrange.OpenPack(s.Samples, r.Sample.Length, packDir(dir, i))
	default:
		s.Units, err = r.arrange(s.Samples, packDir(dir, i))
	}
	if err != nil {
		return cut(err)
	}
	return nil
}

// openIndex opens the index of a source, if a metric admits samples.
func (b *Bound) openIndex(i int) (err error) {
	r, s := b.Recipe, &b.Sources[i]
	from := r.sources()[i]
	admissions := r.admissions()
	if len(admissions) == 0 {
		return nil
	}
	if from.Index == "" {
		where := "index"
		if s.Name != "" {
			where = "the index of source " + s.Name
		}
		return r.errorf(fmt.Sprintf("curriculum[%d]", admissions[0]), "it needs an index; run 'gradus analyze --corpus %s' and name its directory in %s", from.Corpus, where)
	}
	if s.Index, err = index.Open(r.find(from.Index, index.Is)); err == nil {
		err = s.Index.Matches(s.Samples)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.place(r.sourceAt(i, "index")), err)
	}
	return nil
}

// packDir is where a plan kept in dir has the packing of a source.
func packDir(dir string, source int) string {
	return filepath.Join(dir, fmt.Sprintf("pack-%d", source))
}

// arrange returns the arrangement of samples; dir is where a packing keeps its
// tables.
func (r *Recipe) arrange(s *corpus.Samples, dir string) (arrange.Arrangement, error) {
	switch {
	case r.Sample.Images:
		return arrange.Images(s, r.Window())
	case !r.Sample.Documents:
		return arrange.Windows(s)
	case r.Sample.Arrange == "pack":
		return arrange.Pack(s, r.Sample.Length, dir)
	case r.Sample.Arrange == "decompose":
		return arrange.Decompose(s, r.Sample.Shortest, r.Sample.Length)
	case r.Sample.Arrange == "bucket":
		return arrange.Bucket(s, r.Lengths())
	default:
		return arrange.Pad(s, r.Sample.Length)
	}
}

// agree holds that the tokens of another corpus, named at a place of the recipe,
// mean what those of the first source mean. Where one of them does not say, that
// is a warning.
func (b *Bound) agree(at, what string, theirs corpus.Meta) error {
	first := b.Sources[0].words()
	ours := b.Sources[0].Corpus.Meta()
	refuse := func(format string, args ...any) error {
		return fault.Mismatchf("%s: %w", b.Recipe.place(at), fmt.Errorf(format, args...))
	}
	unknown := func(m corpus.Meta) bool { return m.Tokenizer == "" || m.Vocabulary == 0 }
	switch {
	case b.Recipe.Sample.Images && theirs.Image == nil:
		return refuse("%s is no images, and %s is; prepare it with 'gradus prepare --images'", what, first)
	case b.Recipe.Sample.Images && !ours.Image.Same(theirs.Image):
		return refuse("%s has images of %s and %s of %s; prepare both alike, with the same classes in the same order", what, theirs.Image, first, ours.Image)
	case unknown(ours) && unknown(theirs):
		b.warn(at, "neither %s nor %s says with which tokenizer it was prepared; that their tokens mean the same is taken on trust", what, first)
	case unknown(ours):
		b.warn(at, "%s does not say with which tokenizer it was prepared; that its tokens mean the same is taken on trust", first)
	case unknown(theirs):
		b.warn(at, "%s does not say with which tokenizer it was prepared; that its tokens mean the same is taken on trust", what)
	case ours.Tokenizer != theirs.Tokenizer:
		return refuse("%s was prepared with tokenizer %q and %s with %q; prepare both with the same", what, theirs.Tokenizer, first, ours.Tokenizer)
	case ours.Vocabulary != theirs.Vocabulary:
		return refuse("%s has a vocabulary of %d tokens and %s one of %d; prepare both with the same tokenizer", what, theirs.Vocabulary, first, ours.Vocabulary)
	case ours.EndOfDocument != theirs.EndOfDocument:
		return refuse("documents of %s end with token %d and those of %s with %d; prepare both alike", what, theirs.EndOfDocument, first, ours.EndOfDocument)
	}
	return nil
}

// column returns a metric of a source.
func (b *Bound) column(at string, s *BoundSource, name string) (*index.Column, error) {
	column, err := s.Index.Column(name)
	if err == nil {
		return column, nil
	}
	known := s.Index.Metrics()
	for _, have := range known {
		if have == name { // it is there, and damaged
			return nil, fmt.Errorf("%s: %w", b.Recipe.place(at), err)
		}
	}
	nearest, _ := spell.Nearest(name, known)
	return nil, b.Recipe.errorf(at, "index %s has no metric %q; did you mean %q? It has: %s; 'gradus analyze' adds others",
		s.Index.Path(), name, nearest, strings.Join(known, ", "))
}
