package arrange

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/intarray"
	"github.com/gradus-ml/gradus/internal/npy"
	"pgregory.net/rapid"
)

// fills is best-fit decreasing as it is defined: what each row holds, ascending.
func fills(length int, rests []int) []int {
	slices.Sort(rests)
	var held []int
	for _, n := range slices.Backward(rests) {
		best := -1
		for i, h := range held {
			if h+n <= length && (best < 0 || h > held[best]) {
				best = i
			}
		}
		if best < 0 {
			best = len(held)
			held = append(held, 0)
		}
		held[best] += n
	}
	slices.Sort(held)
	return held
}

// Rows are as full as best-fit decreasing makes them, for each call by itself,
// and the same samples always give the same rows.
func TestPackIsBestFitDecreasing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "documents")
		most := rapid.IntRange(2, 200).Draw(t, "most")
		lengths := rapid.SliceOfN(rapid.IntRange(0, most), n, n).Draw(t, "lengths")
		s := open(t, dir, whole, lengths...)
		defer s.Corpus().Close()
		length := rapid.IntRange(1, 100).Draw(t, "length")
		a, err1 := Pack(s, length, "")
		b, err2 := Pack(s, length, "")
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		defer b.Close()
		ids := slices.Collect(all(s))
		var firsts, seconds []unit
		for _, part := range parts(ids, rapid.IntRange(0, n).Draw(t, "cut")) {
			units, _ := arranged(t, a, slices.Values(part))
			again, _ := arranged(t, b, slices.Values(part))
			firsts, seconds = append(firsts, units...), append(seconds, again...)
			var got, rests []int
			for _, u := range units {
				got = append(got, u.inputs)
			}
			wholes := 0
			for _, id := range part {
				inputs := max(lengths[id]-1, 0)
				wholes += inputs / length
				if inputs%length > 0 {
					rests = append(rests, inputs%length)
				}
			}
			slices.Sort(got)
			want := append(fills(length, rests), slices.Repeat([]int{length}, wholes)...)
			if !slices.Equal(got, want) {
				t.Fatalf("rows hold %v, want %v", got, want)
			}
		}
		if err := errors.Join(a.Finish(), b.Finish()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(firsts, seconds) || fmt.Sprint(rows(a, firsts)) != fmt.Sprint(rows(b, seconds)) {
			t.Fatal("two packings of the same samples differ")
		}
		for i, u := range firsts {
			if u.id != int64(i) {
				t.Fatalf("unit %d is emitted in place %d", u.id, i)
			}
		}
	})
}

