package atomicdir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

func ours(name string, dir bool) bool {
	return dir && name == "sub" || !dir && strings.HasSuffix(name, ".ours")
}

func create(t *testing.T, path string, force bool, content string) *Dir {
	t.Helper()
	d, err := Create(path, force, ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(d.Path(), "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.Path(), "sub", "x.ours"), content)
	return d
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func content(path string) string {
	data, _ := os.ReadFile(filepath.Join(path, "sub", "x.ours"))
	return string(data)
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestCommitAndReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	for _, say := range []string{"first", "second"} {
		d := create(t, path, true, say)
		if err := d.Commit(); err != nil {
			t.Fatal(err)
		}
		d.Abort()
		if content(path) != say || names(t, dir) != "out" {
			t.Errorf("%s: %q in %s", say, content(path), names(t, dir))
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("out", link); err != nil {
		t.Fatal(err)
	}
	if err := create(t, link, true, "third").Commit(); err != nil {
		t.Fatal(err)
	}
	if content(path) != "third" || names(t, dir) != "link out" {
		t.Errorf("%q in %s", content(path), names(t, dir))
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	create(t, filepath.Join(dir, "out"), false, "x").Abort()
	if names(t, dir) != "" {
		t.Error(names(t, dir))
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	refused := func(what, say string, force bool) {
		t.Helper()
		if _, err := Create(path, force, ours); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Mkdir(path, 0o777); err != nil { // an empty one is no loss
		t.Fatal(err)
	}
	d := create(t, path, false, "x")
	refused("two at once", "another process", false)
	if err := d.Commit(); err != nil {
		t.Fatal(err)
	}
	refused("without force", "there already", false)
	write(t, filepath.Join(path, "thesis"), "years of work")
	refused("a foreign file", `"thesis"`, true)
	os.Remove(filepath.Join(path, "thesis"))
	if content(path) != "x" || names(t, dir) != "out" {
		t.Errorf("%q in %s", content(path), names(t, dir))
	}
	// What comes while the new one is made is safe as well.
	d = create(t, path, true, "new")
	write(t, filepath.Join(path, "thesis"), "years of work")
	if err := d.Commit(); !errors.Is(err, fault.Invalid) || content(path) != "x" || names(t, dir) != "out" {
		t.Errorf("%v; %q in %s", err, content(path), names(t, dir))
	}
	write(t, filepath.Join(dir, "file"), "text")
	path = filepath.Join(dir, "file")
	refused("over a file", "not a directory", true)
	path = ""
	refused("nowhere", "name", true)
}

// Killed after any step, the place has the old directory, the new one or none,
// and the next one can be made.
func TestKilled(t *testing.T) {
	for _, replace := range []bool{false, true} {
		for kill := 0; ; kill++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			if replace {
				if err := create(t, path, false, "old").Commit(); err != nil {
					t.Fatal(err)
				}
			}
			d := create(t, path, true, "new")
			steps := d.steps()
			for _, step := range steps[:kill] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			d.lock.Close() // goes with the process
			switch at := content(path); {
			case at == "old" && replace || at == "new":
			case at == "" && names(t, dir) == "out.old out.partial" && content(d.Path()) == "new" && content(d.old()) == "old":
			case at == "" && !replace && content(d.Path()) == "new":
			default:
				t.Errorf("killed after %d steps: %q, %s", kill, at, names(t, dir))
			}
			if err := create(t, path, true, "next").Commit(); err != nil || content(path) != "next" {
				t.Errorf("after a kill at %d: %v, %q", kill, err, content(path))
			}
			if at := names(t, dir); at != "out" {
				t.Errorf("after a kill at %d: %s", kill, at)
			}
			if kill == len(steps) {
				break
			}
		}
	}
}
