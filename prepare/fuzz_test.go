package prepare

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// FuzzRun gives any bytes as a file of any format. It must end in a corpus that
// is whole, or in an error of the input's kinds and nothing left.
func FuzzRun(f *testing.F) {
	f.Add([]byte("text"), false, false)
	f.Add([]byte("{\"text\":\"a\"}\n{}\n\n{\"text\":\"\\ud800\"}"), true, true)
	f.Add([]byte("{\"text\":1}"), true, false)
	f.Add([]byte(gzipped("{\"text\":\"a\"}\n")), true, false)
	f.Add([]byte(zstded("text")), false, true)
	f.Add([]byte(gzipped("text"))[:12], false, false)
	f.Add([]byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff"), false, false)
	f.Fuzz(func(t *testing.T, content []byte, lines, skip bool) {
		made := t.TempDir()
		out := filepath.Join(made, "out")
		o := Options{Inputs: []string{"-"}, Stdin: bytes.NewReader(content), Tokenizer: byteTokenizer(t), SkipBadLines: skip, Workers: 2, LongestDocument: 1 << 16}
		if lines {
			o.Format = JSONL
		}
		result, err := Run(context.Background(), out, o)
		if err != nil {
			if !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Corrupt) {
				t.Errorf("of no kind: %v", err)
			}
			nothingLeft(t, made)
			return
		}
		if got := documents(t, out); int64(len(got)) != result.Documents {
			t.Errorf("%d documents, the result says %d", len(got), result.Documents)
		}
	})
}
