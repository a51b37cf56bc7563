package metric

import "github.com/gradus-ml/gradus/tokenizer"

// OfText returns the definition of a metric without parameters whose value
// follows from the text that a sample's tokens decode to. score must be a pure
// function, safe for concurrent use; text is only valid during the call. A window
// may begin and end within a character, and so does its text.
//
// Of info, the Name becomes the definition's; Spec is filled in. The metric's
// Scorer gives an error of kind fault.Invalid if the tokenizer is not known.
func OfText(info Info, score func(text []byte) float64) Definition {
	return plain(info, func(info Info) Metric { return ofText{info, score} })
}

type ofText struct {
	info  Info
	score func(text []byte) float64
}

func (m ofText) Info() Info { return m.info }

func (ofText) Statistics() []Statistic { return nil }

func (m ofText) Scorer(source Source) (Scorer, error) {
	text := source.Text()
	if text == nil {
		return nil, noTokenizer(m.info, source, "or leave this metric out")
	}
	return &ofTextScorer{tokenizer: text, score: m.score}, nil
}

type ofTextScorer struct {
	tokenizer tokenizer.Tokenizer
	score     func(text []byte) float64
	text      []byte
}

func (o *ofTextScorer) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		o.text = o.tokenizer.Decode(o.text[:0], s.Tokens)
		values[i] = o.score(o.text)
	}
	return nil
}
