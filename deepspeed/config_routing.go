package deepspeed

import (
	"slices"
	"strings"
)

// maxLayers is what a plan counts at most.
const maxLayers = 256

// readRouting reads data_routing.random_ltd.
func (c *Config) readRouting(s *section) {
	s.require("random-LTD needs it", "total_layer_num", "random_ltd_layer_num", "random_ltd_layer_id", "random_ltd_schedule")
	r := &ConfigRouting{}
	r.Layers, _ = s.whole("total_layer_num", 1)
	if r.Layers > maxLayers {
		s.fail("total_layer_num", "it is %d; a plan counts at most %d layers", r.Layers, maxLayers)
	}
	count, _ := s.whole("random_ltd_layer_num", 1)
	ids, _ := s.numbers("random_ltd_layer_id")
	slices.Sort(ids)
	for i, id := range ids {
		switch {
		case id != float64(int64(id)) || id < 0 || id >= float64(r.Layers):
			s.fail("random_ltd_layer_id", "it names layer %s, and total_layer_num gives layers 0 to %d", numberText(id), r.Layers-1)
			return
		case i > 0 && id == ids[i-1]:
			s.fail("random_ltd_layer_id", "it names layer %s twice", numberText(id))
			return
		}
		r.Routed = append(r.Routed, int(id))
	}
	if int64(len(ids)) != count {
		s.fail("random_ltd_layer_num", "it is %d, and random_ltd_layer_id names %d layers", count, len(ids))
	}
	for _, key := range []string{"model_mask_name", "model_type", "hidden_state_order"} {
		s.note(key, Trainer, "a matter of the model's code: gradus hands out kept positions, and masks and positions follow them")
	}
	for _, key := range []string{"global_batch_size", "micro_batch_size"} {
		s.note(key, NoEffect, "DeepSpeed writes its own value over it")
	}
	if schedule := s.sub("layer_token_lr_schedule"); schedule != nil && schedule.flag("enabled", false) {
		s.note("layer_token_lr_schedule", LeftOut, "DeepSpeed names it and fails when it is on; a budget on the clock layer-tokens, which the learning rate follows, does what it was meant for")
	} else {
		s.note("layer_token_lr_schedule", NoEffect, "it is off")
	}
	readKeep(s.sub("random_ltd_schedule"), r)
	s.unknown()
	c.Routing = r
}

// readKeep reads random_ltd_schedule.
func readKeep(s *section, r *ConfigRouting) {
	if s == nil {
		return
	}
	s.require("random-LTD needs it", "min_value", "max_value", "schedule_type", "schedule_config")
	from, _ := s.whole("min_value", 0)
	to, _ := s.whole("max_value", 1)
	r.From, r.To = float64(from), float64(to)
	if kind := s.text("schedule_type"); kind != ScheduleLinear {
		s.fail("schedule_type", "it is %s; random-LTD has %s only", show(kind), ScheduleLinear)
	}
	if config := s.sub("schedule_config"); config != nil {
		config.require("random-LTD needs it", "require_steps", "seq_per_step")
		steps, _ := config.whole("require_steps", 1)
		quantum, _ := config.whole("seq_per_step", 1)
		r.Steps, r.Quantum = float64(steps), float64(quantum)
		config.unknown()
	}
	s.unknown()
}

// readDynamic reads data_sampling.dynamic_batching.
func (c *Config) readDynamic(s *section) {
	s.require("DeepSpeed needs it where enabled is true", "max_tokens")
	d := &ConfigDynamic{Least: 1, Rate: "linear"}
	d.Tokens, _ = s.whole("max_tokens", 1)
	if least, ok := s.whole("min_batch_size", 1); ok {
		d.Least = least
	}
	d.Largest, _ = s.whole("max_batch_size", 1)
	if d.Largest > 0 && d.Largest < d.Least {
		s.fail("max_batch_size", "it is %d and min_batch_size is %d", d.Largest, d.Least)
	}
	if rate := s.text("lr_scaling_method"); rate != "" {
		d.Rate = strings.ToLower(rate)
	}
	if !slices.Contains([]string{"linear", "sqrt", "none"}, d.Rate) {
		s.fail("lr_scaling_method", "it is %s; DeepSpeed has linear, sqrt and none", show(d.Rate))
	}
	if d.Tokens > maxBatch || d.Least > maxBatch || d.Largest > maxBatch {
		s.fail("max_tokens", "it, min_batch_size or max_batch_size is above %d", int64(maxBatch))
	}
	s.note("metrics_path", LeftOut, "the corpus knows the length of each document")
	s.note("verbose", Trainer, "what the original prints")
	switch order := s.text("sequence_picking_order"); order {
	case "", "dataloader", "random":
		s.note("sequence_picking_order", Changed, "each batch draws documents of one length at random, and its order is the recipe's seed's")
	case "seqlen":
		s.note("sequence_picking_order", Changed, "each batch draws documents of one length at random; for short documents first add a curriculum of the metric length")
	default:
		s.fail("sequence_picking_order", "it is %s; DeepSpeed has dataloader, random and seqlen", show(order))
	}
	s.unknown()
	c.Dynamic = d
}
