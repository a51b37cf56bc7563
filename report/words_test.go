package report

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/runlog"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test -update to write it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); run go test -update if the change is meant:\n%s", path, diff)
	}
}

// pair is a baseline and a run that beats it; motley is what can go wrong.
func pair() []*runlog.Log {
	return []*runlog.Log{synthetic("baseline", 1234, false, 1), synthetic("composed", 1234, true, 1.5)}
}

func motley() []*runlog.Log {
	diverged := synthetic("diverged", 7, false, 1)
	for i := range diverged.Steps[150:] {
		s := &diverged.Steps[150+i]
		s.Loss = math.NaN()
		if s.HeldOut != nil {
			s.HeldOut = new(math.Inf(1))
		}
	}
	diverged.Run.Corpus, diverged.Run.Parameters = "another", 5
	unfinished := synthetic("unfinished | <b>", 1234, true, 1.2)
	unfinished.Steps, unfinished.Torn = unfinished.Steps[:333], true
	unfinished.Run.Backend = "xla:cuda"
	blind := synthetic("blind", 1234, false, 1)
	for i := range blind.Steps {
		blind.Steps[i].HeldOut = nil
	}
	again := synthetic("baseline", 1235, false, 1.02)
	return append(pair(), again, diverged, unfinished, blind, &runlog.Log{Run: runlog.Run{Name: "empty", Clock: "steps", Steps: 9}})
}

// images are two runs of a classifier that log everything there is: the second keeps
// an average of its weights, and pads.
func images() []*runlog.Log {
	runs := pair()
	for k, log := range runs {
		log.Run.Predicts, log.Run.Precision = "image", "bfloat16"
		for i := range log.Steps {
			s := &log.Steps[i]
			s.Waited = 0.0003
			if i%100 == 0 {
				s.Compile = 1.25
			}
			if s.HeldOut != nil {
				s.Accuracy = new(1 - *s.HeldOut/8)
			}
			if k == 1 {
				s.Padding, s.Discarded = int64(s.Rows*s.Length/8), 64
				if s.HeldOut != nil {
					s.HeldOutRaw = new(*s.HeldOut + 0.1)
				}
			}
		}
	}
	return runs
}

func compare(t testing.TB, runs []*runlog.Log) ([]string, Comparison) {
	t.Helper()
	names := Names(runs, nil)
	c, err := Compare(runs, names, 0)
	if err != nil {
		t.Fatal(err)
	}
	return names, c
}

func TestTable(t *testing.T) {
	for name, runs := range map[string][]*runlog.Log{"pair": pair(), "motley": motley(), "alone": pair()[:1], "images": images()} {
		t.Run(name, func(t *testing.T) {
			_, c := compare(t, runs)
			var b bytes.Buffer
			if err := c.Table(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".md", b.Bytes())
		})
	}
}

func TestHeadline(t *testing.T) {
	base := func() *runlog.Log { return evaluated("baseline", 6, 4, 2) }
	for _, c := range []struct {
		runs []*runlog.Log
		want string
	}{
		{[]*runlog.Log{base()}, "baseline ended at a held-out loss of 2.000 nats a token; there is no other run to compare."},
		{[]*runlog.Log{base(), evaluated("x", 6, 2)}, "x reached the baseline's final held-out loss (2.000) with 33 % fewer layer-tokens, 33 % fewer tokens and 33 % less time."},
		{[]*runlog.Log{base(), evaluated("x", 6, 5, 4, 2)}, "x reached the baseline's final held-out loss (2.000) with 33 % more layer-tokens, 33 % more tokens and 33 % more time."},
		{[]*runlog.Log{base(), evaluated("x", 6, 4, 2)}, "x reached the baseline's final held-out loss (2.000) with as many layer-tokens, as many tokens and the same time."},
		{[]*runlog.Log{base(), evaluated("x", 6, 2.5)}, "x did not reach the baseline's final held-out loss (2.000): its best was 2.500, after 10 layer-tokens in all."},
		{[]*runlog.Log{base(), evaluated("x", math.NaN())}, "x did not reach the baseline's final held-out loss (2.000): none of its evaluations is finite."},
		{[]*runlog.Log{base(), evaluated("x")}, "x was never evaluated on held-out data, so it cannot be compared."},
		{[]*runlog.Log{base(), evaluated("x", 9), evaluated("y", 9)}, "None of 2 runs reached the baseline's final held-out loss (2.000)."},
		{[]*runlog.Log{base(), evaluated("x", 9, 1), evaluated("y", 9)}, "1 of 2 runs reached the baseline's final held-out loss (2.000)."},
		{[]*runlog.Log{evaluated("plain", 6, math.NaN()), evaluated("x", 1)}, "plain has no finite final held-out loss, so nothing can be measured against it."},
	} {
		if _, got := compare(t, c.runs); got.Headline != c.want {
			t.Errorf("got  %s\nwant %s", got.Headline, c.want)
		}
	}
}

// What losses are counted in follows the runs, and runs of different ones do not
// compare.
func TestUnits(t *testing.T) {
	_, c := compare(t, append(images()[:1], pair()[1]))
	if want := "Not comparable: the loss of baseline is in nats an image, that of composed is nats a token."; !slices.Contains(c.Warnings, want) {
		t.Errorf("the warnings are %q, want %q among them", c.Warnings, want)
	}
	_, c = compare(t, images())
	r := c.Runs[1]
	if r.Accuracy == nil || r.FinalRaw == nil || math.Abs(r.Spent.Padding-0.125) > 1e-12 || r.Spent.Compile != 5 || r.Spent.Waited <= 0 || r.Spent.Waited > 0.01 || r.Spent.Discarded <= 0 {
		t.Errorf("%+v", r)
	}
	var page bytes.Buffer
	if err := Page(&page, c, nil, ""); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"nats an image", "Accuracy", "without averaging the last is", "12.5 %", "bfloat16"} {
		if !strings.Contains(page.String(), says) {
			t.Errorf("the page does not say %q", says)
		}
	}
}

func TestCaveat(t *testing.T) {
	run := func(recipe string, seed uint64, final float64) *runlog.Log {
		l := evaluated("run", 5, final)
		l.Run.Recipe, l.Run.Seed = recipe, seed
		return l
	}
	for _, c := range []struct {
		runs []*runlog.Log
		want string
	}{
		{[]*runlog.Log{run("a", 1, 2)}, ""},
		{[]*runlog.Log{run("a", 1, 2), run("b", 1, 2)}, "One seed:"},
		{[]*runlog.Log{run("a", 1, 2), run("b", 2, 2)}, "The seeds differ"},
		{[]*runlog.Log{run("a", 1, 2), run("b", 1, 2), run("a", 2, 2.5)}, "2 runs of the baseline's recipe end between 2.000 and 2.500:"},
		{[]*runlog.Log{run("", 1, 2), run("", 1, 2)}, "One seed:"}, // an unknown recipe is not the same recipe
	} {
		if _, got := compare(t, c.runs); !strings.HasPrefix(got.Caveat, c.want) || (c.want == "") != (got.Caveat == "") {
			t.Errorf("got %q, want %q...", got.Caveat, c.want)
		}
	}
}
