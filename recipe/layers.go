package recipe

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// Layers names layers of the model, counted from 0: "inner" (all but the first and
// the last), "every N" (every Nth of these, from 1 on), or a list.
type Layers struct {
	Inner bool
	Every int
	List  []int

	wrong bool
}

// of returns the layers that are named, in a model of so many.
func (l Layers) of(layers int) []int {
	if l.List != nil {
		return l.List
	}
	var routed []int
	for _, at := range route.Inner(layers) {
		if l.Every == 0 || (at-1)%l.Every == 0 {
			routed = append(routed, at)
		}
	}
	return routed
}

// MarshalJSON writes the layers as a recipe does, ranges as lists.
func (l Layers) MarshalJSON() ([]byte, error) {
	switch {
	case l.List != nil && !l.Inner:
		return json.Marshal(l.List)
	case l.Every > 0:
		return json.Marshal(fmt.Sprintf("every %d", l.Every))
	}
	return []byte(`"inner"`), nil
}

// UnmarshalYAML reads inner, every 2, 3, 1-4, or a list such as [1-3, 6].
func (l *Layers) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	*l = Layers{}
	switch v := v.(type) {
	case nil:
	case string:
		every, ok := strings.CutPrefix(v, "every ")
		n, err := strconv.Atoi(every)
		switch {
		case v == "inner":
			l.Inner = true
		case ok && err == nil && n >= 1 && n <= model.MaxLayers:
			l.Every = n
		default:
			l.add(v)
		}
	case []any:
		l.List = []int{}
		for _, item := range v {
			l.add(item)
		}
	default:
		l.add(v)
	}
	return nil
}

// add appends a layer, or a range of them.
func (l *Layers) add(v any) {
	if n, ok := wholeNumber(v); ok {
		l.List = append(l.List, n)
		return
	}
	text, _ := v.(string)
	low, high, ok := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 32)
	to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 32)
	if !ok || err1 != nil || err2 != nil || to < from || to > model.MaxLayers {
		l.wrong = true
		return
	}
	for at := from; at <= to; at++ {
		l.List = append(l.List, int(at))
	}
}

func (l *Layers) problem() string {
	if l.wrong {
		return "layers must be inner, every 2 of these, or layers and ranges of them: 1-4, or [1, 2, 5], or [1-3, 6]"
	}
	return ""
}

// Always names what every layer sees: words, and ids of tokens.
type Always struct {
	First   bool    // tokens of documents, the class token of images
	Special bool    // tokens of the corpus and of masking
	Masked  bool    // positions that are predicted
	Tokens  []int32 // ascending

	given bool // an empty list, where there is a default
	wrong string
}

// MarshalJSON writes a list as a recipe does.
func (a Always) MarshalJSON() ([]byte, error) { return json.Marshal(a.list()) }

func (a Always) list() []any {
	list := []any{}
	for _, word := range a.words() {
		if *word.is {
			list = append(list, word.name)
		}
	}
	for _, token := range a.Tokens {
		list = append(list, token)
	}
	return list
}

// String lists what is seen; empty: nothing.
func (a Always) String() string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(a.list())), ", "), "[]")
}

type alwaysWord struct {
	name string
	is   *bool
}

func (a *Always) words() []alwaysWord {
	return []alwaysWord{{"first", &a.First}, {"special", &a.Special}, {"masked", &a.Masked}}
}

// UnmarshalYAML reads a list, or one item.
func (a *Always) UnmarshalYAML(unmarshal func(any) error) error {
	var v any
	if err := unmarshal(&v); err != nil {
		return err
	}
	*a = Always{given: true}
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	for _, item := range list {
		if n, ok := wholeNumber(item); ok && n >= 0 && n <= math.MaxInt32 {
			a.Tokens = append(a.Tokens, int32(n))
			continue
		}
		known := false
		for _, word := range a.words() {
			if item == any(word.name) {
				*word.is, known = true, true
			}
		}
		if !known {
			a.wrong = fmt.Sprint(item)
		}
	}
	slices.Sort(a.Tokens)
	a.Tokens = slices.Compact(a.Tokens)
	return nil
}

func (a *Always) problem() string {
	if a.wrong != "" {
		return fmt.Sprintf("%q is neither first, special or masked nor the id of a token", a.wrong)
	}
	return ""
}

// wholeNumber returns a whole number that YAML read.
func wholeNumber(v any) (int, bool) {
	f, ok := number(v)
	if _, text := v.(string); text || !ok || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return 0, false
	}
	return int(f), true
}
