package recipe

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/pace"
)

// An object is a JSON object of the schema.
type object map[string]any

// Schema returns the JSON Schema (draft 2020-12) of recipes, from the types of
// this package, and the paces, shapers and policies that are registered. Editors
// complete and check recipes by it; docs/recipe.schema.json is the one of this
// release. What depends on several keys, it leaves to Parse.
func Schema() []byte {
	schema := section(reflect.TypeFor[Recipe]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Recipe of a Gradus run"
	schema["$defs"] = definitions()
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil { // plain values only
		panic(fmt.Sprintf("recipe: %v", err))
	}
	return append(text, '\n')
}

// definitions are what several keys have in common. Some readers of YAML take
// 1_000, others 1e-3, for a string.
func definitions() object {
	grouped := func(kind, pattern string) object {
		return object{"anyOf": []any{object{"type": kind}, object{"type": "string", "pattern": pattern}}}
	}
	defs := object{
		"integer": grouped("integer", `^-?[0-9][0-9_]*$`),
		"number":  grouped("number", `^-?[0-9][0-9_]*(\.[0-9]+)?([eE][-+]?[0-9]+)?$`),
		"amount":  grouped("number", `^-?[0-9][0-9_]*(\.[0-9]+)?([eE][-+]?[0-9]+)?\s*%?$`),
		"names": object{"anyOf": []any{
			object{"type": "string", "minLength": 1},
			object{"type": "array", "minItems": 1, "items": object{"type": "string", "minLength": 1}},
		}},
		"layers": object{"anyOf": []any{
			object{"type": "string", "pattern": `^(inner|every [0-9]+|[0-9]+-[0-9]+)$`},
			object{"type": "integer", "minimum": 0},
			object{"type": "array", "minItems": 1, "items": object{"anyOf": []any{
				object{"type": "integer", "minimum": 0}, object{"type": "string", "pattern": `^[0-9]+-[0-9]+$`},
			}}},
		}},
		"always": alwaysSchema(),
	}
	kinds := []any{object{"$ref": "#/$defs/number"}}
	for _, d := range pace.Definitions() {
		name := "pace-" + d.Name
		defs[name] = paceSchema(d)
		kinds = append(kinds, object{"$ref": "#/$defs/" + name})
	}
	defs["pace"] = object{"anyOf": kinds}
	return defs
}

// alwaysSchema returns the schema of what every layer sees.
func alwaysSchema() object {
	var names []string
	for _, word := range new(Always).words() {
		names = append(names, word.name)
	}
	one := []any{object{"enum": names}, object{"type": "integer", "minimum": 0}}
	return object{"anyOf": append(one, object{"type": "array", "items": object{"anyOf": one}})}
}

// section returns the schema of a struct of keys.
func section(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, ok := keyOf(field)
		if !ok {
			continue
		}
		property := typeSchema(field.Type)
		if known := words(field.Tag); known != nil {
			property = object{"enum": known}
		}
		if least, err := strconv.Atoi(field.Tag.Get("least")); err == nil {
			property["minimum"] = least
		}
		if help := field.Tag.Get("help"); help != "" {
			property["description"] = help
		}
		properties[name] = property
		if !strings.HasSuffix(field.Tag.Get("yaml"), ",omitempty") {
			required = append(required, name)
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func typeSchema(t reflect.Type) object {
	ref := func(name string) object { return object{"$ref": "#/$defs/" + name} }
	switch t {
	case reflect.TypeFor[*Pace]():
		return ref("pace")
	case reflect.TypeFor[*Amount]():
		return ref("amount")
	case reflect.TypeFor[Names]():
		return ref("names")
	case reflect.TypeFor[Layers]():
		return ref("layers")
	case reflect.TypeFor[Always]():
		return ref("always")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.Struct:
		return section(t)
	case reflect.Slice:
		return object{"type": "array", "items": typeSchema(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return ref("integer")
	case reflect.Uint64:
		s := ref("integer")
		s["minimum"] = 0
		return s
	case reflect.Float64:
		return ref("number")
	default:
		return object{"type": "string"}
	}
}

// paceSchema returns the schema of one kind of pace.
func paceSchema(d pace.Definition) object {
	properties := object{
		"kind":  object{"const": d.Name, "description": d.Summary},
		"clock": object{"enum": clocks, "description": "what the pace counts; the budget's clock if not given"},
	}
	required := []string{"kind"}
	for _, p := range d.Parameters {
		s := object{"description": p.Help}
		if p.Default != nil {
			s["default"] = p.Default
		}
		maps.Copy(s, kindSchema(p))
		properties[p.Name] = s
		if p.Required {
			required = append(required, p.Name)
		}
	}
	return object{
		"type": "object", "description": d.Summary, "additionalProperties": false,
		"properties": properties, "required": required,
	}
}

func kindSchema(p pace.Parameter) object {
	list := func(of string) object {
		one := object{"$ref": "#/$defs/" + of}
		return object{"anyOf": []any{one, object{"type": "array", "items": one}}}
	}
	switch p.Kind {
	case pace.Number:
		return object{"$ref": "#/$defs/number"}
	case pace.Moment:
		return object{"$ref": "#/$defs/amount"}
	case pace.Numbers:
		return list("number")
	case pace.Moments:
		return list("amount")
	default:
		return object{"enum": p.Choices}
	}
}
