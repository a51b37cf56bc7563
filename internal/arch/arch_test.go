// Package arch holds the house rules, as tests.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gradus-ml/gradus"

// floors says on which floor each package stands. A package imports only from
// lower floors: the way of the data is upwards (ARCHITECTURE.md).
var floors = map[string]int{
	"internal/fault": 0, "internal/atomicfile": 0, "internal/mmap": 0, "internal/dirlock": 0, "internal/npy": 0, "internal/keyed": 0,
	"internal/safetensors": 0, "internal/parquet": 0, "internal/pretoken": 0, "internal/subword": 0, "internal/chart": 0, "internal/picture": 0, "internal/spell": 0, "internal/pack": 0, "internal/words": 0, "pace": 0, "route": 0,
	"route/routetest": 1, "internal/atomicdir": 1, "internal/intarray": 1, "corpus": 1, "tokenizer": 1, "runlog": 1,
	"arrange": 2, "metric": 2, "index": 2, "model": 2,
	"internal/naivegpt": 3, "metric/formula": 3, "metric/lookup": 3, "metric/program": 3,
	"prepare": 3, "analyze": 3, "curriculum": 3, "report": 3, "table": 3,
	"batch": 4, "deepspeed": 4, "saving": 4,
	"train":         5,
	"recipe":        6,
	"experiment":    7,
	"cmd":           8,
	"cmd/gradus":    9,
	"bench/measure": 0,
	"bench/analyze": 7, "bench/curriculum": 7, "bench/train": 7,
}

// ground lists what a package of floor 0 may import of floor 0: the kinds of
// error and the random streams lie under everything.
var ground = []string{"internal/fault", "internal/keyed"}

// tensors lists who may import GoMLX, so that the data side builds without it.
var tensors = []string{"model", "train"}

// A goFile is a source file and what it imports.
type goFile struct {
	path    string // from the module's root
	pkg     string
	test    bool
	doc     bool // has a package comment
	lines   int
	imports []string
}

func sources(t *testing.T) []goFile {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []goFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		g := goFile{
			path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go"),
			doc: f.Doc != nil, lines: strings.Count(string(text), "\n"),
		}
		for _, i := range f.Imports {
			g.imports = append(g.imports, strings.Trim(i.Path.Value, `"`))
		}
		files = append(files, g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFloors(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range sources(t) {
		if f.test || f.pkg == "internal/arch" || strings.HasPrefix(f.pkg, "examples/") {
			continue
		}
		floor, ok := floors[f.pkg]
		if !ok {
			t.Errorf("%s: package %s stands on no floor; give it one in internal/arch and ARCHITECTURE.md", f.path, f.pkg)
			continue
		}
		seen[f.pkg] = true
		for _, i := range f.imports {
			if name, ours := strings.CutPrefix(i, module+"/"); ours {
				if lower, ok := floors[name]; ok && lower >= floor && !(floor == 0 && slices.Contains(ground, name)) {
					t.Errorf("%s imports %s: floor %d may not import floor %d", f.path, name, floor, lower)
				}
			}
			if strings.HasPrefix(i, "github.com/gomlx/") && !slices.Contains(tensors, f.pkg) {
				t.Errorf("%s imports %s: only %s may", f.path, i, strings.Join(tensors, " and "))
			}
		}
	}
	for name := range floors {
		if !seen[name] {
			t.Errorf("package %s has a floor and no files", name)
		}
	}
}

// Libraries draw from keyed streams, print nothing and never exit.
func TestNoGlobalState(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.pkg == "cmd" || strings.HasPrefix(f.pkg, "cmd/") || strings.HasPrefix(f.pkg, "bench/") || strings.HasPrefix(f.pkg, "examples/") {
			continue
		}
		for _, i := range f.imports {
			switch i {
			case "math/rand/v2":
				if f.path != "route/route.go" { // hands a keyed stream to policies of others
					t.Errorf("%s imports %s: every draw comes from internal/keyed", f.path, i)
				}
			case "math/rand":
				t.Errorf("%s imports %s: every draw comes from internal/keyed", f.path, i)
			case "log", "log/slog":
				t.Errorf("%s imports %s: libraries return errors, they do not log", f.path, i)
			}
		}
		text, err := os.ReadFile(filepath.Join("..", "..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"os.Exit(", "fmt.Print(", "fmt.Println(", "fmt.Printf("} {
			if strings.Contains(string(text), call) {
				t.Errorf("%s calls %s): only cmd prints and exits", f.path, call)
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments, packages := map[string]int{}, map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		packages[f.pkg] = true
		if f.doc && !strings.HasSuffix(f.path, "_other.go") { // the twin of a file for other systems
			comments[f.pkg]++
		}
	}
	for p := range packages {
		if comments[p] != 1 {
			t.Errorf("package %s has %d package comments, want 1", p, comments[p])
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	const most = 400
	for _, f := range sources(t) {
		if !f.test && f.lines > most {
			t.Errorf("%s has %d lines, at most %d: split it by what it is about", f.path, f.lines, most)
		}
	}
}

// Nothing committed names a path of a machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	bad := regexp.MustCompile(`(^|[\s"'(=])/(root|home|Users|work)/`)
	for _, f := range sources(t) {
		text, err := os.ReadFile(filepath.Join("..", "..", f.path))
		if err != nil {
			t.Fatal(err)
		}
		if m := bad.Find(text); m != nil && f.pkg != "internal/arch" {
			t.Errorf("%s names %s: no path of a machine may be committed", f.path, m)
		}
	}
}
