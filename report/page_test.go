package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/runlog"
	"pgregory.net/rapid"
)

// wellFormed fails unless b is well-formed XML, which the page and the figures
// are written to be.
func wellFormed(t interface{ Fatalf(string, ...any) }, name string, b []byte) {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			line, _ := d.InputPos()
			t.Fatalf("%s, line %d: %v", name, line, err)
		}
	}
}

func page(t testing.TB, runs []*runlog.Log) string {
	t.Helper()
	names, c := compare(t, runs)
	var b bytes.Buffer
	if err := Page(&b, c, Figures(runs, names, c), "gradus report a b --out 'x y.html'"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageStandsAlone(t *testing.T) {
	for name, runs := range map[string][]*runlog.Log{"pair": pair(), "motley": motley(), "alone": pair()[:1], "empty": {{}}} {
		p := page(t, runs)
		wellFormed(t, name, []byte(p))
		for _, loads := range []string{"http:", "https:", "//", "src=", "href", "@import", "url(", "<script", "<link", "<img", "<iframe", "<?xml", " id="} {
			if i := strings.Index(p, loads); i >= 0 {
				t.Errorf("%s: %q at %.60q", name, loads, p[i:])
			}
		}
		if again := page(t, runs); again != p {
			t.Errorf("%s: the second page differs from the first", name)
		}
		// A colour that is not a variable would not follow the dark mode.
		if m := regexp.MustCompile(`(fill|stroke):#[0-9A-F]{6}`).FindString(p); m != "" {
			t.Errorf("%s: %s is not a CSS variable", name, m)
		}
		if strings.Contains(p, "ZgotmplZ") {
			t.Errorf("%s: html/template refused a value", name)
		}
	}
}

func TestPageSays(t *testing.T) {
	p := page(t, motley())
	for _, want := range []string{
		"2 of 6 runs reached the baseline&#39;s final held\u2011out loss (2.113).",
		"Read with care", "Not comparable: the corpus of baseline is 9a1b77de5c0f, that of diverged is another",
		`<td data-label="Tokens"><span class="amount">587 k</span><span class="saving less">1.40x, 28 % less</span></td>`,
		"unfinished | &lt;b&gt;", "not reached", "1,234,432", "gpt, 6 layers, width 128, 4 heads",
		"gradus report a b --out &#39;x y.html&#39;", "digest-of-comp",
	} {
		if !strings.Contains(p, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if p := page(t, pair()); strings.Contains(p, "Read with care") {
		t.Error("a warning about comparable runs")
	}
	if got := strings.Count(page(t, pair()), "<figure>"); got != 5+4 {
		t.Errorf("%d figures, want 5 of the loss and 4 of the paces", got)
	}
}

func TestFigures(t *testing.T) {
	runs := motley()
	names, c := compare(t, runs)
	var got []string
	for _, f := range Figures(runs, names, c) {
		got = append(got, f.Name)
		svg := f.SVG()
		wellFormed(t, f.Name, svg)
		if !bytes.Contains(svg, []byte(" viewBox=")) || bytes.Contains(svg, []byte(" width=")) || !bytes.Contains(svg, []byte(f.Title)) {
			t.Errorf("%s does not scale or has no title: %.200s", f.Name, svg)
		}
		if !bytes.Equal(svg, f.SVG()) {
			t.Errorf("%s: the second drawing differs from the first", f.Name)
		}
	}
	want := []string{
		"loss-layer-tokens", "loss-tokens", "loss-flops", "loss-seconds", "loss-steps",
		"pace-length", "pace-kept", "pace-difficulty-rarity", "pace-rate",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A small figure, spelled out: regenerate with -update and look at it.
func TestGoldenSVG(t *testing.T) {
	runs := []*runlog.Log{evaluated("baseline", 6, 4, 3, 2.5), evaluated("fast", 6, 3, 2)}
	names, c := compare(t, runs)
	golden(t, "loss-tokens.svg", Figures(runs, names, c)[1].SVG())
}

// Two metrics whose names differ only in what a file name cannot hold.
func TestFigureNamesDiffer(t *testing.T) {
	log := evaluated("run", 2, 1)
	for i := range log.Steps {
		log.Steps[i].Difficulty = map[string]float64{"a/b": 1, "a:b": 2}
	}
	runs := []*runlog.Log{log}
	names, c := compare(t, runs)
	seen := map[string]bool{}
	for _, f := range Figures(runs, names, c) {
		if seen[f.Name] {
			t.Errorf("two figures are named %s", f.Name)
		}
		seen[f.Name] = true
	}
	if !seen["pace-difficulty-a_b"] || !seen["pace-difficulty-a_b-2"] {
		t.Errorf("got %v", seen)
	}
}

// Whatever a log may hold, the page is well-formed and says a number of no run
// that is not one.
func TestAnyLog(t *testing.T) {
	amount := rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 10), rapid.SampledFrom([]float64{1e-320, 1e-9, 1e30, 1e307}))
	loss := rapid.OneOf(rapid.Float64Range(0, 10), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 9e299, -9e299, 1e-320, 0}))
	rapid.Check(t, func(t *rapid.T) {
		var runs []*runlog.Log
		for range rapid.IntRange(1, 4).Draw(t, "runs") {
			log := &runlog.Log{Run: runlog.Run{
				Name: rapid.String().Draw(t, "name"), Model: rapid.String().Draw(t, "model"), Corpus: rapid.String().Draw(t, "corpus"),
				Clock: rapid.SampledFrom(runlog.Clocks()).Draw(t, "clock"), Budget: amount.Draw(t, "budget"), Parameters: rapid.Int64Min(0).Draw(t, "parameters"),
			}}
			var s runlog.Step
			for range rapid.IntRange(0, 8).Draw(t, "steps") {
				s.Step++
				s.Tokens = max(s.Tokens, rapid.Int64Min(0).Draw(t, "tokens"))
				s.LayerTokens += amount.Draw(t, "layer tokens")
				s.FLOPs += amount.Draw(t, "flops")
				s.Seconds += amount.Draw(t, "seconds")
				s.Length = rapid.IntMin(0).Draw(t, "length")
				s.Rate, s.Loss, s.HeldOut = amount.Draw(t, "rate"), loss.Draw(t, "loss"), nil
				if rapid.Bool().Draw(t, "evaluated") {
					s.HeldOut = new(loss.Draw(t, "held out"))
				}
				s.Difficulty = map[string]float64{rapid.String().Draw(t, "metric"): loss.Draw(t, "difficulty")}
				log.Steps = append(log.Steps, s)
			}
			runs = append(runs, log)
		}
		names := Names(runs, nil)
		c, err := Compare(runs, names, rapid.IntRange(0, len(runs)-1).Draw(t, "baseline"))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		figures := Figures(runs, names, c)
		if err := Page(&b, c, figures, ""); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "page", b.Bytes())
		if _, err := json.Marshal(c); err != nil {
			t.Fatal(err)
		}
		for _, f := range figures {
			wellFormed(t, f.Name, f.SVG())
		}
		if s := b.String(); strings.Contains(s, "NaN") && !strings.Contains(strings.Join(names, ""), "NaN") {
			t.Fatalf("the page says NaN: %.200s", s[strings.Index(s, "NaN")-100:])
		}
	})
}

func TestWrite(t *testing.T) {
	runs := pair()
	names, c := compare(t, runs)
	dir := t.TempDir()
	out := Output{Page: filepath.Join(dir, "r.html"), SVGDir: filepath.Join(dir, "deep", "svg")}
	svgs, err := Write(t.Context(), out, runs, names, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(svgs) != 9 || svgs[0] != filepath.Join(out.SVGDir, "loss-layer-tokens.svg") {
		t.Errorf("wrote %q", svgs)
	}
	before, err := os.ReadFile(out.Page)
	if err != nil {
		t.Fatal(err)
	}

	// Stopped and failed, it leaves the page as it was and nothing beside it.
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, alone := compare(t, runs[:1])
	if _, err := Write(stopped, out, runs[:1], names[:1], alone); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
	if _, err := Write(t.Context(), Output{Page: filepath.Join(dir, "none", "r.html")}, runs, names, c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a missing directory: got %v", err)
	}
	after, err := os.ReadFile(out.Page)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the page changed (%v)", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left %v (%v)", entries, err)
	}
}
