package lookup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
	"github.com/gradus-ml/gradus/metric"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Fatal(...any)
}

// source makes a corpus of documents of these lengths and cuts it.
func source(t fataler, dir string, cut corpus.Cut, lengths ...int) metric.Source {
	t.Helper()
	prefix := filepath.Join(dir, "corpus")
	for _, name := range corpus.Files(prefix) {
		os.Remove(name)
	}
	w, err := corpus.Create(prefix, corpus.Fit(300))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, n := range lengths {
		if err := w.Append(make([]int32, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(corpus.Meta{EndOfDocument: -1}); err != nil {
		t.Fatal(err)
	}
	c, err := corpus.Open(prefix)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Samples(cut)
	if err != nil {
		t.Fatal(err)
	}
	return metric.Source{Samples: s}
}

// documents is a corpus of n documents, each a sample.
func documents(t fataler, dir string, n int) metric.Source {
	return source(t, dir, corpus.Cut{Documents: true}, slices.Repeat([]int{1}, n)...)
}

func score(m metric.Metric, source metric.Source) ([]float64, error) {
	scorer, err := m.Scorer(source)
	if err != nil {
		return nil, err
	}
	values := make([]float64, source.Samples.Len())
	samples := make([]metric.Sample, len(values))
	for i := range samples {
		samples[i].ID = int64(i)
	}
	return values, scorer.Score(values, samples)
}

func save(t fataler, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func arrayFile(dtype npy.DType, raw []byte) []byte {
	return append(npy.Header(dtype, int64(len(raw)/dtype.Size())), raw...)
}

func gz(t fataler, data string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(data))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t fataler, data string) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll([]byte(data), nil)
}

// tableRow is a row of the Parquet files here.
type tableRow struct {
	ID    int64    `parquet:"id"`
	Real  float64  `parquet:"real"`
	Whole int32    `parquet:"whole"`
	Maybe *float64 `parquet:"maybe,optional"`
	Text  string   `parquet:"text"`
	In    struct {
		Real float32 `parquet:"real"`
	} `parquet:"in"`
}

func rowsToParquet(t fataler, rows []tableRow, options ...parquet.WriterOption) []byte {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[tableRow](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The same numbers from every format, in order and by key, are the numbers.
func TestFormats(t *testing.T) {
	dir, outer := t.TempDir(), t
	sources := map[int]metric.Source{} // by size: writing a corpus waits for the disk
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		whole := rapid.Bool().Draw(t, "whole")
		want := make([]float64, n)
		for i := range want {
			if whole {
				want[i] = float64(rapid.Int32().Draw(t, "value"))
			} else {
				want[i] = rapid.Float64().Draw(t, "value")
			}
		}
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := 0; i < n && yield(i); i++ {
			}
		})).Draw(t, "order")
		keyed := rapid.Bool().Draw(t, "keyed")
		if !keyed {
			slices.Sort(order)
		}
		var lines strings.Builder
		var rows []tableRow
		var raw []byte
		for _, i := range order {
			number, _ := json.Marshal(want[i])
			if whole {
				number = fmt.Appendf(nil, "%d", int64(want[i]))
			} else if want[i] == math.Trunc(want[i]) {
				number = []byte(fmt.Sprintf("%.17e", want[i]))
			}
			fmt.Fprintf(&lines, `{"id":%d,"text":"a \"value\":7","value":%s}`+rapid.SampledFrom([]string{"\n", "\r\n", "\n\n \n"}).Draw(t, "end"), i, number)
			rows = append(rows, tableRow{ID: int64(i), Real: want[i], Whole: int32(want[i])})
		}
		for _, v := range want {
			if whole {
				raw = binary.LittleEndian.AppendUint32(raw, uint32(int32(v)))
			} else {
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
			}
		}
		o := Options{Field: "value"}
		field := "real"
		dtype := npy.Float64
		if whole {
			field, dtype = "whole", npy.Int32
		}
		if keyed {
			o.Key = "id"
		}
		table := rowsToParquet(t, rows, parquet.MaxRowsPerRowGroup(int64(rapid.IntRange(1, 70).Draw(t, "group"))), parquet.PageBufferSize(100))
		src, ok := sources[n]
		if !ok {
			src = documents(t, outer.TempDir(), n)
			outer.Cleanup(func() { src.Samples.Corpus().Close() })
			sources[n] = src
		}
		for name, data := range map[string][]byte{
			"v.npy": arrayFile(dtype, raw), "v.parquet": table, "v.jsonl": []byte(lines.String()),
			"v.ndjson": []byte(strings.TrimRight(lines.String(), " \r\n")), "v.jsonl.gz": gz(t, lines.String()), "v.jsonl.zst": zst(t, lines.String()),
		} {
			o := o
			switch name {
			case "v.npy":
				o = Options{}
			case "v.parquet":
				o.Field = field
			}
			l, err := Open(save(t, filepath.Join(dir, name), data), o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := score(l, src)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: %v, %v, want %v", name, got, err, want)
			}
			if info := l.Info(); (info.Kind == metric.Whole) != whole || !info.Blind || !strings.HasPrefix(info.Content, "sha256:") {
				t.Fatalf("%s: %+v", name, info)
			}
		}
	})
}

