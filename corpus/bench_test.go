package corpus

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkSequential goes through 200 MB of uint16 in the file cache: through
// the map, whose pages are touched for the first time, and past it in pieces of
// several sizes; then by what callers use. "sum" only adds up 8 bytes at a time
// and so measures the way to the bytes.
//
//	go test -run '^$' -bench Sequential ./corpus
func BenchmarkSequential(b *testing.B) {
	const size = 200 << 20
	name := filepath.Join(b.TempDir(), "train.bin")
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 9)
	}
	if err := os.WriteFile(name, content, 0o666); err != nil {
		b.Fatal(err)
	}
	pass := func(what string, do func(c *Corpus) error) {
		b.Run(what, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				c, err := OpenAs(Flat(Uint16), name)
				if err != nil {
					b.Fatal(err)
				}
				if err := do(c); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
	var sum uint64
	add := func(raw []byte) error {
		for ; len(raw) >= 32; raw = raw[32:] {
			r := raw[:32]
			sum += binary.LittleEndian.Uint64(r) + binary.LittleEndian.Uint64(r[8:]) + binary.LittleEndian.Uint64(r[16:]) + binary.LittleEndian.Uint64(r[24:])
		}
		return nil
	}
	pass("sum/map", func(c *Corpus) error { return add(c.parts[0].bin.Bytes()) })
	for _, piece := range []int{16 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20} {
		buf := make([]byte, piece)
		pass(fmt.Sprintf("sum/pread/%dKiB", piece>>10), func(c *Corpus) error {
			for at := 0; at < size; at += piece {
				buf = buf[:min(piece, size-at)]
				if err := c.parts[0].bin.Fill(buf, int64(at)); err != nil {
					return err
				}
				add(buf)
			}
			return nil
		})
	}
	const block = 1 << 18 // tokens
	pass("sum/ReadRaw", func(c *Corpus) error {
		r := c.NewReader()
		for at := int64(0); at < c.Tokens(); {
			raw, d, err := r.ReadRaw(at, min(block, c.Tokens()-at))
			if err != nil {
				return err
			}
			add(raw)
			at += int64(len(raw)) / d.Size()
		}
		return nil
	})
	for _, k := range []struct {
		what string
		n    int64
	}{{"block", block}, {"window", 129}} {
		dst := make([]int32, k.n)
		through := func(read func(dst []int32, start int64) error, tokens int64) error {
			for at := int64(0); at < tokens; at += k.n {
				if err := read(dst[:min(k.n, tokens-at)], at); err != nil {
					return err
				}
			}
			return nil
		}
		pass("widen/"+k.what+"/map", func(c *Corpus) error { return through(c.Read, c.Tokens()) })
		pass("widen/"+k.what+"/Reader", func(c *Corpus) error { return through(c.NewReader().Read, c.Tokens()) })
	}
}
