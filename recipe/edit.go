package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/gradus-ml/gradus/internal/fault"
)

// An Edit gives a key of a YAML file a new value.
type Edit struct {
	Path  []any // from the top: a string is a key, an int an item of a list
	Value any   // a number, a string, a bool, or lists and maps of them
}

// At returns the path as messages have it, such as "curriculum[0].pace.from".
func (e Edit) At() string {
	var b strings.Builder
	for _, part := range e.Path {
		if i, ok := part.(int); ok {
			fmt.Fprintf(&b, "[%d]", i)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		fmt.Fprint(&b, part)
	}
	return b.String()
}

// Apply returns the text of a YAML file with edits, one after another. All else in
// it stays as it is, comments too, unless the edited place is written in a way that
// cannot be changed alone (an alias, say): then the whole file is written anew. A
// section that an edit is in and that the file lacks is made; a list's item must be
// there. path is what messages call the file.
func Apply(path string, text []byte, edits ...Edit) ([]byte, error) {
	for _, e := range edits {
		want, err := e.tree(path, text)
		if err != nil {
			return nil, err
		}
		edited, ok := e.inPlace(text)
		if !ok || !means(edited, want) {
			if edited, err = yaml.Marshal(want); err != nil {
				return nil, fault.Invalidf("%s: %s: %w", path, e.At(), err)
			}
		}
		text = edited
	}
	return text, nil
}

// Edited returns the recipe with edits. Files are looked for as the recipe's are.
func (r *Recipe) Edited(edits ...Edit) (*Recipe, error) {
	text, err := Apply(r.Path(), r.Text(), edits...)
	if err != nil {
		return nil, err
	}
	return Parse(r.Path(), text)
}

// text writes the value on one line.
func (e Edit) text() (string, error) {
	if word, ok := e.Value.(string); ok && plain(word) {
		return word, nil
	}
	text, err := json.Marshal(e.Value) // YAML reads JSON
	return string(text), err
}

// plain reports whether a word needs no quotes, wherever it stands.
func plain(word string) bool {
	for _, c := range word {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '%' || c == '/' || c == '_') {
			return false
		}
	}
	var v any
	err := yaml.Unmarshal([]byte(word), &v)
	return err == nil && v == any(word)
}

// tree returns what the edited file says, with its keys in order.
func (e Edit) tree(path string, text []byte) (any, error) {
	var top any
	if err := yaml.UnmarshalWithOptions(text, &top, yaml.UseOrderedMap()); err != nil {
		return nil, fault.Invalidf("%s: %w", path, err)
	}
	word, err := e.text()
	if err != nil {
		return nil, fault.Invalidf("%s: %s: %w", path, e.At(), err)
	}
	var value any
	if err := yaml.UnmarshalWithOptions([]byte(word), &value, yaml.UseOrderedMap()); err != nil {
		return nil, fault.Invalidf("%s: %s: %w", path, e.At(), err)
	}
	if len(e.Path) == 0 {
		return value, nil
	}
	top, ok := put(top, e.Path, value)
	if !ok {
		return nil, fault.Invalidf("%s: %s: there is nothing of that path that could be changed", path, e.At())
	}
	return top, nil
}

// put returns a tree with a value at a path. The one that it is given stays: aliases
// share their parts.
func put(in any, path []any, value any) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	if i, ok := path[0].(int); ok {
		list, ok := in.([]any)
		if !ok || i < 0 || i >= len(list) {
			return nil, false
		}
		list = slices.Clone(list)
		list[i], ok = put(list[i], path[1:], value)
		return list, ok
	}
	keys, ok := in.(yaml.MapSlice)
	if !ok && in != nil {
		return nil, false
	}
	keys = slices.Clone(keys)
	at := slices.IndexFunc(keys, func(item yaml.MapItem) bool { return fmt.Sprint(item.Key) == path[0] })
	if at < 0 {
		keys = append(keys, yaml.MapItem{Key: path[0]})
		at = len(keys) - 1
	}
	keys[at].Value, ok = put(keys[at].Value, path[1:], value)
	return keys, ok
}

