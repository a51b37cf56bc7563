package deepspeed_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/internal/fault"
)

var update = flag.Bool("update", false, "write testdata/config anew")

// Each JSON file has its recipe and its notes beside it.
func TestConvertGolden(t *testing.T) {
	options := map[string]deepspeed.ConvertOptions{
		"gpt3":    {Corpus: "data/pile", Index: "data/pile index", Tokens: 300_000_000_000},
		"legacy":  {Corpus: "data/owt", Window: 1024, Steps: 75_000},
		"dynamic": {Window: 2048},
	}
	files, err := filepath.Glob("testdata/config/*.json")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			draft, notes := convert(t, file, options[name])
			golden(t, filepath.Join("testdata/config", name+".yaml"), string(draft))
			golden(t, filepath.Join("testdata/config", name+".notes"), list(notes))
			again, notesAgain := convert(t, file, options[name])
			if again != draft || !cmp.Equal(notes, notesAgain) {
				t.Error("a second conversion differs")
			}
		})
	}
}

func convert(t *testing.T, file string, o deepspeed.ConvertOptions) (deepspeed.Draft, []deepspeed.Note) {
	t.Helper()
	c, err := deepspeed.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	draft, notes, err := c.Convert(o)
	if err != nil {
		t.Fatal(err)
	}
	return draft, notes
}

func list(notes []deepspeed.Note) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "%d %s %s: %s\n", n.Line, n.Key, n.Kind, n.Text)
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Every key of a file has a note, or a section that it is in has one that says
// what became of all of it; and every note has the line its key is in.
func TestEveryKeyHasANote(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		_, notes := convert(t, file, deepspeed.ConvertOptions{})
		noted := map[string]deepspeed.NoteKind{}
		for _, n := range notes {
			if n.Key == "" {
				continue
			}
			if _, twice := noted[n.Key]; twice {
				t.Errorf("%s: two notes on %s", file, n.Key)
			}
			noted[n.Key] = n.Kind
			last := n.Key[strings.LastIndexByte(n.Key, '.')+1:]
			if n.Line < 1 || !strings.Contains(lines[n.Line-1], `"`+last+`"`) {
				t.Errorf("%s: the note on %s names line %d", file, n.Key, n.Line)
			}
		}
		var tree map[string]any
		if err := yaml.Unmarshal(jsonOf(t, text), &tree); err != nil {
			t.Fatal(err)
		}
		leaves(tree, "", func(key string) {
			if _, ok := noted[key]; ok {
				return
			}
			for part := key; strings.Contains(part, "."); {
				part = part[:strings.LastIndexByte(part, '.')]
				switch noted[part] {
				case deepspeed.NoEffect, deepspeed.LeftOut, deepspeed.Trainer:
					return
				}
			}
			t.Errorf("%s: no note on %s", file, key)
		})
	}
}

// jsonOf takes the comments out of a file of the tests: YAML reads JSON, with
// its closing commas.
func jsonOf(t *testing.T, text []byte) []byte {
	t.Helper()
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "//")
		lines[i], _, _ = strings.Cut(line, "#")
	}
	return []byte(strings.Join(lines, "\n"))
}

func leaves(tree map[string]any, at string, do func(string)) {
	for key, value := range tree {
		key = strings.TrimPrefix(at+"."+key, ".")
		if section, ok := value.(map[string]any); ok && len(section) > 0 {
			leaves(section, key, do)
			continue
		}
		do(key)
	}
}

