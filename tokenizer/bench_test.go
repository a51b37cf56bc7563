package tokenizer

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// BenchmarkEncode encodes a large file of Go source.
func BenchmarkEncode(b *testing.B) {
	text, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src", "net", "http", "server.go"))
	if err != nil {
		b.Skip("no Go source here")
	}
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			tok := mustNew(b, name)
			var tokens []int32
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tokens = tok.Encode(tokens[:0], text)
			}
		})
	}
}
