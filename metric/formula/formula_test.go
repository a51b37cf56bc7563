package formula

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"pgregory.net/rapid"
)

func registry() metric.Registry { return append(metric.Builtin(), Definition()) }

// value scores one sample whose inputs have these values.
func value(m metric.Metric, inputs ...float64) (float64, error) {
	scorer, err := m.Scorer(metric.Source{})
	if err != nil {
		return 0, err
	}
	values := make([]float64, 1)
	err = scorer.Score(values, []metric.Sample{{ID: 41, Inputs: inputs}})
	return values[0], err
}

func TestByHand(t *testing.T) {
	for _, c := range []struct {
		text            string
		length, rarity  float64
		want            float64
		whole           bool
		inputsInReverse bool
	}{
		{"length * 1e6 + rarity", 129, 700.5, 129000700.5, false, false},
		{"rarity / length", 700, 70, 0.1, false, true},
		{"length", 7, 0, 7, true, false},
		{"length % 4 + 10 * -length", 7, 0, -67, true, false},
		{"-length % 4", 7, 0, -3, true, false},
		{"length / 2", 7, 0, 3.5, false, false},
		{"int(length / 2)", 7, 0, 3, true, false},
		{"round(rarity) + length", 1, 2.5, 4, true, true},
		{"round(-rarity)", 2.5, 0, -3, true, false},
		{"floor(-rarity) * ceil(rarity)", 2.5, 0, -9, true, false},
		{"max(length, 3, rarity)", 2, 3.5, 3.5, false, false},
		{"min(length, 3)", 7, 0, 3, true, false},
		{"abs(length - 10)", 7, 0, 3, true, false},
		{"rarity > 3 and not (length == 3) ? 1 : 0", 4, 5, 1, true, true},
		{"length < 3 || length >= 5 ? 2 : 0.5", 4, 0, 0.5, false, false},
		{"(length > 3) == true ? 2 : 1", 4, 0, 2, true, false},
		{"1 < length < 3 ? 1 : 0", 2, 0, 1, true, false},
		{"length ** 2 + length ^ 0.5", 4, 0, 18, false, false},
		{"pow(length, 3) + sqrt(length)", 4, 0, 66, false, false},
		{"exp(log(length)) + log2(length) + log10(length*25)", 4, 0, 8, false, false},
		{"0 * -length", 4, 0, 0, true, false},
		{"1.0 * length", 4, 0, 4, false, false},
		{"length | sqrt()", 9, 0, 3, false, false},
	} {
		made, err := registry().Parse("formula:" + c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		f := made[0].(metric.Derived)
		x := []float64{c.length, c.rarity}
		if c.inputsInReverse {
			x = []float64{c.rarity, c.length}
		}
		got, err := value(f, x[:len(f.Inputs())]...)
		if err != nil || math.Abs(got-c.want) > 1e-14*math.Abs(c.want) || math.Signbit(got) != math.Signbit(c.want) {
			t.Errorf("%s: %v, %v, want %v", c.text, got, err, c.want)
		}
		if info := f.Info(); (info.Kind == metric.Whole) != c.whole || !info.Blind || info.Descending || info.Spec != "formula:"+c.text {
			t.Errorf("%s: %+v", c.text, info)
		}
	}
}

// A column made before comes first, then the registry; a formula may be of
// formulas, and its content says what all of them are made of.
func TestInputs(t *testing.T) {
	made, err := registry().Parse("rarity=length", "two=formula:rarity + mean_rarity", "formula:two * 2 - length")
	if err != nil {
		t.Fatal(err)
	}
	two, three := made[1].(metric.Derived), made[2].(metric.Derived)
	if in := two.Inputs(); len(in) != 2 || in[0] != made[0] || in[1].Info().Name != "mean-rarity" {
		t.Errorf("inputs %v", in)
	}
	if in := three.Inputs(); len(in) != 2 || in[0] != made[1] || in[1].Info().Name != "length" {
		t.Errorf("inputs %v", in)
	}
	want := "two: formula:rarity + mean_rarity version 1 (rarity: length version 1, mean-rarity: mean-rarity version 1), length: length version 1"
	if got := three.Info().Content; got != want {
		t.Errorf("content %q, want %q", got, want)
	}
	if two.Info().Name != "two" || two.Info().Spec != "formula:rarity + mean_rarity" {
		t.Errorf("%+v", two.Info())
	}
	if len(two.Statistics()) != 0 {
		t.Error("a formula has statistics of its own")
	}
}

func TestRefused(t *testing.T) {
	for text, say := range map[string]string{
		"":                        "the expression is missing",
		" ":                       "the expression is missing",
		"length +* 2":             "unexpected token Operator(\"*\") (1:9)\n | length +* 2\n | ........^",
		"length * ":               "unexpected token EOF (1:8)",
		"3":                       "names no metric",
		"lenth":                   "did you mean length?",
		"mean-rarity":             "the hyphen of a name is written as an underscore",
		"length > 3":              "write (length > 3) ? 1 : 0",
		"foo(length)":             "unknown function foo (known: abs, ceil, ",
		"max()":                   "max does not take 0 arguments (1:1)",
		"sqrt(length, 2)":         "sqrt does not take 2 arguments (1:1)",
		"pow(length)":             "pow does not take 1 arguments",
		"sqrt(length > 2)":        "a number is needed here, and this is true or false (1:13)",
		"length + (1 < 2)":        "a number is needed here",
		"length ? 1 : 2":          "a comparison is needed here, and this is a number (1:1)",
		"not length ? 1 : 2":      "a comparison is needed here",
		"length > 1 ? 1 : true":   "one side of the choice is a number",
		"length == true ? 1 : 2":  "a number is compared with true or false (1:8)",
		"let x = 3; x * length":   "not of a formula's language",
		"length; length":          "not of a formula's language",
		"length in [1]":           "the operator in is not",
		"length ?? 1":             "the operator ?? is not",
		"length matches 'a'":      "the operator matches is not",
		"1..length":               "the operator .. is not",
		`"a" + length`:            "not of a formula's language",
		"[length][0]":             "not of a formula's language",
		"{'a': length}.a":         "not of a formula's language",
		"length.x":                "not of a formula's language",
		"length.x()":              "this cannot be called",
		"len(length)":             "unknown function len",
		"now() - length":          "unknown function now",
		"all([1], {# > 2})":       "not of a formula's language",
		"$env":                    "unknown metric \"$env\"",
		"nil":                     "not of a formula's language",
		"1e400 * length":          "out of range",
		"99999999999999999999999": "out of range",
		"formula":                 "the expression is missing", // of the metric formula without one
		strings.Repeat("(", 3000): "unexpected token EOF",
		strings.Repeat("length+", 999) + "length":                   "at most 4096 are taken",
		strings.Repeat("-", 3000) + "length":                        "exceeds maximum allowed nodes",
		"length" + strings.Repeat("**length", 500):                  "exceeds maximum allowed nodes",
		"max(" + strings.Repeat("1,", 1500) + "length)":             "exceeds maximum allowed nodes",
		"length" + strings.Repeat(" > 0 ? length", 250) + ": x":     "unexpected token",
		"length" + strings.Repeat("(", 1500):                        "",
		"length \x00":                                               "unrecognized character",
		"\xff\xfe":                                                  "",
		strings.Repeat("(", 2000) + "x" + strings.Repeat(")", 2000): `unknown metric "x"`,
	} {
		_, err := registry().Parse("x=formula:" + text)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%.60q: %v\nwant %q", text, err, say)
		}
	}
	if _, err := New("length + rarity", metric.Length()); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "(given: length)") {
		t.Error(err)
	}
}

