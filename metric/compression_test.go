package metric

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	stdflate "compress/flate"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/klauspost/compress/flate"
	"pgregory.net/rapid"
)

func TestCompressionByHand(t *testing.T) {
	text := Source{Tokenizer: bytesTokenizer(t)}
	// One byte is stored: 3 bits of header and 5 that fill the byte, two lengths
	// of 2 bytes, the letter; then an empty last block of 10 bits: 8 bytes.
	got := scoreIn(t, must(Compression(AnyForm)), text, nil, nil, []int32{'a'}, []int32{256, 1 << 20})
	if got[0] != 0 || got[1] != 8 || got[2] != 0 {
		t.Errorf("%v, want 0, 8, 0", got)
	}
}

// The bytes that the library makes of a text are part of the definition. If
// this fails after a change of go.mod, raise the metric's version.
func TestCompressionGolden(t *testing.T) {
	source := Source{Tokenizer: bytesTokenizer(t)}
	var text strings.Builder
	for i := range 400 {
		text.WriteString([]string{"the ", "step ", "of ", "a ", "corpus, ", "model. "}[i*i*i%17%6])
		if i%7 == 0 {
			text.WriteString(strings.Repeat("xyz"[i%3:], i%4))
		}
	}
	tokens := source.Text().Encode(nil, []byte(text.String()))
	for _, c := range []struct {
		of   Form
		want int
	}{{Text, 271}, {Tokens, 614}} {
		n := float64(len(tokens))
		if c.of == Tokens {
			n *= 4
		}
		if got := scoreIn(t, must(Compression(c.of)), source, nil, tokens)[0] * n; !near(got, float64(c.want)) {
			t.Errorf("%s: %v bytes of %v remain, want %d", c.of, got, n, c.want)
		}
	}
}

// naiveRemain compresses by a writer of its own.
func naiveRemain(t interface{ Fatal(...any) }, b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A scorer gives each sample what a fresh compressor would, whatever it has
// compressed before, and what remains is DEFLATE that another library reads.
func TestCompressionAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		samples := rapid.SliceOfN(hostile(), 1, 4).Draw(t, "samples")
		of := rapid.SampledFrom([]Form{AnyForm, Text, Tokens}).Draw(t, "of")
		source := Source{Tokenizer: bytesTokenizer(t)}
		for i, got := range scoreIn(t, must(Compression(of)), source, nil, samples...) {
			var plain []byte
			for _, token := range samples[i] {
				if of == Tokens {
					plain = binary.LittleEndian.AppendUint32(plain, uint32(token))
				} else if token < 256 {
					plain = append(plain, byte(token))
				}
			}
			remain := naiveRemain(t, plain)
			if back, err := io.ReadAll(stdflate.NewReader(bytes.NewReader(remain))); err != nil || !bytes.Equal(back, plain) {
				t.Fatalf("sample %d: %d bytes come back as %d: %v", i, len(plain), len(back), err)
			}
			want := float64(len(remain)) / float64(len(plain))
			if len(plain) == 0 {
				want = 0
			}
			if got != want {
				t.Fatalf("sample %d: %v, want %v", i, got, want)
			}
		}
	})
}

// The compressor counts what it has seen in 31 bits, and 32 KiB more for each
// sample: after 65,000 samples the count starts anew, and no value changes.
func TestCompressionOfManySamples(t *testing.T) {
	s, err := must(Compression(Tokens)).Scorer(Source{})
	if err != nil {
		t.Fatal(err)
	}
	tokens := []int32{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8}
	want := float64(len(naiveRemain(t, appendStored(nil, tokens, 4)))) / 64
	batch := []Sample{{Tokens: tokens, Len: len(tokens)}}
	var value [1]float64
	for i := range 1<<31/(32<<10) + 1000 {
		if err := s.Score(value[:], batch); err != nil || value[0] != want {
			t.Fatalf("sample %d: %v, %v, want %v", i, value[0], err, want)
		}
	}
}

// Tokens are compressed as the corpus stores them.
func TestCompressionOfStoredTokens(t *testing.T) {
	tokens := []int32{300, 1, 300, 1, 300, 1, 300, 1, 300, 1}
	for _, dtype := range []corpus.DType{corpus.Uint16, corpus.Int32, corpus.Int64} {
		prefix := t.TempDir() + "/c"
		w, err := corpus.Create(prefix, dtype)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if err := w.Append(tokens); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
			t.Fatal(err)
		}
		c, err := corpus.Open(prefix)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		samples, err := c.Samples(corpus.Cut{Documents: true})
		if err != nil {
			t.Fatal(err)
		}
		var stored bytes.Buffer
		for _, token := range tokens {
			switch dtype {
			case corpus.Uint16:
				binary.Write(&stored, binary.LittleEndian, uint16(token))
			case corpus.Int32:
				binary.Write(&stored, binary.LittleEndian, token)
			case corpus.Int64:
				binary.Write(&stored, binary.LittleEndian, int64(token))
			}
		}
		want := float64(len(naiveRemain(t, stored.Bytes()))) / float64(stored.Len())
		if got := scoreIn(t, must(Compression(AnyForm)), Source{Samples: samples}, nil, tokens)[0]; got != want {
			t.Errorf("%v: %v, want %v", dtype, got, want)
		}
		if _, err := must(Compression(Text)).Scorer(Source{Samples: samples}); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), prefix) {
			t.Errorf("text of a corpus without a tokenizer: %v", err)
		}
	}
}

func TestCompressionRefuses(t *testing.T) {
	if _, err := Builtin().Parse("compression:of=bytes"); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
