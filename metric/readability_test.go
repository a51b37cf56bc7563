package metric

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// ease measures a text by way of the tokenizer "bytes".
func ease(t interface{ Fatal(...any) }, texts ...string) []float64 {
	bytes := bytesTokenizer(t)
	var samples [][]int32
	for _, text := range texts {
		samples = append(samples, bytes().Encode(nil, []byte(text)))
	}
	return scoreIn(t, Readability(), Source{Tokenizer: bytes}, nil, samples...)
}

// Words, sentences and syllables counted by hand.
func TestReadabilityByHand(t *testing.T) {
	for _, c := range []struct {
		text                        string
		words, sentences, syllables int
	}{
		{"The cat sat on the mat.", 6, 1, 6},
		{"The cat sat. On the mat!", 6, 2, 6},
		{"He said: \"It is 3.14!\" (Is it?) Yes", 8, 3, 8},
		{"don't well-known e.g. o'clock", 4, 2, 1 + 2 + 1 + 2}, // e.g: 1 and none
		{"make table baked wanted makes boxes called hundred people", 9, 1, 1 + 2 + 1 + 2 + 1 + 2 + 1 + 2 + 2},
		{"A heading\n\nA paragraph\nof two lines", 7, 2, 1 + 2 + 1 + 3 + 1 + 1 + 1},
		{"Wait... what?! No", 3, 3, 3},
		{"Café naïve crème", 3, 1, 2 + 1 + 1}, // aï is one run; è before me
		{"12,000 tests – 日本", 3, 1, 3},
		{"www.example.com", 1, 1, 0 + 3 + 1},
		{"xyz-\xff\xfe-abc\xe2\x80", 2, 1, 2},
		{" ' . ", 0, 0, 0},
	} {
		var p prose
		p.read([]byte(c.text))
		if p.words != c.words || p.sentences != c.sentences || p.syllables != c.syllables {
			t.Errorf("%q: %d words, %d sentences, %d syllables, want %d, %d, %d", c.text, p.words, p.sentences, p.syllables, c.words, c.sentences, c.syllables)
		}
	}
	got := ease(t, "The cat sat on the mat.", "", "?\n\n!")
	if !near(got[0], 116.145) || got[1] != 206.835 || got[2] != 206.835 {
		t.Errorf("%v, want 116.145, 206.835, 206.835", got)
	}
}

// The definitions as regular expressions.
var (
	wordPattern     = regexp.MustCompile(`[\pL\pM\pN]+(?:['’.,-][\pL\pM\pN]+)*`)
	partPattern     = regexp.MustCompile(`[\pL\pM\pN]+`)
	sentencePattern = regexp.MustCompile(`[.!?…]+["'”’»)\]}]*(?:[\s\v\x{85}\pZ]|$)|\n[ \t\r]*\n`)
	vowelsPattern   = regexp.MustCompile(`[aeiouy` + accented + `]+`)
	silentPattern   = regexp.MustCompile(`(?:[^aeiouy` + accented + `]e|[^dtaeiouy` + accented + `]ed|[^cghsxzaeiouy` + accented + `]es)$`)
	voicedPattern   = regexp.MustCompile(`[^lrwaeiouy` + accented + `][lr]e[ds]?$`)
)

func naiveReadability(text string) float64 {
	text = string([]rune(text)) // U+FFFD for what is no UTF-8
	words, sentences, syllables := 0., 0., 0.
	for _, sentence := range sentencePattern.Split(text, -1) {
		if wordPattern.MatchString(sentence) {
			sentences++
		}
	}
	for _, word := range wordPattern.FindAllString(text, -1) {
		words++
		n := 0
		for _, part := range partPattern.FindAllString(word, -1) {
			part = strings.ToLower(part)
			runs := len(vowelsPattern.FindAllString(part, -1))
			if runs > 1 && silentPattern.MatchString(part) && !voicedPattern.MatchString(part) {
				runs--
			}
			n += runs
		}
		syllables += float64(max(n, 1))
	}
	if words == 0 {
		return 206.835
	}
	return 206.835 - 1.015*(words/sentences) - 84.6*(syllables/words)
}

func TestReadabilityAgainstNaive(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{". ", "! ", "? ", "… ", ".\" ", ".') ", "\n", "\n\n", "\r\n \t\r\n", ".", "'", "’", "-", ",", "...", " ", "\u00a0", "\u2028", "\v", "\xff", "\xe2\x80"}),
		rapid.SampledFrom([]string{"make", "makes", "BAKED", "wanted", "table", "tables", "tabled", "hundred", "called", "curled", "boxes", "Éte", "née", "éed", "ŷes", "ſes", "Kle", "İd", "日本", "é", "the", "3", "x1e", "bl", "e", "es", "ed", "le"}),
		rapid.StringN(0, 4, -1),
		rapid.StringMatching(`[a-eyrlsdt]{1,6}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.Map(rapid.SliceOf(piece), func(p []string) string { return strings.Join(p, "") }), 1, 3).Draw(t, "texts")
		texts = append(texts, string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")))
		for i, got := range ease(t, texts...) {
			if want := naiveReadability(texts[i]); !near(got, want) {
				t.Fatalf("%q: %v, want %v", texts[i], got, want)
			}
		}
	})
}

// Tokens that are none of the tokenizer's stand for no text.
func TestReadabilityOfStrangeTokens(t *testing.T) {
	source := Source{Tokenizer: bytesTokenizer(t)}
	got := scoreIn(t, Readability(), source, nil, []int32{'a', 256, 'b', 1 << 30, ' ', 'c', '.'}, []int32{'a', 'b', ' ', 'c', '.'})
	if got[0] != got[1] {
		t.Errorf("%v with and %v without", got[0], got[1])
	}
}

func TestReadabilityWithoutTokenizer(t *testing.T) {
	if _, err := Readability().Scorer(Source{}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "tokenizer") {
		t.Error(err)
	}
}

func FuzzReadability(f *testing.F) {
	f.Add("He said: \"It is 3.14!\" (Is it?)\n\nYes, tables")
	f.Add("\xff\xe2\x80'’-.,")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := ease(t, text)[0], naiveReadability(text); !near(got, want) {
			t.Errorf("%q (valid: %v): %v, want %v", text, utf8.ValidString(text), got, want)
		}
	})
}
