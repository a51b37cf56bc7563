package cmd

import (
	"fmt"

	"github.com/gradus-ml/gradus/arrange"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/tokenizer"
)

// A placeView says where in a corpus some tokens lie, and how they begin.
type placeView struct {
	Source   string  `json:"source,omitempty"` // where there are several
	Document int64   `json:"document"`
	Last     int64   `json:"last_document"` // the same, unless they reach beyond a document's end
	Offset   int64   `json:"offset"`        // tokens from the document's start
	Tokens   int64   `json:"tokens"`        // that have a successor to predict
	Begins   excerpt `json:"begins"`
}

func (p placeView) String() string {
	documents := fmt.Sprintf("document %d", p.Document)
	if p.Last > p.Document {
		documents = fmt.Sprintf("documents %d to %d", p.Document, p.Last)
	}
	return fmt.Sprintf("%s, token %d  %s", documents, p.Offset, p.Begins)
}

// A sampleView is a sample: a window or a document.
type sampleView struct {
	ID     int64  `json:"id"`
	Called string `json:"called"` // as --sample takes it
	placeView
	Metrics []measure `json:"metrics,omitempty"` // of the index
}

func (s sampleView) String() string { return fmt.Sprintf("sample %s  %s", s.Called, s.placeView) }

// A unitView is what one place of a batch serves. Most units are a sample; Parts
// are of those that hold several, or a part of one.
type unitView struct {
	sampleView
	Parts []partView `json:"parts,omitempty"`
}

func (u unitView) String() string {
	if u.Parts == nil {
		return u.sampleView.String()
	}
	return fmt.Sprintf("unit %s  %d tokens", u.Called, u.Tokens)
}

// A partView is what a unit holds of one sample.
type partView struct {
	Sample int64 `json:"sample"`
	sampleView
}

// A shower shows units and samples of a recipe.
type shower struct {
	bound  *recipe.Bound
	texts  []tokenizer.Tokenizer // of each source; nil: not known
	limits [][]limit             // of each source, for each metric that admits; nil: of no step
}

func newShower(b *recipe.Bound) (*shower, error) {
	s := &shower{bound: b}
	for i := range b.Sources {
		text, err := textOf(b.Sources[i].Corpus)
		if err != nil {
			return nil, err
		}
		s.texts = append(s.texts, text)
	}
	return s, nil
}

// place describes the tokens [start, end) of a source; the last is only predicted.
func (s *shower) place(source int, start, end int64) (placeView, error) {
	from := &s.bound.Sources[source]
	c := from.Corpus
	document := c.DocumentAt(start)
	begin, _ := c.Bounds(document)
	p := placeView{Source: from.Name, Document: document, Last: document, Offset: start - begin, Tokens: max(end-start-1, 0)}
	if end-start > 1 {
		p.Last = c.DocumentAt(end - 2)
	}
	var err error
	p.Begins, err = excerptOf(c, s.texts[source], start, end)
	return p, err
}

// sample describes a sample of a source.
func (s *shower) sample(source int, sample int64) (sampleView, error) {
	id := globalID(source, sample)
	from := &s.bound.Sources[source]
	v := sampleView{ID: id, Called: idText(s.bound, id)}
	start, end := from.Samples.Span(sample)
	if start == end { // a document of no tokens
		v.placeView = placeView{Source: from.Name, Document: sample, Last: sample}
		return v, nil
	}
	var err error
	if v.placeView, err = s.place(source, start, end); err != nil {
		return v, err
	}
	v.Metrics, err = s.measures(source, sample)
	return v, err
}

// unit describes a unit.
func (s *shower) unit(id int64) (unitView, error) {
	from, unit, err := s.bound.Source(id)
	if err != nil {
		return unitView{}, err
	}
	source := int((id - unit) / globalID(1, 0))
	samples := from.Units.Samples(nil, unit)
	if len(samples) == 1 && samples[0] == unit && !from.Units.Packed() {
		v, err := s.sample(source, unit)
		return unitView{sampleView: v}, err
	}
	pieces := from.Units.Pieces(nil, unit)
	u := unitView{sampleView: sampleView{ID: id, Called: idText(s.bound, id)}, Parts: []partView{}}
	if u.placeView, err = s.piece(source, pieces[0]); err != nil {
		return u, err
	}
	u.Tokens = 0
	for _, p := range pieces {
		part := partView{Sample: sampleOf(from.Samples, samples, p)}
		part.ID = globalID(source, part.Sample)
		part.Called = idText(s.bound, part.ID)
		if part.placeView, err = s.piece(source, p); err != nil {
			return u, err
		}
		if part.Metrics, err = s.measures(source, part.Sample); err != nil {
			return u, err
		}
		u.Tokens += part.Tokens
		u.Parts = append(u.Parts, part)
	}
	return u, nil
}

func (s *shower) piece(source int, p arrange.Piece) (placeView, error) {
	return s.place(source, p.Start, p.Start+int64(p.Len)+1)
}

// sampleOf returns which of a unit's samples a piece of it lies in.
func sampleOf(all *corpus.Samples, samples []int64, p arrange.Piece) int64 {
	for _, id := range samples {
		if start, end := all.Span(id); start <= p.Start && p.Start < end {
			return id
		}
	}
	return samples[0]
}
