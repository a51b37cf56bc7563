package analyze

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/keyed"
	"github.com/gradus-ml/gradus/metric"
)

// A corpus of 10^9 tokens in 10^7 samples: rarity of each within 8 GB, and the
// order right. It takes 4 GB of disk and a minute, and so runs only if
// GRADUS_BILLION says where ("make check-billion").
func TestBillion(t *testing.T) {
	base := os.Getenv("GRADUS_BILLION")
	if base == "" {
		t.Skip("GRADUS_BILLION names no directory")
	}
	base, err := os.MkdirTemp(base, "billion")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	const tokens, window, vocabulary = 1_000_000_001, 100, 50_000
	prefix := filepath.Join(base, "c")
	w, err := corpus.Create(prefix, corpus.Uint16)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	stream := keyed.NewKey(1, "billion").Stream()
	counts := make([]float64, vocabulary)
	document := make([]int32, 1_000_000)
	for left := tokens; left > 0; left -= len(document) {
		document = document[:min(len(document), left)]
		for i := range document { // roughly as words are spread: 1/rank
			document[i] = int32(math.Pow(vocabulary, float64(stream.Uint64N(1<<53))/(1<<53))) - 1
			counts[document[i]]++
		}
		if err := w.Append(document); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: vocabulary, EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	s := open(t, prefix, corpus.Cut{Window: window})
	defer s.Corpus().Close()
	if s.Len() != 10_000_000 {
		t.Fatal(s.Len())
	}
	before := peak(t)
	for name, memory := range map[string]int64{"one run": 1 << 30, "many runs": 32 << 20} {
		result, err := Run(context.Background(), s, []metric.Metric{metric.Rarity()}, filepath.Join(base, "x"), Options{Force: true, Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range result.Passes {
			t.Logf("%s: %s: %d samples, %d tokens, %.1f s", name, p.Name, p.Samples, p.Tokens, p.Seconds)
		}
		if now := peak(t); now > 8<<30 {
			t.Errorf("%s: %d bytes at most, %d before", name, now, before)
		} else {
			t.Logf("%s: at most %d MiB, %d before", name, now>>20, before>>20)
		}
		x, err := index.Open(result.Index)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Check(context.Background()); err != nil { // that the order is sorted, among others
			t.Error(err)
		}
		c, err := x.Column("rarity")
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, n := range counts {
			total += max(n, 1)
		}
		raw, err := os.ReadFile(prefix + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		for id := int64(0); id < s.Len(); id += 9973 {
			want := 0.0
			for i := range int64(window + 1) {
				want -= math.Log(counts[binary.LittleEndian.Uint16(raw[2*(id*window+i):])] / total)
			}
			if got := c.Value(id); math.Abs(got-want) > 1e-9*want {
				t.Fatalf("sample %d: %v, want %v", id, got, want)
			}
		}
		x.Close()
	}
}

// peak returns the largest resident set so far, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == "VmHWM:" {
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}
