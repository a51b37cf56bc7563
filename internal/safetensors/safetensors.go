// Package safetensors reads and writes the safetensors format: named tensors in
// one file that any framework opens.
//
// A file is, in order:
//
//	8 bytes   length n of the header, little-endian
//	n bytes   the header: a JSON object of name -> {dtype, shape, data_offsets},
//	          and "__metadata__" -> object of strings; padded with spaces
//	the rest  the tensors' elements, little-endian, end to end, each at its
//	          data_offsets [begin, end) counted from the end of the header
//
// Numbers are float32 here. They are written as such ("F32"), and read from
// "F32", "F16", "BF16" and "F64" (rounded). Tensors of the format's other types
// are listed without their data.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/gradus-ml/gradus/internal/fault"
)

// maxHeader is the largest header the format's own implementation accepts.
const maxHeader = 100 << 20

// A Tensor is a named array of float32 in row-major order.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32 // nil if DType is none of "F64", "F32", "F16" and "BF16"
	DType string    // how the file stores it. Write writes "F32", whatever it says
}

// Elements returns how many numbers a tensor of this shape has.
func (t Tensor) Elements() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

type entry struct {
	DType   string    `json:"dtype"`
	Shape   []int64   `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`
}

// Write writes the tensors in the order given, with metadata beside them.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	header := map[string]any{}
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	at := uint64(0)
	for _, t := range tensors {
		e := entry{DType: "F32", Shape: []int64{}}
		n := 1
		for _, d := range t.Shape {
			e.Shape = append(e.Shape, int64(d))
			n *= d
		}
		if n != len(t.Data) {
			return fmt.Errorf("safetensors: %s has shape %v and %d elements", t.Name, t.Shape, len(t.Data))
		}
		if _, ok := header[t.Name]; ok {
			return fmt.Errorf("safetensors: two tensors are named %q", t.Name)
		}
		e.Offsets = [2]uint64{at, at + 4*uint64(n)}
		at = e.Offsets[1]
		header[t.Name] = e
	}
	text, err := json.Marshal(header) // keys come out sorted
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for len(text)%8 != 0 {
		text = append(text, ' ') // so that the data is aligned
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))); err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	buf := make([]byte, 0, 1<<16)
	for _, t := range tensors {
		for part := range slices.Chunk(t.Data, 1<<14) {
			buf = buf[:0]
			for _, v := range part {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// Read returns the tensors of a file by name, and its metadata. A damaged file is
// an error of kind fault.Corrupt that names the place.
func Read(path string) (map[string]Tensor, map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	tensors, metadata, err := read(f, info.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, metadata, nil
}

// ReadHeader returns the tensors of a file without their data, in the order in
// which they lie there. It reads the header alone, and refuses what Read refuses.
func ReadHeader(path string) ([]Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	placed, _, _, err := readHeader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	slices.SortFunc(placed, func(a, b placedTensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.Name, b.Name))
	})
	tensors := make([]Tensor, len(placed))
	for i, t := range placed {
		tensors[i] = t.Tensor
	}
	return tensors, nil
}

// Decode is Read on the bytes of a file.
func Decode(data []byte) (map[string]Tensor, map[string]string, error) {
	return read(bytes.NewReader(data), int64(len(data)))
}

func read(r io.ReaderAt, size int64) (map[string]Tensor, map[string]string, error) {
	placed, metadata, body, err := readHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	tensors := make(map[string]Tensor, len(placed))
	for _, t := range placed {
		if err := t.fill(r, body); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		tensors[t.Name] = t.Tensor
	}
	return tensors, metadata, nil
}

// readHeader reads the header of a file of size bytes, and where its body begins.
func readHeader(r io.ReaderAt, size int64) (placed []placedTensor, metadata map[string]string, body int64, err error) {
	first := make([]byte, min(size, 8))
	if _, err := r.ReadAt(first, 0); err != nil && err != io.EOF {
		return nil, nil, 0, err
	}
	n, err := headerLength(first, size)
	if err != nil {
		return nil, nil, 0, err
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(n)), text); err != nil {
		return nil, nil, 0, err
	}
	placed, metadata, err = parseHeader(text, uint64(size)-8-n)
	return placed, metadata, 8 + int64(n), err
}

// headerLength reads the length of the header of a file of size bytes.
func headerLength(data []byte, size int64) (uint64, error) {
	if size < 8 {
		return 0, fault.Corruptf("a safetensors file of %d bytes; the header's length alone takes 8", size)
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(size-8) {
		return 0, fault.Corruptf("a safetensors header of %d bytes in a file of %d", n, size)
	}
	return n, nil
}

// A placedTensor is a tensor without its data, which begins at a byte of the body.
type placedTensor struct {
	Tensor
	begin uint64
}

// fill reads the data of a tensor of a file whose body begins at a byte.
func (t *placedTensor) fill(r io.ReaderAt, body int64) error {
	d := dtypes[t.DType]
	if d.float == nil {
		return nil
	}
	t.Data = make([]float32, t.Elements())
	buf := make([]byte, min(1<<16, d.size*uint64(len(t.Data))))
	from := io.NewSectionReader(r, body+int64(t.begin), int64(d.size)*int64(len(t.Data)))
	for part := range slices.Chunk(t.Data, 1<<16/int(d.size)) {
		raw := buf[:d.size*uint64(len(part))]
		if _, err := io.ReadFull(from, raw); err != nil {
			return err
		}
		for i := range part {
			part[i] = d.float(raw[uint64(i)*d.size:])
		}
	}
	return nil
}

// parseHeader reads a header that is followed by body bytes of data.
func parseHeader(text []byte, body uint64) ([]placedTensor, map[string]string, error) {
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, nil, fault.Corruptf("safetensors header: %w", err)
	}
	var metadata map[string]string
	if raw, ok := header["__metadata__"]; ok {
		if err := json.Unmarshal(raw, &metadata); err != nil {
			return nil, nil, fault.Corruptf("safetensors header: __metadata__: %w", err)
		}
		delete(header, "__metadata__")
	}
	var tensors []placedTensor
	left := body // tensors do not overlap, so together they fit the data
	for name, raw := range header {
		t, err := parseTensor(name, raw, body, &left)
		if err != nil {
			return nil, nil, fault.Corruptf("safetensors header: tensor %q: %w", name, err)
		}
		tensors = append(tensors, t)
	}
	return tensors, metadata, nil
}

func parseTensor(name string, raw json.RawMessage, body uint64, left *uint64) (placedTensor, error) {
	var e entry
	var t placedTensor
	if err := json.Unmarshal(raw, &e); err != nil {
		return t, err
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin > end || end > body {
		return t, fmt.Errorf("data_offsets [%d, %d] in %d bytes of data", begin, end, body)
	}
	d, ok := dtypes[e.DType]
	if !ok {
		return t, fmt.Errorf("dtype %q; the format has none of this name", e.DType)
	}
	elements := uint64(1)
	for _, d := range e.Shape {
		if d < 0 || d > 0 && elements > body/uint64(d) {
			return t, fmt.Errorf("shape %v in %d bytes of data", e.Shape, body)
		}
		elements *= uint64(d)
		t.Shape = append(t.Shape, int(d))
	}
	if d.size*elements != end-begin {
		return t, fmt.Errorf("shape %v takes %d bytes and data_offsets hold %d", e.Shape, d.size*elements, end-begin)
	}
	if d.size*elements > *left {
		return t, fmt.Errorf("the tensors together take more than the %d bytes of data", body)
	}
	*left -= d.size * elements
	t.Name, t.DType, t.begin = name, e.DType, begin
	return t, nil
}
