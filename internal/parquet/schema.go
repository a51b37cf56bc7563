package parquet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// node is an element of the schema.
type node struct {
	name       string
	kind       int64 // of a leaf
	converted  int64
	repetition int64
	children   int64
	unsigned   bool // the newer way to say so; the older is in converted
}

// What a node says of itself.
const (
	optional  = 1
	repeated  = 2
	byteArray = 6
	decimal   = 5 // a converted type, and a number of the newer ones: not the number that is stored
)

// findLeaf finds a leaf of the schema by its name.
func findLeaf(name string, footer []byte, column string, want want) (*schema, error) {
	var nodes []node
	d := &decoder{b: footer}
	d.structure(func(id int, kind byte) bool {
		if id != 2 || kind != typeList {
			return false
		}
		d.list(func(kind byte) bool {
			if kind != typeStruct {
				return false
			}
			nodes = append(nodes, d.node())
			return true
		})
		return true
	})
	if d.err != nil {
		return nil, fault.Corruptf("%s: footer: %w", name, d.err)
	}
	s := &schema{nodes: nodes, wanted: column, is: want.is, leaf: -1}
	if len(nodes) == 0 || !s.walk(nil, 0, false, 0) || s.next != len(nodes) {
		return nil, fault.Corruptf("%s: footer: the schema is no tree", name)
	}
	switch {
	case s.leaf >= 0 && s.list:
		return nil, fault.Invalidf("%s: column %q is a list; name a column with one %s a row (%s), such as %s", name, column, strings.TrimSuffix(want.noun, "s"), want.option, s.good)
	case s.leaf >= 0 && !s.fits:
		return nil, fault.Invalidf("%s: column %q holds no %s; columns that do are %s (choose one with %s)", name, column, want.noun, s.good, want.option)
	case s.leaf < 0:
		return nil, fault.Invalidf("%s: no column %q; columns with %s are %s, in all there are %s (choose one with %s)", name, column, want.noun, s.good, s.all, want.option)
	}
	return s, nil
}

func (d *decoder) node() node {
	n := node{converted: -1, kind: -1}
	d.structure(func(id int, kind byte) bool {
		if id == 4 && kind == typeBinary {
			n.name = d.text()
			return true
		}
		if id == 10 && kind == typeStruct {
			d.logical(&n)
			return true
		}
		return d.integers(id, kind, field{1, &n.kind}, field{3, &n.repetition}, field{5, &n.children}, field{6, &n.converted})
	})
	return n
}

// schema walks the tree in search of a leaf.
type schema struct {
	nodes  []node
	next   int // node to look at
	leaves int
	wanted string
	is     func(node) bool

	leaf       int   // -1: not found
	at         int   // of nodes, where it is
	levels     int64 // how many nodes on the way to it, itself included, may be null
	list, fits bool
	all, good  names
}

// walk visits the next node and those below it.
func (s *schema) walk(path []string, levels int64, list bool, depth int) bool {
	if s.next >= len(s.nodes) || depth > deepest {
		return false
	}
	n := s.nodes[s.next]
	s.next++
	if depth > 0 {
		path = append(path, n.name)
		list = list || n.repetition == repeated
		if n.repetition != 0 {
			levels++
		}
	}
	if n.children == 0 && depth > 0 {
		fits := s.is(n)
		s.all.add(path)
		if fits && !list {
			s.good.add(path)
		}
		if s.leaf < 0 && joins(path, s.wanted) {
			s.leaf, s.at, s.levels, s.list, s.fits = s.leaves, s.next-1, levels, list, fits
		}
		s.leaves++
		return true
	}
	if n.children < 0 || n.children > int64(len(s.nodes)) {
		return false
	}
	for range n.children {
		if !s.walk(path, levels, list, depth+1) {
			return false
		}
	}
	return true
}

// joins reports whether the elements joined by dots are name.
func joins(elements []string, name string) bool {
	for i, e := range elements {
		if i > 0 && !strings.HasPrefix(name, ".") {
			return false
		}
		if i > 0 {
			name = name[1:]
		}
		if !strings.HasPrefix(name, e) {
			return false
		}
		name = name[len(e):]
	}
	return name == ""
}

// names are the first few of some columns, for a message: a file of a megabyte
// can have names that joined take a terabyte.
type names struct {
	first []string
	more  int
}

func (n *names) add(path []string) {
	const most, longest = 12, 200
	if len(n.first) == most {
		n.more++
		return
	}
	var full strings.Builder
	for i, e := range path {
		if i > 0 {
			full.WriteByte('.')
		}
		full.WriteString(e[:min(len(e), longest)])
	}
	n.first = append(n.first, strconv.Quote(full.String()))
}

func (n names) String() string {
	switch {
	case len(n.first) == 0:
		return "none"
	case n.more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(n.first, ", "), n.more)
	}
	return strings.Join(n.first, ", ")
}
