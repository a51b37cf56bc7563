package train

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A run that Until stops, again and again, and that then goes on has the log and the
// bits of one that was never stopped, with any average of the weights.
func TestUntil(t *testing.T) {
	for name, average := range map[string]Average{
		"plain": {}, "ema": {Kind: EMA, Decay: 0.9}, "checkpoints": {Kind: LastCheckpoints, Last: 2},
	} {
		t.Run(name, func(t *testing.T) {
			config := func(dir string) Config {
				c := small(t, dir)
				c.Average = average
				return c
			}
			whole, stopped := t.TempDir(), t.TempDir()
			if _, err := Train(context.Background(), config(whole)); err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			for _, until := range []int64{2, 2, 12, 7, 19} { // also where it stands, where it is saved anyhow, and behind it
				c := config(stopped)
				c.Until, c.Resume = until, want > 0
				want = max(until, want)
				got, err := Train(context.Background(), c)
				if err != nil || got.Finished || got.Step != want || filepath.Base(got.Checkpoint) != checkpointName(want) {
					t.Fatalf("until %d: %+v, %v", until, got, err)
				}
				if n := len(steps(t, stopped)); int64(n) != want {
					t.Fatalf("until %d: the log has %d steps, want %d", until, n, want)
				}
			}
			c := config(stopped)
			c.Resume, c.Until = true, 1000 // beyond the plan
			got, err := Train(context.Background(), c)
			if err != nil || !got.Finished || got.Step != 20 {
				t.Fatalf("to the end: %+v, %v", got, err)
			}
			sameRun(t, stopped, whole)
		})
	}
	c := small(t, t.TempDir())
	c.Until = -1
	if _, err := Train(context.Background(), c); !errors.Is(err, fault.Invalid) {
		t.Errorf("until -1: %v", err)
	}
}

// Graphs that a run stopped before needs are not compiled ahead.
func TestUntilCompiles(t *testing.T) {
	r := slowRun(t, nil)
	all := r.firsts(0)
	r.Until = all[len(all)-1]
	if got := r.firsts(0); len(got) != len(all)-1 {
		t.Errorf("until step %d: compiled for the steps %v, of %v", r.Until, got, all)
	}
}