// means reports whether a file says what a tree says. The order of keys is free.
func means(text []byte, tree any) bool {
	written, err := yaml.Marshal(tree)
	if err != nil {
		return false
	}
	var a, b any
	return yaml.Unmarshal(text, &a) == nil && yaml.Unmarshal(written, &b) == nil && reflect.DeepEqual(a, b)
}

// inPlace changes the text where the value stands, or puts a key where it should.
func (e Edit) inPlace(text []byte) ([]byte, bool) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, false
	}
	node := file.Docs[0].Body
	for k, part := range e.Path {
		next, missing := child(node, part)
		if next == nil {
			if !missing {
				return nil, false
			}
			return e.insert(text, node, k)
		}
		node = next
	}
	word, err := e.text()
	from, to, ok := scalarSpan(text, node)
	if err != nil || !ok {
		return nil, false
	}
	return slices.Concat(text[:from], []byte(word), text[to:]), true
}

// child returns what a node holds under a key or an index. missing says that the key
// could be added.
func child(node ast.Node, part any) (found ast.Node, missing bool) {
	if i, ok := part.(int); ok {
		list, ok := node.(*ast.SequenceNode)
		if !ok || i < 0 || i >= len(list.Values) {
			return nil, false
		}
		return list.Values[i], false
	}
	pairs, ok := pairsOf(node)
	for _, p := range pairs {
		if nameOf(p.Key) == part {
			return p.Value, false
		}
	}
	return nil, ok
}

// insert adds the rest of the path, from the k-th part on, before the first key of a
// mapping.
func (e Edit) insert(text []byte, in ast.Node, k int) ([]byte, bool) {
	key, ok := e.Path[k].(string)
	if !ok || !plain(key) {
		return nil, false
	}
	value, err := e.text()
	if err != nil {
		return nil, false
	}
	for _, part := range slices.Backward(e.Path[k+1:]) {
		inner, ok := part.(string)
		if !ok || !plain(inner) {
			return nil, false
		}
		value = fmt.Sprintf("{%s: %s}", inner, value)
	}
	pair := key + ": " + value
	if m, ok := in.(*ast.MappingNode); ok && m.IsFlowStyle {
		at, ok := offset(text, m.Start.Position.Line, m.Start.Position.Column)
		if !ok || text[at] != '{' {
			return nil, false
		}
		if len(m.Values) > 0 {
			pair += ", "
		}
		return slices.Insert(slices.Clone(text), at+1, []byte(pair)...), true
	}
	pairs, _ := pairsOf(in)
	first := pairs[0].Key.GetToken().Position
	at, ok := offset(text, first.Line, first.Column)
	if !ok {
		return nil, false
	}
	pair += "\n" + strings.Repeat(" ", first.Column-1)
	return slices.Insert(slices.Clone(text), at, []byte(pair)...), true
}

// scalarSpan returns where a scalar stands that is written on one line.
func scalarSpan(text []byte, node ast.Node) (from, to int, ok bool) {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode, *ast.AliasNode, *ast.AnchorNode, *ast.LiteralNode, *ast.TagNode:
		return 0, 0, false
	}
	t := node.GetToken()
	if from, ok = offset(text, t.Position.Line, t.Position.Column); !ok {
		return 0, 0, false
	}
	word := t.Value
	if c := text[from]; c == '"' || c == '\'' {
		for to = from + 1; to < len(text) && text[to] != c; to++ {
			if c == '"' && text[to] == '\\' { // a quote may follow
				to++
			}
		}
		return from, to + 1, to < len(text) // a quote that '' stands for is what Apply finds out
	}
	if !bytes.HasPrefix(text[from:], []byte(word)) || word == "" {
		return 0, 0, false
	}
	return from, from + len(word), true
}

// offset returns where a line and a column, counted in characters from 1, are in a
// text.
func offset(text []byte, line, column int) (int, bool) {
	at := 0
	for range line - 1 {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return 0, false
		}
		at += end + 1
	}
	n := 0
	for i := range string(text[at:]) {
		if n++; n == column {
			return at + i, true
		}
	}
	return 0, false
}
