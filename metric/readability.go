package metric

import (
	"unicode/utf8"

	"github.com/gradus-ml/gradus/tokenizer"
)

// Readability returns the metric "readability": the reading ease of Flesch, "A
// new readability yardstick" (Journal of Applied Psychology 32, 1948), of the
// text that the tokens decode to,
//
//	206.835 - 1.015 (words / sentences) - 84.6 (syllables / words).
//
// Larger is easier: plain prose has 60 to 70, and there is no bound on either
// side. Both ratios of a sample without words are 0, so that it is easier than
// any text. It is made for English; another language's text gets a number that
// orders its samples by length of words and sentences alone.
//
// A word is a run of letters, marks and digits (Unicode's L, M and N). An
// apostrophe, hyphen, full stop or comma directly between two of them joins
// them to one word: "don't", "well-known", "3.14", "e.g".
//
// A sentence ends with a full stop, exclamation mark, question mark or ellipsis
// that white space or the end of the text follows, quotation marks and closing
// brackets let pass; or with an empty line; or with the text. What has no word
// is no sentence. A window that begins within a sentence begins one.
//
// Syllables are the runs of the vowels a, e, i, o, u and y (those with
// diacritics too) in each joined part of a word. The e of a part's ending -e,
// -ed or -es is silent after a consonant (make, baked, makes), but not that of
// -ed after d or t (wanted), nor that of -es after c, g, h, s, x or z (boxes),
// nor any after l or r that follows a consonant other than l, r and w (table,
// hundred; but called). A part keeps one of the vowels it has, and a word has
// at least one syllable.
//
// Scorer gives an error of kind fault.Invalid if the tokenizer is not known.
func Readability() Metric { return readability{readabilityInfo} }

var readabilityInfo = Info{
	Name:       "readability",
	Spec:       "readability",
	Version:    1,
	Unit:       "points of reading ease",
	Kind:       Real,
	Descending: true,
	Summary:    "reading ease of the decoded text (Flesch 1948)",
}

type readability struct{ info Info }

func (r readability) Info() Info { return r.info }

func (readability) Statistics() []Statistic { return nil }

func (r readability) Scorer(source Source) (Scorer, error) {
	text := source.Text()
	if text == nil {
		return nil, noTokenizer(r.info, source, "or leave this metric out")
	}
	return &readabilityScorer{tokenizer: text}, nil
}

type readabilityScorer struct {
	tokenizer tokenizer.Tokenizer
	text      []byte
}

func (r *readabilityScorer) Score(values []float64, samples []Sample) error {
	for i, s := range samples {
		r.text = r.tokenizer.Decode(r.text[:0], s.Tokens)
		var p prose
		p.read(r.text)
		values[i] = p.ease()
	}
	return nil
}

// prose counts as it reads. Readability says what it counts.
type prose struct {
	words, sentences, syllables int

	open    bool // in a word, or just behind a character that may join it to more
	inPart  bool // the last character is of a word
	part    part // the current one, or the last
	vowels  int  // syllables of the word's parts before it
	current int  // words of the current sentence
	ended   bool // a mark that ends a sentence, and at most closers since
	newline bool // a line has ended, and there was at most white space since
}

// ease returns the reading ease of what was read.
func (p *prose) ease() float64 {
	if p.words == 0 {
		return 206.835
	}
	words := float64(p.words)
	return 206.835 - 1.015*(words/float64(p.sentences)) - 84.6*(float64(p.syllables)/words)
}

// read counts a whole text.
func (p *prose) read(text []byte) {
	for i := 0; i < len(text); {
		c, width := ascii[text[i]], 1
		letter := text[i] | 0x20 // in lower case; a digit stays what it is
		if text[i] >= utf8.RuneSelf {
			var r rune
			r, width = utf8.DecodeRune(text[i:])
			c, letter = classify(r)
		}
		i += width
		if c&inWord != 0 {
			p.inside(c, letter)
		} else {
			p.between(c)
		}
	}
	p.endPart()
	p.endWord()
	p.endSentence()
}

// inside reads a character of a word.
func (p *prose) inside(c class, letter byte) {
	if !p.inPart {
		p.inPart, p.part = true, part{}
		if !p.open {
			p.open = true
			p.words++
			p.current++
		}
	}
	p.ended, p.newline = false, false
	p.part.add(c, letter)
}

// between reads any other character.
func (p *prose) between(c class) {
	joined := p.inPart && c&joins != 0
	p.endPart()
	if !joined {
		p.endWord()
	}
	switch {
	case c&ends != 0:
		p.ended = true
	case c&space != 0:
		if p.ended || c&line != 0 && p.newline {
			p.endSentence()
		}
		p.ended = false
	case c&closes == 0:
		p.ended = false
	}
	p.newline = c&line != 0 || c&blank != 0 && p.newline
}

func (p *prose) endPart() {
	if p.inPart {
		p.inPart = false
		p.vowels += p.part.syllables()
	}
}

func (p *prose) endWord() {
	if p.open {
		p.open = false
		p.syllables += max(p.vowels, 1)
		p.vowels = 0
	}
}

func (p *prose) endSentence() {
	if p.current > 0 {
		p.sentences++
		p.current = 0
	}
}
