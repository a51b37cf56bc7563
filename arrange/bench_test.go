package arrange

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/keyed"
)

// realLengths are the lengths in bytes of real documents: the paragraphs of the
// text that GRADUS_BENCH_TEXT names, or else the sources of Go itself.
func realLengths(b *testing.B) (lengths []int) {
	if name := os.Getenv("GRADUS_BENCH_TEXT"); name != "" {
		text, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		for p := range strings.SplitSeq(string(text), "\n\n") {
			lengths = append(lengths, len(p)+1) // and a token that ends it
		}
		return lengths
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip("there is no go to ask for its sources; name a text in GRADUS_BENCH_TEXT: ", err)
	}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			lengths = append(lengths, int(info.Size())+1)
		}
		return err
	})
	if err != nil || len(lengths) == 0 {
		b.Skip("the sources of Go are not here; name a text in GRADUS_BENCH_TEXT: ", err)
	}
	return lengths
}

// drawn opens n documents with lengths drawn from real ones.
func drawn(b *testing.B, dir string, real []int, n int) *corpus.Samples {
	lengths, draws := make([]int, n), keyed.NewKey(1, "bench", uint64(n)).Stream()
	for i := range lengths {
		lengths[i] = real[draws.Uint64N(uint64(len(real)))]
	}
	return open(b, dir, whole, lengths...)
}

// BenchmarkPack packs 1 and 10 million documents at once. It reports what it
// takes for a document and for a piece; the fill of all rows and of those that
// rests and short documents share, in percent; and with -benchmem what it
// allocates besides files: these take up to 2 GB in
// TMPDIR.
func BenchmarkPack(b *testing.B) {
	real := realLengths(b)
	for _, n := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("%dM", n/1_000_000), func(b *testing.B) {
			s := drawn(b, b.TempDir(), real, n)
			defer s.Corpus().Close()
			for _, length := range []int{1024, 2048, 8192} {
				b.Run(fmt.Sprint(length), func(b *testing.B) {
					b.ReportAllocs()
					var rows, held, pieces int64
					for b.Loop() {
						rows, held = 0, 0
						a, err := Pack(s, length, "")
						if err != nil {
							b.Fatal(err)
						}
						_, err = a.Arrange(all(s), func(_ int, _ int64, inputs int) {
							rows++
							held += int64(inputs)
						})
						if err == nil {
							err = a.Finish()
						}
						if err != nil {
							b.Fatal(err)
						}
						pieces = a.(*packing).pieces.Len()
						if err := a.Close(); err != nil {
							b.Fatal(err)
						}
					}
					full := int64(0) // parts of long documents
					for id := range s.Len() {
						_, n := inputs(s.Corpus(), id)
						full += n / int64(length)
					}
					shared := held - full*int64(length)
					each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
					b.ReportMetric(each/float64(n), "ns/document")
					b.ReportMetric(each/float64(pieces), "ns/piece")
					b.ReportMetric(100*float64(held)/float64(rows*int64(length)), "%fill")
					b.ReportMetric(100*float64(shared)/float64((rows-full)*int64(length)), "%shared")
				})
			}
		})
	}
}

// BenchmarkPieces asks for the rows of a packing at random, as batches do.
func BenchmarkPieces(b *testing.B) {
	s := drawn(b, b.TempDir(), realLengths(b), 1_000_000)
	defer s.Corpus().Close()
	a, err := Pack(s, 2048, "")
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	units := int64(0)
	if _, err := a.Arrange(all(s), func(int, int64, int) { units++ }); err != nil {
		b.Fatal(err)
	}
	if err := a.Finish(); err != nil {
		b.Fatal(err)
	}
	var dst []Piece
	i := int64(0)
	for b.Loop() {
		i = (i + 0x9e3779b9) % units
		dst = a.Pieces(dst[:0], i)
	}
}
