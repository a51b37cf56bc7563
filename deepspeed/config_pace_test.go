package deepspeed_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/pace"
	"pgregory.net/rapid"
)

// A recipe as far as these tests look into it.
type recipe struct {
	Corpus, Index string
	Compat        string
	Curriculum    []struct {
		Metric, By, Apply string
		Pace              map[string]any
	}
	Routing struct{ Keep map[string]any }
}

func parse(t interface{ Fatalf(string, ...any) }, draft deepspeed.Draft) recipe {
	var r recipe
	if err := yaml.Unmarshal([]byte(draft), &r); err != nil {
		t.Fatalf("%v\n%s", err, draft)
	}
	return r
}

// build makes the pace of a recipe, as compat says.
func (r recipe) build(t *rapid.T, text map[string]any) pace.Pace {
	given := map[string]any{}
	for key, value := range text {
		switch v := value.(type) {
		case uint64:
			given[key] = float64(v)
		case int64:
			given[key] = float64(v)
		case []any:
			list := make([]float64, len(v))
			for i := range v {
				list[i] = asFloat(t, v[i])
			}
			given[key] = list
		default:
			given[key] = v
		}
	}
	kind, _ := given["kind"].(string)
	if clock := given["clock"]; kind != "constant" && clock != "steps" {
		t.Fatalf("the clock is %v", clock)
	}
	delete(given, "kind")
	delete(given, "clock")
	if _, smooth := given["to"]; smooth && r.Compat == "deepspeed" {
		given["round"] = "down"
	}
	definition, ok := pace.Lookup(kind)
	if !ok {
		t.Fatalf("no pace %q", kind)
	}
	p, err := definition.Make(given)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asFloat(t *rapid.T, v any) float64 {
	switch v := v.(type) {
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	t.Fatalf("%v is no number", v)
	return 0
}

// schedule is the original's scheduler, as the reference describes it: the
// current difficulty is asked for anew at each step until it has reached the
// maximum.
type schedule struct {
	kind                    string
	from, to, steps, q, deg float64
	values, last            []float64
	current                 float64
}

func (s *schedule) update(t float64) float64 {
	if s.current >= s.to {
		return s.current
	}
	switch s.kind {
	case "fixed_discrete":
		s.current = s.values[len(s.values)-1]
		for i, last := range s.last {
			if t <= last {
				s.current = s.values[i]
				break
			}
		}
	default:
		d := math.Floor(float64(math.Pow(t/s.steps, 1/s.deg)*(s.to-s.from)) + s.from)
		d -= math.Mod(d, s.q)
		s.current = min(d, s.to)
	}
	return s.current
}

func drawSchedule(t *rapid.T) (*schedule, map[string]any) {
	s := &schedule{
		kind: rapid.SampledFrom([]string{"fixed_linear", "fixed_root", "fixed_discrete"}).Draw(t, "kind"),
		from: float64(rapid.IntRange(0, 300).Draw(t, "from")),
		to:   float64(rapid.IntRange(1, 600).Draw(t, "to")),
		deg:  1,
	}
	s.current = s.from
	config := map[string]any{}
	if s.kind == "fixed_discrete" {
		n := rapid.IntRange(1, 6).Draw(t, "moments")
		for range n + 1 {
			s.values = append(s.values, float64(rapid.IntRange(1, 700).Draw(t, "value")))
		}
		for range n {
			s.last = append(s.last, float64(rapid.IntRange(-3, 100).Draw(t, "moment")))
		}
		config["difficulty"], config["max_step"] = s.values, s.last
	} else {
		s.steps, s.q = float64(rapid.IntRange(1, 200).Draw(t, "steps")), float64(rapid.IntRange(1, 20).Draw(t, "quantum"))
		config["total_curriculum_step"], config["difficulty_step"] = s.steps, s.q
		if s.kind == "fixed_root" {
			s.deg = rapid.SampledFrom([]float64{1, 2}).Draw(t, "degree") // math.Pow is not exact for others
			config["root_degree"] = s.deg
		}
	}
	return s, map[string]any{
		"min_difficulty": s.from, "max_difficulty": s.to, "schedule_type": s.kind, "schedule_config": config,
		"clustering_type": "schedule_based", "difficulty_type": "value",
	}
}

func configOf(t *rapid.T, sampling, routing map[string]any) *deepspeed.Config {
	text, err := json.Marshal(map[string]any{"data_efficiency": map[string]any{"data_sampling": sampling, "data_routing": routing}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := deepspeed.ParseConfig("c.json", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// The pace of a draft has, at every step, the difficulty of the original: for a
// length as it is, and for what admits samples the highest so far.
func TestPacesAreTheOriginals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original, metric := drawSchedule(t)
		name := rapid.SampledFrom([]string{"m", "seqlen_truncate", "seqlen_reshape"}).Draw(t, "metric")
		if original.from == 0 && name != "m" {
			t.Skip("a length of 0")
		}
		c := configOf(t, map[string]any{"curriculum_learning": map[string]any{
			"enabled": true, "curriculum_metrics": map[string]any{name: metric}}}, nil)
		draft, _, err := c.Convert(deepspeed.ConvertOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r := parse(t, draft)
		p := r.build(t, r.Curriculum[0].Pace)
		highest := 0.0
		for step := range 300 {
			want := original.update(float64(step + 1))
			highest = max(highest, want)
			if name == "m" {
				want = highest
			}
			got := p.At(float64(step))
			if r.Compat == "" && want < original.from { // begins at the first multiple instead
				continue
			}
			if math.Abs(got-want) > 1e-9 {
				t.Fatalf("step %d: %v, the original has %v\n%s", step, got, want, draft)
			}
		}
	})
}

// By percentile the difficulty counts parts of the samples, max_difficulty of
// them. Of 100 parts each step has the original's; other numbers of parts are
// no exact shares, so where the original lands on a level its neighbour may
// stand.
func TestPercentilesAreSharesOfTheParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original, metric := drawSchedule(t)
		metric["difficulty_type"] = "percentile"
		if rapid.Bool().Draw(t, "hundred") {
			original.to, metric["max_difficulty"] = 100, 100
		}
		if original.kind == "fixed_discrete" || original.from == 0 {
			t.Skip("as by value")
		}
		c := configOf(t, map[string]any{"curriculum_learning": map[string]any{
			"enabled": true, "curriculum_metrics": map[string]any{"m": metric}}}, nil)
		draft, _, err := c.Convert(deepspeed.ConvertOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r := parse(t, draft)
		p := r.build(t, r.Curriculum[0].Pace)
		for step := range 300 {
			want := min(original.update(float64(step+1))*100/original.to, 100)
			got := p.At(float64(step))
			if got <= 0 || got > 100 {
				t.Fatalf("step %d: the percentile %v\n%s", step, got, draft)
			}
			within := 1e-9
			if original.to != 100 {
				within += original.q * 100 / original.to
			}
			if r.Compat == "deepspeed" && math.Abs(got-want) > within {
				t.Fatalf("step %d: %v, the original has %v\n%s", step, got, want, draft)
			}
		}
	})
}

// The kept tokens of a draft are the original's, which counts from step 0.
func TestKeptTokensAreTheOriginals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		original := &schedule{
			kind: "fixed_linear", deg: 1,
			from: float64(rapid.IntRange(1, 300).Draw(t, "from")), to: float64(rapid.IntRange(1, 600).Draw(t, "to")),
			steps: float64(rapid.IntRange(1, 200).Draw(t, "steps")), q: float64(rapid.IntRange(1, 20).Draw(t, "quantum")),
		}
		original.current = original.from
		c := configOf(t, nil, map[string]any{"random_ltd": map[string]any{
			"enabled": true, "total_layer_num": 4, "random_ltd_layer_num": 2, "random_ltd_layer_id": []int{1, 2},
			"random_ltd_schedule": map[string]any{"min_value": original.from, "max_value": original.to, "schedule_type": "fixed_linear",
				"schedule_config": map[string]any{"require_steps": original.steps, "seq_per_step": original.q}},
		}})
		draft, _, err := c.Convert(deepspeed.ConvertOptions{Steps: 10})
		if err != nil {
			t.Fatal(err)
		}
		r := parse(t, draft)
		p := r.build(t, r.Routing.Keep)
		for step := range 300 {
			want, got := original.update(float64(step)), p.At(float64(step))
			if r.Compat == "" && want < original.from {
				if got < 1 {
					t.Fatalf("step %d keeps %v tokens\n%s", step, got, draft)
				}
				continue
			}
			if got != want {
				t.Fatalf("step %d: %v, the original has %v\n%s", step, got, want, draft)
			}
		}
	})
}

