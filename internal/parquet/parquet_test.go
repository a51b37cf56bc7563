package parquet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	library "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
	"pgregory.net/rapid"
)

const most = 1 << 20

// texts reads a column to its end; a null is a nil.
func texts(file []byte, column string) (values [][]byte, nulls int64, err error) {
	c, err := Open("a.parquet", bytes.NewReader(file), int64(len(file)), column)
	if err != nil {
		return nil, 0, err
	}
	for p, err := range c.Pages(context.Background(), most) {
		if err != nil {
			return values, nulls, err
		}
		nulls += p.Nulls
		for v, err := range p.Values() {
			if err != nil {
				return values, nulls, err
			}
			values = append(values, bytes.Clone(v))
		}
	}
	return values, nulls, nil
}

var codecs = []compress.Codec{&library.Uncompressed, &library.Snappy, &library.Gzip, &library.Zstd, &library.Brotli, &library.Lz4Raw}

var encodings = []encoding.Encoding{&library.Plain, &library.RLEDictionary, &library.DeltaLengthByteArray, &library.DeltaByteArray}

// write makes a file with the library: a column of numbers, one of texts, nil
// for null, and one inside two groups that may be null.
func write(t interface{ Fatal(...any) }, rows [][]byte, codec compress.Codec, enc encoding.Encoding, version, pageBytes, perGroup int) []byte {
	column := func() library.Node {
		return library.Optional(library.Compressed(library.Encoded(library.String(), enc), codec))
	}
	schema := library.NewSchema("root", library.Group{
		"id":   library.Int(64),
		"must": library.Compressed(library.Encoded(library.String(), enc), codec),
		"text": column(),
		"meta": library.Optional(library.Group{"in": library.Optional(library.Group{"text": column()}), "list": library.List(library.String())}),
	})
	var file bytes.Buffer
	w := library.NewWriter(&file, schema, library.DataPageVersion(version), library.PageBufferSize(pageBytes), library.MaxRowsPerRowGroup(int64(perGroup)))
	for i, r := range rows {
		// Columns in order of their names: id, meta.in.text, meta.list, must, text.
		value, deep := library.ValueOf(nil).Level(0, 0, 4), library.ValueOf(nil).Level(0, i%3, 1)
		if r != nil {
			value, deep = library.ByteArrayValue(r).Level(0, 1, 4), library.ByteArrayValue(r).Level(0, 3, 1)
		}
		row := library.Row{library.Int64Value(int64(i)).Level(0, 0, 0), deep, library.ValueOf(nil).Level(0, 0, 2), library.ByteArrayValue(r).Level(0, 0, 3), value}
		if _, err := w.WriteRows([]library.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// What the library writes, in every encoding, compression and version of pages,
// is read as it was.
func TestReadsWhatTheLibraryWrites(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return []byte{}
		case 2:
			return []byte(rapid.SampledFrom([]string{"same", "same beginning", "same beginning and end"}).Draw(t, "text"))
		case 3:
			return bytes.Repeat([]byte{'x'}, rapid.IntRange(0, 5000).Draw(t, "long"))
		}
		return []byte(rapid.String().Draw(t, "text"))
	})
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(value, 0, 200).Draw(t, "rows")
		file := write(t, rows, rapid.SampledFrom(codecs).Draw(t, "codec"), rapid.SampledFrom(encodings).Draw(t, "encoding"),
			rapid.IntRange(1, 2).Draw(t, "version"), rapid.SampledFrom([]int{1, 100, 10000}).Draw(t, "page"), rapid.IntRange(1, 150).Draw(t, "group"))
		var present [][]byte
		for _, r := range rows {
			if r != nil {
				present = append(present, r)
			}
		}
		for _, column := range []string{"text", "meta.in.text", "must"} {
			want, wantNulls := present, int64(len(rows)-len(present))
			if column == "must" {
				want, wantNulls = rows, 0
			}
			got, nulls, err := texts(file, column)
			if err != nil {
				t.Fatalf("%s: %v", column, err)
			}
			if nulls != wantNulls || !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("%s: %d nulls and %.60q, want %d and %.60q", column, nulls, got, wantNulls, want)
			}
		}
	})
}

