// Package pack fills rows of a fixed capacity with items, best-fit decreasing:
// the largest item first, each into the fullest row that still has room for it
// (Ding et al., "Fewer Truncations Improve Language Modeling", arXiv
// 2404.10830, section 3).
//
// It has one noun, the Packer. It knows items by their size only, and works on
// rows that are alike all at once: of equal items, a row takes as many as fit
// before the next row gets one, since it stays the fullest that has room. So
// packing takes no time for each item but the counting of it.
//
// A row of capacity L holds items of at most sqrt(2L) different sizes, and each
// size adds at most three to the groups of rows that are alike: work and memory
// are within O(L sqrt(L)), whatever the number of items.
package pack

import (
	"iter"
	"slices"
)

// Run is items of one size in a row.
type Run struct{ Size, Count int }

// Packer packs one batch of items after another. It is not safe for concurrent
// use.
type Packer struct {
	capacity int
	counts   []int64 // of items, by size
	sizes    set     // capacity-size of the sizes there are: the largest is first

	groups []group
	nodes  []node
	open   []int32 // by room: the last group with it plus 1, or 0
	rooms  set     // rooms of which there is a group
	row    []Run
}

// group is rows that are alike.
type group struct {
	rows int64
	node int32 // the items that came last
	next int32 // the group with the same room behind it plus 1, or 0
}

// node is a run, behind the runs that a row held before.
type node struct {
	run  Run
	prev int32 // -1: none
}

// New returns a Packer for rows of a capacity of 1 or more.
func New(capacity int) *Packer {
	return &Packer{
		capacity: capacity,
		counts:   make([]int64, capacity+1),
		sizes:    newSet(capacity + 1),
		open:     make([]int32, capacity+1),
		rooms:    newSet(capacity + 1),
	}
}

// Add counts an item. Its size must be in [1, capacity]; it panics otherwise,
// as indexing a slice does.
func (p *Packer) Add(size int) {
	if p.counts[size] == 0 {
		p.sizes.add(p.capacity - size)
	}
	p.counts[size]++
}

// Sizes yields the sizes of the items added so far and how many items have each,
// from large to small.
func (p *Packer) Sizes() iter.Seq2[int, int64] {
	return func(yield func(int, int64) bool) {
		for i := p.sizes.next(0); i >= 0; i = p.sizes.next(i + 1) {
			if size := p.capacity - i; !yield(size, p.counts[size]) {
				return
			}
		}
	}
}

// Pack packs the items and forgets them. It hands each kind of row to emit, with
// what it holds, from large to small, and how many rows are like that; row may be
// kept no longer than the call. Kinds come in the order in which the first of
// their rows was opened or set apart from rows it was like. It stops at the first
// error and returns it.
func (p *Packer) Pack(emit func(row []Run, rows int64) error) error {
	defer p.reset()
	for size, n := range p.Sizes() {
		p.place(size, n)
	}
	for _, g := range p.groups {
		p.row = p.row[:0]
		for i := g.node; i >= 0; i = p.nodes[i].prev {
			p.row = append(p.row, p.nodes[i].run)
		}
		slices.Reverse(p.row)
		if err := emit(p.row, g.rows); err != nil {
			return err
		}
	}
	return nil
}

// place gives n items of a size their rows, and opens as many as it takes.
func (p *Packer) place(size int, n int64) {
	for n > 0 {
		if room := p.rooms.next(size); room >= 0 {
			n = p.fill(p.pop(room), room, size, n)
			continue
		}
		fit := int64(p.capacity / size)
		n = p.fill(p.addGroup(-1, (n+fit-1)/fit), p.capacity, size, n)
	}
}

// fill puts n items of a size into the rows of a group with this room, one row
// after the other, and parts the rows by how many items they got. It returns how
// many of the items are left. The group must have been popped.
func (p *Packer) fill(g int32, room, size int, n int64) int64 {
	rows, node, fit := p.groups[g].rows, p.groups[g].node, room/size
	full := min(n/int64(fit), rows)
	n -= full * int64(fit)
	last := int64(0) // the row, if any, of the last items, too few to fill it
	if n > 0 && full < rows {
		last = 1
	}
	first := true // the group itself goes on as the first of its parts
	for _, part := range [...]struct {
		rows  int64
		count int
	}{{full, fit}, {last, int(n)}, {rows - full - last, 0}} {
		if part.rows == 0 {
			continue
		}
		if !first {
			g = p.addGroup(node, 0)
		}
		first = false
		p.groups[g].rows = part.rows
		if part.count > 0 {
			p.groups[g].node = p.addNode(Run{size, part.count}, node)
		}
		p.push(g, room-part.count*size)
	}
	if last > 0 {
		return 0
	}
	return n
}

func (p *Packer) addNode(run Run, prev int32) int32 {
	p.nodes = append(p.nodes, node{run, prev})
	return int32(len(p.nodes) - 1)
}

func (p *Packer) addGroup(node int32, rows int64) int32 {
	p.groups = append(p.groups, group{rows: rows, node: node})
	return int32(len(p.groups) - 1)
}

// push puts a group before the others with its room. Full rows are not kept.
func (p *Packer) push(g int32, room int) {
	if room == 0 {
		return
	}
	if p.open[room] == 0 {
		p.rooms.add(room)
	}
	p.groups[g].next = p.open[room]
	p.open[room] = g + 1
}

// pop takes the first group with a room, which must exist.
func (p *Packer) pop(room int) int32 {
	g := p.open[room] - 1
	p.open[room] = p.groups[g].next
	if p.open[room] == 0 {
		p.rooms.remove(room)
	}
	return g
}

// reset forgets all items and rows, in time that depends on these and not on
// the capacity.
func (p *Packer) reset() {
	for i := p.sizes.next(0); i >= 0; i = p.sizes.next(i + 1) {
		p.counts[p.capacity-i] = 0
		p.sizes.remove(i)
	}
	for room := p.rooms.next(0); room >= 0; room = p.rooms.next(room + 1) {
		p.open[room] = 0
		p.rooms.remove(room)
	}
	p.groups, p.nodes = p.groups[:0], p.nodes[:0]
}
