package recipe

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/pace"
)

// checkKeys compares the keys of the file with those of the Recipe's structs.
func checkKeys(path string, root ast.Node) error {
	t := &tagFinder{}
	ast.Walk(t, root)
	if t.tag != nil {
		return fault.Invalidf("%s:%d: %s is a tag of YAML, which recipes do not use; leave it out", path, line(t.tag), t.tag.GetToken().Value)
	}
	return checkNode(path, "", root, reflect.TypeFor[Recipe]())
}

// tagFinder finds a tag, such as !!str: the decoder cannot read some of them.
type tagFinder struct{ tag *ast.TagNode }

func (f *tagFinder) Visit(n ast.Node) ast.Visitor {
	if tag, ok := n.(*ast.TagNode); ok && f.tag == nil {
		f.tag = tag
	}
	return f
}

func checkNode(path, at string, node ast.Node, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Names]():
		switch node.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			return fault.Invalidf("%s:%d: %s must be a name, or a list of names", path, line(node), at)
		}
		return nil
	case t.Kind() == reflect.Slice:
		return checkList(path, at, node, t)
	case slices.Contains([]reflect.Kind{reflect.Int, reflect.Int64, reflect.Uint64}, t.Kind()):
		if f, ok := node.(*ast.FloatNode); ok && f.Value != math.Trunc(f.Value) { // the decoder would cut it off
			return fault.Invalidf("%s:%d: %s is %v; it must be a whole number", path, line(node), at, f.Value)
		}
		return nil
	case t == reflect.TypeFor[Pace]():
		return checkPace(path, at, node)
	case !isSection(t):
		return nil
	}
	pairs, ok := pairsOf(node)
	if !ok {
		return fault.Invalidf("%s:%d: %s must be keys and values", path, line(node), or(at, "a recipe"))
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
			return unknownKey(path, at, pair.Key, names)
		}
		if err := checkNode(path, strings.TrimPrefix(at+"."+key, "."), pair.Value, field); err != nil {
			return err
		}
	}
	return nil
}

// checkList checks a list and its items.
func checkList(path, at string, node ast.Node, t reflect.Type) error {
	switch list := node.(type) {
	case *ast.SequenceNode:
		for _, item := range list.Values {
			if err := checkNode(path, at, item, t.Elem()); err != nil {
				return err
			}
		}
		return nil
	case *ast.NullNode, *ast.AliasNode, *ast.AnchorNode:
		return nil
	default:
		return fault.Invalidf("%s:%d: %s must be a list, in brackets or with a dash before each item", path, line(node), at)
	}
}

// checkPace compares the keys of a pace with those of its kind. What is no
// mapping, and a kind that is not known, is left to settlePace.
func checkPace(path, at string, node ast.Node) error {
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
				return unknownKey(path, at, pair.Key, names)
			}
		}
	}
	return nil
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

func unknownKey(path, at string, key ast.Node, names []string) error {
	nearest, _ := spell.Nearest(nameOf(key), names)
	return fault.Invalidf("%s:%d: unknown key %q%s; did you mean %q? Known here: %s",
		path, line(key), nameOf(key), within(at), nearest, strings.Join(names, ", "))
}

func line(n ast.Node) int { return n.GetToken().Position.Line }

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

// yamlError returns an error of the YAML reader with its place in the file, in
// words for people who do not write Go.
func yamlError(path string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return fault.Invalidf("%s: %s", path, first)
	}
	token, what := at.GetToken(), at.GetMessage()
	var mistyped *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &mistyped):
		what = fmt.Sprintf("%q stands where %s must", token.Value, kindName(mistyped.DstType))
	case errors.As(err, &large):
		what = fmt.Sprintf("%s is out of range for %s", large.SrcNum, kindName(large.DstType))
	}
	return fault.Invalidf("%s:%d: %s", path, token.Position.Line, what)
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
	return fault.Invalidf("%s: %w", r.place(at), fmt.Errorf(format, args...))
}

// invalid is errorf for an error of a package that begins with the same name.
func (r *Recipe) invalid(at string, err error) error {
	return r.errorf(at, "%s", strings.TrimPrefix(err.Error(), at+": "))
}

// place returns "recipe.yaml:12: routing.keep", or the nearest part of the path
// that stands in the file.
func (r *Recipe) place(at string) string {
	for part := at; part != ""; {
		if p, err := yaml.PathString("$." + part); err == nil {
			if n, err := p.FilterFile(r.tree); err == nil && n != nil {
				return fmt.Sprintf("%s:%d: %s", r.path, line(n), at)
			}
		}
		i := strings.LastIndexAny(part, ".[")
		part = part[:max(i, 0)]
	}
	return r.path + ": " + at
}