func TestColumnsRefused(t *testing.T) {
	file := write(t, [][]byte{[]byte("a")}, &library.Snappy, &library.Plain, 2, 100, 100)
	for column, says := range map[string]string{
		"body":                   `no column "body"; columns with text are "meta.in.text", "must", "text", in all there are "id", "meta.in.text", "meta.list.list.element", "must", "text" (choose one with --field)`,
		"id":                     `column "id" holds no text`,
		"meta":                   `no column "meta"`,
		"meta.in.":               `no column`,
		"text.":                  `no column`,
		"":                       `no column`,
		"meta.list.list.element": `is a list`,
	} {
		_, err := Open("a.parquet", bytes.NewReader(file), int64(len(file)), column)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", column, err, says)
		}
	}
	if _, _, err := texts([]byte("PAR1 and not much else PARE"), "text"); !errors.Is(err, fault.Invalid) {
		t.Errorf("an encrypted file: %v", err)
	}
}

// Whatever byte is changed and wherever the file is cut, the result is an error
// that names the file, or values; never a panic.
func TestDamage(t *testing.T) {
	var rows [][]byte
	for i := range 15 {
		rows = append(rows, []byte(fmt.Sprintf("text number %d of this file", i%7)))
	}
	for i, codec := range codecs {
		file := write(t, rows, codec, encodings[i%len(encodings)], 1+i%2, 100, 10)
		for at := range file {
			bad := bytes.Clone(file)
			bad[at] ^= []byte{0x01, 0x80, 0xff}[at%3]
			if _, _, err := texts(bad, "text"); err != nil {
				checkError(t, err)
			}
			if at%7 == 0 {
				if _, _, err := texts(file[:at], "text"); err == nil {
					t.Errorf("cut to %d bytes: no error", at)
				} else {
					checkError(t, err)
				}
			}
		}
	}
}

func checkError(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a.parquet") {
		t.Errorf("of no kind, or without a name: %v", err)
	}
}

// Errors name the row group.
func TestDamageNamesTheGroup(t *testing.T) {
	rows := slices.Repeat([][]byte{[]byte("a text that is in no dictionary")}, 30)
	file := write(t, rows, &library.Uncompressed, &library.Plain, 1, 100000, 10)
	c, err := Open("a.parquet", bytes.NewReader(file), int64(len(file)), "text")
	if err != nil {
		t.Fatal(err)
	}
	last := c.groups[2]
	at := last.start + int64(bytes.LastIndex(file[last.start:last.start+last.size], []byte("a text that")))
	file[at-1] = 0x7f // the length of the last value
	values, _, err := texts(file, "text")
	if len(values) == 0 || !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), `a.parquet: row group 2, page 0 of column "text": `) {
		t.Errorf("%d values and %v", len(values), err)
	}
}

// A failing disk is not taken for a damaged file.
func TestFailingDisk(t *testing.T) {
	file := write(t, [][]byte{[]byte("a")}, &library.Snappy, &library.Plain, 2, 100, 100)
	broken := errors.New("broken disk")
	for after := range 5 {
		c, err := Open("a.parquet", &failing{bytes.NewReader(file), after, broken}, int64(len(file)), "text")
		if err == nil {
			for _, err = range c.Pages(context.Background(), most) {
			}
		}
		if !errors.Is(err, broken) || errors.Is(err, fault.Corrupt) {
			t.Errorf("after %d reads: %v", after, err)
		}
	}
}

type failing struct {
	r     io.ReaderAt
	after int
	err   error
}

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if f.after--; f.after < 0 {
		return 0, f.err
	}
	return f.r.ReadAt(p, at)
}

func FuzzColumn(f *testing.F) {
	rows := [][]byte{[]byte("one"), nil, []byte("one and two"), {}, []byte("three")}
	for i, codec := range codecs {
		for j, enc := range encodings {
			f.Add(write(f, rows, codec, enc, 1+(i+j)%2, 50, 3))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		n := 0
		c, err := Open("a.parquet", bytes.NewReader(file), int64(len(file)), "text")
		if err == nil {
			for p, e := range c.Pages(context.Background(), 1<<16) {
				if err = e; err != nil {
					break
				}
				for _, err = range p.Values() {
					if n++; err != nil || n > 1<<16 {
						break
					}
				}
				if err != nil || n > 1<<16 {
					break
				}
			}
		}
		if err != nil {
			checkError(t, err)
		}
	})
}
