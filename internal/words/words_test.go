package words

import (
	"strings"
	"testing"
)

func TestFormats(t *testing.T) {
	byName := map[string]Clock{}
	for _, k := range Clocks() {
		byName[k.Name] = k
	}
	for _, c := range []struct {
		clock string
		value float64
		want  string
	}{
		{"tokens", 0, "0"}, {"tokens", 999.4, "999"}, {"tokens", 999.5, "1.00 k"}, {"tokens", 9994, "9.99 k"},
		{"tokens", 9996, "10.0 k"}, {"tokens", 99_960, "100 k"}, {"tokens", 999_499, "999 k"}, {"tokens", 999_501, "1.00 M"},
		{"tokens", 2.345e9, "2.35 B"}, {"tokens", 1e12, "1.00 T"}, {"tokens", 1e19, "1e+07 T"},
		{"flops", 6.06e12, "6.06 T"}, {"flops", 1.5e15, "1.50 P"}, {"flops", 3e30, "3e+06 Y"},
		{"seconds", 0, "0 s"}, {"seconds", 0.0421, "0.042 s"}, {"seconds", 1, "1.00 s"}, {"seconds", 98.14, "98.1 s"}, {"seconds", 119.9, "120 s"},
		{"seconds", 150, "2.50 min"}, {"seconds", 7100, "118 min"}, {"seconds", 7200, "2.00 h"}, {"seconds", 86400 * 3.5, "3.5 days"},
		{"steps", 12.5, "13"}, {"steps", 999, "999"}, {"steps", 1234, "1,234"}, {"steps", 1e6, "1,000,000"},
	} {
		if got := byName[c.clock].Format(c.value); got != c.want {
			t.Errorf("%s %v: got %q, want %q", c.clock, c.value, got, c.want)
		}
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct {
		clock, label string
		max, scale   float64
	}{
		{"tokens", "tokens (millions)", 2e6, 1e6}, {"tokens", "tokens", 5000, 1}, {"flops", "training FLOPs (tera)", 3e13, 1e12},
		{"seconds", "training time (minutes)", 300, 60}, {"wall", "training time with waiting (hours)", 7200, 3600}, {"none", "layer-tokens (thousands)", 1e4, 1e3},
	} {
		if label, scale := ClockNamed(c.clock).Axis(c.max); label != c.label || scale != c.scale {
			t.Errorf("%s to %v: got %q by %v, want %q by %v", c.clock, c.max, label, scale, c.label, c.scale)
		}
	}
}

func TestPhrases(t *testing.T) {
	for got, want := range map[string]string{
		List(nil): "", List([]string{"a"}): "a", List([]string{"a", "b"}): "a and b", List([]string{"a", "b", "c"}): "a, b and c",
		Printable("x\x1b[31m\n y\u202e"): "x[31m y", Brief("0123456789abcdef"): "0123456789ab", Unit("image"): "nats an image", Unit(""): "nats a token",
		FileName("a/b c.d"): "a_b_c.d", Percent(0): "none", Percent(0.00001): "< 0.01 %", Percent(0.005): "0.50 %", Percent(0.256): "25.6 %",
		Loss(1.23456): "1.235", Loss(123456): "1.23e+05", Prose("33 % of held-out layer-tokens"): "33\u00a0% of held\u2011out layer\u2011tokens",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	Table(&b, [][]string{{"run", "loss"}, {"a|b", "2.1"}, {"é", "13"}}, 1)
	want := "| run  | loss |\n|------|-----:|\n| a\\|b |  2.1 |\n| é    |   13 |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
