package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A Patch is keys of a recipe that go over those of another (RFC 7396): a value
// replaces the one that is there, sections are gone into, null removes a key, and
// lists replace lists whole.
type Patch struct {
	file *File
	node ast.Node
}

// ParsePatch reads a patch from YAML of its own; path is what messages call it.
func ParsePatch(path string, text []byte) (Patch, error) {
	f, err := ParseFile(path, text)
	if err != nil || f.root() == nil {
		return Patch{}, err
	}
	return Patch{f, f.root()}, f.checkKeys(reflect.TypeFor[Patch]())
}

// Whole returns the file as a patch, without a look at its keys.
func (f *File) Whole() Patch { return Patch{f, f.root()} }

// UnmarshalYAML takes over a part of a file.
func (p *Patch) UnmarshalYAML(ctx context.Context, node ast.Node) error {
	p.file, _ = ctx.Value(fileKey{}).(*File)
	p.node = node
	return nil
}

// Empty reports whether the patch changes nothing.
func (p Patch) Empty() bool { return p.node == nil }

// Merge returns the file with patches over it, one after another. Its lines know
// which file each of them came from. Files named in it are looked for as in f.
func (f *File) Merge(patches ...Patch) (*File, error) {
	merged, err := newBranch(f, f.root())
	if err != nil {
		return nil, err
	}
	for _, p := range patches {
		if p.Empty() {
			continue
		}
		over, err := newBranch(p.file, p.node)
		if err != nil {
			return nil, err
		}
		merged = merged.under(over)
	}
	out := &File{path: f.path}
	w := &branchWriter{places: map[string]string{}}
	w.write(merged, "", "", false)
	out.text, out.lines, out.places = []byte(w.text.String()), w.lines, w.places
	return out, out.parse()
}

// A branch is a part of a YAML tree: keys and values, a list, or a scalar.
type branch struct {
	line   string // where it comes from, such as "study.yaml:12"
	pairs  []pair // in the order of the file
	list   []*branch
	scalar string // as YAML writes it
	kind   branchKind
}

type branchKind int

const (
	scalarBranch branchKind = iota
	pairsBranch
	listBranch
	nullBranch
)

type pair struct {
	name  string
	key   string // name as YAML writes it
	line  string
	value *branch
}

// mostNodes bounds a merged file, whose anchors may be used any number of times.
const mostNodes = 100_000

// newBranch copies a part of a file, with its anchors' values in place of aliases.
func newBranch(f *File, node ast.Node) (*branch, error) {
	anchors := map[string]ast.Node{}
	nodes := 0
	var copied func(node ast.Node) (*branch, error)
	copied = func(node ast.Node) (*branch, error) {
		if nodes++; nodes > mostNodes {
			return nil, fault.Invalidf("%s: it is too large for a recipe", f.path)
		}
		b := &branch{line: f.lineOf(node)}
		switch n := node.(type) {
		case *ast.AnchorNode:
			anchors[n.Name.GetToken().Value] = n.Value
			return copied(n.Value)
		case *ast.AliasNode:
			name := n.Value.GetToken().Value
			value, ok := anchors[name]
			if !ok {
				return nil, fault.Invalidf("%s: there is no anchor %q above", b.line, name)
			}
			delete(anchors, name) // so that it cannot hold itself
			defer func() { anchors[name] = value }()
			return copied(value)
		case *ast.NullNode:
			b.kind, b.scalar = nullBranch, "null"
		case *ast.SequenceNode:
			b.kind = listBranch
			for _, item := range n.Values {
				value, err := copied(item)
				if err != nil {
					return nil, err
				}
				b.list = append(b.list, value)
			}
		case *ast.MappingNode, *ast.MappingValueNode:
			b.kind = pairsBranch
			pairs, _ := pairsOf(n)
			for _, p := range pairs {
				value, err := copied(p.Value)
				if err != nil {
					return nil, err
				}
				b.pairs = append(b.pairs, pair{nameOf(p.Key), word(p.Key), f.lineOf(p.Key), value})
			}
		default:
			b.scalar = word(node)
		}
		return b, nil
	}
	if node == nil {
		return &branch{kind: pairsBranch}, nil
	}
	return copied(node)
}

