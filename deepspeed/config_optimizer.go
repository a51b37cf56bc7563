package deepspeed

import "strings"

// ConfigAdam is Adam or AdamW, and the schedule of its learning rate.
type ConfigAdam struct {
	Rate         float64 // at the peak; 0: the file leaves it to another program
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	Warmup       float64 // steps; 0 without a schedule
	Decay        string  // constant, linear or cosine
	MinRate      float64 // at the end of the decay
}

// readOptimizer reads optimizer, scheduler and gradient_clipping. The defaults
// are DeepSpeed's.
func (c *Config) readOptimizer(top *section) {
	given(top, "gradient_clipping", &c.Clipping)
	s := top.sub("optimizer")
	if s == nil {
		top.note("scheduler", Trainer, "there is no optimizer in the file that a recipe could describe")
		return
	}
	kind := s.text("type")
	if k := strings.ToLower(kind); k != "adam" && k != "adamw" {
		top.note("optimizer", Trainer, "a recipe describes Adam and AdamW only, and %s stays the trainer's", show(kind))
		top.note("scheduler", Trainer, "it goes with the optimizer")
		return
	}
	a := &ConfigAdam{Rate: 1e-3, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: "constant"}
	c.Adam = a
	if p := s.sub("params"); p != nil {
		a.read(p)
	}
	if s := top.sub("scheduler"); s != nil {
		a.readScheduler(s)
	}
	s.unknown()
}

// given sets a value of at least 0 if the key is there and not "auto".
func given(s *section, key string, to *float64) bool {
	if s.auto(key) {
		s.note(key, Missing, "\"auto\" is for another program to fill in; %s stands in", standIn(*to))
		return false
	}
	v, ok := s.number(key)
	if !ok {
		return false
	}
	if v < 0 {
		s.fail(key, "it is %s; it must not be negative", numberText(v))
	}
	*to = v
	return true
}

// standIn names a value that takes the place of one that is missing.
func standIn(v float64) string {
	if v == 0 {
		return "nothing"
	}
	return numberText(v)
}

func (a *ConfigAdam) read(s *section) {
	if s.auto("lr") {
		a.Rate = 0
	}
	if given(s, "lr", &a.Rate) && a.Rate == 0 {
		s.fail("lr", "it is 0; it must be positive")
	}
	given(s, "eps", &a.Epsilon)
	if a.Epsilon == 0 {
		s.fail("eps", "it is 0; it must be positive")
	}
	given(s, "weight_decay", &a.WeightDecay)
	if s.auto("betas") {
		s.note("betas", Missing, "\"auto\" is for another program to fill in; 0.9 and 0.999 stand in")
	} else if betas, ok := s.numbers("betas"); ok {
		if len(betas) != 2 || min(betas[0], betas[1]) < 0 || max(betas[0], betas[1]) >= 1 {
			s.fail("betas", "they must be two numbers from 0 on and below 1")
		} else {
			a.Beta1, a.Beta2 = betas[0], betas[1]
		}
	}
	if !s.flag("adam_w_mode", true) {
		s.note("adam_w_mode", Changed, "false adds the weight decay to the gradient; AdamW takes it off the weights")
	} else {
		s.note("adam_w_mode", Kept, "kind: adamw")
	}
	s.note("torch_adam", Trainer, "which of several programs computes the same")
	s.note("bias_correction", Trainer, "a recipe's AdamW always corrects")
	s.unknown()
}

// readScheduler reads the schedule of the learning rate.
func (a *ConfigAdam) readScheduler(s *section) {
	kind, p := s.text("type"), s.sub("params")
	switch kind {
	case "WarmupLR", "WarmupDecayLR":
		given(p, "warmup_max_lr", &a.Rate)
		if kind == "WarmupDecayLR" {
			a.Decay = "linear"
		}
	case "WarmupCosineLR":
		a.Decay = "cosine"
		ratio := 0.0001
		given(p, "cos_min_ratio", &ratio)
		a.MinRate = ratio * a.Rate
	default:
		s.note("type", Trainer, "a recipe has no such schedule")
		s.note("params", Trainer, "they go with the schedule")
		s.unknown()
		return
	}
	a.Warmup = 1000
	given(p, "warmup_num_steps", &a.Warmup)
	p.note("total_num_steps", Changed, "the rate decays over the recipe's budget")
	s.note("type", Kept, "decay: %s", a.Decay)
	p.note("warmup_min_lr", Changed, "a recipe's warm-up begins at 0")
	p.note("warmup_min_ratio", Changed, "a recipe's warm-up begins at 0")
	p.note("warmup_type", Changed, "a recipe's warm-up is linear")
	p.unknown()
	s.unknown()
}
