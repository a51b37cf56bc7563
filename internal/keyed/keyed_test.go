package keyed

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The known answers of the Random123 distribution (kat_vectors, philox4x32 10).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := philox(c.ctr, c.key); got != c.want {
			t.Errorf("philox(%08x, %08x) = %08x, want %08x", c.ctr, c.key, got, c.want)
		}
	}
}

// TestGolden holds the promise that the draws of a release stay those of the
// next. If it fails, the change needs a new Version.
func TestGolden(t *testing.T) {
	s := NewKey(1234, "golden", 1, 2, 3).Stream()
	got := [4]uint64{s.Uint64(), s.Uint64N(1000), s.Uint64N(1 << 40), math.Float64bits(s.Normal())}
	want := [4]uint64{goldenUint64, goldenSmall, goldenLarge, goldenNormal}
	if got != want {
		t.Errorf("stream = %#x, want %#x", got, want)
	}
	p := NewKey(1234, "golden", 4).Permutation(10)
	var order [10]uint64
	for i := range order {
		order[i] = p.At(uint64(i))
	}
	if order != goldenOrder {
		t.Errorf("permutation = %v, want %v", order, goldenOrder)
	}
}

func TestKeysDiffer(t *testing.T) {
	seen := map[Key]string{}
	add := func(name string, k Key) {
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s share a key", name, other)
		}
		seen[k] = name
	}
	add("1 a", NewKey(1, "a"))
	add("2 a", NewKey(2, "a"))
	add("1 b", NewKey(1, "b"))
	add("1 a 0", NewKey(1, "a", 0))
	add("1 a 0 0", NewKey(1, "a", 0, 0))
	add("1 a 1 2", NewKey(1, "a", 1, 2))
	add("1 a 2 1", NewKey(1, "a", 2, 1))
	add("1 a sub 1", NewKey(1, "a").Sub(1))
}

func TestPermutationIsBijection(t *testing.T) {
	check := func(seed, n uint64) {
		p := NewKey(seed, "test").Permutation(n)
		seen := make([]bool, n)
		for i := range n {
			v := p.At(i)
			if v >= n || seen[v] {
				t.Fatalf("n %d: place %d gives %d: out of range or twice", n, i, v)
			}
			seen[v] = true
		}
	}
	for k := range 14 {
		for _, n := range []uint64{1<<k - 1, 1 << k, 1<<k + 1} {
			check(7, n)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(rapid.Uint64().Draw(t, "seed"), rapid.Uint64Range(0, 5000).Draw(t, "n"))
	})
}

func TestPermutationOfHugeDomain(t *testing.T) {
	for _, n := range []uint64{1 << 40, 1<<63 + 1, math.MaxUint64} {
		p := NewKey(7, "test").Permutation(n)
		seen := map[uint64]bool{}
		for i := range uint64(1000) {
			v := p.At(i)
			if v >= n || seen[v] {
				t.Fatalf("n %d: place %d gives %d: out of range or twice", n, i, v)
			}
			seen[v] = true
		}
	}
}

// All 120 orders of five elements are equally likely over the keys.
func TestSmallPermutationsAreUniform(t *testing.T) {
	counts := map[[5]uint64]int{}
	const draws = 120 * 500
	for seed := range uint64(draws) {
		p := NewKey(seed, "uniform").Permutation(5)
		var order [5]uint64
		for i := range order {
			order[i] = p.At(uint64(i))
		}
		counts[order]++
	}
	chi := float64(120-len(counts)) * 500
	for _, c := range counts {
		d := float64(c) - 500
		chi += d * d / 500
	}
	// The 99.9 % quantile of chi-square with 119 degrees of freedom is 172.4.
	if chi > 172.4 {
		t.Errorf("chi-square of 120 orders = %.1f, want at most 172.4", chi)
	}
}

// Where two places land is uniform over the keys: neighbours in a row of the
// network's rectangle and in a column, on the smallest domain that it serves, the
// hardest one for it, and on one of many rows.
func TestNetworkPairsAreUniform(t *testing.T) {
	for _, c := range []struct{ n, apart uint64 }{{tableMax + 1, 1}, {tableMax + 1, 16}, {1000, 1}, {1000, 31}, {30000, 1}, {30000, 173}} {
		const side, draws = 16, 100000
		var counts, weight [side * side]float64 // pairs (a, b), a != b, that fall into the cell
		var size [side]float64
		for a := range c.n {
			size[a*side/c.n]++
		}
		for i := range weight {
			weight[i] = size[i/side] * size[i%side]
			if i/side == i%side {
				weight[i] -= size[i/side]
			}
		}
		for seed := range uint64(draws) {
			p := NewKey(seed, "pairs").Permutation(c.n)
			at := seed * 7919 % (c.n - c.apart)
			counts[p.At(at)*side/c.n*side+p.At(at+c.apart)*side/c.n]++
		}
		chi := 0.0
		for i := range counts {
			want := weight[i] * draws / float64(c.n*(c.n-1))
			chi += (counts[i] - want) * (counts[i] - want) / want
		}
		if chi > 330.5 { // 99.9 % quantile, 255 degrees of freedom
			t.Errorf("places %d apart of %d: chi-square of pairs = %.1f, want at most 330.5", c.apart, c.n, chi)
		}
	}
}

func TestUint64NIsUniform(t *testing.T) {
	s := NewKey(3, "uniform").Stream()
	const n, draws = 7, 70000
	var counts [n]int
	for range draws {
		counts[s.Uint64N(n)]++
	}
	chi := 0.0
	for _, c := range counts {
		d := float64(c) - draws/n
		chi += d * d / (draws / n)
	}
	if chi > 22.5 { // 99.9 % quantile, 6 degrees of freedom
		t.Errorf("chi-square = %.1f, want at most 22.5", chi)
	}
}

func TestNormalMoments(t *testing.T) {
	s := NewKey(3, "normal").Stream()
	const draws = 200000
	var sum, squares, fourth float64
	for range draws {
		v := s.Normal()
		sum += v
		squares += v * v
		fourth += v * v * v * v
	}
	if mean := sum / draws; math.Abs(mean) > 0.01 {
		t.Errorf("mean = %v, want 0", mean)
	}
	if variance := squares / draws; math.Abs(variance-1) > 0.02 {
		t.Errorf("variance = %v, want 1", variance)
	}
	if kurtosis := fourth / draws; math.Abs(kurtosis-3) > 0.15 {
		t.Errorf("fourth moment = %v, want 3", kurtosis)
	}
}

func BenchmarkPermutation(b *testing.B) {
	p := NewKey(1, "bench").Permutation(1_000_000_007)
	var sink uint64
	for i := range b.N {
		sink ^= p.At(uint64(i))
	}
	_ = sink
}

func BenchmarkPermutationOf10000(b *testing.B) {
	p := NewKey(1, "bench").Permutation(10_000)
	var sink uint64
	for i := range b.N {
		sink ^= p.At(uint64(i) % 10000)
	}
	_ = sink
}
