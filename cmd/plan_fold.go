package cmd

import (
	"slices"

	"github.com/gradus-ml/gradus/curriculum"
)

// A planFold is stages that follow each other and are shown in one line: only
// what is admitted differs between them.
type planFold struct {
	first, last planStage
	steps       int64
	expect      curriculum.Expectation
	share       [][2]float64 // least and largest of each form of first
}

// mostFolds is how many lines a plan may take before changes of the weights are
// folded too.
const mostFolds = 40

// foldStages folds stages whose batches look the same.
func foldStages(stages []planStage) []planFold {
	folds := foldWhile(stages, func(a, b *planStage) bool { return sameForms(a, b) && slices.Equal(a.Weights, b.Weights) })
	if len(folds) > mostFolds {
		folds = foldWhile(stages, sameForms)
	}
	return folds
}

func foldWhile(stages []planStage, same func(a, b *planStage) bool) []planFold {
	var folds []planFold
	for i := range stages {
		s := &stages[i]
		if i == 0 || !same(&stages[i-1], s) {
			f := planFold{first: *s}
			for _, b := range s.Batches {
				f.share = append(f.share, [2]float64{b.Share, b.Share})
			}
			folds = append(folds, f)
		}
		folds[len(folds)-1].add(s)
	}
	return folds
}

func (f *planFold) add(s *planStage) {
	f.last = *s
	f.steps += s.Steps
	if s.Expect != nil {
		f.expect.Inputs += s.Expect.Inputs
		f.expect.Padding += s.Expect.Padding
		f.expect.Discarded += s.Expect.Discarded
	}
	for i, b := range s.Batches {
		f.share[i][0] = min(f.share[i][0], b.Share)
		f.share[i][1] = max(f.share[i][1], b.Share)
	}
}

// sameForms reports whether the batches of two stages look the same.
func sameForms(a, b *planStage) bool {
	return slices.EqualFunc(a.Batches, b.Batches, func(x, y curriculum.Form) bool {
		return x.Shape == y.Shape && x.Bucket == y.Bucket && x.Units == y.Units
	})
}

// padding returns the share of padding in rows, in per cent.
func padding(e curriculum.Expectation) float64 {
	if e.Padding == 0 {
		return 0
	}
	return 100 * e.Padding / (e.Inputs + e.Padding)
}
