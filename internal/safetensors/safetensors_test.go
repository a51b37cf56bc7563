package safetensors

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
)

// One file, spelled out: the header's length, the header padded to a multiple of
// 8, and the elements.
func TestBytes(t *testing.T) {
	var buf bytes.Buffer
	err := Write(&buf, []Tensor{{"b", []int{2}, []float32{1, -2}}, {"a", nil, []float32{0.5}}}, map[string]string{"k": "v"})
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
	wantTensors := map[string]Tensor{"a": {"a", nil, []float32{0.5}}, "b": {"b", []int{2}, []float32{1, -2}}}
	if d := cmp.Diff(wantTensors, tensors); d != "" || metadata["k"] != "v" {
		t.Errorf("metadata %v, tensors differ: %s", metadata, d)
	}
}

func TestRefusesNonsense(t *testing.T) {
	if err := Write(&bytes.Buffer{}, []Tensor{{"a", []int{3}, []float32{1}}}, nil); err == nil {
		t.Error("a tensor of the wrong size was written")
	}
	if err := Write(&bytes.Buffer{}, []Tensor{{"a", nil, []float32{1}}, {"a", nil, []float32{1}}}, nil); err == nil {
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
		"other dtype":   frame(`{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`, 4),
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
	err := Write(&buf, []Tensor{{"b", []int{2, 3}, make([]float32, 6)}, {"a", nil, []float32{0.5}}, {"c", []int{0}, nil}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadHeader(fileOf(t, buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{{Name: "b", Shape: []int{2, 3}}, {Name: "a"}, {Name: "c", Shape: []int{0}}}
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

func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	if err := Write(&buf, []Tensor{{"w", []int{2, 2}, []float32{1, 2, float32(math.Inf(1)), 4}}}, map[string]string{"step": "7"}); err != nil {
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
		if 4*elements > len(data) {
			t.Fatalf("%d elements out of %d bytes", elements, len(data))
		}
	})
}