func TestConfigErrors(t *testing.T) {
	const (
		head   = `{"data_efficiency": {"data_sampling": {"curriculum_learning": {"enabled": true, "curriculum_metrics": {"m": {` + "\n"
		tail   = "\n}}}}}}"
		metric = `"clustering_type": "schedule_based", "difficulty_type": "value", "min_difficulty": 1, "max_difficulty": 9, `
		ltd    = `{"data_efficiency": {"data_routing": {"random_ltd": {"enabled": true, "total_layer_num": 4,` + "\n"
		keep   = `"random_ltd_schedule": {"min_value": 8, "max_value": 64, "schedule_type": "fixed_linear", "schedule_config": {"require_steps": 10, "seq_per_step": 8}}`
	)
	for _, test := range []struct{ text, want string }{
		{`{`, "c.json:1: it is no JSON"},
		{"{\n\"a\": 1\n\"b\": 2}", "c.json:3: it is no JSON"},
		{`[]`, "c.json:1: top level: it is a list; a DeepSpeed configuration is a section"},
		{"{\"a\": 1,\n\n\"a\": 2}", `c.json:3: the key "a" stands here and in line 1`},
		{strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat("}", 200), "nested more than 100 deep"},
		{`{"train_batch_size": 0}`, "c.json:1: train_batch_size: it is 0; it must be a whole number of at least 1"},
		{`{"train_batch_size": "many"}`, `train_batch_size: it is "many"; it must be a number`},
		{"{\"train_micro_batch_size_per_gpu\": 4,\n\"gradient_accumulation_steps\": 3,\n\"train_batch_size\": 40}", "c.json:3: train_batch_size: it is 40, and train_micro_batch_size_per_gpu times gradient_accumulation_steps is 12"},
		{`{"data_efficiency": 3}`, "data_efficiency: it is 3; it must be a section"},
		{`{"data_efficiency": {"seed": -1}}`, "data_efficiency.seed: it is -1"},
		{`{"data_efficiency": {"data_sampling": {"curriculum_learning": {"enabled": true}}}}`, "curriculum_metrics: it is missing"},
		{`{"data_efficiency": {"data_sampling": {"curriculum_learning": {"enabled": "yes"}}}}`, "it must be true or false"},
		{head + `"clustering_type": "single_cluster", "max_difficulty": 3, "schedule_type": "custom"` + tail, "c.json:1: data_efficiency.data_sampling.curriculum_learning.curriculum_metrics.m.min_difficulty: it is missing"},
		{head + `"min_difficulty": 1, "max_difficulty": 3, "schedule_type": "custom"` + tail, "m.clustering_type: it is missing"},
		{head + `"clustering_type": "x", "min_difficulty": 1, "max_difficulty": 3, "schedule_type": "custom"` + tail, "m.difficulty_type: it is missing"},
		{head + metric + `"schedule_type": "fixed_cubic"` + tail, `c.json:2: data_efficiency.data_sampling.curriculum_learning.curriculum_metrics.m.schedule_type: it is "fixed_cubic"; DeepSpeed has fixed_linear`},
		{head + metric + `"schedule_type": "fixed_linear"` + tail, "m.schedule_config: it is missing; schedule_type fixed_linear needs it, with total_curriculum_step, difficulty_step"},
		{head + metric + "\"schedule_type\": \"fixed_linear\",\n\"schedule_config\": {\"difficulty_step\": 8}" + tail, "c.json:3: data_efficiency.data_sampling.curriculum_learning.curriculum_metrics.m.schedule_config.total_curriculum_step: it is missing"},
		{head + metric + `"schedule_type": "fixed_linear", "schedule_config": {"difficulty_step": 0.5, "total_curriculum_step": 3}` + tail, "difficulty_step: it is 0.5; it must be a whole number"},
		{head + metric + `"schedule_type": "fixed_root", "schedule_config": {"difficulty_step": 1, "total_curriculum_step": 3}` + tail, "root_degree: it is missing"},
		{head + metric + `"schedule_type": "fixed_root", "schedule_config": {"difficulty_step": 1, "total_curriculum_step": 3, "root_degree": 0.5}` + tail, "root_degree: it is 0.5; it must be at least 1"},
		{head + metric + `"schedule_type": "fixed_discrete", "schedule_config": {"difficulty": [1, 2], "max_step": []}` + tail, "max_step: it has 0 steps and difficulty 2 values"},
		{head + metric + `"schedule_type": "fixed_discrete", "schedule_config": {"difficulty": [1, "a"], "max_step": [3]}` + tail, `difficulty: item 2 is "a"`},
		{head + `"clustering_type": "x", "difficulty_type": "percentile", "min_difficulty": 0, "max_difficulty": 0, "schedule_type": "custom"` + tail, "max_difficulty: it is 0; by percentile"},
		{head + `"clustering_type": "x", "difficulty_type": "rank", "min_difficulty": 0, "max_difficulty": 0, "schedule_type": "custom"` + tail, `difficulty_type: it is "rank"`},
		{head + `"clustering_type": "single_cluster", "min_difficulty": -8, "max_difficulty": 8, "schedule_type": "custom"` + tail, "min_difficulty: it is -8"},
		{`{"data_efficiency": {"data_sampling": {"dynamic_batching": {"enabled": true}}}}`, "dynamic_batching.max_tokens: it is missing"},
		{`{"data_efficiency": {"data_sampling": {"dynamic_batching": {"enabled": true, "max_tokens": 8, "lr_scaling_method": "log"}}}}`, `lr_scaling_method: it is "log"`},
		{`{"data_efficiency": {"data_routing": {"random_ltd": {"total_layer_num": 3}}}}`, "random_ltd.enabled: it is missing"},
		{`{"data_efficiency": {"data_routing": {"random_ltd": {"enabled": true}}}}`, "random_ltd.total_layer_num: it is missing"},
		{ltd + `"random_ltd_layer_num": 2, "random_ltd_layer_id": [1, 4], ` + keep + `}}}}`, "c.json:2: data_efficiency.data_routing.random_ltd.random_ltd_layer_id: it names layer 4, and total_layer_num gives layers 0 to 3"},
		{ltd + `"random_ltd_layer_num": 2, "random_ltd_layer_id": [1, 1], ` + keep + `}}}}`, "it names layer 1 twice"},
		{ltd + `"random_ltd_layer_num": 1, "random_ltd_layer_id": [1, 2], ` + keep + `}}}}`, "random_ltd_layer_num: it is 1, and random_ltd_layer_id names 2 layers"},
		{ltd + `"random_ltd_layer_num": 2, "random_ltd_layer_id": [1, 2], ` + strings.ReplaceAll(keep, "fixed_linear", "fixed_root") + `}}}}`, `schedule_type: it is "fixed_root"; random-LTD has fixed_linear only`},
		{`{"curriculum_learning": {"curriculum_type": "seqlen"}}`, "curriculum_learning.enabled: it is missing"},
		{`{"curriculum_learning": {"enabled": true}}`, "curriculum_learning.curriculum_type: it is missing"},
		{`{"optimizer": {"type": "Adam", "params": {"lr": 0}}}`, "optimizer.params.lr: it is 0"},
		{`{"optimizer": {"type": "Adam", "params": {"betas": [0.9]}}}`, "optimizer.params.betas: they must be two numbers"},
		{strings.Repeat(" ", 1<<20) + "{}", "longer than 1048576 bytes"},
	} {
		_, err := deepspeed.ParseConfig("c.json", []byte(test.text))
		if err == nil || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.200s\n%v, want %q", test.text, err, test.want)
		}
	}
	two := strings.ReplaceAll(head, `"m"`, `"seqlen_truncate"`) + `"clustering_type": "single_cluster", "min_difficulty": 8, "max_difficulty": 64, "schedule_type": "custom"` + "\n}}}}},\n" +
		`"curriculum_learning": {"enabled": true, "curriculum_type": "seqlen", "min_difficulty": 8, "max_difficulty": 64, "schedule_type": "custom"}}`
	if _, err := deepspeed.ParseConfig("c.json", []byte(two)); err == nil || !strings.Contains(err.Error(), "c.json:4: curriculum_learning: 2 curricula set the length") {
		t.Errorf("two lengths: %v", err)
	}
}

