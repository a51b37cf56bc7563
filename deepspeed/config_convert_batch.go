package deepspeed

import (
	"fmt"
	"strings"
)

// Paths of sections.
const (
	legacyKey  = "curriculum_learning"
	dynamicKey = "data_efficiency.data_sampling.dynamic_batching"
	ltdKey     = "data_efficiency.data_routing.random_ltd"
	keepKey    = ltdKey + ".random_ltd_schedule"
)

// routing returns the section of routing, empty if no layer drops tokens.
func (d *draft) routing() string {
	r := d.config.Routing
	if r == nil {
		return ""
	}
	var inner []float64
	for _, id := range r.Routed {
		if id > 0 && int64(id) < r.Layers-1 {
			inner = append(inner, float64(id))
		}
	}
	switch {
	case len(inner) == 0:
		d.note(ltdKey+".random_ltd_layer_id", LeftOut, "the first and the last layer see every token, and it names no other; without routed layers there is no routing")
		d.note(ltdKey+".random_ltd_layer_num", LeftOut, "as random_ltd_layer_id")
		d.note(keepKey, LeftOut, "as random_ltd_layer_id")
		return ""
	case len(inner) < len(r.Routed):
		d.note(ltdKey+".random_ltd_layer_id", Changed, "layers: %s; the first and the last layer see every token", listText(inner))
		d.note(ltdKey+".random_ltd_layer_num", Changed, "%d layers are left", len(inner))
	default:
		d.note(ltdKey+".random_ltd_layer_id", Kept, "layers: %s", listText(inner))
		d.note(ltdKey+".random_ltd_layer_num", Kept, "the length of layers")
	}
	d.note(ltdKey, Changed, "policy: random-ltd; kept positions are drawn for each row and layer from the seed, equally on every rank layout, where the original draws from the device's generator")
	return fmt.Sprintf("routing:\n  policy: random-ltd\n  layers: %s\n  keep: %s\n", listText(inner), d.keep(r))
}

// keep writes the pace of the kept tokens, which counts steps from 0.
func (d *draft) keep(r *ConfigRouting) string {
	d.note(keepKey+".max_value", Kept, "to: %s", numberText(r.To))
	if r.From >= r.To {
		d.kept = 1
		d.note(keepKey+".min_value", Kept, "value: %s", numberText(r.From))
		d.note(keepKey+".schedule_type", Kept, "kind: constant; the kept tokens start at min_value and grow only while they are below max_value")
		d.note(keepKey+".schedule_config", NoEffect, "the kept tokens never change")
		return fmt.Sprintf("{kind: constant, value: %s}", numberText(r.From))
	}
	first := firstMultiple(r.From, r.Quantum, r.To)
	p := curve{degree: 1, to: r.To, step: r.Quantum, until: r.Steps}
	p.from = min(d.aligned(keepKey+".min_value", r.From, first, r.Quantum), r.To)
	d.note(keepKey+".min_value", Kept, "from: %s", numberText(p.from))
	d.kept = levels(p.from, r.To, r.Quantum)
	d.note(keepKey+".schedule_type", Kept, "kind: linear")
	d.note(keepKey+".schedule_config.seq_per_step", Kept, "step: %s%s", numberText(p.step), late(r.To, r.Quantum, "require_steps"))
	d.note(keepKey+".schedule_config.require_steps", Kept, "until: %s; counted from 0 in both", numberText(p.until))
	return p.String()
}

// batch writes the size of a step.
func (d *draft) batch() {
	b := d.config.Batch
	size := b.Global
	switch {
	case size > 0 && d.config.Dynamic != nil:
		d.note("train_batch_size", Changed, "with dynamic batching it is the packs of a step over all ranks")
		d.note("train_micro_batch_size_per_gpu", Trainer, "how a rank splits its part; no batch depends on it")
		d.note("gradient_accumulation_steps", Trainer, "how a rank splits its part; no batch depends on it")
	case size > 0:
		d.note("train_batch_size", Kept, "the samples of a step over all ranks")
		d.note("train_micro_batch_size_per_gpu", Trainer, "how a rank splits its part; no batch depends on it")
		d.note("gradient_accumulation_steps", Trainer, "how a rank splits its part; no batch depends on it")
	case b.Micro > 0:
		size = b.Micro * b.Accumulate
		d.note("train_micro_batch_size_per_gpu", Changed, "a step has %d samples for each data-parallel rank, and the file does not say how many ranks there are: multiply", size)
		d.note("gradient_accumulation_steps", Kept, "a factor of the samples of a step")
		d.say(Assumed, "batch: %d is that of one rank; multiply by the number of data-parallel ranks", size)
	default:
		d.note("gradient_accumulation_steps", Changed, "the samples of a step over all ranks are asked for")
		d.say(Missing, "batch.size: the samples of a step over all ranks; the file has neither train_batch_size nor train_micro_batch_size_per_gpu")
	}
	if d.config.Dynamic != nil {
		d.dynamic(max(size, 1))
		return
	}
	if size == 0 {
		d.line("batch: {size: "+FillIn+"}", "samples of a step over all ranks")
		return
	}
	d.write("batch: {size: %d}\n", size)
}

