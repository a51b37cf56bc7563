package parquet

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
	library "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
	"pgregory.net/rapid"
)

// kindsOfNumbers are the columns of writeNumbers, in order of their names.
var kindsOfNumbers = []struct {
	name  string
	node  library.Node
	value func(bits uint64) library.Value
	want  func(bits uint64) float64
}{
	{"f32", library.Leaf(library.FloatType),
		func(b uint64) library.Value { return library.FloatValue(math.Float32frombits(uint32(b))) },
		func(b uint64) float64 { return float64(math.Float32frombits(uint32(b))) }},
	{"f64", library.Leaf(library.DoubleType),
		func(b uint64) library.Value { return library.DoubleValue(math.Float64frombits(b)) },
		func(b uint64) float64 { return math.Float64frombits(b) }},
	{"i16", library.Int(16),
		func(b uint64) library.Value { return library.Int32Value(int32(int16(b))) },
		func(b uint64) float64 { return float64(int16(b)) }},
	{"i32", library.Leaf(library.Int32Type),
		func(b uint64) library.Value { return library.Int32Value(int32(b)) },
		func(b uint64) float64 { return float64(int32(b)) }},
	{"i64", library.Int(64),
		func(b uint64) library.Value { return library.Int64Value(int64(b)) },
		func(b uint64) float64 { return float64(int64(b)) }},
	{"u32", library.Uint(32),
		func(b uint64) library.Value { return library.Int32Value(int32(b)) },
		func(b uint64) float64 { return float64(uint32(b)) }},
	{"u64", library.Uint(64),
		func(b uint64) library.Value { return library.Int64Value(int64(b)) },
		func(b uint64) float64 { return float64(b) }},
}

