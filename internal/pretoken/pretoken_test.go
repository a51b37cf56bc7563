package pretoken

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func pieces(s Splitter, text string) []string {
	var all []string
	s.Split(Piece{Text: []byte(text), First: true}, func(p Piece) {
		if len(p.Text) == 0 {
			all = append(all, "EMPTY")
		}
		all = append(all, string(p.Text))
	})
	return all
}

func TestBehaviors(t *testing.T) {
	for behavior, want := range map[Behavior]string{
		Isolated:           "a|-|b|-|-|c|-",
		Removed:            "a|b|c",
		MergedWithPrevious: "a-|b-|-|c-",
		MergedWithNext:     "a|-b|-|-c|-",
		Contiguous:         "a|-|b|--|c|-",
	} {
		if got := strings.Join(pieces(&Cut{At: Literal("-"), Behavior: behavior}, "a-b--c-"), "|"); got != want {
			t.Errorf("%d: %s, want %s", behavior, got, want)
		}
	}
	if got := pieces(&Cut{At: Literal("-"), Behavior: Removed, Invert: true}, "a-b--c-"); !slices.Equal(got, []string{"-", "-", "-", "-"}) {
		t.Errorf("inverted: %q", got)
	}
	if got := pieces(&Cut{At: Literal(""), Behavior: Isolated}, "ab"); !slices.Equal(got, []string{"ab"}) {
		t.Errorf("at nothing: %q", got)
	}
}

// Only the piece that begins the text is first, however it was cut.
func TestFirst(t *testing.T) {
	s := Sequence{&Cut{At: Spaces(), Behavior: Removed}, &Metaspace{Sign: "_", Before: First}}
	if got := pieces(s, "a b"); !slices.Equal(got, []string{"_a", "b"}) {
		t.Errorf("pieces are %q", got)
	}
	if got := pieces(s, " a b"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("after a blank, pieces are %q", got)
	}
}

const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// GPT2 is the expression it stands for.
func TestGPT2IsItsExpression(t *testing.T) {
	x, err := CompileRegex(gpt2)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \n\t'a-zé1٣,。\x{a0}\x{2003}]{1,40}`)).Draw(t, "text")
		got, want := pieces(&ByteLevel{}, "x"+text), pieces(&Cut{At: x, Behavior: Isolated}, "x"+text)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %q, the expression gives %q", text, got, want)
		}
	})
}