// Windows have the mean over their tokens of their documents' values.
func TestWindows(t *testing.T) {
	dir := t.TempDir()
	// Tokens 0001 | 11.2 2222 5 of documents 0 to 5, 3 and 4 being empty:
	// windows of 4 have 5 tokens.
	src := source(t, dir, corpus.Cut{Window: 4}, 3, 3, 5, 0, 0, 2)
	path := save(t, filepath.Join(dir, "v.jsonl"), []byte("{\"v\":3}\n{\"v\":8}\n{\"v\":1}\n{\"v\":100}\n{\"v\":-100}\n{\"v\":6}\n"))
	l, err := Open(path, Options{Field: "v", Documents: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := score(l, src)
	want := []float64{(3*3 + 2*8) / 5., (2*8 + 3*1) / 5., (3*1 + 2*6) / 5.}
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-15*want[i] {
			t.Errorf("window %d: %v, want %v", i, got[i], want[i])
		}
	}
	if l.Info().Kind != metric.Real {
		t.Error("means are not whole")
	}
}

// The same against a token by token mean, and documents of one value give it
// exactly.
func TestWindowsAgainstTokens(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		lengths := append(rapid.SliceOfN(rapid.IntRange(0, 9), 0, 20).Draw(t, "lengths"), 2)
		same := rapid.Bool().Draw(t, "same")
		var raw []byte
		var ofToken []float64
		for _, n := range lengths {
			v := 0.1
			if !same {
				v = rapid.Float64Range(-1e3, 1e3).Draw(t, "value")
			}
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
			ofToken = append(ofToken, slices.Repeat([]float64{v}, n)...)
		}
		window := rapid.IntRange(1, len(ofToken)-1).Draw(t, "window")
		src := source(t, dir, corpus.Cut{Window: window}, lengths...)
		defer src.Samples.Corpus().Close()
		l, err := Open(save(t, filepath.Join(dir, "v.npy"), arrayFile(npy.Float64, raw)), Options{Documents: true})
		if err != nil {
			t.Fatal(err)
		}
		got, err := score(l, src)
		if err != nil {
			t.Fatal(err)
		}
		for id, v := range got {
			sum, size := 0.0, 0.0
			for _, x := range ofToken[id*window : id*window+window+1] {
				sum += x
				size += math.Abs(x)
			}
			if same && v != 0.1 || math.Abs(v-sum/float64(window+1)) > 1e-14*size {
				t.Fatalf("window %d of %d: %v, want %v", id, window, v, sum/float64(window+1))
			}
		}
	})
}

