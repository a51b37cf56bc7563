package recipe

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// An Amount is a number on the budget's clock, or a percentage of the budget.
type Amount struct {
	Value   float64
	Percent bool
}

// Of returns the amount on the clock, for a budget.
func (a Amount) Of(budget float64) float64 {
	if a.Percent {
		return a.Value / 100 * budget
	}
	return a.Value
}

// String writes the amount as a recipe does.
func (a Amount) String() string {
	if a.Percent {
		return strconv.FormatFloat(a.Value, 'g', -1, 64) + "%"
	}
	return strconv.FormatFloat(a.Value, 'g', -1, 64)
}

// MarshalJSON writes the amount as a string.
func (a Amount) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, a.String()), nil }

// UnmarshalYAML reads 12, 1_000 or 40%.
func (a *Amount) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	return a.set(v)
}

func (a *Amount) set(v any) error {
	switch v := v.(type) {
	case string:
		number, percent := strings.CutSuffix(strings.TrimSpace(v), "%")
		f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return fmt.Errorf("%q is no amount; write a number or a percentage such as 40%%", v)
		}
		*a = Amount{f, percent}
	case uint64:
		*a = Amount{float64(v), false}
	case int64:
		*a = Amount{float64(v), false}
	case float64:
		*a = Amount{v, false}
	default:
		return fmt.Errorf("%v is no amount; write a number or a percentage such as 40%%", v)
	}
	if math.IsNaN(a.Value) || math.IsInf(a.Value, 0) {
		return fmt.Errorf("%v is no amount; it must be finite", v)
	}
	return nil
}

// Amounts is one amount, or a list of them.
type Amounts []Amount

// UnmarshalYAML reads an amount or a list.
func (a *Amounts) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	*a = make(Amounts, len(list))
	for i, item := range list {
		if err := (*a)[i].set(item); err != nil {
			return err
		}
	}
	return nil
}

// Layers names layers of the model: "inner" (all but the first and the last), or
// a list of indices from 0.
type Layers struct {
	Inner bool
	List  []int
}

// MarshalJSON writes the layers as a recipe does.
func (l Layers) MarshalJSON() ([]byte, error) {
	if l.Inner || l.List == nil {
		return []byte(`"inner"`), nil
	}
	return []byte(strings.ReplaceAll(fmt.Sprint(l.List), " ", ",")), nil
}

// UnmarshalYAML reads inner or a list.
func (l *Layers) UnmarshalYAML(unmarshal func(any) error) error {
	var list []int
	if unmarshal(&list) == nil {
		l.List = list
		return nil
	}
	var name string
	if err := unmarshal(&name); err != nil || name != "inner" {
		return fmt.Errorf("layers must be inner, or a list such as [1, 2, 3]")
	}
	l.Inner = true
	return nil
}