// dynamic writes a step of as many samples as its tokens allow. A step of the
// original has packs packs, each within the bounds.
func (d *draft) dynamic(packs int64) {
	y := d.config.Dynamic
	parts := []string{fmt.Sprintf("tokens: %d", y.Tokens*packs), fmt.Sprintf("at_least: %d", y.Least*packs)}
	if base := d.config.Batch.Global; base > 0 && y.Rate != "none" {
		parts = append([]string{fmt.Sprintf("size: %d", base)}, parts...)
		d.note(dynamicKey+".lr_scaling_method", Kept, "rate: %s, by the rows of a step over size, which is train_batch_size", y.Rate)
	}
	d.note(dynamicKey+".max_tokens", Changed, "tokens: %d, of %d packs a step. They are those of padded rows, where the original adds up the samples' own; a longer document is cut off, where the original leaves it out; the last sample is drawn like all, where the original never uses it", y.Tokens*packs, packs)
	d.note(dynamicKey+".min_batch_size", Changed, "at_least: %d, of a step; the original bounds each pack", y.Least*packs)
	if y.Largest > 0 {
		parts = append(parts, fmt.Sprintf("at_most: %d", y.Largest*packs))
		d.note(dynamicKey+".max_batch_size", Changed, "at_most: %d, of a step; the original bounds each pack", y.Largest*packs)
	} else {
		d.note(dynamicKey+".max_batch_size", Kept, "null is no bound")
	}
	d.note(dynamicKey+".lr_scaling_method", Changed, "rate: %s. The original scales by the samples of a step over train_batch_size", y.Rate)
	d.write("batch: {%s, rate: %s}\n", strings.Join(parts, ", "), y.Rate)
	if len(d.config.Metrics) > 0 {
		d.note(dynamicKey, Changed, "here a curriculum and batches by tokens work together; the original has one loader for each")
	}
}

// optimizer writes Adam, if the file has it.
func (d *draft) optimizer() {
	a := d.config.Adam
	if a == nil {
		d.note("gradient_clipping", Trainer, "there is no optimizer in the file that a recipe could describe")
		return
	}
	rate, warmup, comment := numberText(a.Rate), a.Warmup, ""
	if a.Rate == 0 {
		rate, comment = FillIn, "the learning rate at its peak"
		d.say(Missing, "optimizer.rate: the learning rate at its peak")
	}
	if warmup > 0 && !d.inSteps() {
		d.note("scheduler.params.warmup_num_steps", Changed, "a warm-up counts on the budget's clock, which is not steps: the recipe has none; write what %s steps come to", numberText(warmup))
		warmup = 0
	} else {
		d.note("scheduler.params.warmup_num_steps", Kept, "warmup: %s", numberText(warmup))
	}
	end := "" // of the rate's fall
	if a.Decay != "constant" {
		end = "min_rate: " + numberText(a.MinRate) + ", "
	}
	d.line(fmt.Sprintf("optimizer: {kind: adamw, rate: %s, %swarmup: %s, decay: %s, betas: %s, epsilon: %s, weight_decay: %s, clip: %s}",
		rate, end, numberText(warmup), a.Decay, listText([]float64{a.Beta1, a.Beta2}), numberText(a.Epsilon), numberText(a.WeightDecay), numberText(d.config.Clipping)), comment)
	d.note("optimizer.type", Kept, "kind: adamw")
	d.note("optimizer.params.lr", Kept, "rate: %s", rate)
	d.note("optimizer.params.betas", Kept, "betas: %s", listText([]float64{a.Beta1, a.Beta2}))
	d.note("optimizer.params.eps", Kept, "epsilon: %s", numberText(a.Epsilon))
	d.note("optimizer.params.weight_decay", Kept, "weight_decay: %s", numberText(a.WeightDecay))
	d.note("gradient_clipping", Kept, "clip: %s", numberText(d.config.Clipping))
	d.note("scheduler.params.warmup_max_lr", Kept, "rate: %s", rate)
	d.note("scheduler.params.cos_min_ratio", Kept, "min_rate: %s", numberText(a.MinRate))
	if d.config.places["scheduler"].line == 0 {
		d.say(Assumed, "optimizer: the file has no scheduler, so the rate is constant; the trainer's code may have one")
	}
	d.say(Assumed, "optimizer: an external trainer goes on with its own; the section says what it was")
}

// inSteps reports whether the budget counts steps.
func (d *draft) inSteps() bool { return d.options.Steps > 0 || d.options.Clock == "steps" }
