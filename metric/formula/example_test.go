package formula_test

import (
	"fmt"

	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/metric/formula"
)

// Samples by length, and those of equal length by rarity.
func ExampleNew() {
	f, err := formula.New("length * 1e6 + rarity", metric.Length(), metric.Rarity())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range f.Inputs() {
		fmt.Println("needs", m.Info().Name)
	}
	scorer, err := f.Scorer(metric.Source{})
	if err != nil {
		fmt.Println(err)
		return
	}
	values := make([]float64, 2)
	err = scorer.Score(values, []metric.Sample{{ID: 0, Inputs: []float64{2, 11.5}}, {ID: 1, Inputs: []float64{3, 7.25}}})
	fmt.Printf("%.2f %v\n", values, err)
	// Output:
	// needs length
	// needs rarity
	// [2000011.50 3000007.25] <nil>
}

func ExampleDefinition() {
	known := append(metric.Builtin(), formula.Definition())
	_, err := known.Parse("hard=formula:length +* 2")
	fmt.Println(err)
	// Output:
	// metric hard=formula:length +* 2: unexpected token Operator("*") (1:9)
	//  | length +* 2
	//  | ........^
}
