package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What transformers saved, in one file or several, is exported weights, and whole.
func TestCheckHub(t *testing.T) {
	const hub = "../model/testdata/hub"
	models, err := os.ReadDir(hub)
	if err != nil || len(models) == 0 {
		t.Fatalf("%d models, %v", len(models), err)
	}
	for _, m := range models {
		dir := filepath.Join(hub, m.Name())
		if m.Name() == "gpt2-shards" { // its config.json is gpt2's
			text, err := os.ReadFile(filepath.Join(hub, "gpt2", "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			whole := t.TempDir()
			if err := os.CopyFS(whole, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(whole, "config.json"), string(text))
			dir = whole
		}
		got, err := checkPath(t.Context(), dir, checkOptions{})
		if err != nil || got.Kind != "weights" || !strings.HasPrefix(got.What, "exported weights of ") {
			t.Errorf("%s: %+v, %v", m.Name(), got, err)
		}
	}
}
