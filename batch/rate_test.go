package batch_test

import (
	"errors"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
)

func TestRateFactor(t *testing.T) {
	for _, c := range []struct {
		method      string
		units, base int
		want        float64
	}{
		{"linear", 8, 8, 1}, {"linear", 16, 8, 2}, {"linear", 1, 8, 0.125}, {"linear", 6, 32, 0.1875},
		{"sqrt", 8, 8, 1}, {"sqrt", 32, 8, 2}, {"sqrt", 2, 8, 0.5}, {"sqrt", 9, 4, 1.5},
		{"none", 1, 8, 1}, {"none", 64, 8, 1},
	} {
		if got, err := batch.RateFactor(c.method, c.units, c.base); err != nil || got != c.want {
			t.Errorf("%s of %d by %d: %v, %v; want %v", c.method, c.units, c.base, got, err, c.want)
		}
	}
	for _, c := range []struct {
		method      string
		units, base int
	}{{"cube", 8, 8}, {"", 8, 8}, {"linear", 0, 8}, {"none", 8, 0}, {"sqrt", -8, -8}} {
		if got, err := batch.RateFactor(c.method, c.units, c.base); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q of %d by %d: %v, %v", c.method, c.units, c.base, got, err)
		}
	}
}
