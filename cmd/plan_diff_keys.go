package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/recipe"
)

// A keyDiff is a key of which two recipes say something else. What is not in one
// of them is empty.
type keyDiff struct {
	Key string `json:"key"` // such as curriculum[0].pace.until
	A   string `json:"a,omitempty"`
	B   string `json:"b,omitempty"`
}

// diffKeys compares recipes with their defaults filled in; names of runs aside.
func diffKeys(a, b *recipe.Recipe) ([]keyDiff, error) {
	var values [2]any
	for i, r := range []*recipe.Recipe{a, b} {
		text, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			return nil, err
		}
		delete(values[i].(map[string]any), "name")
	}
	return diffValues(nil, "", values[0], values[1])
}

// diffValues appends the differences of two JSON values at a path. Where one has
// nothing, all of the other's is one difference.
func diffValues(list []keyDiff, at string, a, b any) ([]keyDiff, error) {
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	listA, areA := a.([]any)
	listB, areB := b.([]any)
	var err error
	switch {
	case isA && isB:
		var keys []string
		for k := range objectA {
			keys = append(keys, k)
		}
		for k := range objectB {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			if list, err = diffValues(list, strings.TrimPrefix(at+"."+k, "."), objectA[k], objectB[k]); err != nil {
				return nil, err
			}
		}
	case areA && areB && (nested(listA) || nested(listB)):
		for i := range max(len(listA), len(listB)) {
			item := func(l []any) any {
				if i < len(l) {
					return l[i]
				}
				return nil
			}
			if list, err = diffValues(list, fmt.Sprintf("%s[%d]", at, i), item(listA), item(listB)); err != nil {
				return nil, err
			}
		}
	default:
		d := keyDiff{Key: at}
		if d.A, err = valueText(a); err != nil {
			return nil, err
		}
		if d.B, err = valueText(b); err != nil {
			return nil, err
		}
		if d.A != d.B {
			list = append(list, d)
		}
	}
	return list, nil
}

// nested reports whether a list has more than plain values.
func nested(list []any) bool {
	return slices.ContainsFunc(list, func(v any) bool {
		_, object := v.(map[string]any)
		return object
	})
}

// valueText writes a value in one line, as a recipe would; nothing is empty.
func valueText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}
