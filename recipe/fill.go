package recipe

import (
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
)

// fill sets what the file leaves open. The parameters of paces are settled later,
// when the clock of the budget is known.
func (r *Recipe) fill() {
	if r.Name == "" {
		base := filepath.Base(r.path)
		r.Name = base[:len(base)-len(filepath.Ext(base))]
	}
	set(&r.Version, curriculum.Version)
	if r.Sample.Documents {
		set(&r.Sample.Arrange, "pad")
	}
	set(&r.Batch.Rate, "none")
	if r.Batch.Tokens != 0 {
		set(&r.Batch.AtLeast, 1)
	}
	if !r.External() {
		set(&r.Model.Positions, "learned")
		set(&r.Model.Head, "tied")
	}
	r.Optimizer.fill()
	setTo(&r.Evaluate.Every, Amount{Value: 5, Percent: true})
	if r.Evaluate.Corpus == nil {
		setTo(&r.Evaluate.HeldOut, Amount{Value: 2, Percent: true})
	}
	setTo(&r.Checkpoint.Every, Amount{Value: 10, Percent: true})
	set(&r.Checkpoint.Keep, 2)
	if r.Budget.Clock == "" {
		r.Budget.Clock = string(curriculum.Tokens)
		if r.Budget.Steps != 0 {
			r.Budget.Clock = string(curriculum.Steps)
		}
	}
	for i := range r.Sources {
		setTo(&r.Sources[i].Weight, constant(1))
	}
	for i := range r.Curriculum {
		if m := &r.Curriculum[i]; m.Apply == "" {
			set(&m.By, string(curriculum.Percentile))
		}
	}
	if r.Routing != nil {
		set(&r.Routing.Policy, "random-ltd")
	}
}

func (o *Optimizer) fill() {
	if o == nil {
		return
	}
	set(&o.Kind, "adamw")
	set(&o.Decay, "cosine")
	set(&o.Epsilon, 1e-8)
	setTo(&o.MinRate, o.Rate/10)
	setTo(&o.Warmup, Amount{Value: 2, Percent: true})
	setTo(&o.WeightDecay, 0.1)
	setTo(&o.Clip, 1)
	if o.Betas == nil {
		o.Betas = []float64{0.9, 0.95}
	}
}

func set[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

func setTo[T any](to **T, value T) {
	if *to == nil {
		*to = &value
	}
}