// What is no number names the sample and the values it came from.
func TestNoNumber(t *testing.T) {
	for text, say := range map[string]string{
		"rarity / length":    `"rarity / length" is +Inf where rarity = 1, length = 0; `,
		"log(rarity-2)":      `"log(rarity-2)" is NaN where rarity = 1; `,
		"length % rarity":    `is NaN where length = 1, rarity = 0`,
		"exp(1000 * length)": `is +Inf where length = 1`,
	} {
		f, err := New(text, metric.Length(), metric.Rarity())
		if err != nil {
			t.Fatal(err)
		}
		_, err = value(f, []float64{1, 0}[:len(f.Inputs())]...)
		var at *metric.SampleError
		if !errors.As(err, &at) || at.ID != 41 || !strings.HasPrefix(err.Error(), "sample 41: ") || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v\nwant %s", text, err, say)
		}
	}
	f, err := New("length * 9007199254740992", metric.Length())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := value(f, -1); v != -1<<53 || err != nil {
		t.Error(v, err)
	}
	if _, err := value(f, 2); err == nil || !strings.Contains(err.Error(), "whole values reach up to 2^53") {
		t.Error(err)
	}
	if _, err := value(f, 2, 3); err == nil || !strings.Contains(err.Error(), "has 1 inputs (length), and 2 values came") {
		t.Error(err)
	}
}

// pair is an expression in the formula's language and, with the same meaning,
// in that of the library's machine over float64.
type pair struct{ ours, theirs string }

