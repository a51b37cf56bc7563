package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a stranger adds is small: an example of it, with all it takes to run, has
// under 30 lines. And he has the public packages only.
func TestExamples(t *testing.T) {
	most := map[string]int{"examples/metric": 29, "examples/pace": 29, "examples/shaper": 29, "examples/policy": 29, "examples/library": 80}
	for _, f := range sources(t) {
		if f.test || !strings.HasPrefix(f.pkg, "examples/") {
			continue
		}
		if lines, ok := most[f.pkg]; !ok || f.path != f.pkg+"/main.go" {
			t.Errorf("%s: each example is one main.go, and TestExamples says how long it may be", f.path)
		} else if f.lines > lines {
			t.Errorf("%s has %d lines, at most %d", f.path, f.lines, lines)
		}
		for _, i := range f.imports {
			if strings.HasPrefix(i, module+"/internal/") {
				t.Errorf("%s imports %s, which another module may not", f.path, i)
			}
			if i == module+"/cmd" && f.pkg == "examples/library" {
				t.Errorf("%s imports %s: it shows what goes without the program", f.path, i)
			}
		}
		delete(most, f.pkg)
	}
	for pkg := range most {
		t.Errorf("%s has no main.go", pkg)
	}
}

// The README shows an example as it is.
func TestReadmeShowsExample(t *testing.T) {
	root := filepath.Join("..", "..")
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(root, "examples", "metric", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(example)+"```\n") {
		t.Error("README.md does not have examples/metric/main.go as it is")
	}
}
