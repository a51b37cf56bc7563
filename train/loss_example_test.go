package train_test

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/train"
)

// The loss under a checkpoint stands beside the metrics of package metric, and is
// asked for in the same way.
func ExampleLossDefinition() {
	known := append(metric.Builtin(), train.LossDefinition())
	fmt.Println(train.LossDefinition().Usage())

	_, err := known.Parse("rarity", "proxy=model-loss:checkpoint=runs/proxy")
	fmt.Println(errors.Is(err, fs.ErrNotExist)) // there is no such run here
	// Output:
	// model-loss:checkpoint=...
	// true
}
