package prepare

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/tokenizer"
)

// standardInput is the input that is no file.
const standardInput = "-"

// files is what the inputs stand for.
type files struct {
	list    []string // names, and standardInput
	total   int64    // bytes; 0 if one is not a regular file
	special int64    // links and devices that were found and left out
}

// list expands the inputs.
func list(ctx context.Context, out string, o Options) (files, error) {
	l := &lister{ctx: ctx, o: o, own: map[string]bool{}}
	for _, name := range append(corpus.Files(out), tokenizer.CorpusFile(out)) {
		full, err := filepath.Abs(name)
		if err != nil {
			return files{}, err
		}
		l.own[full] = true
	}
	stdin := 0
	for _, input := range o.Inputs {
		if input == standardInput {
			stdin++
			l.add(input, 0, false)
		} else if err := l.input(input); err != nil {
			return files{}, err
		}
	}
	if stdin > 1 || stdin == 1 && o.Stdin == nil {
		return files{}, fault.Invalidf("standard input is named %d times; it can be read once, if there is one", stdin)
	}
	if l.unsized {
		l.found.total = 0
	}
	return l.found, nil
}

type lister struct {
	ctx     context.Context
	o       Options
	own     map[string]bool // the files about to be written, which are no input
	found   files
	unsized bool
}

func (l *lister) add(name string, size int64, sized bool) {
	l.found.list = append(l.found.list, name)
	l.found.total += size
	l.unsized = l.unsized || !sized
}

// input expands one that is not standard input. What is named is taken, link or
// pipe or not; filters are for what is found.
func (l *lister) input(name string) error {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return l.walk(name, nil, nil)
	case err == nil:
		l.add(name, info.Size(), info.Mode().IsRegular())
		return nil
	case !hasMeta(name) || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// The shell leaves a glob as it is if it matches nothing, if it was quoted,
	// or if it does not know **.
	if err := checkPatterns([]string{name}); err != nil {
		return err
	}
	elements := strings.Split(filepath.ToSlash(name), "/")
	fixed := 0
	for !hasMeta(elements[fixed]) {
		fixed++
	}
	root := strings.Join(elements[:fixed], "/")
	switch {
	case fixed == 0:
		root = "."
	case root == "":
		root = "/"
	}
	before := len(l.found.list)
	if err := l.walk(filepath.FromSlash(root), nil, elements[fixed:]); err != nil {
		return err
	}
	if len(l.found.list) == before {
		return fault.Invalidf("%s matches no file", name)
	}
	return nil
}

// walk adds the files under root/below, in order of their names, that match
// glob, or all if glob is nil. A directory that matches is taken whole.
func (l *lister) walk(root string, below, glob []string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(root, filepath.Join(below...)))
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := append(below[:len(below):len(below)], e.Name())
		matched := glob == nil || matches(glob, at)
		if hidden := strings.HasPrefix(e.Name(), "."); hidden && !(glob != nil && reaches(glob, at)) {
			continue
		}
		if anyMatches(l.o.Exclude, at) {
			continue
		}
		if e.IsDir() {
			inside := glob
			if matched {
				inside = nil
			} else if !reaches(glob, at) {
				continue
			}
			if err := l.walk(root, at, inside); err != nil {
				return err
			}
			continue
		}
		if !matched || len(l.o.Include) > 0 && !anyMatches(l.o.Include, at) {
			continue
		}
		if err := l.file(filepath.Join(root, filepath.Join(at...)), e); err != nil {
			return err
		}
	}
	return nil
}

// reaches reports whether a path may lead to, or is, something that matches.
func reaches(glob, name []string) bool {
	for i, element := range name {
		switch {
		case i == len(glob):
			return false
		case glob[i] == "**":
			return !strings.HasPrefix(name[len(name)-1], ".")
		case !matchElement(glob[i], element):
			return false
		}
	}
	return true
}

// file adds a file that was found.
func (l *lister) file(name string, e fs.DirEntry) error {
	if !e.Type().IsRegular() {
		l.found.special++
		return nil
	}
	full, err := filepath.Abs(name)
	if err != nil || l.own[full] {
		return err
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	l.add(name, info.Size(), true)
	return nil
}
