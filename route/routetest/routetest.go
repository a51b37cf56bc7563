// Package routetest holds routing policies to their laws. A policy of one's own
// calls Laws from its tests, and Uniform if it is to keep every position equally
// often.
package routetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/gradus-ml/gradus/route"
	"pgregory.net/rapid"
)

// vocabulary is that of the tokens that policies are shown.
const vocabulary = 40

// Laws checks, on random draws, what a route.Policy must do. Kept positions
// ascend and lie in the row, exactly as many as asked for, and all of them if that
// is asked. They depend on nothing but the draw: not on what was drawn before or
// is drawn meanwhile, on the order of rows, or on how ranks share them out. What
// is to be kept always is kept. The layers of a span keep the same if the policy
// shares. A route.Learner must do so before a run and in the course of it, and its
// state must be all that it knows.
func Laws(t *testing.T, p route.Policy) {
	t.Run("laws", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { holds(t, p) })
	})
	if l, ok := p.(route.Learner); ok {
		t.Run("learned", func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { learns(t, l) })
		})
	}
}

// holds checks the laws of a policy that does not change meanwhile.
func holds(t *rapid.T, p route.Policy) {
	length := rapid.IntRange(1, 200).Draw(t, "length")
	keep := rapid.IntRange(1, length).Draw(t, "keep")
	d := draw(t, length)
	tokens := slices.Clone(d.Tokens)
	want := once(p, keep, length, d, -1)
	for i, at := range want {
		if at < 0 || int(at) >= length || i > 0 && at <= want[i-1] {
			t.Fatalf("%+v keeps %v of %d positions; they must ascend from 0 or more to %d or less", d, want, length, length-1)
		}
	}
	if all := once(p, length, length, d, 0); len(all) > 0 && int(all[length-1]-all[0]) != length-1 {
		t.Fatalf("%+v keeps %v when it is to keep all of %d positions", d, all, length)
	}
	if !slices.Equal(tokens, d.Tokens) {
		t.Fatalf("%+v: the policy changed the tokens, which were %v", d, tokens)
	}
	// Others draw before and at the same time, into memory that held other numbers.
	var group sync.WaitGroup
	again := make([][]int32, 4)
	for i := range again {
		group.Go(func() {
			other := d
			other.Row += i
			once(p, keep, length, other, int32(i))
			again[i] = once(p, keep, length, d, int32(length))
		})
	}
	group.Wait()
	for _, kept := range again {
		if !slices.Equal(kept, want) {
			t.Fatalf("%+v keeps %v once and %v again", d, want, kept)
		}
	}
	holdsInBatch(t, p)
}

// draw draws a Draw of some tokens, or of none.
func draw(t *rapid.T, length int) route.Draw {
	d := route.Draw{
		Seed: rapid.Uint64().Draw(t, "seed"), Step: rapid.Int64Range(0, 1<<40).Draw(t, "step"),
		Layer: rapid.IntRange(0, 100).Draw(t, "layer"), Row: rapid.IntRange(0, 1<<20).Draw(t, "row"),
	}
	d.Span = rapid.IntRange(0, d.Layer).Draw(t, "span")
	if rapid.Bool().Draw(t, "text") {
		d.Tokens = rapid.SliceOfN(rapid.Int32Range(-1, vocabulary-1), length, length).Draw(t, "tokens")
	}
	return d
}

// once calls Keep on memory that holds a number.
func once(p route.Policy, keep, length int, d route.Draw, before int32) []int32 {
	kept := slices.Repeat([]int32{before}, keep)
	p.Keep(kept, length, d)
	return kept
}

