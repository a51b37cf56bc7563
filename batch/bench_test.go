package batch_test

import (
	"encoding/binary"
	"testing"

	"github.com/gradus-ml/gradus/batch"
	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/pace"
)

// BenchmarkMake is the speed of 32 rows of 2,048 tokens from a corpus of uint16,
// 32 MB of it, in the cache of pages; give it one core (-cpu 1), as it uses one.
// "bare" is what no way of doing it does without: the same bytes, from memory,
// widened into inputs and into labels.
func BenchmarkMake(b *testing.B) {
	const length, rows = 2048, 32
	stream := keyed.NewKey(1, "bench").Stream()
	var lengths []int
	for total := 0; total < 16<<20; {
		n := 50 + int(stream.Uint64N(1000)) // a page of a book, a post
		lengths = append(lengths, n)
		total += n
	}
	c := write(b, b.TempDir(), lengths...)
	full := func(c *curriculum.Config) { c.Buckets[0].Units, c.Budget = rows, 1000 }
	measure := func(b *testing.B, make func(step int64) error) {
		for i := range b.N {
			if err := make(int64(i % 1000)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*rows*length/b.Elapsed().Seconds(), "tokens/s")
	}

	for _, kind := range []struct {
		name   string
		units  arranger
		shaper batch.Shaper
		length int
	}{
		{"windows", windows(length), nil, length},
		{"windows, reshaped to 256", windows(length), batch.ReshapeOverlap{}, 256},
		{"packs", packed(length), nil, length},
		{"packs, reshaped to 256", packed(length), batch.ReshapeOverlap{}, 256},
	} {
		s := newSetting(b, kind.shaper, []batch.Source{kind.units(b, c)}, full, func(c *curriculum.Config) {
			c.Length = curriculum.Timed{Pace: pace.Constant(kind.length)}
		})
		b.Run(kind.name, func(b *testing.B) {
			b.ResetTimer()
			b.ReportAllocs()
			measure(b, func(step int64) error {
				_, err := s.maker.Make(step, 0, 1)
				return err
			})
		})
	}
	b.Run("bare", func(b *testing.B) {
		raw := make([]byte, 2*16<<20)
		for i := range raw {
			raw[i] = byte(i) // pages that are there, as those of a file are
		}
		b.ResetTimer()
		b.ReportAllocs()
		measure(b, func(step int64) error {
			inputs, labels := make([]int32, rows*length), make([]int32, rows*length)
			stream := keyed.NewKey(1, "rows", uint64(step)).Stream()
			for r := range rows {
				at := 2 * length * int(stream.Uint64N(16<<20/length-1))
				row := raw[at:][:2*length+2]
				for i := range length {
					inputs[r*length+i] = int32(binary.LittleEndian.Uint16(row[2*i:]))
					labels[r*length+i] = int32(binary.LittleEndian.Uint16(row[2*i+2:]))
				}
			}
			return nil
		})
	})
}
