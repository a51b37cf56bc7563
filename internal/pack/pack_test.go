package pack

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive is best-fit decreasing as it is defined: it returns the rows, each as
// the sizes of its items from large to small.
func naive(capacity int, sizes []int) [][]int {
	sizes = slices.Clone(sizes)
	slices.SortFunc(sizes, func(a, b int) int { return b - a })
	var rows [][]int
	var room []int
	for _, size := range sizes {
		best := -1
		for i := range rows {
			if room[i] >= size && (best < 0 || room[i] < room[best]) {
				best = i
			}
		}
		if best < 0 {
			best = len(rows)
			rows, room = append(rows, nil), append(room, capacity)
		}
		rows[best] = append(rows[best], size)
		room[best] -= size
	}
	return rows
}

// packed returns the rows of a Packer.
func packed(t interface{ Fatalf(string, ...any) }, p *Packer, sizes []int) [][]int {
	for _, size := range sizes {
		p.Add(size)
	}
	var rows [][]int
	err := p.Pack(func(row []Run, n int64) error {
		if n < 1 {
			t.Fatalf("%v: %d rows", row, n)
		}
		var items []int
		for i, run := range row {
			if run.Count < 1 || i > 0 && run.Size >= row[i-1].Size {
				t.Fatalf("%v is no row", row)
			}
			items = append(items, slices.Repeat([]int{run.Size}, run.Count)...)
		}
		for range n {
			rows = append(rows, items)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return rows
}

func total(row []int) (sum int) {
	for _, size := range row {
		sum += size
	}
	return sum
}

// The rows are filled as far as those of the naive algorithm, and hold the same
// items. Which of two rows with the same room an item goes to is nobody's rule,
// so what lies beside what may differ. A Packer forgets what it packed.
func TestPackIsBestFitDecreasing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 300).Draw(t, "capacity")
		largest := rapid.IntRange(1, capacity).Draw(t, "largest")
		p := New(capacity)
		for range 2 {
			n := rapid.IntRange(0, 300).Draw(t, "items")
			sizes := rapid.SliceOfN(rapid.IntRange(1, largest), n, n).Draw(t, "sizes")
			got, want := packed(t, p, sizes), naive(capacity, sizes)
			var fills [2][]int
			for i, rows := range [][][]int{got, want} {
				for _, row := range rows {
					fills[i] = append(fills[i], total(row))
				}
				slices.Sort(fills[i])
			}
			if !slices.Equal(fills[0], fills[1]) {
				t.Fatalf("rows are filled to %v, want %v", fills[0], fills[1])
			}
			items := slices.Concat(got...)
			slices.Sort(items)
			slices.Sort(sizes)
			if !slices.Equal(items, sizes) {
				t.Fatalf("items %v were packed, want %v", items, sizes)
			}
		}
	})
}

func TestPackGolden(t *testing.T) {
	for _, c := range []struct {
		capacity int
		sizes    []int
		want     string
	}{
		{10, nil, "[]"},
		{10, []int{10}, "[[10]]"},
		{10, []int{1, 1, 1}, "[[1 1 1]]"},
		{10, []int{3, 3, 3, 3}, "[[3 3 3] [3]]"},
		{10, []int{7, 6, 3, 3, 4}, "[[7 3] [6 4] [3]]"},
		// The 2 goes to the row with the 8, the fullest one, although that with
		// the 7 was opened earlier in a first-fit packing by order.
		{10, []int{7, 8, 2, 3}, "[[8 2] [7 3]]"},
		{10, []int{6, 5, 5, 4, 3, 3, 3}, "[[6 4] [5 5] [3 3 3]]"},
	} {
		got := packed(t, New(c.capacity), c.sizes)
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v in rows of %d: %v, want %s", c.sizes, c.capacity, got, c.want)
		}
	}
}

// An error of emit ends the packing and leaves the Packer empty.
func TestPackStops(t *testing.T) {
	p := New(8)
	for size := range 8 {
		p.Add(size + 1)
	}
	calls, stop := 0, fmt.Errorf("stop")
	if err := p.Pack(func([]Run, int64) error { calls++; return stop }); err != stop || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if rows := packed(t, p, nil); rows != nil {
		t.Errorf("%v is left", rows)
	}
}

func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 63, 64, 65, 4096, 4097, 300_000}).Draw(t, "n")
		s, model := newSet(n), map[int]bool{}
		places := rapid.SliceOfN(rapid.IntRange(0, n-1), 1, 40).Draw(t, "places")
		for _, i := range places {
			if rapid.Bool().Draw(t, "remove") {
				s.remove(i)
				delete(model, i)
			} else {
				s.add(i)
				model[i] = true
			}
			var got []int
			for k := s.next(0); k >= 0; k = s.next(k + 1) {
				got = append(got, k)
			}
			if want := slices.Sorted(maps.Keys(model)); !slices.Equal(got, want) {
				t.Fatalf("%v, want %v", got, want)
			}
			for _, from := range places {
				want := -1
				for k := range model {
					if k >= from && (want < 0 || k < want) {
						want = k
					}
				}
				if got := s.next(from); got != want {
					t.Fatalf("next(%d) is %d, want %d", from, got, want)
				}
			}
		}
	})
}

// BenchmarkPack packs a batch of a million items of even sizes; most of its time
// is the counting.
func BenchmarkPack(b *testing.B) {
	const n = 1_000_000
	for _, capacity := range []int{1024, 8192, 131072} {
		b.Run(fmt.Sprint(capacity), func(b *testing.B) {
			p, nodes, groups := New(capacity), 0, 0
			for b.Loop() {
				for i := range uint32(n) {
					p.Add(1 + int(uint64(i*2654435769)*uint64(capacity)>>32))
				}
				if err := p.Pack(func([]Run, int64) error { groups++; nodes = len(p.nodes); return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/item")
			b.ReportMetric(float64(nodes), "nodes")
			b.ReportMetric(float64(groups)/float64(b.N), "groups")
		})
	}
}
