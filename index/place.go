package index

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
)

// StateName is a file in DIR.partial where who makes an index may keep how far
// it is. It is no part of the index, and goes when that is whole.
const StateName = "state"

// place is where an index is made, DIR.partial, and where it goes, DIR. The
// partial directory is locked, so that two analyses cannot mix their files; the
// lock goes with the process.
type place struct {
	dir, partial string
	replace      bool // something is at dir
	lock         *os.File
}

// take claims the place of an index. What a killed process left of an earlier
// attempt stays.
func take(dir string, force bool) (*place, error) {
	if dir == "" {
		return nil, fault.Invalidf("an index needs a directory")
	}
	dir = filepath.Clean(dir)
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target // what a link points to is replaced, not the link
	}
	replace, err := vacant(dir, force)
	if err != nil {
		return nil, err
	}
	p := &place{dir: dir, partial: dir + ".partial", replace: replace}
	if err := os.Mkdir(p.partial, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("index %s: %w", dir, err)
	}
	if p.lock, err = dirlock.Lock(p.partial); err != nil {
		return nil, fmt.Errorf("index %s: %w", dir, err)
	}
	if err := onlyOurs(p.partial); err != nil {
		p.leave(false)
		return nil, err
	}
	return p, nil
}

// vacant reports whether something at dir has to be replaced, and refuses what
// must not be.
func vacant(dir string, force bool) (replace bool, err error) {
	switch info, err := os.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("index: %w", err)
	case !info.IsDir():
		return false, fault.Invalidf("%s: it exists and is not a directory; choose another name for the index", dir)
	}
	if err := onlyOurs(dir); err != nil {
		return false, err
	}
	_, err = os.Stat(filepath.Join(dir, manifestName))
	if err == nil && !force {
		return false, fault.Invalidf("%s: there is an index already; force its replacement or choose another directory", dir)
	}
	return true, nil
}

// onlyOurs refuses a directory with anything in it that is no part of an
// index, since replacing it would delete that.
func onlyOurs(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("index %s: %w", dir, err)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		at := filepath.ToSlash(rel)
		parent, base, nested := strings.Cut(at, "/")
		ours := at == "." || at == valuesName || at == orderName || at == statisticsName
		switch {
		case entry.IsDir():
		case nested && parent == statisticsName:
			ours = strings.Contains(base, ".bin")
		case nested:
			ours = (parent == valuesName || parent == orderName) && strings.Contains(base, ".npy")
		default: // or of a killed process: ".manifest.json.*.tmp", "order-*.tmp"
			ours = at == manifestName || at == StateName || strings.HasPrefix(at, "."+manifestName+".") ||
				strings.HasPrefix(at, "."+StateName+".") || strings.HasPrefix(at, orderName+"-")
		}
		if !ours {
			return fault.Invalidf("%s: it holds %q, which is no part of an index; choose another directory", dir, at)
		}
		return nil
	})
}

// clear empties the partial directory.
func (p *place) clear() error {
	if err := onlyOurs(p.partial); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(p.partial, StateName)); err != nil { // first; see leave
		return fmt.Errorf("index %s: %w", p.dir, err)
	}
	entries, err := os.ReadDir(p.partial)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(p.partial, e.Name())))
	}
	if err != nil {
		return fmt.Errorf("index %s: %w", p.dir, err)
	}
	return nil
}

// publish puts the partial directory, now whole, in place of dir.
func (p *place) publish(sweep func() error) error {
	for i, step := range p.steps(sweep) {
		if err := step(); err != nil {
			if i > 0 { // the old index may be gone: the new one must stay
				p.lock.Close()
				p.lock = nil
				return fmt.Errorf("the index is whole but could not take its place; move %s to %s: %w", p.partial, p.dir, err)
			}
			return fmt.Errorf("index %s: %w", p.dir, err)
		}
	}
	p.lock.Close()
	p.lock = nil
	return nil
}

// steps are what publish does, in order. A process killed between any two, or
// within one, leaves an index at dir that is whole, or none; the new one is then
// whole in the partial directory, and the old one in the one aside.
func (p *place) steps(sweep func() error) []func() error {
	parent, aside := filepath.Dir(p.dir), p.dir+".old"
	remove := []func() error{
		func() error { return onlyOurs(p.dir) }, // things may have changed since take
		func() error { return removeOurs(aside) },
		func() error { return os.Rename(p.dir, aside) },
	}
	after := []func() error{
		func() error { return removeOurs(aside) },
	}
	if !p.replace {
		remove, after = nil, nil
	}
	return slices.Concat(
		[]func() error{func() error { return os.RemoveAll(filepath.Join(p.partial, StateName)) }, sweep},
		remove,
		[]func() error{
			func() error { return os.Rename(p.partial, p.dir) },
			func() error { return atomicfile.SyncDir(parent) },
		},
		after)
}

// removeOurs removes a directory that holds an index, or what is left of one.
func removeOurs(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := onlyOurs(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// leave unlocks the partial directory, and removes it if told to. After publish
// it does nothing.
func (p *place) leave(remove bool) {
	if p.lock == nil {
		return
	}
	if remove { // the state first: without it, what is left is of no analysis
		os.RemoveAll(filepath.Join(p.partial, StateName))
		os.RemoveAll(p.partial)
	}
	p.lock.Close()
	p.lock = nil
}
