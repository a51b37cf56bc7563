package index

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/fault"
)

// AddStatistic lists a statistic that KeepStatistic has put into Dir.
func (w *Writer) AddStatistic(s Statistic) { w.manifest.Statistics = append(w.manifest.Statistics, s) }

// KeepStatistic writes what was gathered of the first tokens of a corpus into a
// directory: that of a Writer, so that its index can be extended and its values
// made again, or another one.
func KeepStatistic(dir, name string, tokens int64, data []byte) (Statistic, error) {
	if err := checkName(name); err != nil {
		return Statistic{}, err
	}
	s := Statistic{Name: name, Tokens: tokens, File: File{Name: statisticName(name), Bytes: int64(len(data)), SHA256: hexDigest(sum256(data))}}
	path := filepath.Join(dir, filepath.FromSlash(s.File.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return s, err
	}
	return s, writeFile(path, data)
}

// LoadStatistic reads what KeepStatistic wrote. A damaged file is an error of
// kind fault.Corrupt.
func LoadStatistic(dir string, s Statistic) ([]byte, error) {
	path := filepath.Join(dir, filepath.FromSlash(s.File.Name))
	data, err := readFile(path, s.Bytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Corruptf("%s is missing; analyze the corpus again", path)
	case err != nil:
		return nil, err
	case int64(len(data)) != s.Bytes || hexDigest(sum256(data)) != s.SHA256:
		return nil, fault.Corruptf("%s: %d bytes of SHA-256 %x; they should be %d of %s; analyze the corpus again", path, len(data), sum256(data), s.Bytes, s.SHA256)
	}
	return data, nil
}
