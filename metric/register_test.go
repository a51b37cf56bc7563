package metric

import (
	"errors"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func TestRegister(t *testing.T) {
	before := Definitions().Names()
	for _, name := range []string{"test-z", "test-a"} {
		d := OfText(Info{Name: name, Version: 1, Unit: "bytes"}, func(text []byte) float64 { return float64(len(text)) })
		d.Keys = []Key{{Name: "low"}, {Name: "high"}}
		Register(d)
		d.Keys[0].Name = "changed" // afterwards, and without effect
	}
	d := Definitions()
	if got, want := d.Names(), append(slices.Clone(before), "test-a", "test-z"); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if u := d[len(d)-1].Usage(); u != "test-z:low=...,high=..." {
		t.Errorf("usage %q", u)
	}
	if n := len(Builtin()); !slices.Equal(Builtin().Names(), d.Names()[:n]) {
		t.Errorf("the built-in metrics do not come first: %v", d.Names())
	}
	made, err := d.Parse("column=test-a:low=1")
	if err != nil || made[0].Info().Name != "column" || made[0].Info().Spec != "test-a:low=1" {
		t.Errorf("%v, %v", made, err)
	}

	ok := func(*Args) (Metric, error) { return Length(), nil }
	for what, d := range map[string]Definition{
		"no name":          {Make: ok},
		"no Make":          {Name: "test-b"},
		"twice":            {Name: "test-a", Make: ok},
		"built in":         {Name: "rarity", Make: ok},
		"colon":            {Name: "test:b", Make: ok},
		"column":           {Name: "test=b", Make: ok},
		"space":            {Name: "test b", Make: ok},
		"list":             {Name: "test,b", Make: ok},
		"parameter twice":  {Name: "test-b", Make: ok, Keys: []Key{{Name: "k"}, {Name: "k"}}},
		"parameter's name": {Name: "test-b", Make: ok, Keys: []Key{{Name: "k=v"}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: Register does not panic", what)
				}
			}()
			Register(d)
		}()
	}
	if after := Definitions(); len(after) != len(d) {
		t.Errorf("what panicked is registered: %v", after.Names())
	}
}

func TestOfText(t *testing.T) {
	letters := OfText(Info{Name: "letters", Version: 1, Unit: "letters", Kind: Whole}, func(text []byte) float64 {
		n := 0
		for _, c := range text {
			if c >= 'a' && c <= 'z' {
				n++
			}
		}
		return float64(n)
	})
	made, err := Registry{letters}.Parse("letters")
	if err != nil {
		t.Fatal(err)
	}
	if info := made[0].Info(); info.Spec != "letters" || info.Unit != "letters" {
		t.Errorf("%+v", info)
	}
	// The long sample's text is not left behind in that of the next.
	got := scoreIn(t, made[0], Source{Tokenizer: bytesTokenizer(t)}, nil, []int32{'a', 'B', 'c', 'd', 256}, []int32{'z'}, nil)
	if want := []float64{3, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := made[0].Scorer(Source{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("without a tokenizer: %v", err)
	}
}