// Names and paths come back from the YAML as they went in.
func TestTextsSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[ -~]{1,12}`), rapid.StringN(1, 12, -1),
			rapid.SampledFrom([]string{"true", "Null", "~", "1e3", "0x1", "a: b", "a #b", "- a", "{a}", "%d", "2001-01-01", ".5", "...", "---", "/a", "./b-c@d=e", "é", "\U0001F600"}))
		o := deepspeed.ConvertOptions{Corpus: text.Draw(t, "corpus"), Index: text.Draw(t, "index")}
		draft, _, err := configOf(t, nil, nil).Convert(o)
		if err != nil {
			t.Fatal(err)
		}
		r := parse(t, draft)
		if r.Corpus != o.Corpus || r.Index != o.Index {
			t.Fatalf("%q and %q for %q and %q\n%s", r.Corpus, r.Index, o.Corpus, o.Index, draft)
		}
	})
}

// Whatever is read is an error or a configuration whose draft is YAML with the
// same bytes each time.
func FuzzParseConfig(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := deepspeed.ParseConfig("c.json", data)
		if err != nil {
			return
		}
		draft, notes, err := c.Convert(deepspeed.ConvertOptions{})
		if err != nil {
			return
		}
		parse(t, draft)
		for _, n := range notes {
			if n.Text == "" || n.Kind == "" || n.Key != "" && n.Line == 0 {
				t.Errorf("%+v", n)
			}
		}
		if again, _, _ := c.Convert(deepspeed.ConvertOptions{}); again != draft {
			t.Error("a second conversion differs")
		}
	})
}

// A configuration with random-LTD, as a recipe for a trainer of one's own. The
// notes say what became of each key; here are those of line 7.
func ExampleConfig_Convert() {
	c, err := deepspeed.ParseConfig("ds_config.json", []byte(`{
  "train_batch_size": 512,
  "data_efficiency": {"data_routing": {"random_ltd": {
    "enabled": true,
    "total_layer_num": 4, "random_ltd_layer_num": 2, "random_ltd_layer_id": [1, 2],
    "random_ltd_schedule": {
      "min_value": 128, "max_value": 256, "schedule_type": "fixed_linear",
      "schedule_config": {"require_steps": 1000, "seq_per_step": 16}
    }
  }}}
}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	draft, notes, err := c.Convert(deepspeed.ConvertOptions{Corpus: "data/web", Tokens: 1e9})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(draft)
	for _, n := range notes {
		if n.Line == 7 {
			fmt.Println(n.Line, n.Key[len("data_efficiency.data_routing.random_ltd.random_ltd_schedule."):], n.Kind, n.Text)
		}
	}
	// Output:
	// # Converted from a DeepSpeed configuration; the notes of the conversion say what became of each key.
	// corpus: data/web
	// seed: 1234
	// compat: deepspeed
	// sample: {window: 256}
	// batch: {size: 512}
	// budget: {tokens: 1000000000, clock: layer-tokens}
	// routing:
	//   policy: random-ltd
	//   layers: [1, 2]
	//   keep: {kind: linear, from: 128, to: 256, step: 16, until: 1000, clock: steps}
	// model: {kind: external, layers: 4}
	// evaluate: {held_out: 0}  # the trainer's own; no sample is kept back
	// 7 min_value kept from: 128
	// 7 max_value kept to: 256
	// 7 schedule_type kept kind: linear
}
