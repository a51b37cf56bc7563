package recipe

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/pace"
)

// A keyCheck compares the keys of a file with those of the structs that it is read
// into.
type keyCheck struct {
	file  *File
	patch bool // null removes a key, whatever it is
}

// checkKeys compares the keys of the file with those of a type.
func (f *File) checkKeys(t reflect.Type) error {
	tags := &tagFinder{}
	ast.Walk(tags, f.root())
	if tags.tag != nil {
		return fault.Invalidf("%s: %s is a tag of YAML, which recipes do not use; leave it out", f.lineOf(tags.tag), tags.tag.GetToken().Value)
	}
	return keyCheck{file: f}.node("", f.root(), t)
}

// tagFinder finds a tag, such as !!str: the decoder cannot read some of them.
type tagFinder struct{ tag *ast.TagNode }

func (f *tagFinder) Visit(n ast.Node) ast.Visitor {
	if tag, ok := n.(*ast.TagNode); ok && f.tag == nil {
		f.tag = tag
	}
	return f
}

func (c keyCheck) node(at string, node ast.Node, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, null := node.(*ast.NullNode); null && c.patch {
		return nil
	}
	switch {
	case t == reflect.TypeFor[Patch]():
		return keyCheck{c.file, true}.node(at, node, reflect.TypeFor[Recipe]())
	case t == reflect.TypeFor[Names]():
		switch node.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			return c.wrong(node, "%s must be a name, or a list of names", at)
		}
		return nil
	case t.Kind() == reflect.Slice:
		return c.list(at, node, t)
	case t.Kind() == reflect.Map:
		return c.table(at, node, t)
	case slices.Contains([]reflect.Kind{reflect.Int, reflect.Int64, reflect.Uint64}, t.Kind()):
		if f, ok := node.(*ast.FloatNode); ok && f.Value != math.Trunc(f.Value) { // the decoder would cut it off
			return c.wrong(node, "%s is %v; it must be a whole number", at, f.Value)
		}
		return nil
	case t == reflect.TypeFor[Pace]():
		return c.pace(at, node)
	case !isSection(t):
		return nil
	}
	pairs, ok := pairsOf(node)
	if !ok {
		return c.wrong(node, "%s must be keys and values", or(at, "the file"))
	}
	known := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		if name, ok := keyOf(t.Field(i)); ok {
			known[name] = t.Field(i).Type
			names = append(names, name)
		}
	}
	for _, pair := range pairs {
		key := nameOf(pair.Key)
		field, ok := known[key]
		if !ok {
			return c.unknown(at, pair.Key, names)
		}
		if err := c.node(strings.TrimPrefix(at+"."+key, "."), pair.Value, field); err != nil {
			return err
		}
	}
	return nil
}

// list checks a list and its items.
func (c keyCheck) list(at string, node ast.Node, t reflect.Type) error {
	switch list := node.(type) {
	case *ast.SequenceNode:
		for _, item := range list.Values {
			if err := (keyCheck{file: c.file}).node(at, item, t.Elem()); err != nil { // a patch replaces lists whole
				return err
			}
		}
		return nil
	case *ast.NullNode, *ast.AliasNode, *ast.AnchorNode:
		return nil
	default:
		return c.wrong(node, "%s must be a list, in brackets or with a dash before each item", at)
	}
}

// table checks keys that are the reader's own, and their values.
func (c keyCheck) table(at string, node ast.Node, t reflect.Type) error {
	pairs, ok := pairsOf(node)
	if !ok {
		return c.wrong(node, "%s must be keys and values", at)
	}
	for _, pair := range pairs {
		if err := c.node(at+"."+nameOf(pair.Key), pair.Value, t.Elem()); err != nil {
			return err
		}
	}
	return nil
}

// pace compares the keys of a pace with those of its kind. What is no mapping, and
// a kind that is not known, is left to settlePace.
func (c keyCheck) pace(at string, node ast.Node) error {
	pairs, _ := pairsOf(node)
	names := []string{"kind", "clock"}
	for _, pair := range pairs {
		if nameOf(pair.Key) != "kind" {
			continue
		}
		kind, _ := pair.Value.(*ast.StringNode)
		if kind == nil {
			return nil
		}
		definition, ok := pace.Lookup(kind.Value)
		if !ok {
			return nil
		}
		for _, parameter := range definition.Parameters {
			names = append(names, parameter.Name)
		}
		for _, pair := range pairs {
			if !slices.Contains(names, nameOf(pair.Key)) {
				return c.unknown(at, pair.Key, names)
			}
		}
	}
	return nil
}

// wrong is an error at the line of a node.
func (c keyCheck) wrong(node ast.Node, format string, args ...any) error {
	return fault.Invalidf("%s: %w", c.file.lineOf(node), fmt.Errorf(format, args...))
}

func (c keyCheck) unknown(at string, key ast.Node, names []string) error {
	nearest, _ := spell.Nearest(nameOf(key), names)
	return c.wrong(key, "unknown key %q%s; did you mean %q? Known here: %s", nameOf(key), within(at), nearest, strings.Join(names, ", "))
}

// pairsOf returns the keys and values of a mapping.
func pairsOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := node.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

// nameOf returns a key without the quotes that JSON has.
func nameOf(key ast.Node) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return key.String()
}

func within(at string) string {
	if at == "" {
		return ""
	}
	return " in " + at
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// kindName says what a value of a type looks like in a recipe.
func kindName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Uint64:
		return "a whole number from 0 on"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "keys with values"
	default:
		return "a word"
	}
}

// errorf returns an error of kind fault.Invalid that begins with the file, the
// line and the path of a value, such as "curriculum[0].pace".
func (r *Recipe) errorf(at, format string, args ...any) error {
	return r.file.Errorf(at, format, args...)
}

// invalid is errorf for an error of a package that begins with the same name.
func (r *Recipe) invalid(at string, err error) error {
	return r.errorf(at, "%s", strings.TrimPrefix(err.Error(), at+": "))
}

// place returns "recipe.yaml:12: routing.keep", or the nearest part of the path
// that stands in the file.
func (r *Recipe) place(at string) string { return r.file.Place(at) }
