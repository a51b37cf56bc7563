package recipe

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/model"
	"github.com/gradus-ml/gradus/route"
)

// A key is one value of a recipe, and where it stands.
type key struct {
	at    string // its path, such as "curriculum[0].pace"
	value reflect.Value
	tag   reflect.StructTag
}

// each calls do for every key of the recipe that has a value.
func (r *Recipe) each(do func(key) error) error {
	return eachKey("", reflect.ValueOf(r).Elem(), do)
}

func eachKey(at string, v reflect.Value, do func(key) error) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, ok := keyOf(field)
		if !ok || v.Field(i).IsZero() {
			continue
		}
		k := key{strings.TrimPrefix(at+"."+name, "."), v.Field(i), field.Tag}
		if err := do(k); err != nil {
			return err
		}
		value := k.value
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		switch {
		case isSection(value.Type()):
			if err := eachKey(k.at, value, do); err != nil {
				return err
			}
		case value.Kind() == reflect.Slice && isSection(value.Type().Elem()):
			for i := range value.Len() {
				if err := eachKey(fmt.Sprintf("%s[%d]", k.at, i), value.Index(i), do); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// keyOf returns a field's key in a recipe; ok is false for those that have none.
func keyOf(field reflect.StructField) (name string, ok bool) {
	name, _, _ = strings.Cut(field.Tag.Get("yaml"), ",")
	return name, name != ""
}

// isSection reports whether a type's fields are keys of a recipe.
func isSection(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	_, own := reflect.New(t).Interface().(interface{ problem() string })
	return !own
}

// words returns what a values tag lists.
func words(tag reflect.StructTag) []string {
	var names []string
	switch list := tag.Get("values"); list {
	case "":
	case "{forms}":
		for form := corpus.Auto; ; form++ {
			if _, err := corpus.ParseForm(form.String()); err != nil || slices.Contains(names, form.String()) {
				break
			}
			names = append(names, form.String())
		}
	case "{shapers}":
		for _, s := range batch.Shapers() {
			names = append(names, s.Name)
		}
	case "{policies}":
		for _, p := range route.Policies() {
			names = append(names, p.Name)
		}
		names = append(names, noPolicy)
	case "{presets}":
		for _, p := range model.Presets() {
			names = append(names, p.Name)
		}
	default:
		names = strings.Split(list, "|")
	}
	return names
}

// settle checks words and smallest numbers, and settles the paces.
func (r *Recipe) settle() error {
	err := r.each(func(k key) error {
		for _, v := range []reflect.Value{k.value, k.value.Addr()} {
			if p, ok := v.Interface().(interface{ problem() string }); ok && p.problem() != "" {
				return r.errorf(k.at, "%s", p.problem())
			}
		}
		if known := words(k.tag); known != nil && !slices.Contains(known, k.value.String()) {
			meant := ""
			if nearest, edits := spell.Nearest(k.value.String(), known); edits <= 2 {
				meant = fmt.Sprintf(" (did you mean %s?)", nearest)
			}
			return r.errorf(k.at, "unknown %q%s; there %s", k.value.String(), meant, listed(known))
		}
		if least, err := strconv.ParseInt(k.tag.Get("least"), 10, 64); err == nil && k.value.Int() < least {
			return r.errorf(k.at, "it is %d; it must be at least %d", k.value.Int(), least)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.eachPace(r.settlePace)
}

// eachPace calls do for every pace of the recipe.
func (r *Recipe) eachPace(do func(at string, p *Pace) error) error {
	return r.each(func(k key) error {
		if p, ok := k.value.Interface().(*Pace); ok {
			return do(k.at, p)
		}
		return nil
	})
}

// listed returns "are a, b and c", or "is a".
func listed(names []string) string {
	if len(names) == 1 {
		return "is " + names[0]
	}
	last := len(names) - 1
	return "are " + strings.Join(names[:last], ", ") + " and " + names[last]
}
