package main

import (
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/route"
	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is the program that the scripts call gradus.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"gradus": main}) }

func TestScript(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata"}) }

// Positions ascend, and each is kept equally often over length steps, whatever the
// layer and the row.
func TestStride(t *testing.T) {
	for length := 1; length <= 40; length++ {
		for keep := 1; keep <= length; keep++ {
			times := make([]int, length)
			kept := make([]int32, keep)
			for step := range length {
				stride{}.Keep(kept, length, route.Draw{Step: int64(step) + 1<<40, Layer: keep % 5, Row: length % 7})
				last := int32(-1)
				for _, at := range kept {
					if at <= last || int(at) >= length {
						t.Fatalf("%d of %d: %v", keep, length, kept)
					}
					times[at]++
					last = at
				}
			}
			if slices.Min(times) != keep || slices.Max(times) != keep {
				t.Fatalf("%d of %d: positions are kept %v times in %d steps", keep, length, times, length)
			}
		}
	}
}
