package arrange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/intarray"
)

// The files of a packing. The manifest is what makes it exist: it is written
// last and taken away first.
const (
	piecesName   = "pieces.npy" // a number for each piece: start << bits | length-1
	firstsName   = "rows.npy"   // the first piece of each row, and the number of all pieces
	manifestName = "pack.json"

	manifestVersion = 1
	// manifestLimit is far above the 300 bytes a manifest has.
	manifestLimit = 64 << 10
)

// manifest is pack.json.
type manifest struct {
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint"` // of the corpus
	Length      int    `json:"length"`      // of a row, in inputs
	Units       int64  `json:"units"`
	Pieces      int64  `json:"pieces"`
	Checksum    string `json:"checksum"` // of the numbers of both arrays, row by row
}

// sum is a checksum of numbers in their order. It finds damage, not intent.
type sum uint64

func (s *sum) add(v int64) {
	*s = sum(bits.RotateLeft64(uint64(*s)^uint64(v), 29) * 0x9e3779b97f4a7c15)
}

func (s sum) String() string { return fmt.Sprintf("%016x", uint64(s)) }

// paths returns where the arrays are, and makes the directory.
func (p *packing) paths() (pieces, firsts string, err error) {
	if p.dir == "" {
		return "", "", nil
	}
	return filepath.Join(p.dir, piecesName), filepath.Join(p.dir, firstsName), os.MkdirAll(p.dir, 0o777)
}

// Finish opens what was packed. In a directory it is there for OpenPack after
// it, in place of an old packing.
func (p *packing) Finish() error {
	if p.failed == nil && p.making != nil {
		p.failed = p.finish()
	}
	return p.failed
}

func (p *packing) finish() (err error) {
	m := p.making
	made := manifest{Version: manifestVersion, Length: p.form.length, Units: m.firsts.Len() - 1, Pieces: m.pieces.Len(), Checksum: m.sum.String()}
	place := filepath.Join(p.dir, manifestName)
	if p.dir != "" {
		if made.Fingerprint, err = p.corpus.Fingerprint(); err != nil {
			return err
		}
		if err := os.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := atomicfile.SyncDir(p.dir); err != nil {
			return err
		}
	}
	if p.pieces, err = m.pieces.Finish(); err != nil {
		return err
	}
	if p.firsts, err = m.firsts.Finish(); err != nil {
		return err
	}
	p.making = nil
	if p.dir == "" {
		return nil
	}
	content, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(place, func(w io.Writer) error {
		_, err := w.Write(append(content, '\n'))
		return err
	})
}

// OpenPack opens what Pack with the same samples, length and directory finished;
// nothing more can be arranged in it. It reads and checks all of it. A packing of
// another corpus, length or version is an error of kind fault.Mismatch, a damaged
// one fault.Corrupt, and where there is none fs.ErrNotExist.
func OpenPack(s *corpus.Samples, length int, dir string) (Arrangement, error) {
	p, err := newPacking(s, length, dir)
	if err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *packing) open() error {
	place := filepath.Join(p.dir, manifestName)
	m, err := readManifest(place)
	if err != nil {
		return err
	}
	fingerprint, err := p.corpus.Fingerprint()
	switch {
	case err != nil:
		return err
	case m.Fingerprint != fingerprint:
		return fault.Mismatchf("%s: the packing is of a corpus with the fingerprint %s, and that of %s is %s; pack it again", place, m.Fingerprint, p.corpus.Path(), fingerprint)
	case m.Length != p.form.length:
		return fault.Mismatchf("%s: the packing has rows of %d inputs, not %d; pack again", place, m.Length, p.form.length)
	}
	if p.pieces, err = intarray.Open(filepath.Join(p.dir, piecesName)); err != nil {
		return err
	}
	if p.firsts, err = intarray.Open(filepath.Join(p.dir, firstsName)); err != nil {
		return err
	}
	if m.Units < 0 || m.Pieces != p.pieces.Len() || m.Units != p.firsts.Len()-1 {
		return fault.Corruptf("%s: %d rows of %d pieces are promised, and %d of %d are there; pack again", place, m.Units, m.Pieces, p.firsts.Len()-1, p.pieces.Len())
	}
	found, err := p.check()
	if err != nil {
		return fault.Corruptf("%s: %w; pack again", p.dir, err)
	}
	if found != m.Checksum {
		return fault.Corruptf("%s: the arrays have the checksum %s, and %s says %s; pack again", p.dir, found, manifestName, m.Checksum)
	}
	p.pieces.Release()
	p.firsts.Release()
	return nil
}

// readManifest reads pack.json.
func readManifest(path string) (m manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, manifestLimit+1))
	if err != nil {
		return m, err
	}
	if len(content) > manifestLimit {
		return m, fault.Corruptf("%s: larger than %d bytes; it is not the manifest of a packing", path, manifestLimit)
	}
	version := struct{ Version int }{}
	if err := json.Unmarshal(content, &version); err != nil {
		return m, fault.Corruptf("%s: %w", path, err)
	}
	if version.Version != manifestVersion {
		return m, fault.Mismatchf("%s: version %d; this gradus knows version %d, pack again", path, version.Version, manifestVersion)
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fault.Corruptf("%s: %w", path, err)
	}
	return m, nil
}

// check proves that every row holds something, no more than its length, and of
// the corpus only; it returns the checksum.
func (p *packing) check() (string, error) {
	var s sum
	if first := p.firsts.At(0); first != 0 {
		return "", fmt.Errorf("row 0 begins at piece %d", first)
	}
	i, n, tokens := int64(0), p.pieces.Len(), p.corpus.Tokens()
	for unit := range p.firsts.Len() - 1 {
		end := p.firsts.At(unit + 1)
		if end <= i || end > n {
			return "", fmt.Errorf("row %d has the pieces from %d to %d, of %d", unit, i, end, n)
		}
		held := 0
		for ; i < end; i++ {
			code := p.pieces.At(i)
			s.add(code)
			piece := p.form.decode(code)
			if piece.Start < 0 || piece.Start >= tokens-int64(piece.Len) {
				return "", fmt.Errorf("piece %d is %d inputs from token %d on, of %d tokens", i, piece.Len, piece.Start, tokens)
			}
			held += piece.Len
			if held > p.form.length {
				return "", fmt.Errorf("row %d holds more than %d inputs", unit, p.form.length)
			}
		}
		s.add(end)
	}
	if i != n {
		return "", fmt.Errorf("the rows have %d pieces, of %d", i, n)
	}
	return s.String(), nil
}
