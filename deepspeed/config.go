package deepspeed

import (
	"fmt"
	"io"
	"os"
)

// A Config is what a DeepSpeed configuration (ds_config.json) says about data:
// its data_efficiency section and the older curriculum_learning, and the batch
// size and optimizer beside them. What DeepSpeed discards, such as a section
// that is switched off, is not in it.
type Config struct {
	Name     string // the file's, for messages
	Batch    ConfigBatch
	Seed     int64          // of the sampler; 1234 if the file has none
	Epochs   int64          // after which the original's sampler ends; 1000 if the file has none, 0 without curriculum
	Metrics  []ConfigMetric // in the file's order; the section curriculum_learning comes last
	Routing  *ConfigRouting
	Dynamic  *ConfigDynamic
	Adam     *ConfigAdam // nil for other optimizers
	Clipping float64     // of the gradient's norm; 0: none

	places map[string]place // of keys, by their paths
	notes  notes            // on keys that Convert does not look at again
}

// ConfigBatch is the size of a step. What is 0 is not in the file.
type ConfigBatch struct {
	Global     int64 // samples a step over all ranks
	Micro      int64 // samples of a forward pass on one rank
	Accumulate int64 // forward passes a step; 1 if the file has none
}

// ConfigRouting is random-LTD.
type ConfigRouting struct {
	Layers   int64   // of the model
	Routed   []int   // ascending, from 0
	From, To float64 // kept tokens at first and at last
	Steps    float64 // after which they are To, counted from 0
	Quantum  float64 // they are rounded down to a multiple of it
}

// ConfigDynamic is dynamic batching: packs of samples by their tokens.
type ConfigDynamic struct {
	Tokens         int64  // most in a pack
	Least, Largest int64  // samples in a pack; Largest 0: no bound
	Rate           string // linear, sqrt or none: how the learning rate follows the samples
}

// ReadConfig reads a configuration from a file; see ParseConfig.
func ReadConfig(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return ParseConfig(path, data)
}

// ParseConfig reads the text of a configuration. Like the original it takes
// comments and closing commas and passes over keys that it does not know.
// Values that make no sense are errors of kind fault.Invalid with name, line
// and key.
func ParseConfig(name string, data []byte) (*Config, error) {
	tree, err := parseJSON(name, data)
	if err != nil {
		return nil, err
	}
	r := &configReader{name: name, places: map[string]place{}}
	c := &Config{Name: name, Seed: defaultSeed, places: r.places}
	if o, ok := tree.value.(*object); ok {
		top := &section{reader: r, place: place{line: tree.line}, object: o}
		c.readBatch(top)
		c.readOptimizer(top)
		c.readEfficiency(top.sub("data_efficiency"))
		c.readLegacy(top.sub("curriculum_learning"))
		top.note("seed", Trainer, "the sampler has a seed of its own, data_efficiency.seed")
		top.rest()
	} else {
		r.errorf(tree.line, "top level", "it is %s; a DeepSpeed configuration is a section, {...}", show(tree.value))
	}
	if r.err != nil {
		return nil, r.err
	}
	c.notes = r.notes
	return c, nil
}

// What DeepSpeed takes where the file says nothing.
const (
	defaultSeed   = 1234
	defaultEpochs = 1000
)

func (c *Config) readBatch(top *section) {
	for _, f := range []struct {
		key string
		to  *int64
	}{
		{"train_batch_size", &c.Batch.Global},
		{"train_micro_batch_size_per_gpu", &c.Batch.Micro},
		{"gradient_accumulation_steps", &c.Batch.Accumulate},
	} {
		if !top.auto(f.key) {
			*f.to, _ = top.whole(f.key, 1)
		} else {
			top.note(f.key, Missing, "\"auto\" is for another program to fill in")
		}
	}
	b := &c.Batch
	if b.Accumulate == 0 {
		b.Accumulate = 1
	}
	if b.Micro > maxBatch || b.Accumulate > maxBatch || b.Global > maxBatch {
		top.reader.errorf(top.place.line, "batch sizes", "one of them is above %d", int64(maxBatch))
		return
	}
	if b.Global > 0 && b.Micro > 0 && b.Global%(b.Micro*b.Accumulate) != 0 {
		top.fail("train_batch_size", "it is %d, and train_micro_batch_size_per_gpu times gradient_accumulation_steps is %d; it must be a multiple of that, once for each rank",
			b.Global, b.Micro*b.Accumulate)
	}
}

// maxBatch is far above any batch; products of two stay within 64 bits.
const maxBatch = 1 << 31

// readEfficiency reads data_efficiency. Only the innermost enabled count.
func (c *Config) readEfficiency(s *section) {
	if seed, ok := s.whole("seed", 0); ok {
		c.Seed = seed
	}
	s.unusedSwitch()
	sampling, routing := s.sub("data_sampling"), s.sub("data_routing")
	s.unknown()

	sampling.unusedSwitch()
	epochs, ok := sampling.whole("num_epochs", 1)
	if !ok {
		epochs = defaultEpochs
	}
	sampling.note("num_workers", Trainer, "workers of the trainer's loader; batches do not depend on them")
	sampling.note("pin_memory", Trainer, "of the trainer's loader; batches do not depend on it")
	if curriculum := sampling.switchedOn("curriculum_learning", false); curriculum != nil {
		c.Epochs = epochs
		c.readMetrics(curriculum)
	} else {
		sampling.note("num_epochs", NoEffect, "without a curriculum DeepSpeed does not ask for it")
	}
	if dynamic := sampling.switchedOn("dynamic_batching", false); dynamic != nil {
		c.readDynamic(dynamic)
	}
	sampling.unknown()

	routing.unusedSwitch()
	if ltd := routing.switchedOn("random_ltd", true); ltd != nil {
		c.readRouting(ltd)
	}
	routing.unknown()
}

// unusedSwitch notes an enabled that DeepSpeed reads and never asks for.
func (s *section) unusedSwitch() {
	text := "DeepSpeed reads it and never asks for it; only the innermost switches count"
	if m := s.member("enabled"); m != nil && m.node.value == false {
		text += ": the sections below are in force although this is false"
	}
	s.note("enabled", NoEffect, "%s", text)
}

// switchedOn returns a section whose enabled is true, and notes one that is
// discarded. A section with demand must have the key.
func (s *section) switchedOn(key string, demand bool) *section {
	sub := s.sub(key)
	if sub == nil {
		return nil
	}
	if demand {
		sub.require("write true or false: DeepSpeed fails without it", "enabled")
	}
	if !sub.flag("enabled", false) {
		s.note(key, NoEffect, "enabled is not true: DeepSpeed discards the section")
		return nil
	}
	sub.note("enabled", Kept, "the section is in force")
	return sub
}

// rest notes the keys of the top level that are no matter of ours.
func (s *section) rest() {
	s.unread(func(m *member, nearest string) {
		if nearest != "" {
			s.reader.notes.add(s.at(m.key), m.at, NoEffect, "nothing reads this key; was %q meant?", nearest)
			return
		}
		s.reader.notes.add(s.at(m.key), m.at, Trainer, "no matter of data efficiency")
	})
}
