package batch_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Evaluation batches predict each held-out token but a run's first once, in
// rows of one shape.
func TestEvaluation(t *testing.T) {
	c := write(t, t.TempDir(), 30, 31, 5, 1, 0, 44, 12, 63, 20, 90, 8, 8, 40)
	h, err := c.HoldOut(0.3, 2, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 3, 64} {
		batches, err := batch.Evaluation(c, h, 8, rows, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got, want [][2]int32
		for _, b := range batches {
			if b.Rows != rows || b.Length != 8 || b.Shape.Kept != 8 || b.Kept != nil || b.IDs != nil || b.Documents != nil || b.Targets() == 0 {
				t.Fatalf("%d rows: batch %+v", rows, b)
			}
			if b.Padding != b.Tokens()-b.Targets() || b.Discarded != 0 {
				t.Fatalf("%d rows: %d padding, %d discarded, %d targets", rows, b.Padding, b.Discarded, b.Targets())
			}
			for i, l := range b.Labels {
				if l != batch.Ignore {
					got = append(got, [2]int32{b.Inputs[i], l})
				} else if b.Inputs[i] != 0 {
					t.Fatalf("%d rows: padding is %d", rows, b.Inputs[i])
				}
			}
		}
		for at := range c.Tokens() - 1 {
			if h.Holds(at, at+1) && h.Holds(at+1, at+2) {
				want = append(want, [2]int32{int32(at), int32(at + 1)})
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d rows: %d predictions\n%v\nwant %d\n%v", rows, len(got), got, len(want), want)
		}
	}
	limited, err := batch.Evaluation(c, h, 8, 2, 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, b := range limited {
		n += b.Targets()
	}
	if n > 32 || n < 24 {
		t.Errorf("a limit of 32 tokens: %d are predicted", n)
	}
	for _, bad := range [][2]int{{0, 1}, {8, 0}} {
		if _, err := batch.Evaluation(c, h, bad[0], bad[1], 0, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("window %d, %d rows: %v", bad[0], bad[1], err)
		}
	}
	single := write(t, t.TempDir(), 1)
	if _, err := batch.Evaluation(single, single.All(), 8, 2, 0, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("one token: %v", err)
	}
}
