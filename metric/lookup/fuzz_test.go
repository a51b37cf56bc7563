package lookup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
	"github.com/parquet-go/parquet-go"
)

func sum(t fataler, path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// Any file of any format opens, and gives as many finite values as it has rows,
// or is an error of some kind that names it.
func FuzzFile(f *testing.F) {
	const lines = "{\"v\":1,\"k\":1}\n\n{\"k\":0,\"v\":-2.5e3}\r\n"
	value := 2.5
	table := rowsToParquet(f, []tableRow{{ID: 1, Maybe: &value}, {ID: 0, Maybe: &value, Real: -1}}, parquet.Compression(&parquet.Uncompressed))
	endings := []string{".npy", ".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"}
	for i, data := range [][]byte{arrayFile(npy.Int16, []byte{1, 0, 255, 255}), table, []byte(lines), gz(f, lines), zst(f, lines)} {
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, ending uint8, data []byte) {
		dir := t.TempDir()
		name := "v" + endings[int(ending)%len(endings)]
		path := save(t, filepath.Join(dir, name), data)
		for _, o := range []Options{{}, {Field: "v"}, {Field: "v", Key: "k"}, {Field: "real", Key: "id"}, {Field: "maybe"}} {
			l, err := Open(path, o)
			if err == nil && l.rows > 0 && l.rows < 1000 {
				// By key a row may be missing or twice: also an error.
				src := documents(t, dir, int(l.rows))
				var values []float64
				values, err = score(l, src)
				src.Samples.Corpus().Close()
				for _, v := range values {
					if v-v != 0 {
						t.Fatalf("%v of %q", v, data)
					}
				}
			}
			if err != nil && (!errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), name)) {
				t.Fatalf("of no kind, or without a name: %v", err)
			}
		}
	})
}

func BenchmarkLines(b *testing.B) {
	var text strings.Builder
	const rows = 10_000
	for i := range rows {
		fmt.Fprintf(&text, `{"id": %d, "v": %f}`+"\n", i, float64(i)*.3)
	}
	path := save(b, filepath.Join(b.TempDir(), "v.jsonl"), []byte(text.String()))
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := Open(path, Options{Field: "v", Key: "id"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}