// word returns a scalar as YAML writes it, on one line.
func word(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		if plain := strings.TrimSpace(n.GetToken().Origin) == n.Value; plain && n.Value != "" && !strings.ContainsAny(n.Value, ",[]{}") {
			return n.Value
		}
		return quoted(n.Value)
	case *ast.LiteralNode:
		return quoted(n.Value.Value)
	}
	return node.GetToken().Value
}

// quoted writes a word as JSON does, which YAML reads too.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(fmt.Sprintf("recipe: %v", err))
	}
	return string(text)
}

// under returns the branch with another over it.
func (b *branch) under(over *branch) *branch {
	if over.kind != pairsBranch {
		return over
	}
	merged := &branch{line: over.line, kind: pairsBranch}
	if b != nil && b.kind == pairsBranch {
		merged.line = b.line
		merged.pairs = append(merged.pairs, b.pairs...)
	}
	for _, p := range over.pairs {
		at := -1
		for i := range merged.pairs {
			if merged.pairs[i].name == p.name {
				at = i
			}
		}
		switch {
		case p.value.kind == nullBranch && at >= 0:
			merged.pairs = append(merged.pairs[:at:at], merged.pairs[at+1:]...)
		case p.value.kind == nullBranch:
		case at >= 0:
			merged.pairs[at].value = merged.pairs[at].value.under(p.value)
			merged.pairs[at].line = p.line
		default:
			var none *branch
			p.value = none.under(p.value)
			merged.pairs = append(merged.pairs, p)
		}
	}
	return merged
}

// A branchWriter writes YAML, a key or an item a line.
type branchWriter struct {
	text   strings.Builder
	lines  []string          // where each comes from
	places map[string]string // and each value, by its path
}

func (w *branchWriter) line(from, text string) {
	w.text.WriteString(text + "\n")
	w.lines = append(w.lines, from)
}

// write writes a branch at an indentation. In a list, the first line has its dash
// already, which is as wide as one step of indentation.
func (w *branchWriter) write(b *branch, at, indent string, dashed bool) {
	before := func(i int) string {
		if i == 0 && dashed {
			return strings.TrimSuffix(indent, "  ") + "- "
		}
		return indent
	}
	switch b.kind {
	case pairsBranch:
		if len(b.pairs) == 0 {
			w.line(b.line, before(0)+"{}")
		}
		for i, p := range b.pairs {
			at := strings.TrimPrefix(at+"."+p.name, ".")
			w.places[at] = p.line
			if p.value.leaf() {
				w.line(p.value.line, before(i)+p.key+": "+p.value.flow())
				continue
			}
			w.line(p.line, before(i)+p.key+":")
			w.write(p.value, at, indent+"  ", false)
		}
	case listBranch:
		for i, item := range b.list {
			at := fmt.Sprintf("%s[%d]", at, i)
			w.places[at] = item.line
			if item.leaf() {
				w.line(item.line, before(i)+"- "+item.flow())
				continue
			}
			w.write(item, at, indent+"  ", true)
		}
	default:
		w.line(b.line, before(0)+b.scalar)
	}
}

// leaf reports whether a branch is written on the line of its key: it holds nothing
// that could be wrong on a line of its own.
func (b *branch) leaf() bool {
	switch b.kind {
	case pairsBranch:
		return len(b.pairs) == 0
	case listBranch:
		for _, item := range b.list {
			if item.kind == pairsBranch || item.kind == listBranch {
				return false
			}
		}
	}
	return true
}

// flow writes a leaf.
func (b *branch) flow() string {
	switch b.kind {
	case pairsBranch:
		return "{}"
	case listBranch:
		var words []string
		for _, item := range b.list {
			words = append(words, item.scalar)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return b.scalar
}
