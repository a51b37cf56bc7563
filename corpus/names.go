package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A place is where a part of a corpus lies.
type place struct {
	name string // of a pair its prefix, else of the file
	kind kind
}

// kind is a kind of part.
type kind uint8

const (
	pair  kind = iota // PREFIX.bin and PREFIX.idx
	flat              // a file of tokens and nothing else
	array             // a .npy
)

var endings = [...]string{".bin", ".idx", ".json"}

// Files names the three files of a corpus: .bin, .idx and .json. As everywhere,
// the name of one of them is taken for the prefix.
func Files(prefix string) []string {
	prefix = trimPrefix(prefix)
	names := make([]string, len(endings))
	for i, ending := range endings {
		names[i] = prefix + ending
	}
	return names
}

// trimPrefix takes the ending off a file's name, unless a corpus has that name
// with a second ending.
func trimPrefix(name string) string {
	for _, ending := range endings {
		if base, ok := strings.CutSuffix(name, ending); ok && !isFile(name+".idx") {
			return base
		}
	}
	return name
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// Exists reports whether a name is one that Open would find something at, whole
// or not: one of a corpus' two files of tokens, a flat .bin or a .npy, or, for a
// pattern, files of these kinds.
func Exists(name string) bool {
	places, err := expand(name, Auto)
	return err == nil && len(places) > 0
}

// resolve finds the parts that names stand for, in the order they have in the
// corpus: that of their absolute paths, compared element by element, which
// depends neither on the order of the names nor on how they are spelled.
func resolve(form Form, names []string) ([]place, error) {
	if len(names) == 0 {
		return nil, fault.Invalidf("no corpus is named")
	}
	var found []place
	for _, name := range names {
		places, err := expand(name, form)
		if err != nil {
			return nil, err
		}
		found = append(found, places...)
	}
	paths := make(map[place][]string, len(found))
	for _, p := range found {
		path, err := filepath.Abs(p.name)
		if err != nil {
			return nil, err
		}
		paths[p] = strings.Split(filepath.ToSlash(path), "/")
	}
	byPath := func(a, b place) int { return slices.Compare(paths[a], paths[b]) }
	slices.SortFunc(found, byPath)
	for i := 1; i < len(found); i++ {
		if a, b := found[i-1], found[i]; byPath(a, b) == 0 {
			return nil, fault.Invalidf("%s and %s are the same part, and a corpus has each once; give one name of it. Quote a pattern, so that the shell leaves it alone", a.name, b.name)
		}
	}
	return found, nil
}

// expand finds the parts one name stands for: the one of that name or, if there
// is none, all that match it as a pattern.
func expand(name string, form Form) ([]place, error) {
	if p, ok := locate(name, form); ok {
		return []place{p}, nil
	}
	if !strings.ContainsAny(name, "*?[") {
		return nil, absent(name)
	}
	var found []place
	for _, pattern := range []string{name, name + ".idx"} { // of files, of prefixes
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fault.Invalidf("%s: %w; it is a pattern in the way of the shell, with * ? and [a-z]", name, err)
		}
		for _, match := range matches {
			hidden := strings.HasPrefix(filepath.Base(match), ".") && !strings.HasPrefix(filepath.Base(pattern), ".")
			if p, ok := locate(match, Auto); ok && !hidden && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no corpus matches %s: %w; it should match files that end in .bin, .idx or .npy", name, fs.ErrNotExist)
	}
	return found, nil
}

// locate finds the part of a name that is no pattern. A file of any other
// ending is a flat one if the form says how to read that.
func locate(name string, form Form) (place, bool) {
	if base := trimPrefix(name); isFile(base + ".idx") {
		return place{base, pair}, true
	}
	switch {
	case isFile(name) && filepath.Ext(name) == ".npy":
		return place{name, array}, true
	case isFile(name) && (filepath.Ext(name) == ".bin" || form.flat() != 0):
		return place{name, flat}, true
	case isFile(name + ".bin"):
		return place{name + ".bin", flat}, true
	}
	return place{}, false
}

// absent says what to do about a name that stands for nothing.
func absent(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fault.Invalidf("%s is a directory; name the files in it, such as '%s'", name, filepath.Join(name, "*.bin"))
	}
	prefix := trimPrefix(name)
	switch info, err := os.Stat(prefix + ".idx"); {
	case err == nil:
		return fault.Invalidf("%s.idx is not a regular file (%s)", prefix, info.Mode().Type())
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no corpus at %s: %w; a corpus is a pair %s.bin and %[3]s.idx, which 'gradus prepare' makes, a .npy of tokens, or a flat .bin", prefix, err, prefix)
	default:
		return fmt.Errorf("open corpus %s: %w", prefix, err)
	}
}
