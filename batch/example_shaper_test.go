package batch_test

import (
	"fmt"

	"github.com/gradus-ml/gradus/batch"
)

// tail keeps the last inputs of each unit, where truncate keeps the first.
type tail struct{}

func (tail) Rows(full, length int) int { return 1 }

func (tail) From(row, full, length int) (first, repeated int) { return full - length, 0 }

func init() { batch.RegisterShaper("tail", "keep the last inputs of each unit", tail{}) }

// A shaper of one's own, which a recipe reaches with 'apply: tail'.
func ExampleRegisterShaper() {
	for _, s := range batch.Shapers() {
		fmt.Printf("%-15s  %d rows of 5 from 12 inputs\n", s.Name, s.Shaper.Rows(12, 5))
	}
	// Output:
	// reshape          2 rows of 5 from 12 inputs
	// reshape-overlap  3 rows of 5 from 12 inputs
	// tail             1 rows of 5 from 12 inputs
	// truncate         1 rows of 5 from 12 inputs
}
