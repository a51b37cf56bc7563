package lookup

import (
	"crypto/sha256"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/mmap"
	"github.com/gradus-ml/gradus/internal/npy"
)

// openArray maps a .npy, for as long as the process lasts, and looks at each of
// its elements.
func openArray(path string, o Options) (survey, column, error) {
	if o.Field != "" || o.Key != "" {
		return survey{}, nil, fault.Invalidf("%s: an array has neither field= nor key=; its elements are in order", path)
	}
	m, err := mmap.Open(path)
	if err != nil {
		return survey{}, nil, err
	}
	s, a, err := surveyArray(m)
	if err != nil {
		m.Close()
		return survey{}, nil, err
	}
	m.Release() // what a scorer needs comes back
	return s, a, nil
}

func surveyArray(m *mmap.File) (survey, npy.Array, error) {
	h := sha256.New()
	err := m.Scan(0, int64(m.Len()), func(piece []byte) error {
		h.Write(piece)
		return nil
	})
	if err != nil {
		return survey{}, npy.Array{}, err
	}
	a, err := npy.Parse(m.Name(), m.Bytes())
	if err != nil {
		return survey{}, npy.Array{}, err
	}
	s := survey{rows: a.Len(), content: contentOf(h)}
	s.whole = a.DType() != npy.Float32 && a.DType() != npy.Float64
	for i := range a.Len() {
		v := a.Float64(i)
		if v-v != 0 {
			return survey{}, npy.Array{}, fault.Invalidf("%s: element %d is %v; a finite number is needed", m.Name(), i, v)
		}
		s.whole = s.whole && isWhole(v)
	}
	return s, a, nil
}
