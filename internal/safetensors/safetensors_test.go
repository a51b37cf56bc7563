package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
)

// One file, spelled out: the header's length, the header padded to a multiple of
// 8, and the elements.
func TestBytes(t *testing.T) {
	var buf bytes.Buffer
	err := Write(&buf, []Tensor{{Name: "b", Shape: []int{2}, Data: []float32{1, -2}}, {Name: "a", Data: []float32{0.5}}}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	header := `{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	header += strings.Repeat(" ", (8-len(header)%8)%8)
	want := string([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}) + header +
		"\x00\x00\x80\x3f" + "\x00\x00\x00\xc0" + "\x00\x00\x00\x3f"
	if buf.String() != want {
		t.Errorf("wrote\n%q, want\n%q", buf.String(), want)
	}
	tensors, metadata, err := Decode(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	wantTensors := map[string]Tensor{"a": {"a", nil, []float32{0.5}, "F32"}, "b": {"b", []int{2}, []float32{1, -2}, "F32"}}
	if d := cmp.Diff(wantTensors, tensors); d != "" || metadata["k"] != "v" {
		t.Errorf("metadata %v, tensors differ: %s", metadata, d)
	}
}

func TestRefusesNonsense(t *testing.T) {
	if err := Write(&bytes.Buffer{}, []Tensor{{Name: "a", Shape: []int{3}, Data: []float32{1}}}, nil); err == nil {
		t.Error("a tensor of the wrong size was written")
	}
	if err := Write(&bytes.Buffer{}, []Tensor{{Name: "a", Data: []float32{1}}, {Name: "a", Data: []float32{1}}}, nil); err == nil {
		t.Error("two tensors of one name were written")
	}
	frame := func(header string, body int) []byte {
		return append(append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...), make([]byte, body)...)
	}
	for name, data := range map[string][]byte{
		"empty":         {},
		"header beyond": {255, 0, 0, 0, 0, 0, 0, 0, '{', '}'},
		"huge header":   {0, 0, 0, 0, 0, 0, 0, 255, '{', '}'},
		"no JSON":       frame("{", 0),
		"offsets":       frame(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 3),
		"backwards":     frame(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[4,0]}}`, 4),
		"huge shape":    frame(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"negative":      frame(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4),
		"other dtype":   frame(`{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,4]}}`, 4),
		"overlap":       frame(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"size":          frame(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
	} {
		if _, _, err := Decode(data); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: error %v, want a corrupt file", name, err)
		}
		if _, err := ReadHeader(fileOf(t, data)); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: the header alone: error %v, want a corrupt file", name, err)
		}
	}
}

func fileOf(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(name, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// The header alone gives the tensors in the order of the file.
func TestReadHeader(t *testing.T) {
	var buf bytes.Buffer
	err := Write(&buf, []Tensor{{Name: "b", Shape: []int{2, 3}, Data: make([]float32, 6)}, {Name: "a", Data: []float32{0.5}}, {Name: "c", Shape: []int{0}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadHeader(fileOf(t, buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{{Name: "b", Shape: []int{2, 3}, DType: "F32"}, {Name: "a", DType: "F32"}, {Name: "c", Shape: []int{0}, DType: "F32"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := got[0].Elements() + got[1].Elements() + got[2].Elements(); n != 7 {
		t.Errorf("%d elements, want 7", n)
	}
	if _, err := ReadHeader(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

// Every type of the format is read or passed over; floats become float32.
func TestDTypes(t *testing.T) {
	header := `{"half":{"dtype":"F16","shape":[2,4],"data_offsets":[0,16]},"brain":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},` +
		`"double":{"dtype":"F64","shape":[],"data_offsets":[22,30]},"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[30,32]},` +
		`"ids":{"dtype":"I64","shape":[1],"data_offsets":[32,40]}}`
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	data = append(data, header...)
	for _, h := range []uint16{
		0x3c00, 0xc000, 0x7bff, 0x8000, // 1, -2, 65504, -0
		0x0001, 0x03ff, 0x0400, 0xfc00, // 2^-24, (1023/1024) 2^-14, 2^-14, -Inf
		0x3f80, 0xc049, 0x7f80, // 1, -3.140625, Inf
	} {
		data = binary.LittleEndian.AppendUint16(data, h)
	}
	data = binary.LittleEndian.AppendUint64(data, math.Float64bits(0.1))
	data = append(data, make([]byte, 10)...)
	got, _, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	inf := float32(math.Inf(1))
	want := map[string]Tensor{
		"half":   {"half", []int{2, 4}, []float32{1, -2, 65504, float32(math.Copysign(0, -1)), 0x1p-24, 1023 * 0x1p-24, 0x1p-14, -inf}, "F16"},
		"brain":  {"brain", []int{3}, []float32{1, -3.140625, inf}, "BF16"},
		"double": {"double", nil, []float32{0.1}, "F64"},
		"mask":   {"mask", []int{2}, nil, "BOOL"},
		"ids":    {"ids", []int{1}, nil, "I64"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !math.Signbit(float64(got["half"].Data[3])) {
		t.Error("the sign of -0 is lost")
	}
	if nan := half(0x7e00); nan == nan {
		t.Errorf("0x7e00 is read as %v, and it is no number", nan)
	}
}

// More elements than one read takes.
func TestLargeTensor(t *testing.T) {
	want := make([]float32, 1<<16+3)
	for i := range want {
		want[i] = float32(i)
	}
	var buf bytes.Buffer
	if err := Write(&buf, []Tensor{{Name: "first", Data: []float32{7}}, {Name: "w", Shape: []int{len(want)}, Data: want}}, nil); err != nil {
		t.Fatal(err)
	}
	got, _, err := Read(fileOf(t, buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got["w"].Data, want) || got["first"].Data[0] != 7 {
		t.Error("the elements come back otherwise")
	}
}

func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	if err := Write(&buf, []Tensor{{Name: "w", Shape: []int{2, 2}, Data: []float32{1, 2, float32(math.Inf(1)), 4}}}, map[string]string{"step": "7"}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(buf.Bytes()[:20])
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, _, err := Decode(data)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) {
				t.Fatalf("error %v is of no kind", err)
			}
			return
		}
		elements := 0
		for _, x := range tensors {
			elements += len(x.Data)
		}
		if 2*elements > len(data) {
			t.Fatalf("%d elements out of %d bytes", elements, len(data))
		}
	})
}
