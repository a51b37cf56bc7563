package recipe

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// An Amount is a number on a clock, or a percentage of the budget.
type Amount struct {
	Value   float64
	Percent bool

	wrong string // what the file has instead, in words
}

// ParseAmount reads an amount as a recipe has it: 12, 1_000 or 40%.
func ParseAmount(text string) (Amount, error) {
	a := amountOf(strings.ReplaceAll(text, "_", ""))
	if a.wrong != "" {
		return a, fault.Invalidf("%s", a.wrong)
	}
	return a, nil
}

// Of returns the amount on the clock, for a budget.
func (a Amount) Of(budget float64) float64 {
	if a.Percent {
		return a.Value / 100 * budget
	}
	return a.Value
}

// percentage returns a share as a percentage. The point moves in the decimal number,
// so that 0.07 becomes the 7% of whoever writes that.
func (a Amount) percentage() Amount {
	if a.Percent || a.wrong != "" {
		return a
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(a.Value, 'e', -1, 64), "e")
	power, _ := strconv.Atoi(exponent) // FormatFloat wrote it
	value, err := strconv.ParseFloat(fmt.Sprintf("%se%d", digits, power+2), 64)
	if err != nil { // beyond the largest number; no share is
		return a
	}
	return Amount{Value: value, Percent: true}
}

// String writes the amount as a recipe does.
func (a Amount) String() string {
	number := strconv.FormatFloat(a.Value, 'g', -1, 64)
	if a.Percent {
		return number + "%"
	}
	return number
}

// MarshalJSON writes the amount as a recipe does: 12 or "40%".
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.Percent {
		return strconv.AppendQuote(nil, a.String()), nil
	}
	return json.Marshal(a.Value)
}

// UnmarshalYAML reads 12, 1_000 or 40%.
func (a *Amount) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	*a = amountOf(v)
	return nil
}

func (a *Amount) problem() string { return a.wrong }

func amountOf(v any) Amount {
	a := Amount{}
	switch v := v.(type) {
	case string:
		number, percent := strings.CutSuffix(strings.TrimSpace(v), "%")
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return Amount{wrong: fmt.Sprintf("%q is no amount; write a number or a percentage such as 40%%", v)}
		}
		a = Amount{Value: f, Percent: percent}
	default:
		f, ok := number(v)
		if !ok {
			return Amount{wrong: fmt.Sprintf("%v is no amount; write a number or a percentage such as 40%%", v)}
		}
		a = Amount{Value: f}
	}
	if math.IsNaN(a.Value) || math.IsInf(a.Value, 0) {
		return Amount{wrong: fmt.Sprintf("%v is no amount; it must be finite", v)}
	}
	return a
}

// number returns a number that YAML read. 3e-3, without a point, it reads as a
// word.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && strings.ContainsAny(v, "eE") && strings.ContainsAny(v, "0123456789")
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// Names is one name of files, or a list.
type Names []string

// MarshalJSON writes one name without a list.
func (n Names) MarshalJSON() ([]byte, error) {
	if len(n) == 1 {
		return json.Marshal(n[0])
	}
	return json.Marshal([]string(n))
}

// UnmarshalYAML reads a name or a list.
func (n *Names) UnmarshalYAML(unmarshal func(any) error) error {
	var name string
	if unmarshal(&name) == nil {
		if name != "" {
			*n = Names{name}
		}
		return nil
	}
	var list []string
	if err := unmarshal(&list); err != nil {
		return err
	}
	*n = list
	return nil
}

// String lists the names.
func (n Names) String() string { return strings.Join(n, ", ") }