func numberGen(depth int) *rapid.Generator[pair] {
	return rapid.Custom(func(t *rapid.T) pair {
		sub := func(name string) pair { return numberGen(depth-1).Draw(t, name) }
		kinds := 8
		if depth == 0 {
			kinds = 3
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			n := rapid.IntRange(0, 40).Draw(t, "whole")
			return pair{fmt.Sprint(n), fmt.Sprintf("%d.0", n)}
		case 1:
			text := fmt.Sprintf("%.2f", rapid.Float64Range(0, 9).Draw(t, "real"))
			return pair{text, text}
		case 2:
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
			return pair{name, name}
		case 3:
			a := sub("a")
			return pair{"-(" + a.ours + ")", "-(" + a.theirs + ")"}
		case 4:
			a, b := sub("a"), sub("b")
			op := rapid.SampledFrom([]string{"+", "-", "*", "/", "**", "^"}).Draw(t, "op")
			return pair{"(" + a.ours + op + b.ours + ")", "(" + a.theirs + op + b.theirs + ")"}
		case 5:
			a, b := sub("a"), sub("b")
			return pair{"(" + a.ours + "%" + b.ours + ")", "mod((" + a.theirs + "),(" + b.theirs + "))"}
		case 6:
			name := rapid.SampledFrom([]string{"abs", "ceil", "floor", "round", "trunc", "max"}).Draw(t, "f")
			a := sub("a")
			return pair{strings.Replace(name, "trunc", "int", 1) + "(" + a.ours + ")", name + "(" + a.theirs + ")"}
		default:
			op := rapid.SampledFrom([]string{"<", "<=", ">", ">=", "==", "!="}).Draw(t, "op")
			x, y, a, b := sub("x"), sub("y"), sub("a"), sub("b")
			return pair{
				"(" + x.ours + op + y.ours + " ? " + a.ours + " : " + b.ours + ")",
				"(" + x.theirs + op + y.theirs + " ? " + a.theirs + " : " + b.theirs + ")",
			}
		}
	})
}

// The library's own machine gives the same values, bit for bit; and a formula
// that says it is whole is.
func TestAgainstTheMachine(t *testing.T) {
	one := func(name string, f func(float64) float64) expr.Option {
		return expr.Function(name, func(x ...any) (any, error) { return f(x[0].(float64)), nil }, new(func(float64) float64))
	}
	options := []expr.Option{
		expr.DisableAllBuiltins(), expr.Optimize(false),
		one("abs", math.Abs), one("ceil", math.Ceil), one("floor", math.Floor), one("round", math.Round), one("trunc", math.Trunc),
		one("max", func(x float64) float64 { return x }),
		expr.Function("mod", func(x ...any) (any, error) { return math.Mod(x[0].(float64), x[1].(float64)), nil }, new(func(a, b float64) float64)),
	}
	a := whole{metric.Length(), "a"}
	b := whole{metric.Length(), "b"}
	rapid.Check(t, func(t *rapid.T) {
		text := numberGen(3).Draw(t, "expression")
		text = pair{"0*a+0*b+" + text.ours, "0.0*a+0.0*b+" + text.theirs}
		f, err := New(text.ours, a, b)
		if err != nil {
			t.Fatal(err)
		}
		x := []float64{float64(rapid.IntRange(-9, 9).Draw(t, "a")), float64(rapid.IntRange(0, 1000).Draw(t, "b"))}
		env := map[string]any{"a": x[0], "b": x[1]}
		program, err := expr.Compile(text.theirs, append(options, expr.Env(env))...)
		if err != nil {
			t.Fatal(err)
		}
		want, err := expr.Run(program, env)
		if err != nil {
			t.Fatal(err)
		}
		got := f.value(x)
		if math.Float64bits(got) != math.Float64bits(want.(float64)) && !(got != got && want != want) {
			t.Fatalf("%s = %v, want %v", text.ours, got, want)
		}
		if f.Info().Kind == metric.Whole && got-got == 0 && got != math.Trunc(got) {
			t.Fatalf("%s = %v is said to be whole", text.ours, got)
		}
	})
}

// whole is a whole metric of another name.
type whole struct {
	metric.Metric
	name string
}

func (w whole) Info() metric.Info { return metric.Info{Name: w.name, Version: 1, Kind: metric.Whole} }

// Any text is a formula or an error of kind fault.Invalid, and a formula gives
// finite values or errors.
func FuzzFormula(f *testing.F) {
	for _, text := range []string{
		"length * 1e6 + rarity", "length % 7 > 2 ? max(1, rarity) : -int(rarity)", "let x = 1; x", "length[1:2]", "0x1p-2*length",
		"length | sqrt()", "1 < length < 3 ? 1 : 0", "length ?.x", "`a`", "b'a'", "length /* */ // ", "not not (length==1) ? 1:2", "#length", "length not in [2]", "map([1], #)",
	} {
		f.Add(text, 3., 0.5)
	}
	f.Fuzz(func(t *testing.T, text string, x, y float64) {
		m, err := New(text, metric.Length(), metric.Rarity())
		if err != nil {
			if !errors.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		v, err := value(m, []float64{x, y}[:len(m.Inputs())]...)
		if err != nil {
			return
		}
		if v-v != 0 || x-x == 0 && x == math.Trunc(x) && m.Info().Kind == metric.Whole && v != math.Trunc(v) {
			t.Fatalf("%q: %v", text, v)
		}
	})
}

func BenchmarkFormula(b *testing.B) {
	f, err := New("length * 1e6 + rarity", metric.Length(), metric.Rarity())
	if err != nil {
		b.Fatal(err)
	}
	scorer, err := f.Scorer(metric.Source{})
	if err != nil {
		b.Fatal(err)
	}
	samples, values := make([]metric.Sample, 1<<10), make([]float64, 1<<10)
	for i := range samples {
		samples[i].Inputs = []float64{float64(i), 3.5}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := scorer.Score(values, samples); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(samples))/b.Elapsed().Seconds(), "samples/s")
}
