package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// masks returns which elements survive, for rows of noise: of the dropout of [n, d]
// at two sites, and of attention in two layers [rows, heads, length, length].
func masks(t *testing.T, c Config, noise []uint32, rows int) (attended, mlp, first, second []bool) {
	t.Helper()
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExec(backend, func(noise *Node) []*Node {
		v := view{config: c, rows: rows, length: noise.Shape().Dimensions[1], noise: noise}
		x := BroadcastToDims(Scalar(noise.Graph(), dtypes.Float32, 1), rows*v.length, c.Width)
		a, _ := v.dropout(x, attendedSite(1))
		m, _ := v.dropout(x, mlpSite(1))
		return []*Node{a, m, v.attentionDropout(1, dtypes.Float32), v.attentionDropout(2, dtypes.Float32)}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Call(tensors.FromFlatDataAndDimensions(noise, rows, len(noise)/rows))
	if err != nil {
		t.Fatal(err)
	}
	lives := func(i int) (bits []bool) {
		for _, x := range tensors.MustCopyFlatData[float32](out[i]) {
			if x != 0 && math.Abs(float64(x)*(1-c.Dropout)-1) > 1e-6 {
				t.Fatalf("a survivor is scaled by %v", x)
			}
			bits = append(bits, x != 0)
		}
		return bits
	}
	return lives(0), lives(1), lives(2), lives(3)
}

func noiseOf(seed uint64, n int) []uint32 {
	stream := keyed.NewKey(seed, "noise").Stream()
	out := make([]uint32, n)
	for i := range out {
		out[i] = stream.Uint32()
	}
	return out
}

// As many elements are dropped as should be, in every row and every column, and
// whether one is dropped says nothing about its neighbours, about the same element
// at another site or in another layer, about another head, or about the weight
// between the same two tokens the other way round.
func TestDropoutIsFair(t *testing.T) {
	const rows, length, heads, width = 4, 96, 4, 64
	for _, p := range []float64{0.1, 0.5} {
		c := Config{Width: width, Heads: heads, Dropout: p}
		attended, mlp, first, second := masks(t, c, noiseOf(1, rows*length), rows)
		n := rows * length
		same := func(i int) int { return i }
		swapped := func(i int) int { // query and key
			square := length * length
			return i/square*square + i%length*length + i%square/length
		}
		for name, pair := range map[string]struct {
			a, b  []bool
			other func(i int) int // where b's element for a's element i is; out of range or i itself in the same mask: none
		}{
			"site":           {attended, mlp, same},
			"next column":    {attended, attended, func(i int) int { return i + 1 }},
			"next token":     {attended, attended, func(i int) int { return i + width }},
			"layer":          {first, second, same},
			"next key":       {first, first, func(i int) int { return i + 1 }},
			"next query":     {first, first, func(i int) int { return i + length }},
			"head":           {first, first, func(i int) int { return i + length*length }},
			"key and query":  {first, first, swapped},
			"row":            {first, first, func(i int) int { return i + heads*length*length }},
			"token and key":  {attended[:n], first[:n], same},
			"distant column": {mlp, mlp, func(i int) int { return i ^ 32 }},
		} {
			if x := chiSquare(pair.a, pair.b, pair.other, p); x > 21 { // 3 degrees of freedom: once in 10,000
				t.Errorf("rate %v, %s: chi-square %v of survival here and there", p, name, x)
			}
		}
		for name, lines := range map[string]struct {
			mask           []bool
			count, of      int
			stride, across int
		}{
			"rows of attended":     {attended, n, width, width, 1},
			"columns of attended":  {attended, width, n, 1, width},
			"queries of attention": {first, rows * heads * length, length, length, 1},
		} {
			x := 0.0 // of all lines
			for l := range lines.count {
				dropped := 0.0
				for k := range lines.of {
					if !lines.mask[l*lines.stride+k*lines.across] {
						dropped++
					}
				}
				mean := p * float64(lines.of)
				x += (dropped - mean) * (dropped - mean) / (mean * (1 - p))
			}
			if dof := float64(lines.count); math.Abs(x-dof) > 4.5*math.Sqrt(2*dof) {
				t.Errorf("rate %v, %s: chi-square %v with %v degrees of freedom", p, name, x, dof)
			}
		}
	}
}

// chiSquare compares how often elements survive in pairs with what independence at
// the rate p gives.
func chiSquare(a, b []bool, other func(i int) int, p float64) float64 {
	var counts [2][2]float64
	total := 0.0
	for i := range a {
		j := other(i)
		if j >= len(b) || &a[0] == &b[0] && j <= i { // each pair once
			continue
		}
		counts[index(a[i])][index(b[j])]++
		total++
	}
	rate := [2]float64{p, 1 - p}
	x := 0.0
	for i := range counts {
		for j, n := range counts[i] {
			want := total * rate[i] * rate[j]
			x += (n - want) * (n - want) / want
		}
	}
	return x
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A part of a batch drops what the whole batch drops of it.
func TestDropoutOfParts(t *testing.T) {
	const rows, length = 5, 6
	c := Config{Width: 8, Heads: 2, Dropout: 0.4}
	noise := noiseOf(2, rows*length)
	a, m, f, s := masks(t, c, noise, rows)
	for r := range rows {
		pa, pm, pf, ps := masks(t, c, noise[r*length:(r+1)*length], 1)
		for i, pair := range [][2][]bool{{a, pa}, {m, pm}, {f, pf}, {s, ps}} {
			if n := len(pair[0]) / rows; !slices.Equal(pair[0][r*n:(r+1)*n], pair[1]) {
				t.Errorf("mask %d of row %d differs when the row is alone", i, r)
			}
		}
	}
}

// The elements that are dropped are a promise: other machines and later releases
// drop the same.
func TestDropoutGolden(t *testing.T) {
	c := Config{Width: 16, Heads: 1, Dropout: 0.5}
	a, m, f, _ := masks(t, c, []uint32{1, 2, 3, 0xffffffff}, 1)
	got := ""
	for _, mask := range [][]bool{a[:32], m[:32], f} {
		word := 0
		for _, lives := range mask {
			word = word<<1 | index(lives)
		}
		got += fmt.Sprintf("%x ", word)
	}
	if want := "25b92ece c8235977 973b "; got != want {
		t.Errorf("survivors %q, want %q", got, want)
	}
}
