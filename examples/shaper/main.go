// Command shaper is gradus with one more shaper, suffix: of a sample that is longer
// than a row it keeps the last tokens, where truncate keeps the first. A recipe says
//
//	curriculum:
//	  - {metric: length, apply: suffix, pace: {kind: linear, from: 64, to: 256, step: 64, until: 40%}}
package main

import (
	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/cmd"
)

type suffix struct{}

// Rows makes one row of each unit.
func (suffix) Rows(full, length int) int { return 1 }

// From begins it so that it ends where the unit ends.
func (suffix) From(row, full, length int) (first, repeated int) { return full - length, 0 }

func main() {
	batch.RegisterShaper("suffix", "keep the last inputs of each unit, and discard the rest", suffix{})
	cmd.Main()
}
