package curriculum

import (
	"math/big"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
	"pgregory.net/rapid"
)

// The closed form counts what walking the slots counts.
func TestLaneCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := rapid.Int64Range(1, 500).Draw(t, "pool")
		l := newLane(pool, keyed.NewKey(rapid.Uint64().Draw(t, "seed"), "test").Stream())
		n := rapid.Int64Range(0, 3*pool).Draw(t, "n")
		bound := rapid.Int64Range(0, pool).Draw(t, "bound")
		want := int64(0)
		for q := range n {
			if l.place(q) < bound {
				want++
			}
		}
		if got := l.count(n, bound); got != want {
			t.Fatalf("pool %d: %d of %d slots below %d, want %d", pool, got, n, bound, want)
		}
	})
}

// Every stretch of pool slots visits each place once.
func TestLaneVisitsAll(t *testing.T) {
	for pool := int64(1); pool < 200; pool++ {
		l := newLane(pool, keyed.NewKey(uint64(pool), "test").Stream())
		seen := map[int64]bool{}
		for q := range pool {
			seen[l.place(q+17)] = true
		}
		if int64(len(seen)) != pool {
			t.Fatalf("pool %d: %d places visited", pool, len(seen))
		}
	}
}

// Sums beyond 64 bits agree with arbitrary precision, modulo 2^64.
func TestFloorSumOfHugeNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 60).Draw(t, "n")
		m := rapid.Uint64Range(1, 1<<62).Draw(t, "m")
		a := rapid.Uint64Range(0, 2*m-1).Draw(t, "a")
		b := rapid.Uint64Range(0, 2*m-1).Draw(t, "b")
		want := new(big.Int)
		for i := range n {
			x := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(i))
			x.Add(x, new(big.Int).SetUint64(b))
			want.Add(want, x.Div(x, new(big.Int).SetUint64(m)))
		}
		want.And(want, new(big.Int).SetUint64(^uint64(0)))
		if got := floorSum(n, m, a, b); got != want.Uint64() {
			t.Fatalf("floorSum(%d, %d, %d, %d) = %d, want %d", n, m, a, b, got, want)
		}
	})
}

// With a pool of 10^12 samples the counts of two neighbouring slots still differ
// by exactly the slot between them.
func TestLaneOfHugePool(t *testing.T) {
	const pool = 1_000_000_000_000
	l := newLane(pool, keyed.NewKey(1, "test").Stream())
	for q := int64(pool - 50); q < pool+50; q++ {
		for _, bound := range []int64{1, pool / 3, pool - 1, pool} {
			in := int64(0)
			if l.place(q) < bound {
				in = 1
			}
			if d := l.count(q+1, bound) - l.count(q, bound); d != in {
				t.Fatalf("slot %d, bound %d: the count grows by %d, want %d", q, bound, d, in)
			}
		}
	}
	if got := l.count(pool, pool/3); got != pool/3 {
		t.Errorf("a full pass puts %d slots below %d", got, pool/3)
	}
}
