// Command metric is gradus with one more metric, brackets: how deep the brackets in
// a sample's text nest. It orders code from flat to nested:
//
//	go run ./examples/metric analyze --corpus data/gosrc --documents --metric brackets --out data/gosrc.index
package main

import (
	"github.com/gradus-ml/gradus/cmd"
	"github.com/gradus-ml/gradus/metric"
)

func brackets(text []byte) float64 {
	open, deepest := 0, 0
	for _, c := range text {
		switch c {
		case '(', '[', '{':
			open++
			deepest = max(deepest, open)
		case ')', ']', '}':
			open = max(open-1, 0) // a window may begin inside
		}
	}
	return float64(deepest)
}

func main() {
	metric.Register(metric.OfText(metric.Info{Name: "brackets", Version: 1, Unit: "brackets", Kind: metric.Whole, Summary: "deepest nesting of brackets"}, brackets))
	cmd.Main()
}
