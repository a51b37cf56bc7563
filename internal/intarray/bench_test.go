package intarray

import (
	"fmt"
	"testing"
)

// Random places of 10 million elements: what a sampler does for an id.
func BenchmarkArray(b *testing.B) {
	const n = 10_000_000
	for _, width := range []int{4, 8} {
		w, err := New("", width, n)
		if err != nil {
			b.Fatal(err)
		}
		at := func(i int) int64 { return int64(uint64(uint32(i)*2654435769) * n >> 32) }
		b.Run(fmt.Sprintf("Set/%d", width), func(b *testing.B) {
			for i := range b.N {
				w.Set(at(i), int64(i&0xffff))
			}
		})
		a, err := w.Finish()
		if err != nil {
			b.Fatal(err)
		}
		sum := int64(0)
		b.Run(fmt.Sprintf("At/%d", width), func(b *testing.B) {
			for i := range b.N {
				sum += a.At(at(i))
			}
		})
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