func writeNumbers(t interface{ Fatal(...any) }, rows []uint64, codec compress.Codec, enc encoding.Encoding, version, pageBytes, perGroup int) []byte {
	group := library.Group{"z": library.Optional(library.Int(32)), "date": library.Date(), "price": library.Decimal(2, 9, library.Int32Type), "text": library.String()}
	for _, k := range kindsOfNumbers {
		e := enc
		if enc == encoding.Encoding(&library.DeltaBinaryPacked) && strings.HasPrefix(k.name, "f") {
			e = &library.ByteStreamSplit // the other is for integers only
		}
		group[k.name] = library.Compressed(library.Encoded(k.node, e), codec)
	}
	var file bytes.Buffer
	w := library.NewWriter(&file, library.NewSchema("root", group), library.DataPageVersion(version), library.PageBufferSize(pageBytes), library.MaxRowsPerRowGroup(int64(perGroup)))
	for i, r := range rows {
		z := library.ValueOf(nil).Level(0, 0, 10)
		if i%3 > 0 {
			z = library.Int32Value(int32(i)).Level(0, 1, 10)
		}
		row := library.Row{library.Int32Value(1).Level(0, 0, 0)} // date
		for _, kind := range kindsOfNumbers {
			if kind.name == "u32" {
				row = append(row, library.Int32Value(1).Level(0, 0, 6), library.ByteArrayValue([]byte("x")).Level(0, 0, 7)) // price, text
			}
			row = append(row, kind.value(r).Level(0, 0, len(row)))
		}
		row = append(row, z)
		if _, err := w.WriteRows([]library.Row{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// readNumbers reads a column whole; the pages of a damaged file may claim more
// values than anybody wants, and are then cut at most.
func readNumbers(file []byte, column string, most int) (values []float64, nulls int64, err error) {
	c, err := OpenNumbers("a.parquet", bytes.NewReader(file), int64(len(file)), column)
	if err != nil {
		return nil, 0, err
	}
	for p, err := range c.Pages(context.Background(), 1<<20) {
		if err != nil {
			return nil, 0, err
		}
		nulls += p.Nulls
		for raw, err := range p.Values() {
			if err != nil {
				return nil, 0, err
			}
			values = append(values, c.Number(raw))
			if len(values) == most {
				return values, nulls, nil
			}
		}
	}
	return values, nulls, nil
}

// Numbers of every type come back as the library wrote them, in every encoding,
// compression and version of pages.
func TestNumbers(t *testing.T) {
	bits := rapid.OneOf(rapid.Uint64Range(0, 300), rapid.Uint64(), rapid.SampledFrom([]uint64{1 << 53, 1<<53 + 1, math.MaxUint64, 1 << 63, 1 << 31, math.Float64bits(math.NaN())}))
	encodings := []encoding.Encoding{&library.Plain, &library.RLEDictionary, &library.ByteStreamSplit, &library.DeltaBinaryPacked}
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(bits, 0, 300).Draw(t, "rows")
		file := writeNumbers(t, rows, rapid.SampledFrom(codecs).Draw(t, "codec"), rapid.SampledFrom(encodings).Draw(t, "encoding"),
			rapid.IntRange(1, 2).Draw(t, "version"), rapid.SampledFrom([]int{1, 100, 10000}).Draw(t, "page"), rapid.IntRange(1, 400).Draw(t, "group"))
		for _, k := range kindsOfNumbers {
			got, nulls, err := readNumbers(file, k.name, -1)
			if err != nil || nulls != 0 || len(got) != len(rows) {
				t.Fatalf("%s: %d of %d numbers, %d nulls, %v", k.name, len(got), len(rows), nulls, err)
			}
			for i, r := range rows {
				if want := k.want(r); math.Float64bits(got[i]) != math.Float64bits(want) && !(got[i] != got[i] && want != want) {
					t.Fatalf("%s: row %d: %v, want %v", k.name, i, got[i], want)
				}
			}
		}
		if _, nulls, err := readNumbers(file, "z", -1); err != nil || nulls != int64(len(rows)+2)/3 {
			t.Fatalf("%d nulls of %d rows, %v", nulls, len(rows), err)
		}
	})
}

func TestNoNumbers(t *testing.T) {
	file := writeNumbers(t, []uint64{1, 2}, &library.Uncompressed, &library.Plain, 2, 100, 100)
	for column, say := range map[string]string{
		"text":  `column "text" holds no numbers; columns that do are "f32", "f64", "i16", "i32", "i64", "u32", "u64", "z" (choose one with field=)`,
		"date":  `column "date" holds no numbers`,
		"price": `column "price" holds no numbers`,
		"q":     `no column "q"; columns with numbers are "f32", `,
	} {
		_, _, err := readNumbers(file, column, -1)
		if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", column, err)
		}
	}
}

// The newer way to say that integers have no sign, where the older is missing:
// field 10, a union of which integer is field 10: 8 bits wide, not signed.
func TestLogical(t *testing.T) {
	d := &decoder{b: []byte{0xac, 0xac, 0x13, 0x08, 0x12, 0x00, 0x00, 0x00}}
	if n := d.node(); d.err != nil || !n.unsigned {
		t.Errorf("%+v, %v", n, d.err)
	}
	d = &decoder{b: []byte{0xac, 0x6c, 0x00, 0x00, 0x00}} // a date
	if n := d.node(); d.err != nil || n.converted != decimal {
		t.Errorf("%+v, %v", n, d.err)
	}
}

func FuzzNumbers(f *testing.F) {
	var rows []uint64
	for i := range uint64(40) {
		rows = append(rows, i*i*i<<(i%9))
	}
	for _, enc := range []encoding.Encoding{&library.Plain, &library.RLEDictionary, &library.ByteStreamSplit, &library.DeltaBinaryPacked} {
		for version := range 2 {
			f.Add(writeNumbers(f, rows, &library.Uncompressed, enc, version+1, 100, 30))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, k := range kindsOfNumbers {
			_, _, err := readNumbers(file, k.name, 1<<16)
			if err != nil {
				checkError(t, err)
			}
		}
	})
}
