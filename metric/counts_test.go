package metric

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"pgregory.net/rapid"
)

// tokensGen draws tokens of both tables, dense and sparse.
func tokensGen() *rapid.Generator[[]int32] {
	return rapid.SliceOf(rapid.OneOf(
		rapid.Int32Range(0, 20), rapid.Int32Range(denseTokens-2, denseTokens+2), rapid.Int32Range(0, math.MaxInt32)))
}

// However the tokens are divided, and in whatever order the parts are merged,
// with or without a detour over bytes, the counts are those of a map.
func TestCountsInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := tokensGen().Draw(t, "tokens")
		want := map[int32]int64{}
		for _, token := range tokens {
			want[token]++
		}
		parts := make([]TokenCounts, rapid.IntRange(1, 4).Draw(t, "parts"))
		for rest := tokens; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "run")
			part := &parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")]
			if err := part.Add(nil, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		merged := new(TokenCounts).New().(*TokenCounts)
		for _, i := range rapid.Permutation(indices(len(parts))).Draw(t, "order") {
			part := &parts[i]
			if rapid.Bool().Draw(t, "stored") {
				part = reload(t, part)
			}
			if err := merged.Merge(part); err != nil {
				t.Fatal(err)
			}
		}
		if got := maps.Collect(merged.All()); !maps.Equal(got, want) || merged.Total() != int64(len(tokens)) {
			t.Fatalf("%v of %d, want %v", got, merged.Total(), want)
		}
		for token, n := range want {
			if merged.Count(token) != n {
				t.Fatalf("token %d: %d, want %d", token, merged.Count(token), n)
			}
		}
		whole := new(TokenCounts)
		if err := whole.Add(nil, tokens); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, whole), encode(t, merged)) {
			t.Fatal("the bytes of the parts differ from those of the whole")
		}
	})
}

func indices(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func encode(t interface{ Fatal(...any) }, c *TokenCounts) []byte {
	b, err := c.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func reload(t *rapid.T, c *TokenCounts) *TokenCounts {
	read := new(TokenCounts)
	if err := read.UnmarshalBinary(encode(t, c)); err != nil {
		t.Fatal(err)
	}
	return read
}

// The binary form, spelled out: tokens 0 (twice), 1 and 300 (200 times).
func TestCountsGolden(t *testing.T) {
	c := new(TokenCounts)
	if err := c.Add(nil, []int32{0, 1, 0}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := c.Add(nil, []int32{300}); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x01" + "\x01\x02" + "\x01\x01" + "\xab\x02\xc8\x01"
	if got := encode(t, c); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCountsRefuse(t *testing.T) {
	c := new(TokenCounts)
	if err := c.Add(nil, []int32{7, -1, 7}); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a negative token: %v", err)
	}
	if c.Total() != 1 || c.Count(7) != 1 || c.Count(-1) != 0 {
		t.Errorf("%d tokens, %d of them 7", c.Total(), c.Count(7))
	}
	if err := c.Merge(nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("merged with nothing: %v", err)
	}
	for _, data := range []string{
		"",
		"\x02",                         // version
		"\x01\x01",                     // no count
		"\x01\x00\x01",                 // the same token twice
		"\x01\x01\x00",                 // no occurrence
		"\x01\x80",                     // cut in a number
		"\x01\x01\x01\x80",             // the same in a later one
		"\x01\x81\x80\x80\x80\x08\x01", // token 2^31
		"\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x01",             // the total overflows
		"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", // a number of more than 64 bits
	} {
		if err := c.UnmarshalBinary([]byte(data)); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%q: %v", data, err)
		}
	}
	if c.Total() != 1 {
		t.Error("a refused state has changed the counts")
	}
}

func FuzzTokenCounts(f *testing.F) {
	f.Add([]byte("\x01\x01\x02\x01\x01\xab\x02\xc8\x01"))
	f.Add([]byte("\x01\x80\x80\x80\x80\x08\x01"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := new(TokenCounts)
		if err := c.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, fault.Corrupt) {
				t.Fatal(err)
			}
			return
		}
		again := new(TokenCounts)
		if err := again.UnmarshalBinary(encode(t, c)); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(maps.Collect(c.All()), maps.Collect(again.All())) || c.Total() != again.Total() {
			t.Fatal("written and read back, the counts differ")
		}
	})
}

// Tokens counted as they are stored count as much as widened ones, in any mix.
func TestAddRaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw, widened TokenCounts
		for range rapid.IntRange(1, 4).Draw(t, "runs") {
			tokens := rapid.SliceOf(rapid.Int32Range(0, 70000)).Draw(t, "tokens")
			dtype := rapid.SampledFrom([]corpus.DType{corpus.Uint8, corpus.Uint16, corpus.Int32}).Draw(t, "type")
			var stored []byte
			for i := range tokens {
				switch dtype {
				case corpus.Uint8:
					tokens[i] &= 0xff
					stored = append(stored, byte(tokens[i]))
				case corpus.Uint16:
					tokens[i] &= 0xffff
					stored = append(stored, byte(tokens[i]), byte(tokens[i]>>8))
				}
			}
			if err := widened.Add(nil, tokens); err != nil {
				t.Fatal(err)
			}
			if raw.words != nil && rapid.Bool().Draw(t, "fold") {
				raw.fold()
			}
			if took := raw.AddRaw(stored, dtype); took != (dtype != corpus.Int32) {
				t.Fatal(dtype, took)
			} else if !took {
				if err := raw.Add(nil, tokens); err != nil {
					t.Fatal(err)
				}
			}
		}
		a, _ := raw.MarshalBinary()
		b, _ := widened.MarshalBinary()
		if !bytes.Equal(a, b) || raw.Total() != widened.Total() {
			t.Fatalf("%d tokens raw, %d widened; %x and %x", raw.Total(), widened.Total(), a, b)
		}
		for token := range int32(70001) {
			if raw.Count(token) != widened.Count(token) {
				t.Fatal(token)
			}
		}
	})
}