// A document as a sample has the value of the document.
func TestByDocument(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(save(t, filepath.Join(dir, "v.npy"), arrayFile(npy.Int8, []byte{5, 0xff, 7})), Options{Documents: true, Descending: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := score(l, source(t, dir, corpus.Cut{Documents: true}, 4, 0, 2))
	if err != nil || !slices.Equal(got, []float64{5, -1, 7}) || !l.Info().Descending {
		t.Error(got, err)
	}
}

// What is wrong is said with the file, the row and the field.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	value := 1.5
	table := rowsToParquet(t, []tableRow{{ID: 0, Maybe: &value}, {ID: 1}, {ID: 1, Real: math.NaN()}}, parquet.PageBufferSize(1))
	const two = `{"v":1,"k":0}` + "\n"
	for i, c := range []struct {
		name string
		data []byte
		o    Options
		kind error
		say  string
	}{
		{"a.npy", arrayFile(npy.Float64, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}), Options{}, fault.Invalid, "a.npy: element 0 is NaN"},
		{"a.npy", arrayFile(npy.Float32, []byte{0, 0, 0, 0, 0, 0, 0x80, 0xff}), Options{}, fault.Invalid, "a.npy: element 1 is -Inf"},
		{"a.npy", arrayFile(npy.Int8, []byte{1})[:100], Options{}, fault.Corrupt, "a.npy"},
		{"a.npy", arrayFile(npy.Int8, []byte{1}), Options{Field: "v"}, fault.Invalid, "neither field= nor key="},
		{"a.npy", nil, Options{}, fault.Corrupt, "a.npy"},
		{"a.csv", nil, Options{}, fault.Invalid, "a.csv: the name must end in"},
		{"a.npy.gz", nil, Options{}, fault.Invalid, "the name must end in"},
		{"a.jsonl", nil, Options{}, fault.Invalid, "field= is missing"},
		{"a.jsonl", []byte(two + "\n" + `{"w":1,"x":2}`), Options{Field: "v"}, fault.Invalid, `a.jsonl: line 3: no field "v"; there are "w", "x"`},
		{"a.jsonl", []byte(`{}`), Options{Field: "v"}, fault.Invalid, `line 1: no field "v"; there is none`},
		{"a.jsonl", []byte(`{"v":null}`), Options{Field: "v"}, fault.Invalid, `a.jsonl: line 1: field "v" is null; a number is needed`},
		{"a.jsonl", []byte(`{"v":"3"}`), Options{Field: "v"}, fault.Invalid, `line 1: field "v" is "3"; a number is needed`},
		{"a.jsonl", []byte(`{"v":[3]}`), Options{Field: "v"}, fault.Invalid, `field "v" is [3]`},
		{"a.jsonl", []byte(`{"v":true}`), Options{Field: "v"}, fault.Invalid, `field "v" is true`},
		{"a.jsonl", []byte(`{"v":-1e999}`), Options{Field: "v"}, fault.Invalid, `is -1e999, beyond what a float64 holds`},
		{"a.jsonl", []byte(`{"v":NaN}`), Options{Field: "v"}, fault.Corrupt, `line 1: no JSON object`},
		{"a.jsonl", []byte("null"), Options{Field: "v"}, fault.Corrupt, `line 1: no JSON object`},
		{"a.jsonl", []byte("[1]"), Options{Field: "v"}, fault.Corrupt, `line 1: no JSON object`},
		{"a.jsonl", []byte(two + `{"v":1`), Options{Field: "v"}, fault.Corrupt, `line 2: no JSON object`},
		{"a.jsonl", []byte(two + `{"v":1}`), Options{Field: "v", Key: "k"}, fault.Invalid, `line 2: no field "k"`},
		{"a.jsonl", []byte(`{"v":1,"k":-1}`), Options{Field: "v", Key: "k"}, fault.Invalid, `line 1: field "k" is -1; the number of a sample or document is needed`},
		{"a.jsonl", []byte(`{"v":1,"k":1.0}`), Options{Field: "v", Key: "k"}, fault.Invalid, `line 1: field "k" is 1, written as no whole number`},
		{"a.jsonl", []byte(two + two), Options{Field: "v", Key: "k"}, fault.Invalid, `a.jsonl: line 2: field "k" is 0 for the second time`},
		{"a.jsonl", []byte(two + `{"v":1,"k":2}`), Options{Field: "v", Key: "k"}, fault.Mismatch, `a.jsonl: line 2: field "k" is 2; in 2 rows, each number from 0 to 1 must occur once`},
		{"a.jsonl", []byte(two), Options{Field: "v"}, fault.Mismatch, `a.jsonl has 1 rows, and there are 2 samples`},
		{"a.jsonl", []byte(two), Options{Field: "v", Documents: true}, fault.Mismatch, `a.jsonl has 1 rows, and there are 2 documents`},
		{"a.jsonl", nil, Options{Field: "v"}, fault.Mismatch, `a.jsonl has 0 rows, and there are 2 samples`},
		{"a.jsonl.gz", []byte(two), Options{Field: "v"}, fault.Corrupt, `a.jsonl.gz`},
		{"a.jsonl.gz", gz(t, two+two)[:25], Options{Field: "v"}, fault.Corrupt, `a.jsonl.gz`},
		{"a.jsonl.zst", zst(t, two+two)[:25], Options{Field: "v"}, fault.Corrupt, `a.jsonl.zst`},
		{"a.parquet", table, Options{Field: "text"}, fault.Invalid, `column "text" holds no numbers`},
		{"a.parquet", table, Options{Field: "q"}, fault.Invalid, `no column "q"; columns with numbers are "id", `},
		{"a.parquet", table, Options{Field: "real"}, fault.Invalid, `a.parquet: row 2: field "real" is NaN`},
		{"a.parquet", table, Options{Field: "maybe"}, fault.Invalid, `a.parquet: field "maybe" is null in `},
		{"a.parquet", table, Options{Field: "whole", Key: "real"}, fault.Invalid, `row 2: field "real" is NaN; the number`},
		{"a.parquet", table, Options{Field: "whole", Key: "q"}, fault.Invalid, `no column "q"`},
		{"a.parquet", table, Options{Field: "whole", Key: "maybe"}, fault.Invalid, `"maybe" is null`},
		{"a.parquet", table, Options{Field: "in.real"}, fault.Mismatch, `a.parquet has 3 rows`},
		{"a.parquet", table[:len(table)-1], Options{Field: "real"}, fault.Corrupt, `a.parquet`},
	} {
		l, err := Open(save(t, filepath.Join(dir, c.name), c.data), c.o)
		if err == nil {
			_, err = score(l, documents(t, dir, 2))
		}
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%d: %s of %.40q, %+v: %v\nwant %v, %s", i, c.name, c.data, c.o, err, c.kind, c.say)
		}
	}
	for _, path := range []string{filepath.Join(dir, "none.npy"), filepath.Join(dir, "none.parquet")} {
		if _, err := Open(path, Options{}); path[len(path)-1] == 'y' && !errors.Is(err, os.ErrNotExist) || err == nil {
			t.Error(err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none.jsonl"), Options{Field: "v"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	os.Mkdir(filepath.Join(dir, "d.jsonl"), 0o777)
	if _, err := Open(filepath.Join(dir, "d.jsonl"), Options{Field: "v"}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// A file that is another one by the time it is needed is noticed.
func TestChanged(t *testing.T) {
	dir := t.TempDir()
	for _, later := range []string{"{\"v\":1}\n{\"v\":3}\n", "{\"v\":1}\n{\"v\":2}\n{\"v\":2}\n", "{\"v\":1}\n"} {
		path := save(t, filepath.Join(dir, "v.jsonl"), []byte("{\"v\":1}\n{\"v\":2}\n"))
		l, err := Open(path, Options{Field: "v"})
		if err != nil {
			t.Fatal(err)
		}
		save(t, path, []byte(later))
		if _, err := score(l, documents(t, dir, 2)); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "has changed") {
			t.Error(err)
		}
	}
}

// Integers are whole below 2^53 and real from there on; so are numbers that are
// written with a point.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	for text, whole := range map[string]bool{
		"9007199254740991": true, "-9007199254740991": true, "9007199254740992": false, "9007199254740993": false,
		"1": true, "1.0": false, "1e2": false, "-0": true,
	} {
		l, err := Open(save(t, filepath.Join(dir, "v.jsonl"), []byte(`{"v":7}`+"\n"+`{"v":`+text+`}`)), Options{Field: "v"})
		if err != nil || (l.Info().Kind == metric.Whole) != whole {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
	raw := binary.LittleEndian.AppendUint64(nil, math.MaxUint64)
	l, err := Open(save(t, filepath.Join(dir, "v.npy"), arrayFile(npy.Uint64, raw)), Options{})
	if err != nil || l.Info().Kind != metric.Real {
		t.Error(l, err)
	}
}

func TestParse(t *testing.T) {
	dir := t.TempDir()
	path := save(t, filepath.Join(dir, "v.jsonl"), []byte(`{"a b":7,"n":0}`))
	known := metric.Registry{Definition()}
	made, err := known.Parse("hard=lookup:file=" + path + ",field=a b,key=n,descending=true,by=document")
	if err != nil {
		t.Fatal(err)
	}
	l := made[0].(*Lookup)
	info := l.Info()
	want := "lookup:file=" + path + ",field=a b,key=n,by=document,descending=true"
	if info.Name != "hard" || info.Spec != want || spec(l.path, l.o) != want || !info.Descending || !l.o.Documents {
		t.Errorf("%+v", info)
	}
	// sha256sum of the 15 bytes
	if info.Content != "sha256:"+sum(t, path) {
		t.Error(info.Content)
	}
	again, err := known.Parse("hard=" + info.Spec)
	if err != nil || again[0].Info() != info {
		t.Errorf("%v, %v", again, err)
	}
	for _, spec := range []string{"lookup", "lookup:field=v", "lookup:file=" + path, "lookup:file=" + path + ",field=a b,by=window", "lookup:" + path} {
		if _, err := known.Parse(spec); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}
