package metric

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/tokenizer"
)

// benchText is 4 MB of the Go distribution's source, which is what every
// machine that runs this has.
func benchText(b *testing.B) []byte {
	b.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.Skip("no Go distribution here")
	}
	var text []byte
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(root)), "src", "*", "*", "*.go"))
	for _, file := range files {
		if len(text) > 4<<20 {
			break
		}
		content, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		text = append(text, content...)
	}
	return text
}

// BenchmarkMetrics scores windows of 128 and of 2,048 tokens of r50k by each
// metric on one core, and reports tokens a second.
func BenchmarkMetrics(b *testing.B) {
	r50k, err := tokenizer.New("r50k")
	if err != nil {
		b.Fatal(err)
	}
	tokens := r50k.Encode(nil, benchText(b))
	metrics, err := Builtin().Parse(Builtin().Names()...)
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range metrics {
		source := Source{
			Meta:       corpus.Meta{Tokenizer: "r50k", Vocabulary: r50k.Vocabulary(), EndOfDocument: r50k.EndOfDocument()},
			Tokenizer:  func() tokenizer.Tokenizer { return r50k },
			Statistics: map[string]Statistic{},
		}
		for _, s := range m.Statistics() {
			if err := s.Add(nil, tokens); err != nil {
				b.Fatal(err)
			}
			source.Statistics[s.Name()] = s
		}
		for _, window := range []struct {
			name string
			n    int
		}{{"128", 128}, {"2048", 2048}} {
			b.Run(m.Info().Name+"/"+window.name, func(b *testing.B) {
				scorer, err := m.Scorer(source)
				if err != nil {
					b.Fatal(err)
				}
				// Batches of 2^18 tokens, as package analyze makes them.
				var samples []Sample
				for at := 0; at+window.n < len(tokens); at += window.n {
					samples = append(samples, Sample{ID: int64(len(samples)), Len: window.n + 1, Tokens: tokens[at : at+window.n+1]})
				}
				values := make([]float64, len(samples))
				batch := 1 << 18 / window.n
				for b.Loop() {
					for at := 0; at < len(samples); at += batch {
						end := min(at+batch, len(samples))
						if err := scorer.Score(values[at:end], samples[at:end]); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(float64(b.N)*float64(len(samples)*(window.n+1))/b.Elapsed().Seconds()/1e6, "Mtokens/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkAddRaw counts tokens as they are stored, 2 bytes each.
func BenchmarkAddRaw(b *testing.B) {
	r50k, err := tokenizer.New("r50k")
	if err != nil {
		b.Fatal(err)
	}
	tokens := r50k.Encode(nil, benchText(b))
	raw := appendStored(nil, tokens, corpus.Uint16.Size())
	c := new(TokenCounts)
	for b.Loop() {
		if !c.AddRaw(raw, corpus.Uint16) {
			b.Fatal("not counted")
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(tokens))/b.Elapsed().Seconds()/1e6, "Mtokens/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStatistics gathers each statistic over blocks of 2^18 tokens.
func BenchmarkStatistics(b *testing.B) {
	r50k, err := tokenizer.New("r50k")
	if err != nil {
		b.Fatal(err)
	}
	tokens := r50k.Encode(nil, benchText(b))
	five, err := NewNgramCounts(5, 22)
	if err != nil {
		b.Fatal(err)
	}
	three, err := NewNgramCounts(3, 22)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []Statistic{new(TokenCounts), three, five} {
		b.Run(s.Name(), func(b *testing.B) {
			for b.Loop() {
				for at := 0; at < len(tokens); at += 1 << 18 {
					if err := s.Add(tokens[max(0, at-s.Context()):at], tokens[at:min(at+1<<18, len(tokens))]); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*float64(len(tokens))/b.Elapsed().Seconds()/1e6, "Mtokens/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}
