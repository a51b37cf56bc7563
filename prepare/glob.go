package prepare

import (
	"path"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Globs are those of package path, element by element, and the element ** for
// any number of elements, none included.

// hasMeta reports whether a name is a glob.
func hasMeta(name string) bool { return strings.ContainsAny(name, `*?[`) }

// checkPatterns reports the first glob that is malformed.
func checkPatterns(patterns []string) error {
	for _, p := range patterns {
		for _, element := range strings.Split(filepath.ToSlash(p), "/") {
			if _, err := path.Match(element, ""); err != nil {
				return fault.Invalidf("%q is no glob (%w); write *, ?, [a-z] or **, and \\ before such a character to mean it", p, err)
			}
		}
	}
	return nil
}

// matches reports whether a path matches a glob, both as elements.
func matches(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for len(pattern) > 1 && pattern[1] == "**" {
				pattern = pattern[1:]
			}
			for skip := range len(name) + 1 {
				if matches(pattern[1:], name[skip:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 || !matchElement(pattern[0], name[0]) {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

// matchElement matches one element; hidden names only where the glob says so.
func matchElement(pattern, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(pattern, ".") {
		return false
	}
	ok, _ := path.Match(pattern, name)
	return ok
}

// anyMatches reports whether one of the globs fits a path below an input: its
// last element if the glob has no slash, all of it otherwise.
func anyMatches(patterns []string, name []string) bool {
	for _, p := range patterns {
		elements := strings.Split(filepath.ToSlash(p), "/")
		against := name
		if len(elements) == 1 {
			against = name[len(name)-1:]
		}
		if matches(elements, against) {
			return true
		}
	}
	return false
}
