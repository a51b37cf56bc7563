package prepare

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	library "github.com/parquet-go/parquet-go"
)

type row struct {
	ID   int64     `parquet:"id"`
	Text *string   `parquet:"text,optional,zstd"`
	Meta *metadata `parquet:"meta,optional"`
}

type metadata struct {
	Title []byte `parquet:"title,snappy"`
}

// parquetFile has these texts, "-" for a null.
func parquetFile(t testing.TB, texts ...string) string {
	t.Helper()
	var file bytes.Buffer
	w := library.NewGenericWriter[row](&file, library.MaxRowsPerRowGroup(3), library.PageBufferSize(64))
	for i, text := range texts {
		r := row{ID: int64(i), Text: &text, Meta: &metadata{[]byte("title of " + text)}}
		if text == "-" {
			r.Text, r.Meta = nil, nil
		}
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestParquet(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("long ", blockBytes/3)
	writeTree(t, dir, map[string]string{
		"in/a.txt":     "first",
		"in/b.PARQUET": parquetFile(t, "one", "-", "", "two", long, "-", "three"),
		"in/c.jsonl":   `{"text":"line"}`,
		"in/d.parquet": parquetFile(t, "four"),
		"in/e.txt":     "last",
		"named":        parquetFile(t, "x", "-"),
	})
	var last Progress
	o := Options{Inputs: []string{filepath.Join(dir, "in")}, Tokenizer: byteTokenizer(t), Workers: 2, Progress: func(p Progress) { last = p }}
	out := filepath.Join(dir, "out")
	result, err := Run(context.Background(), out, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := documents(t, out), []string{"first", "one", "two", long, "three", "line", "four", "last"}; !slices.Equal(got, want) {
		t.Errorf("documents are %.60q", got)
	}
	if want := (Skipped{Empty: 1, Nulls: 2}); result.Skipped != want || result.Files != 5 {
		t.Errorf("skipped %+v of %d files, want %+v", result.Skipped, result.Files, want)
	}
	if last.Bytes != last.Total {
		t.Errorf("at the end %d bytes of %d are read", last.Bytes, last.Total)
	}

	o.Inputs, o.Format, o.Field = []string{filepath.Join(dir, "named")}, Parquet, "meta.title"
	if result, err = Run(context.Background(), filepath.Join(dir, "titles"), o); err != nil {
		t.Fatal(err)
	}
	if got := documents(t, filepath.Join(dir, "titles")); !slices.Equal(got, []string{"title of x"}) || result.Skipped.Nulls != 1 {
		t.Errorf("documents are %q, %+v", got, result.Skipped)
	}
}

func TestParquetErrors(t *testing.T) {
	dir := t.TempDir()
	good := parquetFile(t, "one", "two", "three", "four")
	writeTree(t, dir, map[string]string{
		"good.parquet": good,
		"cut.parquet":  good[:len(good)-9],
		"text.parquet": "this is text",
		"none.parquet": parquetFile(t, "-"),
		"bad.parquet":  strings.Replace(good, "\x28\xb5\x2f\xfd", "\x28\xb5\x2f\xfe", 1),
	})
	for _, k := range []struct {
		name, field string
		longest     int64
		kind        error
		says        string
	}{
		{"good.parquet", "body", 0, fault.Invalid, `no column "body"; columns with text are "text", "meta.title"`},
		{"good.parquet", "id", 0, fault.Invalid, `column "id" holds no text`},
		{"good.parquet", "text", 3, fault.Invalid, "row group 0 has a text of 5 bytes"},
		{"cut.parquet", "", 0, fault.Corrupt, "cut.parquet"},
		{"text.parquet", "", 0, fault.Corrupt, "it is another kind of file, or cut off"},
		{"none.parquet", "", 0, fault.Invalid, "no document"},
		{"bad.parquet", "", 0, fault.Corrupt, "row group 0, page 0"},
		{"-", "", 0, fault.Invalid, "save it to a file first"},
	} {
		made := t.TempDir()
		o := Options{Inputs: []string{"-"}, Stdin: strings.NewReader(good), Format: Parquet, Field: k.field, LongestDocument: k.longest, Tokenizer: byteTokenizer(t)}
		if k.name != "-" {
			o.Inputs = []string{filepath.Join(dir, k.name)}
		}
		_, err := Run(context.Background(), filepath.Join(made, "out"), o)
		if !errors.Is(err, k.kind) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s: %v, want %q", k.name, err, k.says)
		}
		nothingLeft(t, made)
	}
}

// What pyarrow wrote (testdata/parquet.py) is read: 3 of 4 texts, in each of its
// compressions and both versions of pages.
func TestParquetOfPyarrow(t *testing.T) {
	names, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(names) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, name := range names {
		out := filepath.Join(t.TempDir(), "out")
		result, err := Run(context.Background(), out, Options{Inputs: []string{name}, Tokenizer: byteTokenizer(t)})
		if err != nil {
			t.Error(err)
			continue
		}
		want := []string{"Step by step.", "Gradus ad Parnassum: ünïcödé.", "Step by step."}
		if got := documents(t, out); !slices.Equal(got, want) || result.Skipped.Nulls != 1 {
			t.Errorf("%s: %q, %+v", name, got, result.Skipped)
		}
	}
}

func TestParquetPipe(t *testing.T) {
	if _, err := os.Stat("/dev/null"); err != nil {
		t.Skip("no /dev/null here")
	}
	_, err := Run(context.Background(), filepath.Join(t.TempDir(), "out"), Options{Inputs: []string{"/dev/null"}, Format: Parquet, Tokenizer: byteTokenizer(t)})
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "save it to a file first") {
		t.Errorf("error is %v", err)
	}
}
