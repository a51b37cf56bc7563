package recipe

import (
	"path/filepath"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/train"
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
	r.Model.fill(r.weights)
	r.fillMasking()
	if r.Augment != nil && *r.Augment == (Augment{}) { // as if it were not given
		r.Augment = nil
	}
	setTo(&r.Evaluate.Every, Amount{Value: 5, Percent: true})
	if r.Evaluate.Corpus == nil {
		setTo(&r.Evaluate.HeldOut, Amount{Value: 2, Percent: true})
	}
	if r.heldOutSeed() == r.Seed { // as if it were not given
		r.Evaluate.Seed = nil
	}
	setTo(&r.Checkpoint.Every, Amount{Value: 10, Percent: true})
	set(&r.Checkpoint.Keep, 2)
	if r.Budget.Clock == "" {
		r.Budget.Clock = string(curriculum.Tokens)
		if r.Budget.Steps != 0 {
			r.Budget.Clock = string(curriculum.Steps)
		}
	}
	r.Optimizer.fill(r.Budget.Clock)
	for i := range r.Sources {
		setTo(&r.Sources[i].Weight, constant(1))
	}
	for i := range r.Curriculum {
		if m := &r.Curriculum[i]; m.Apply == "" {
			set(&m.By, string(curriculum.Percentile))
		}
	}
	r.fillRouting()
}

// fill sets what is left open; clock is the budget's.
func (o *Optimizer) fill(clock string) {
	if o == nil {
		return
	}
	set(&o.Kind, "adamw")
	set(&o.Decay, string(train.Cosine))
	set(&o.Epsilon, 1e-8)
	switch train.Decay(o.Decay) {
	case train.Cooldown:
		setTo(&o.Cooldown, Amount{Value: 20, Percent: true})
		set(&o.Fall, string(train.OneMinusSqrt))
		setTo(&o.MinRate, 0)
	case train.InverseSqrt:
		setTo(&o.MinRate, 0)
	default:
		setTo(&o.MinRate, o.Rate/10)
	}
	if o.Clock == clock { // as if it were not given
		o.Clock = ""
	}
	if a := o.Average; a != nil && a.Kind == string(train.EMA) {
		set(&a.Decay, 0.999)
	} else if a != nil && a.Kind == string(train.LastCheckpoints) {
		set(&a.Last, 5)
	}
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
