package recipe_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/recipe"
)

// golden are the recipes of testdata, their steps, and the hash of the ids,
// tokens, labels and kept positions of all of them, and of the positions and
// documents of packed rows.
var golden = []struct {
	file  string
	steps int64
	hash  string
}{
	{"golden.yaml", 1000, "1c08b7949821e9d4f8e4eedba3888ac8a44cf37d5e09bd022d6d39a50316bb81"},
	{"mixture.yaml", 568, "ae68752db0208acb116e8bbb788ffe1cda4e8a072fa82ffa7233554cd42b9940"},
	{"pack.yaml", 300, "00aa07c3189d94f59f117535306c1982022752622f5809236c24f1804d00a32f"},
	{"decompose.yaml", 254, "35bb6239a52f67d29aa487da07e99b8b131bf45dd559f1d003587ee0eace9b4e"},
	{"ramp.yaml", 427, "9e958e196255b5767455b6a5d784a2affd73731859e9d44da14a56e8f6834217"},
}

// TestGoldenBatches holds the promise of design's first law across releases: the
// batch of step n is a function of corpus, recipe, seed and n, ids, tokens and
// kept positions. If it fails, the change needs a new version number
// (curriculum.Version, keyed.Version) and a line in the changelog.
func TestGoldenBatches(t *testing.T) {
	dir := t.TempDir()
	stream := keyed.NewKey(5, "golden corpus").Stream()
	writeRandom(t, filepath.Join(dir, "corpus"), stream, 200, 50, 500)
	writeRandom(t, filepath.Join(dir, "second"), stream, 300, 20, 100)
	rarity(t, filepath.Join(dir, "corpus"), corpus.Cut{Window: 32}, filepath.Join(dir, "index"))
	rarity(t, filepath.Join(dir, "second"), corpus.Cut{Window: 32}, filepath.Join(dir, "second.index"))
	rarity(t, filepath.Join(dir, "corpus"), corpus.Cut{Documents: true}, filepath.Join(dir, "documents.index"))
	for _, g := range golden {
		t.Run(g.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", g.file))
			if err != nil {
				t.Fatal(err)
			}
			b := openIn(t, dir, string(text))
			maker, err := b.Batches()
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			for step := range b.Plan.Steps() {
				batch, err := maker.Make(step, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range []any{batch.IDs, batch.Inputs, batch.Labels, slices.Concat(batch.Kept...), batch.Positions, batch.Documents} {
					if err := binary.Write(h, binary.LittleEndian, part); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := hex.EncodeToString(h.Sum(nil)); b.Plan.Steps() != g.steps || got != g.hash {
				t.Errorf("%d steps hash to %s, want %d and %s", b.Plan.Steps(), got, g.steps, g.hash)
			}
		})
	}
}

// writeRandom writes documents that differ in how rare their tokens are.
func writeRandom(t *testing.T, prefix string, stream *keyed.Stream, documents int, least, spread uint64) {
	t.Helper()
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range documents {
		document := make([]int32, least+stream.Uint64N(spread))
		alphabet := 2 + stream.Uint64N(250)
		for i := range document {
			document[i] = int32(stream.Uint64N(alphabet))
		}
		if err := w.Append(append(document, 256)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Tokenizer: "bytes", Vocabulary: 257, EndOfDocument: 256}); err != nil {
		t.Fatal(err)
	}
}

// rarity analyses a corpus.
func rarity(t *testing.T, prefix string, cut corpus.Cut, dir string) {
	t.Helper()
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	samples, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := analyze.Run(t.Context(), samples, []metric.Metric{metric.Rarity()}, dir, analyze.Options{}); err != nil {
		t.Fatal(err)
	}
}

// openIn binds the text of a recipe as if it lay in a directory.
func openIn(t *testing.T, dir, text string) *recipe.Bound {
	t.Helper()
	r, err := recipe.Parse(filepath.Join(dir, "run.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
