package metric

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// naiveCounts counts the n-grams of the whole corpus one by one, by the order
// and the number of the counter that the definition of the hash gives them.
func naiveCounts(order, buckets int, tokens []int32) map[[2]uint64]uint32 {
	counts := map[[2]uint64]uint32{}
	for n := 2; n <= order; n++ {
		for at := 0; at+n <= len(tokens); at++ {
			counts[naiveCounter(buckets, tokens[at:at+n])]++
		}
	}
	return counts
}

func naiveCounter(buckets int, gram []int32) [2]uint64 {
	h := uint64(0)
	for _, t := range gram {
		h ^= uint64(t) + 1
		h *= 11400714819323198485 // 2^64 divided by the golden ratio
		h ^= h / (1 << 32)
	}
	for range 64 - buckets {
		h /= 2
	}
	return [2]uint64{uint64(len(gram)), h}
}

func newCounts(t interface{ Fatal(...any) }, order, buckets int) *NgramCounts {
	c, err := NewNgramCounts(order, buckets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// nonzero lists the counters that are not 0.
func (c *NgramCounts) nonzero() map[[2]uint64]uint32 {
	counts := map[[2]uint64]uint32{}
	for i, table := range c.tables {
		for slot, n := range table {
			if n > 0 {
				counts[[2]uint64{uint64(i + 2), uint64(slot)}] = n
			}
		}
	}
	return counts
}

// However the tokens are divided, and in whatever order the parts are merged,
// with or without a detour over bytes, the counts are those of the definition.
func TestNgramsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := hostile().Draw(t, "tokens")
		order, buckets := rapid.IntRange(2, maxOrder).Draw(t, "order"), rapid.IntRange(8, 12).Draw(t, "buckets")
		whole := newCounts(t, order, buckets)
		parts := make([]Statistic, rapid.IntRange(1, 4).Draw(t, "parts"))
		for i := range parts {
			parts[i] = whole.New()
		}
		for at := 0; at < len(tokens); {
			n := min(rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 5000)).Draw(t, "run"), len(tokens)-at)
			// More context than was asked for does no harm.
			from := max(0, at-whole.Context()-rapid.IntRange(0, 2).Draw(t, "more"))
			part := parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")]
			if err := part.Add(tokens[from:at:at], tokens[at:at+n]); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		merged := whole.New()
		for _, i := range rapid.Permutation(indices(len(parts))).Draw(t, "order of parts") {
			part := parts[i]
			if rapid.Bool().Draw(t, "stored") {
				stored, err := part.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if part = part.New(); part.UnmarshalBinary(stored) != nil {
					t.Fatal("stored counts do not come back")
				}
			}
			if err := merged.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		want := naiveCounts(order, buckets, tokens)
		if got := merged.(*NgramCounts).nonzero(); !maps.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if err := whole.Add(nil, tokens); err != nil {
			t.Fatal(err)
		}
		a, _ := whole.MarshalBinary()
		b, _ := merged.MarshalBinary()
		if !bytes.Equal(a, b) {
			t.Fatal("the bytes of the parts differ from those of the whole")
		}
	})
}