// holdsInBatch checks what becomes of a policy in route.Draws.
func holdsInBatch(t *rapid.T, p route.Policy) {
	seed, step := rapid.Uint64().Draw(t, "batch seed"), rapid.Int64Range(0, 1<<40).Draw(t, "batch step")
	rows := route.Rows{
		First: rapid.IntRange(0, 100).Draw(t, "first row"), Count: rapid.IntRange(1, 6).Draw(t, "rows"),
		Length: rapid.IntRange(1, 40).Draw(t, "row length"),
	}
	n := rows.Count * rows.Length
	rows.Tokens = rapid.SliceOfN(rapid.Int32Range(-1, vocabulary-1), n, n).Draw(t, "batch tokens")
	if rapid.Bool().Draw(t, "always") {
		rows.Always = rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "marks")
	}
	var layers, kept []int
	for layer := range 8 {
		if rapid.IntRange(0, 3).Draw(t, "routed") > 0 {
			layers = append(layers, layer)
			kept = append(kept, route.Kept(rows.Length, max(rows.Length/2, 1), rapid.SampledFrom([]float64{1, 1, 1, 0.5, 0}).Draw(t, "drop")))
		}
	}
	all := route.Draws(p, seed, step, layers, kept, rows)
	for l := range layers {
		for row := range rows.Count {
			checkRow(t, all[l][row*kept[l]:(row+1)*kept[l]], rows, row)
		}
		if l > 0 && route.Shares(p) && layers[l] == layers[l-1]+1 && kept[l] == kept[l-1] && !slices.Equal(all[l], all[l-1]) {
			t.Fatalf("layers %d and %d keep %v and %v, and the policy shares", layers[l-1], layers[l], all[l-1], all[l])
		}
	}
	// Ranks, each with its rows, together draw what one does.
	from := 0
	for from < rows.Count {
		to := rapid.IntRange(from+1, rows.Count).Draw(t, "share of a rank")
		share := route.Rows{First: rows.First + from, Count: to - from, Length: rows.Length, Tokens: rows.Tokens[from*rows.Length : to*rows.Length]}
		if rows.Always != nil {
			share.Always = rows.Always[from*rows.Length : to*rows.Length]
		}
		for l, part := range route.Draws(p, seed, step, layers, kept, share) {
			if whole := all[l][from*kept[l] : to*kept[l]]; !slices.Equal(part, whole) {
				t.Fatalf("rows %d to %d of layer %d keep %v in a share and %v in the batch", from, to-1, layers[l], part, whole)
			}
		}
		from = to
	}
}

// checkRow checks the kept positions of a row.
func checkRow(t *rapid.T, kept []int32, rows route.Rows, row int) {
	for i, at := range kept {
		if at < 0 || int(at) >= rows.Length || i > 0 && at <= kept[i-1] {
			t.Fatalf("row %d of %d positions keeps %v", row, rows.Length, kept)
		}
	}
	if rows.Always == nil {
		return
	}
	marked, held := 0, 0
	for at, yes := range rows.Always[row*rows.Length : (row+1)*rows.Length] {
		if yes {
			marked++
			if _, ok := slices.BinarySearch(kept, int32(at)); ok {
				held++
			}
		}
	}
	if held != min(marked, len(kept)) {
		t.Fatalf("row %d keeps %v: %d of %d positions that are to be kept always", row, kept, held, marked)
	}
}

// learns checks the laws of what a learner makes of losses.
func learns(t *rapid.T, l route.Learner) {
	p, twin := l.Learn(vocabulary), l.Learn(vocabulary)
	if route.Shares(p) != route.Shares(l) {
		t.Fatal("the policy and what it learned do not agree on whether layers share a draw")
	}
	for range rapid.IntRange(1, 5).Draw(t, "steps") {
		n := rapid.IntRange(0, 60).Draw(t, "labels")
		labels := rapid.SliceOfN(rapid.Int32Range(0, vocabulary-1), n, n).Draw(t, "label")
		losses := rapid.SliceOfN(rapid.Float32Range(0, 12), n, n).Draw(t, "loss")
		p.Observe(labels, losses)
		twin.Observe(labels, losses)
	}
	holds(t, p)
	state := p.State()
	if !slices.Equal(state, twin.State()) {
		t.Fatalf("the same losses gave the states %v and %v", state, twin.State())
	}
	restored := l.Learn(vocabulary)
	if err := restored.Restore(state); err != nil {
		t.Fatalf("its own state %v is refused: %v", state, err)
	}
	d := draw(t, 50)
	d.Tokens = rapid.SliceOfN(rapid.Int32Range(0, vocabulary-1), 50, 50).Draw(t, "all tokens")
	if got, want := once(restored, 20, 50, d, 0), once(p, 20, 50, d, 0); !slices.Equal(got, want) {
		t.Fatalf("%+v keeps %v, and %v after its state was restored", d, want, got)
	}
	if len(state) > 0 {
		if err := restored.Restore(state[1:]); err == nil {
			t.Fatal("a state of one number less is no error")
		}
		if !slices.Equal(restored.State(), state) {
			t.Fatal("a state that was refused changed what it knows")
		}
	}
}
