package cmd

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// files reads everything below a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			found[rel] = string(data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// An analysis that is killed at any moment leaves no index, and the same command
// goes on and ends with the same bytes. GRADUS_KILLS sets how many times
// (default 8).
func TestAnalyzeKilled(t *testing.T) {
	kills := 8
	if text := os.Getenv("GRADUS_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	stream := keyed.NewKey(1, "words").Stream()
	words := strings.Fields("the quick brown fox jumps over a lazy dog while seven wizards box with quartz and jade")
	for i := range 20 {
		var text strings.Builder
		for range 8000 {
			text.WriteString(words[stream.Uint64N(uint64(len(words)))] + " ")
		}
		writeFile(t, filepath.Join(dir, "text", fmt.Sprintf("%02d.txt", i)), text.String())
	}
	gradus(t, dir, "prepare", "--tokenizer", "bytes", "--out", "corpus", "text")
	args := strings.Fields("analyze --corpus corpus --window 64 --metric length,rarity,compression,repetition,diversity --metric srv=formula:length*1e6+rarity --checkpoint 5ms")
	began := time.Now()
	gradus(t, dir, append(args, "--out", "whole")...)
	whole := time.Since(began)
	want := files(t, filepath.Join(dir, "whole"))

	moments := keyed.NewKey(uint64(time.Now().UnixNano()), "kills").Stream()
	resumed, killed := 0, 0
	for i := range kills {
		moment := time.Duration(moments.Uint64N(uint64(whole) * 11 / 10))
		cmd := exec.Command("gradus", append(args, "--out", "index")...)
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		cmd.Process.Kill()
		if cmd.Wait() != nil {
			killed++
			if _, err := os.Stat(filepath.Join(dir, "index", "manifest.json")); err == nil {
				// Killed between the renaming and the end: the index must be whole.
				if !maps.Equal(files(t, filepath.Join(dir, "index")), want) {
					t.Errorf("kill %d after %v of %v: what is at its place is not the index", i, moment, whole)
				}
			} else {
				out := gradus(t, dir, append(args, "--out", "index")...)
				if strings.Contains(out, "gone on from sample") {
					resumed++
				}
			}
		}
		got := files(t, filepath.Join(dir, "index"))
		for name := range want {
			if !bytes.Equal([]byte(got[name]), []byte(want[name])) {
				t.Errorf("kill %d after %v of %v: %s differs", i, moment, whole, name)
			}
		}
		if len(got) != len(want) {
			t.Errorf("kill %d: %d files instead of %d", i, len(got), len(want))
		}
		left, err := filepath.Glob(filepath.Join(dir, "index.*"))
		if err != nil || len(left) > 0 {
			t.Errorf("kill %d: left behind: %v, %v", i, left, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d were killed before their end, %d went on in mid-pass; a whole run took %v", killed, kills, resumed, whole)
	if killed == 0 {
		t.Error("none was killed")
	}
}
