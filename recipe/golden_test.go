package recipe_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/analyze"
	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/recipe"
)

// goldenHash is of the ids, tokens, labels and kept positions of 1,000 steps.
const goldenHash = "1c08b7949821e9d4f8e4eedba3888ac8a44cf37d5e09bd022d6d39a50316bb81"

// TestGoldenBatches holds the promise of design's first law across releases: the
// batch of step n is a function of corpus, recipe, seed and n, ids, tokens and
// kept positions. If it fails, the change needs a new version number
// (curriculum.Version, keyed.Version) and a line in the changelog.
func TestGoldenBatches(t *testing.T) {
	dir := t.TempDir()
	w, err := corpus.Create(filepath.Join(dir, "corpus"), corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	stream := keyed.NewKey(5, "golden corpus").Stream()
	for range 200 {
		document := make([]int32, 50+stream.Uint64N(500))
		alphabet := 2 + stream.Uint64N(250) // documents differ in how rare their tokens are
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
	text, err := os.ReadFile("testdata/golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse(filepath.Join(dir, "golden.yaml"), text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(filepath.Join(dir, "corpus"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	samples, err := c.Samples(r.Cut())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := analyze.Run(context.Background(), samples, []metric.Metric{metric.Rarity()}, filepath.Join(dir, "index"), analyze.Options{}); err != nil {
		t.Fatal(err)
	}

	b, err := recipe.Open(t.Context(), r, recipe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	maker, err := b.Batches()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	steps := int64(0)
	for ; steps < b.Plan.Steps(); steps++ {
		batch, err := maker.Make(steps, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []any{batch.IDs, batch.Inputs, batch.Labels, batch.Kept} {
			if err := binary.Write(h, binary.LittleEndian, part); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); steps != 1000 || got != goldenHash {
		t.Errorf("%d steps hash to %s, want 1000 and %s", steps, got, goldenHash)
	}
}