// On expressions that package regexp knows too, it and Regex find the same.
func TestRegexIsRegexp(t *testing.T) {
	atom := rapid.SampledFrom([]string{"a", "b", ".", `\s`, `\S`, `\d`, `\pL`, `\p{N}`, `\P{L}`, "[ab]", "[^a\\n]", `[\d\-x]`, "[a-c]", `\.`, `\x41`, `\x{e9}`, "é", "[é-ü]"})
	times := rapid.SampledFrom([]string{"", "", "", "?", "*", "+", "{2}", "{1,3}", "{2,}"})
	piece := rapid.Custom(func(t *rapid.T) string { return atom.Draw(t, "atom") + times.Draw(t, "times") })
	sequence := rapid.Map(rapid.SliceOfN(piece, 1, 4), func(s []string) string { return strings.Join(s, "") })
	pattern := rapid.Custom(func(t *rapid.T) string {
		p := strings.Join(rapid.SliceOfN(sequence, 1, 3).Draw(t, "ways"), "|")
		switch rapid.IntRange(0, 3).Draw(t, "group") {
		case 0:
			return "(?:" + p + ")" + sequence.Draw(t, "after")
		case 1:
			return sequence.Draw(t, "before") + "(" + p + ")?" + sequence.Draw(t, "after")
		case 2:
			return "(?i:" + p + ")"
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		p := pattern.Draw(t, "pattern")
		x, err := CompileRegex(p)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		// Package regexp takes \s and \d for ASCII; the text has no other.
		other := regexp.MustCompile(p)
		text := []byte(rapid.StringMatching(`[abcxA.é \n1-]{0,20}`).Draw(t, "text"))
		at := 0
		for at <= len(text) {
			start, end := x.find(text, at)
			want := other.FindIndex(text[at:])
			for want != nil && want[0] == want[1] { // a match is never empty here
				n := want[0] + 1
				for at+n < len(text) && text[at+n]&0xc0 == 0x80 {
					n++
				}
				if at += n; at > len(text) {
					return
				}
				want = other.FindIndex(text[at:])
			}
			if want == nil {
				if start >= at {
					t.Fatalf("%q in %q: %d to %d, want nothing", p, text, start, end)
				}
				return
			}
			start, end = x.find(text, at)
			if start != at+want[0] || end != at+want[1] {
				t.Fatalf("%q in %q from %d: %d to %d, want %d to %d", p, text, at, start, end, at+want[0], at+want[1])
			}
			at = end
		}
	})
}

func TestRegexErrors(t *testing.T) {
	for pattern, says := range map[string]string{
		"a)": "character 2: an unexpected )", "(a": "a ) is missing", "[a": "a ] is missing", "*a": "not supported here", "a**": "repeated repetition",
		"a+?": "lazy", "(a)+": "repetition of a group", "(a){2}": "repetition of a group", "(?<=a)": "(?<=", `\b`: `\b is not supported`, `\p{Klingon}`: `"Klingon" is not known`,
		`\p{L`: "a } is missing", "[z-a]": "ends before it begins", "[a&&b]": "not supported", "[[:alpha:]]": "not supported", `\`: "a backslash", "a{x}": "no repetition", "a{3,1}": "no repetition",
		"a{2000}": "no repetition", "^a": "not supported", "a$": "not supported", `\u12`: "cut off", `\x{110000}`: "no code", strings.Repeat("(", 100): "nest",
	} {
		if _, err := CompileRegex(pattern); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", pattern, err, says)
		}
	}
}

func TestPossessive(t *testing.T) {
	for pattern, want := range map[string]int{"a*+a": -1, "a*a": 3, "a?+a": 2, "[^\\r\\n]?+\\p{L}": 2} {
		x, err := CompileRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.match([]byte("aaa"), 0); got != want {
			t.Errorf("%q ends at %d, want %d", pattern, got, want)
		}
	}
}

func FuzzRegex(f *testing.F) {
	f.Add(gpt2, []byte("I'll  x 12 \xff"))
	f.Add(`[^\r\n\p{L}\p{N}]?\p{L}+|(?i:'s|'t)?a{1,3}(?=b)`, []byte("a'Sb"))
	f.Fuzz(func(t *testing.T, pattern string, text []byte) {
		if len(pattern) > 60 || len(text) > 100 {
			return
		}
		x, err := CompileRegex(pattern)
		if err != nil {
			return
		}
		if got := strings.Join(pieces(&Cut{At: x, Behavior: Isolated}, string(text)), ""); got != string(text) {
			t.Errorf("%q cuts %q into %q", pattern, text, got)
		}
	})
}

func TestNormalizers(t *testing.T) {
	nfc, _ := Forms("NFC")
	for _, k := range []struct {
		n         Normalizer
		text, out string
	}{
		{Lowercase(), "ÀİΣ \xffA", "ài\u0307σ \xffa"},
		{nfc, "e\u0301\xff", "é\xff"},
		{StripAccents(), "e\u0301\u20dd\xff", "e\xff"},
		{&Strip{Left: true}, " \u00a0a ", "a "},
		{&Strip{Right: true}, " a \n", " a"},
		{Before("_"), "a", "_a"},
		{Before("_"), "", ""},
		{&Replace{At: Literal(" "), By: []byte("__")}, " a b", "__a__b"},
		{&Replace{At: Literal("x"), By: []byte("y")}, "ab", "ab"},
		{Normalizers{Lowercase(), &Strip{Left: true, Right: true}}, " A ", "a"},
		{&BertNormalizer{Clean: true, Chinese: true, StripAccents: true, Lower: true}, "É\t中\x01\u200dB\u3000", "e  中 b "},
		{&BertNormalizer{}, "É\t中", "É\t中"},
	} {
		before := []byte(k.text)
		if got := string(k.n.Normalize(before)); got != k.out {
			t.Errorf("%T of %q is %q, want %q", k.n, k.text, got, k.out)
		}
		if string(before) != k.text {
			t.Errorf("%T changed its text to %q", k.n, before)
		}
	}
}

// Any bytes are refused, or make a map that normalizes without harm.
func FuzzCharsMap(f *testing.F) {
	unit := func(units ...uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
		for _, u := range units {
			b = binary.LittleEndian.AppendUint32(b, u)
		}
		return append(b, "to\x00"...)
	}
	f.Add(unit(1<<10), []byte("a"))
	f.Add(unit(slices.Repeat([]uint32{'a' | 1<<8 | 1<<10}, 200)...), []byte("ab\u0301\xff"))
	f.Fuzz(func(t *testing.T, compiled, text []byte) {
		m, err := NewCharsMap(compiled)
		if err != nil {
			return
		}
		before := bytes.Clone(text)
		if m.Normalize(text); !bytes.Equal(text, before) {
			t.Errorf("the text became %q", text)
		}
	})
}

func ExampleCut() {
	x, err := CompileRegex(`\p{L}+|\p{N}{1,3}`)
	if err != nil {
		panic(err)
	}
	s := &Cut{At: x, Behavior: Removed, Invert: true}
	s.Split(Piece{Text: []byte("in 1234 words")}, func(p Piece) { fmt.Printf("%s|", p.Text) })
	// Output: in|123|4|words|
}
