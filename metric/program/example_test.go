package program_test

import (
	"fmt"
	"io"

	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/metric/program"
)

// Any program that reads lines and answers numbers: here, how long a line is.
func ExampleNew() {
	p, err := program.New(`while read -r line; do echo ${#line}; done`, program.Options{Whole: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	scorer, err := p.Scorer(metric.Source{})
	if err != nil {
		fmt.Println(err)
		return
	}
	values := make([]float64, 2)
	err = scorer.Score(values, []metric.Sample{{ID: 0, Tokens: []int32{7}}, {ID: 1}}) // {"id":0,"tokens":[7]}
	fmt.Println(values, err, scorer.(io.Closer).Close())
	// Output:
	// [21 20] <nil> <nil>
}