// The binary form, spelled out, and in it the hash: 2 1 has the counter 102 and
// 1 2, which occurs twice, 177; 2 1 2 has 135 and 1 2 1 has 208.
func TestNgramsGolden(t *testing.T) {
	c := newCounts(t, 3, 8)
	if err := c.Add(nil, []int32{1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := c.Add([]int32{1, 2}, []int32{1, 2}); err != nil {
		t.Fatal(err)
	}
	got, err := c.MarshalBinary()
	if want := "\x01\x03\x08" + "\x67\x01\x4b\x02\x00" + "\x88\x01\x01\x49\x01\x00"; err != nil || string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if c.Name() != "ngram-counts-3-8" || c.Context() != 2 {
		t.Error(c.Name(), c.Context())
	}
}

// Counters stop, alone and in sums, and then hold the same in any order.
func TestNgramsSaturate(t *testing.T) {
	a, b := newCounts(t, 2, 8), newCounts(t, 2, 8)
	slot := naiveCounter(8, []int32{1, 1})[1]
	a.table(2)[slot], b.table(2)[slot] = math.MaxUint32-1, math.MaxUint32-5
	if err := a.Add(nil, []int32{1, 1, 1, 1}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*NgramCounts{a, b} {
		sum := c.New().(*NgramCounts)
		for _, part := range []*NgramCounts{c, a, b} {
			if err := sum.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		if a.table(2)[slot] != math.MaxUint32 || sum.table(2)[slot] != math.MaxUint32 {
			t.Errorf("%d, and %d together", a.table(2)[slot], sum.table(2)[slot])
		}
	}
}

// Distinct n-grams of small numbers, which is what text in bytes is, spread over
// the counters as random ones would: of 2^16 in 2^16 counters 1/e stay empty.
func TestNgramsSpread(t *testing.T) {
	for n := 2; n <= maxOrder; n++ {
		used := map[uint64]bool{}
		gram := make([]int32, n)
		for i := range int32(1 << 16) {
			for at := range gram {
				gram[at] = 'a' + i>>(at*16/n)&(1<<(16/n)-1)
			}
			gram[0] += i >> (16 / n * n) << 8 // bits that the division leaves
			used[naiveCounter(16, gram)[1]] = true
		}
		if empty := 1 - float64(len(used))/(1<<16); empty > 0.40 {
			t.Errorf("%d-grams: %.3f of the counters are empty, want 0.368", n, empty)
		}
	}
}

func TestNgramsRefuse(t *testing.T) {
	for _, c := range [][2]int{{1, 22}, {6, 22}, {3, 7}, {3, 29}, {-1, -1}} {
		if _, err := NewNgramCounts(c[0], c[1]); !errors.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	c := newCounts(t, 2, 8)
	if err := c.Add(nil, []int32{7, 7}); err != nil {
		t.Fatal(err)
	}
	before := c.nonzero()
	for _, other := range []Statistic{nil, new(TokenCounts), newCounts(t, 3, 8), newCounts(t, 2, 9)} {
		if err := c.Merge(other); !errors.Is(err, fault.Invalid) {
			t.Errorf("merged with %T: %v", other, err)
		}
	}
	for _, data := range []string{
		"", "\x01\x02", "\x02\x02\x08\x00", // version
		"\x01\x03\x08\x00\x00",                     // another order
		"\x01\x02\x1c\x00",                         // another size
		"\x01\x02\x08",                             // no end
		"\x01\x02\x08\x01\x01",                     // no end after a counter
		"\x01\x02\x08\x00\x00",                     // more than the end
		"\x01\x02\x08\x01\x00\x00",                 // count 0
		"\x01\x02\x08\x81\x02\x01\x00",             // counter 256
		"\x01\x02\x08\x80\x02\x01\x01\x01\x00",     // counters 255 and 256
		"\x01\x02\x08\x01\x80\x80\x80\x80\x10\x00", // count 2^32
		"\x01\x02\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x00",     // step 2^64-1
		"\x01\x02\x08\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", // more than 64 bits
	} {
		if err := c.UnmarshalBinary([]byte(data)); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%q: %v", data, err)
		}
	}
	if !maps.Equal(before, c.nonzero()) {
		t.Error("a refused state has changed the counts")
	}
}

func FuzzNgramCounts(f *testing.F) {
	f.Add([]byte("\x01\x03\x08\x00\x00"))
	f.Add([]byte("\x01\x03\x08\x01\x05\x00\x02\xff\xff\xff\xff\x0f\x00"))
	f.Add([]byte("\x01\x03\x08\x80\x02\x01\x00\x81\x02\x01\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newCounts(t, 3, 8)
		if err := c.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		stored, err := c.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		again := newCounts(t, 3, 8)
		if err := again.UnmarshalBinary(stored); err != nil || !maps.Equal(c.nonzero(), again.nonzero()) {
			t.Fatalf("written and read back, the counts differ: %v", err)
		}
	})
}
