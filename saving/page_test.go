package saving

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/runlog"
	"pgregory.net/rapid"
)

// wellFormed fails unless b is well-formed XML, which the page and the figures are written
// to be.
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

func page(t testing.TB, r Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := Page(&b, r, "gradus compare gosrc.yaml --out 'a b'"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageStandsAlone(t *testing.T) {
	r := compare(t, motley())
	p := page(t, r)
	wellFormed(t, "page", []byte(p))
	for _, loads := range []string{"http:", "https:", "//", "src=", "href", "@import", "url(", "<script", "<link", "<img", "<iframe", "<?xml", " id=", "ZgotmplZ", "NaN"} {
		if i := strings.Index(p, loads); i >= 0 {
			t.Errorf("%q at %.60q", loads, p[i:])
		}
	}
	// A colour that is not a variable would not follow the dark mode.
	if m := regexp.MustCompile(`(fill|stroke):#[0-9A-F]{6}`).FindString(p); m != "" {
		t.Errorf("%s is not a CSS variable", m)
	}
	if p != page(t, r) {
		t.Error("the second page differs from the first")
	}
	for _, f := range Figures(r) {
		wellFormed(t, f.Name, f.SVG())
	}
}

func TestPageSays(t *testing.T) {
	p := page(t, compare(t, motley()))
	for _, want := range []string{
		"Do short rows first and random-LTD reach the baseline&#39;s loss with half the time?",
		"For the held\u2011out loss that composed reached at 50\u00a0% of the budget, the baseline needs 3.03x the training time (95\u00a0% interval 2.91x to 3.15x) and 2.07x the tokens (2.00x to 2.14x).",
		"The aim that was fixed before the runs, 2.00x in training time and tokens, is not reached: 2 of 43 runs of the study are still to be made",
		"Measured at this scale, and no other: gpt, 6 layers, width 128, 4 heads; 1,234,432 parameters; 2.00 M tokens",
		"reversed at 50\u00a0% with seed 12 (diverged)", "no space left on device", "a | shallower &lt;net&gt;",
		"gradus compare gosrc.yaml --out &#39;a b&#39;", "Show all 42 rows", "39 of 43 runs are finished", "1 dot above the frame",
		`aria-label="Saving in training time"`, `aria-label="Final held-out loss against tokens"`,
	} {
		if !strings.Contains(p, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	s := motley()
	s.Primary = nil
	if p := page(t, compare(t, s)); !strings.Contains(p, "no comparison was fixed before") || strings.Contains(p, "Fixed before the runs") {
		t.Error("without a primary comparison the page does not say so")
	}
}

func TestWrite(t *testing.T) {
	r := compare(t, twoArms())
	dir := t.TempDir()
	out := Output{Page: filepath.Join(dir, "s.html"), JSON: filepath.Join(dir, "s.json"), Table: filepath.Join(dir, "s.md"), SVGDir: filepath.Join(dir, "deep", "svg")}
	if err := Write(t.Context(), out, r); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{out.Page, out.JSON, out.Table, filepath.Join(out.SVGDir, "saving-tokens.svg"), filepath.Join(out.SVGDir, "loss-wall.svg")} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	svgs, err := os.ReadDir(out.SVGDir)
	if err != nil || len(svgs) != 2*len(Clocks()) {
		t.Errorf("%d figures (%v), want two for each of %d clocks", len(svgs), err, len(Clocks()))
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := Write(stopped, Output{Page: filepath.Join(dir, "other.html")}, r); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.html")); err == nil {
		t.Error("stopped, it wrote a page")
	}
}

// Whatever logs may hold, there is a result or an error, its JSON has only numbers, and the
// page is well-formed.
func TestAnyStudy(t *testing.T) {
	value := rapid.OneOf(rapid.Float64Range(0, 10), rapid.SampledFrom([]float64{0, 1, 1e-320, 1e-9, 1e30, 1e300, math.MaxFloat64}))
	loss := rapid.OneOf(rapid.Float64Range(0, 10), value, rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -1e59, 1e59, -math.MaxFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		s := Study{Name: rapid.String().Draw(t, "name"), Question: rapid.String().Draw(t, "question"), Baseline: "b", Arms: []Arm{{Name: "b"}, {Name: "a", Says: rapid.String().Draw(t, "says")}, {Name: "c", Control: "a"}}}
		if rapid.Bool().Draw(t, "primary") {
			s.Primary = &Primary{"a", 1, rapid.SliceOfN(rapid.SampledFrom(Clocks()), 1, 3).Draw(t, "clocks"), 2}
		}
		for _, arm := range []string{"b", "a", "c"} {
			for _, budget := range []float64{0.5, 1, 2} {
				for seed := range uint64(3) {
					if rapid.IntRange(0, 9).Draw(t, "missing") == 0 {
						continue
					}
					log := &runlog.Log{Run: runlog.Run{Seed: seed, Steps: 2, Model: rapid.StringN(0, 3, -1).Draw(t, "model")}}
					var step runlog.Step
					for step.Step < 2 {
						step.Step++
						step.Tokens += rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "tokens")
						step.LayerTokens += value.Draw(t, "layer tokens")
						step.FLOPs += value.Draw(t, "flops")
						step.Seconds += value.Draw(t, "seconds")
						step.Waited, step.Compile = value.Draw(t, "waited"), value.Draw(t, "compile")
						step.Rows, step.Length = rapid.IntMin(0).Draw(t, "rows"), rapid.IntMin(0).Draw(t, "length")
						step.Padding, step.Discarded = rapid.Int64Min(0).Draw(t, "padding"), rapid.Int64Min(0).Draw(t, "discarded")
						step.HeldOut = new(loss.Draw(t, "loss"))
						log.Steps = append(log.Steps, step)
					}
					s.Runs = append(s.Runs, Run{Arm: arm, Budget: budget, Seed: seed, Log: log})
				}
			}
		}
		r, err := Compare(s)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.JSON(&b); err != nil {
			t.Fatalf("%v: %+v", err, r)
		}
		if err := r.Table(&b); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if err := Page(&b, r, ""); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, "page", b.Bytes())
	})
}
