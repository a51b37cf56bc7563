package runlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// number is a float64 whose NaN and infinities are JSON strings.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Inf"`), nil
	default:
		return json.Marshal(f)
	}
}

func (n *number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = number(math.NaN())
	case `"Inf"`:
		*n = number(math.Inf(1))
	case `"-Inf"`:
		*n = number(math.Inf(-1))
	case "null":
		return fmt.Errorf(`null where a number must stand`)
	default:
		var f float64
		if err := json.Unmarshal(b, &f); err != nil {
			return fmt.Errorf(`%.40s is neither a number nor "NaN", "Inf" or "-Inf"`, b)
		}
		*n = number(f)
	}
	return nil
}

// wireStep is a Step as its line spells it. Pointers tell a missing key from a
// zero.
type wireStep struct {
	Step        *int64            `json:"step"`
	Tokens      *int64            `json:"tokens"`
	LayerTokens *float64          `json:"layer_tokens"`
	FLOPs       *float64          `json:"flops"`
	Seconds     *float64          `json:"seconds"`
	Stage       *int              `json:"stage"`
	Difficulty  map[string]number `json:"difficulty,omitempty"`
	Length      *int              `json:"length"`
	Rows        *int              `json:"rows"`
	Kept        *int              `json:"kept"`
	Padding     int64             `json:"padding,omitempty"`
	Discarded   int64             `json:"discarded,omitempty"`
	Rate        *float64          `json:"rate"`
	Loss        *number           `json:"loss"`
	GradNorm    *number           `json:"grad_norm"`
	HeldOut     *number           `json:"held_out,omitempty"`
	HeldOutRaw  *number           `json:"held_out_raw,omitempty"`
	Accuracy    *float64          `json:"accuracy,omitempty"`
	Waited      float64           `json:"waited,omitempty"`
	Compile     float64           `json:"compile,omitempty"`
	Ahead       float64           `json:"compile_ahead,omitempty"`
	Digest      *string           `json:"digest"`
}

// MarshalJSON writes s as its line in a log, without the "\n".
func (s Step) MarshalJSON() ([]byte, error) {
	w := wireStep{
		Step: &s.Step, Tokens: &s.Tokens, LayerTokens: &s.LayerTokens, FLOPs: &s.FLOPs, Seconds: &s.Seconds,
		Stage: &s.Stage, Length: &s.Length, Rows: &s.Rows, Kept: &s.Kept, Padding: s.Padding, Discarded: s.Discarded, Rate: &s.Rate,
		Loss: (*number)(&s.Loss), GradNorm: (*number)(&s.GradNorm), HeldOut: (*number)(s.HeldOut), HeldOutRaw: (*number)(s.HeldOutRaw), Accuracy: s.Accuracy,
		Waited: s.Waited, Compile: s.Compile, Ahead: s.CompileAhead, Digest: &s.Digest,
	}
	if s.Difficulty != nil {
		w.Difficulty = make(map[string]number, len(s.Difficulty))
		for metric, d := range s.Difficulty {
			w.Difficulty[metric] = number(d)
		}
	}
	return json.Marshal(w) // sorts the keys of Difficulty
}

// UnmarshalJSON reads the line of a step. A missing and an unknown key are
// errors.
func (s *Step) UnmarshalJSON(b []byte) error {
	var w wireStep
	if err := decodeStrict(b, &w); err != nil {
		return err
	}
	if key := w.missing(); key != "" {
		return fmt.Errorf("the key %q is missing", key)
	}
	*s = Step{
		Step: *w.Step, Tokens: *w.Tokens, LayerTokens: *w.LayerTokens, FLOPs: *w.FLOPs, Seconds: *w.Seconds,
		Stage: *w.Stage, Length: *w.Length, Rows: *w.Rows, Kept: *w.Kept, Padding: w.Padding, Discarded: w.Discarded, Rate: *w.Rate,
		Loss: float64(*w.Loss), GradNorm: float64(*w.GradNorm), HeldOut: (*float64)(w.HeldOut), HeldOutRaw: (*float64)(w.HeldOutRaw), Accuracy: w.Accuracy,
		Waited: w.Waited, Compile: w.Compile, CompileAhead: w.Ahead, Digest: *w.Digest,
	}
	if len(w.Difficulty) > 0 {
		s.Difficulty = make(map[string]float64, len(w.Difficulty))
		for metric, d := range w.Difficulty {
			s.Difficulty[metric] = float64(d)
		}
	}
	return nil
}

// missing names the first key that must stand and does not, or "".
func (w *wireStep) missing() string {
	for _, k := range []struct {
		name   string
		stands bool
	}{
		{"step", w.Step != nil}, {"tokens", w.Tokens != nil}, {"layer_tokens", w.LayerTokens != nil},
		{"flops", w.FLOPs != nil}, {"seconds", w.Seconds != nil}, {"stage", w.Stage != nil},
		{"length", w.Length != nil}, {"rows", w.Rows != nil}, {"kept", w.Kept != nil},
		{"rate", w.Rate != nil}, {"loss", w.Loss != nil}, {"grad_norm", w.GradNorm != nil},
		{"digest", w.Digest != nil},
	} {
		if !k.stands {
			return k.name
		}
	}
	return ""
}

// missingRunKey names the first key, in order of the alphabet, that the first
// line of a log lacks, or "".
func missingRunKey(b []byte) string {
	var first struct{ Run map[string]json.RawMessage }
	if err := json.Unmarshal(b, &first); err != nil {
		return "run"
	}
	all, _ := json.Marshal(Run{}) // strings and finite numbers always marshal
	var want map[string]json.RawMessage
	json.Unmarshal(all, &want)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if _, ok := first.Run[key]; !ok {
			return key
		}
	}
	return ""
}

// decodeStrict reads the one JSON value in b; an unknown key and anything after
// the value are errors.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("the JSON value is cut short")
		}
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more than one JSON value")
	}
	return nil
}