func TestConvertOptions(t *testing.T) {
	c, err := deepspeed.ReadConfig("testdata/config/gpt3.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		o    deepspeed.ConvertOptions
		want string
	}{
		{deepspeed.ConvertOptions{Window: 1024}, "gpt3.json:58: data_efficiency.data_sampling.curriculum_learning.curriculum_metrics.seqlen_truncate.max_difficulty: the pace goes to 2048 tokens, and the window is 1024"},
		{deepspeed.ConvertOptions{Window: -1}, "negative"},
		{deepspeed.ConvertOptions{Steps: 1, Tokens: 1}, "either 1 steps or 1 tokens"},
		{deepspeed.ConvertOptions{Clock: "hours"}, `unknown clock "hours"`},
		{deepspeed.ConvertOptions{Tokens: 5, Clock: "steps"}, "the clock counts steps"},
		{deepspeed.ConvertOptions{Steps: 5, Clock: "tokens"}, "the clock counts tokens"},
	} {
		if _, _, err := c.Convert(test.o); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
	}
}

func TestReadConfigMissing(t *testing.T) {
	if _, err := deepspeed.ReadConfig(filepath.Join(t.TempDir(), "none.json")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// seeds returns the files of the tests.
func seeds(t testing.TB) [][]byte {
	files, err := filepath.Glob("testdata/config/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var texts [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}
