package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/parquet-go/parquet-go"
)

// samplesOf makes a corpus of documents with these many tokens each, and cuts it.
func samplesOf(t *testing.T, cut corpus.Cut, lengths ...int) *corpus.Samples {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "text")
	w, err := corpus.Create(prefix, corpus.Uint8)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, n := range lengths {
		if err := w.Append(make([]int32, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{Vocabulary: 9, EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// indexOf makes an index with a whole and a real metric.
func indexOf(t *testing.T, s *corpus.Samples, whole, real []float64) *index.Index {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x")
	head, err := index.HeadOf(s)
	if err != nil {
		t.Fatal(err)
	}
	w, err := index.Create(dir, head, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, c := range []struct {
		name, dtype string
		values      []float64
	}{{"whole", index.Whole, whole}, {"a-real.one", index.Real, real}} {
		m := index.Metric{Name: c.name, Version: 1, Unit: "points", DType: c.dtype}
		v, err := w.Values(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(v.WriteAt(c.values, 0), v.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Finish(context.Background(), m, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// rows reads a file as text, a line a row.
func rows(t *testing.T, data []byte) (names, lines []string, f *parquet.File) {
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Schema().Columns() {
		names = append(names, strings.Join(c, "."))
	}
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]parquet.Row, 7)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				var line []string
				for _, v := range row {
					line = append(line, v.String())
				}
				lines = append(lines, strings.Join(line, " "))
			}
			if err != nil {
				break
			}
		}
		r.Close()
	}
	return names, lines, f
}

// Windows of 4 over documents of 3, 0 and 10 tokens, by hand.
func TestWrite(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "x.parquet")
	s := samplesOf(t, corpus.Cut{Window: 4}, 3, 0, 10)
	x := indexOf(t, s, []float64{2, 1, 2}, []float64{-0.5, 0.25, 1e300})
	r, err := Write(ctx, x, path, Options{Samples: s, Ranks: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	names, lines, f := rows(t, data)
	if want := []string{"sample", "document", "offset", "whole", "rank_whole", "a-real.one", "rank_a-real.one"}; !slices.Equal(names, want) || !slices.Equal(r.Columns, want) {
		t.Errorf("%v, %v", names, r.Columns)
	}
	if want := []string{"0 0 0 2 1 -0.5 0", "1 2 1 1 0 0.25 1", "2 2 5 2 2 1e+300 2"}; !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	if r.Samples != 3 || r.Bytes != int64(len(data)) {
		t.Errorf("%+v of %d bytes", r, len(data))
	}
	fingerprint, _ := s.Corpus().Fingerprint()
	for key, want := range map[string]string{"gradus.fingerprint": fingerprint, "gradus.cut": "window 4", "gradus.unit.whole": "points"} {
		if got, _ := f.Lookup(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if _, err := Write(ctx, x, path, Options{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("over a file: %v", err)
	}
	if _, err := Write(ctx, x, path, Options{Force: true, Metrics: []string{"whole", "whole"}}); err != nil {
		t.Fatal(err)
	}
	data, _ = os.ReadFile(path)
	if names, lines, _ := rows(t, data); !slices.Equal(names, []string{"sample", "whole"}) || !slices.Equal(lines, []string{"0 2", "1 1", "2 2"}) {
		t.Errorf("%v %q", names, lines)
	}
}

// Documents are their own samples, an empty one too.
func TestDocuments(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	s := samplesOf(t, corpus.Cut{Documents: true}, 3, 0, 0)
	x := indexOf(t, s, []float64{2, 1, 2}, []float64{0, 0, 0})
	if _, err := Write(context.Background(), x, path, Options{Samples: s, Metrics: []string{"whole"}}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, lines, _ := rows(t, data); !slices.Equal(lines, []string{"0 0 0 2", "1 1 0 1", "2 2 0 2"}) {
		t.Errorf("%q", lines)
	}
}

// However rows are grouped and ranks windowed, the rows are the same.
func TestGroups(t *testing.T) {
	const n = pieceRows + 500
	lengths := make([]int, n)
	whole, real := make([]float64, n), make([]float64, n)
	for i := range lengths {
		lengths[i], whole[i], real[i] = 1, float64(i*7919%613), float64(i*7919%7907)/64
	}
	s := samplesOf(t, corpus.Cut{Documents: true}, lengths...)
	x := indexOf(t, s, whole, real)
	w, err1 := x.Column("whole")
	r, err2 := x.Column("a-real.one")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	want := make([]string, n)
	for rank := range int64(n) {
		id := w.At(rank)
		want[id] = fmt.Sprintf("%d %v %d", id, whole[id], rank)
	}
	for rank := range int64(n) {
		id := r.At(rank)
		want[id] += fmt.Sprintf(" %v %d", real[id], rank)
	}
	for _, c := range []struct{ group, ranked int64 }{
		{2000, 1}, {2000, 9000}, {pieceRows, 4 * n}, {n - 1, 1}, {n, 5}, {groupRows, rankedRows},
	} {
		tab, err := newTable(x, Options{Ranks: true})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := tab.write(context.Background(), &b, c.group, c.ranked); err != nil {
			t.Fatal(err)
		}
		_, lines, f := rows(t, b.Bytes())
		if groups := (n + c.group - 1) / c.group; int64(len(f.RowGroups())) != groups {
			t.Fatalf("%+v: %d row groups, want %d", c, len(f.RowGroups()), groups)
		}
		if !slices.Equal(lines, want) {
			t.Fatalf("%+v: the rows differ", c)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	s := samplesOf(t, corpus.Cut{Documents: true}, 3, 1)
	x := indexOf(t, s, []float64{2, 1}, []float64{0, 0})
	other := samplesOf(t, corpus.Cut{Documents: true}, 4, 1)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for say, c := range map[string]struct {
		ctx  context.Context
		path string
		o    Options
		kind error
	}{
		"no metric":   {context.Background(), path, Options{Metrics: []string{"none"}}, fault.Invalid},
		"fingerprint": {context.Background(), path, Options{Samples: other}, fault.Mismatch},
		"canceled":    {cancelled, path, Options{}, context.Canceled},
		"none":        {context.Background(), filepath.Join(dir, "none", "x"), Options{}, fs.ErrNotExist},
	} {
		if _, err := Write(c.ctx, x, c.path, c.o); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %s", err, say)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
