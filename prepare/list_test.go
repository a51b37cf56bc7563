package prepare

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestList(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, dir, map[string]string{
		"b.go": "b", "a/z.go": "az", "a/b/c.txt": "abc", "a.go": "a", "a-b/x.go": "x", "[x].go": "x",
		".h/i.go": "hi", "a/.h.go": "ah", "a/b/link.go": "-> c.txt", "v/v/v.go": "v",
	})
	for _, k := range []struct {
		inputs, include, exclude string
		want                     string
		special                  int64
	}{
		{inputs: ".", want: "[x].go a/b/c.txt a/z.go a-b/x.go a.go b.go v/v/v.go", special: 1},
		{inputs: "b.go a .", include: "b.go", want: "b.go b.go"},
		{inputs: ".", include: "*.go", want: "[x].go a/z.go a-b/x.go a.go b.go v/v/v.go", special: 1},
		{inputs: ".", include: "*.go", exclude: "a a-b", want: "[x].go a.go b.go v/v/v.go"},
		{inputs: ".", include: "a/*.go v/**", want: "a/z.go v/v/v.go"},
		{inputs: ".", exclude: "a/b **/v/*.go [[]*", want: "a/z.go a-b/x.go a.go b.go"},
		{inputs: "*.go", want: "[x].go a.go b.go"},
		{inputs: "[x].go", want: "[x].go"},
		{inputs: "**/*.go", want: "[x].go a/z.go a-b/x.go a.go b.go v/v/v.go", special: 1},
		{inputs: "a/**", want: "a/b/c.txt a/z.go", special: 1},
		{inputs: "a*/x.go", want: "a-b/x.go"},
		{inputs: "**/b", want: "a/b/c.txt", special: 1},
		{inputs: "*/.h.go", want: "a/.h.go"},
		{inputs: ".*/*", want: ".h/i.go"},
		{inputs: ".h", want: ".h/i.go"},
		{inputs: "a/b/link.go", exclude: "*.go", want: "a/b/link.go"},
		{inputs: "? a", include: "*.txt", want: "a/b/c.txt a/b/c.txt"},
		{inputs: "v/**/v/*.go", want: "v/v/v.go"},
	} {
		o := Options{Include: strings.Fields(k.include), Exclude: strings.Fields(k.exclude)}
		for _, in := range strings.Fields(k.inputs) {
			o.Inputs = append(o.Inputs, filepath.Join(dir, filepath.FromSlash(in)))
		}
		found, err := list(context.Background(), filepath.Join(dir, "out"), o)
		if err != nil {
			t.Errorf("%s: %v", k.inputs, err)
			continue
		}
		var got []string
		for _, name := range found.list {
			below, err := filepath.Rel(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, filepath.ToSlash(below))
		}
		if want := strings.Fields(k.want); !slices.Equal(got, want) || found.special != k.special {
			t.Errorf("%s +%s -%s: %q and %d special, want %q and %d", k.inputs, k.include, k.exclude, got, found.special, want, k.special)
		}
	}
}

// Without ** a glob is what package filepath says; with it, what writing out
// any number of * says.
func TestMatches(t *testing.T) {
	name := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}`), 1, 5)
	pattern := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "a*", "?", "[ab]b", "**"}), 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		name, pattern := name.Draw(t, "name"), pattern.Draw(t, "pattern")
		want := slices.ContainsFunc(spelledOut(pattern, len(name)), func(p []string) bool {
			ok, err := filepath.Match(filepath.Join(p...), filepath.Join(name...))
			return err == nil && ok && len(p) == len(name)
		})
		if got := matches(pattern, name); got != want {
			t.Errorf("%q matches %q: %v", pattern, name, got)
		}
	})
}

// spelledOut replaces each ** by 0 to most elements *, in all ways.
func spelledOut(pattern []string, most int) [][]string {
	at := slices.Index(pattern, "**")
	if at < 0 {
		return [][]string{pattern}
	}
	var all [][]string
	for n := range most + 1 {
		stars := slices.Repeat([]string{"*"}, n)
		all = append(all, spelledOut(slices.Concat(pattern[:at], stars, pattern[at+1:]), most)...)
	}
	return all
}