// packed packs a corpus in two calls in a directory, and returns all units.
func packed(t *testing.T, s *corpus.Samples, dir string) []unit {
	t.Helper()
	a, err := Pack(s, 8, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var units []unit
	for _, part := range parts(slices.Collect(all(s)), int(s.Len()/2)) {
		more, _ := arranged(t, a, slices.Values(part))
		units = append(units, more...)
	}
	if err := a.Finish(); err != nil {
		t.Fatal(err)
	}
	return units
}

// What was finished in a directory is there for others, in place of what was
// there before; what was not finished leaves no trace.
func TestOpenPack(t *testing.T) {
	s := open(t, t.TempDir(), whole, 11, 0, 1, 5, 2, 17, 6, 4, 4, 9, 30)
	defer s.Corpus().Close()
	dir := filepath.Join(t.TempDir(), "deep", "pack")
	if _, err := OpenPack(s, 8, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no packing: %v", err)
	}
	for range 2 {
		units := packed(t, s, dir)
		fresh, err := Pack(s, 8, "")
		if err != nil {
			t.Fatal(err)
		}
		defer fresh.Close()
		for _, part := range parts(slices.Collect(all(s)), int(s.Len()/2)) {
			arranged(t, fresh, slices.Values(part))
		}
		a, err := OpenPack(s, 8, dir)
		if err := errors.Join(err, fresh.Finish()); err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if got, want := fmt.Sprint(rows(a, units)), fmt.Sprint(rows(fresh, units)); got != want {
			t.Errorf("opened rows are %s, want %s", got, want)
		}
		if _, err := a.Arrange(all(s), func(int, int64, int) {}); err == nil {
			t.Error("an opened packing arranges more")
		}
		if err := a.Finish(); err != nil {
			t.Error(err)
		}
	}
	aborted, err := Pack(s, 8, dir)
	if err != nil {
		t.Fatal(err)
	}
	arranged(t, aborted, all(s))
	if err := aborted.Close(); err != nil {
		t.Error(err)
	}
	if names := list(t, dir); names != "pack.json pieces.npy rows.npy" {
		t.Errorf("the directory holds %s", names)
	}
	if a, err := OpenPack(s, 8, dir); err != nil {
		t.Error("a packing that was not finished took away the one before:", err)
	} else {
		a.Close()
	}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// An empty packing is one.
func TestPackOfNothing(t *testing.T) {
	s := open(t, t.TempDir(), whole, 1, 0, 1)
	defer s.Corpus().Close()
	dir := t.TempDir()
	if units := packed(t, s, dir); units != nil {
		t.Errorf("units %v", units)
	}
	a, err := OpenPack(s, 8, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if units := a.Units(nil, 0); units != nil {
		t.Errorf("units %v", units)
	}
}

func TestOpenPackRefuses(t *testing.T) {
	s := open(t, t.TempDir(), whole, 11, 0, 1, 5, 2, 17, 6)
	defer s.Corpus().Close()
	other := open(t, t.TempDir(), whole, 11, 0, 1, 5, 2, 16, 7)
	defer other.Corpus().Close()
	dir := t.TempDir()
	packed(t, s, dir)
	if _, err := OpenPack(other, 8, dir); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "fingerprint") {
		t.Errorf("another corpus: %v", err)
	}
	if _, err := OpenPack(s, 9, dir); !errors.Is(err, fault.Mismatch) || !strings.Contains(err.Error(), "not 9") {
		t.Errorf("another length: %v", err)
	}

	files := map[string][]byte{}
	for _, name := range []string{manifestName, piecesName, firstsName} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
	}
	if len(files[piecesName]) != 128+7*4 || len(files[firstsName]) != 128+7*4 {
		t.Fatalf("arrays of %d and %d bytes", len(files[piecesName]), len(files[firstsName]))
	}
	// Rows are {0 8}, {8 2}, {19 8}, {27 8}, {36 5} {17 1}, {12 4}.
	number := func(name string, i int, v ...uint32) []byte {
		content := slices.Clone(files[name])
		for k, v := range v {
			binary.LittleEndian.PutUint32(content[128+4*(i+k):], v)
		}
		return content
	}
	text := func(old, new string) []byte {
		content := strings.Replace(string(files[manifestName]), old, new, 1)
		if content == string(files[manifestName]) {
			t.Fatalf("there is no %s to replace", old)
		}
		return []byte(content)
	}
	for _, c := range []struct {
		name    string
		content []byte
		kind    error
		say     string
	}{
		{manifestName, []byte("{"), fault.Corrupt, "JSON"},
		{manifestName, text(`"version": 1`, `"version": 2`), fault.Mismatch, "version 2"},
		{manifestName, text(`"units"`, `"rows"`), fault.Corrupt, "rows"},
		{manifestName, text(`"units": 6`, `"units": 7`), fault.Corrupt, "promised"},
		{manifestName, text(`"units": 6`, `"units": -1`), fault.Corrupt, "promised"},
		{manifestName, text(`"pieces": 7`, `"pieces": 8`), fault.Corrupt, "promised"},
		{manifestName, []byte(strings.Repeat(" ", manifestLimit+1)), fault.Corrupt, "larger than"},
		{firstsName, npy.Header(npy.Uint32, 0), fault.Corrupt, "promised"},
		{firstsName, number(firstsName, 0, 1), fault.Corrupt, "row 0 begins"},
		{firstsName, number(firstsName, 1, 0), fault.Corrupt, "row 0 has the pieces"},
		{firstsName, number(firstsName, 2, 1), fault.Corrupt, "row 1 has the pieces"},
		{firstsName, number(firstsName, 6, 8), fault.Corrupt, "of 7"},
		{firstsName, number(firstsName, 5, 5, 6), fault.Corrupt, "the rows have 6 pieces, of 7"},
		{firstsName, number(firstsName, 5, 5), fault.Corrupt, "checksum"},
		{firstsName, files[firstsName][:140], fault.Corrupt, "promised"},
		{piecesName, number(piecesName, 0, 1<<31), fault.Corrupt, "piece 0"},
		{piecesName, number(piecesName, 0, 34<<3|7), fault.Corrupt, "piece 0 is 8 inputs from token 34"},
		{piecesName, number(piecesName, 5, 7), fault.Corrupt, "more than 8"},
		{piecesName, number(piecesName, 5, 18<<3), fault.Corrupt, "checksum"},
		{piecesName, slices.Concat(npy.Header(npy.Int32, 1), []byte("1234")), fault.Invalid, "<u4"},
	} {
		if err := os.WriteFile(filepath.Join(dir, c.name), c.content, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenPack(s, 8, dir); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s, %q: %v", c.name, c.say, err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.name), files[c.name], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := OpenPack(s, 8, dir); err != nil {
		t.Error(err)
	} else {
		a.Close()
	}
}

// Samples that differ when they are gone through again are noticed, and the
// packing is not to be used.
func TestPackOfShiftingSamples(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := open(t, t.TempDir(), whole, 5, 5, 6, 7, 20, 17)
	defer s.Corpus().Close()
	for _, passes := range [][2][]int64{{{0, 1}, {0}}, {{0}, {0, 1}}, {{0}, {2}}, {{0, 2}, {2, 2}}, {{3}, {}}, {{4}, {0}}} {
		a, err := Pack(s, 8, "")
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		calls := 0
		var samples iter.Seq[int64] = func(yield func(int64) bool) {
			calls++
			for _, id := range passes[min(calls, 2)-1] {
				if !yield(id) {
					return
				}
			}
		}
		if _, err := a.Arrange(samples, func(int, int64, int) {}); err == nil || !strings.Contains(err.Error(), "not the same") {
			t.Errorf("%v: %v", passes, err)
		}
		if a.Finish() == nil {
			t.Errorf("%v: a failed packing is finished", passes)
		}
	}
}

// Whatever the files hold, opening them is an error of some kind or gives rows
// that are within the corpus. A manifest of no bytes stands for the one that
// fits the arrays, so that the checksum does not hide what is behind it.
func FuzzOpenPack(f *testing.F) {
	s := open(f, f.TempDir(), whole, 11, 0, 1, 5, 2, 17, 6)
	f.Cleanup(func() { s.Corpus().Close() })
	dir := f.TempDir()
	a, err := Pack(s, 8, dir)
	if err != nil {
		f.Fatal(err)
	}
	arranged(f, a, all(s))
	if err := errors.Join(a.Finish(), a.Close()); err != nil {
		f.Fatal(err)
	}
	var seed [3][]byte
	names := [3]string{manifestName, piecesName, firstsName}
	for i, name := range names {
		if seed[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(seed[0], seed[1], seed[2])
	f.Add([]byte(nil), seed[1], seed[2])
	f.Add([]byte(nil), seed[1], npy.Header(npy.Uint64, 0))
	f.Fuzz(func(t *testing.T, head, pieces, firsts []byte) {
		for i, content := range [][]byte{head, pieces, firsts} {
			if err := os.WriteFile(filepath.Join(dir, names[i]), content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if len(head) == 0 {
			fit(t, s, dir)
		}
		a, err := OpenPack(s, 8, dir)
		if err != nil {
			if !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Invalid) && !errors.Is(err, fault.Mismatch) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		defer a.Close()
		for unit := range a.(*packing).firsts.Len() - 1 {
			held := 0
			for _, p := range a.Pieces(nil, unit) {
				held += p.Len
				if p.Start < 0 || p.Start+int64(p.Len) >= s.Corpus().Tokens() {
					t.Fatalf("unit %d holds %v", unit, p)
				}
			}
			if held < 1 || held > 8 {
				t.Fatalf("unit %d holds %d inputs", unit, held)
			}
			a.Samples(nil, unit)
		}
	})
}

// fit writes the manifest of the arrays in a directory, if they are sound.
func fit(t *testing.T, s *corpus.Samples, dir string) {
	t.Helper()
	p, err := newPacking(s, 8, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := manifest{Version: manifestVersion, Length: 8}
	if m.Fingerprint, err = s.Corpus().Fingerprint(); err != nil {
		t.Fatal(err)
	}
	if p.pieces, err = intarray.Open(filepath.Join(dir, piecesName)); err != nil {
		return
	}
	if p.firsts, err = intarray.Open(filepath.Join(dir, firstsName)); err != nil || p.firsts.Len() == 0 {
		return
	}
	if m.Checksum, err = p.check(); err != nil {
		return
	}
	m.Units, m.Pieces = p.firsts.Len()-1, p.pieces.Len()
	content, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), content, 0o666); err != nil {
		t.Fatal(err)
	}
}
