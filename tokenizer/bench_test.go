package tokenizer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkEncode encodes a large file of Go source.
func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile(filepath.Join(goRoot(b), "src", "net", "http", "server.go"))
	if err != nil {
		b.Skip("no Go source here")
	}
	for _, name := range append(Names(), "testdata/hf/llama3.json", "testdata/hf/llama2.json", "testdata/hf/bert.json", "testdata/hf/unigram.json") {
		b.Run(filepath.Base(name), func(b *testing.B) {
			tok := mustNew(b, name)
			var tokens []int32
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tokens = tok.Encode(tokens[:0], text)
			}
		})
	}
}

// goRoot returns where the Go distribution lies; without one the test is skipped.
func goRoot(tb testing.TB) string {
	tb.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Skip("no Go distribution here")
	}
	return strings.TrimSpace(string(out))
}
