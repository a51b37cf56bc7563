package runlog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A packed log reads as the log did, in every way there is to read it, and the same log
// packs to the same bytes.
func TestPack(t *testing.T) {
	path := write(t, goldenRun, goldenSteps)
	want, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed []string
	for range 2 {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(write(t, goldenRun, goldenSteps), path); err != nil {
			t.Fatal(err)
		}
		if err := Pack(path); err != nil {
			t.Fatal(err)
		}
		packed = append(packed, contents(t, path+PackedSuffix))
	}
	if packed[0] != packed[1] {
		t.Error("the same log packs to other bytes")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the log is still there (%v)", err)
	}
	if err := Pack(path); err != nil {
		t.Errorf("packed again: %v", err)
	}
	if !Exists(path) {
		t.Error("a packed log does not exist")
	}
	for _, name := range []string{path, path + PackedSuffix} {
		got, err := Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, nan); diff != "" {
			t.Error(diff)
		}
		if run, err := ReadRun(name); err != nil || run != want.Run {
			t.Errorf("run %+v, %v", run, err)
		}
		if step, err := ReadStep(name, 2); err != nil || step.Digest != "cd" {
			t.Errorf("step %+v, %v", step, err)
		}
	}
	if _, err := Create(path, goldenRun); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a log begins beside the packed one: %v", err)
	}
}

// Where both are, the log is read that still may go on.
func TestPlainBeforePacked(t *testing.T) {
	path := write(t, goldenRun, goldenSteps[:1])
	if err := os.WriteFile(path+PackedSuffix, []byte("no gzip"), 0o666); err != nil {
		t.Fatal(err)
	}
	if log, err := Read(path); err != nil || len(log.Steps) != 1 {
		t.Errorf("%+v, %v", log, err)
	}
}

func TestPackedDamage(t *testing.T) {
	whole := zipped(t, []byte(goldenLog))
	bomb := zipped(t, append([]byte(goldenLog), make([]byte, 64<<20)...))
	for name, c := range map[string]struct {
		packed []byte
		says   string
	}{
		"no gzip": {[]byte("{}\n"), "it is no log that was packed"},
		"cut":     {whole[:len(whole)-20], "unexpected EOF"},
		"flipped": {flipped(whole, len(whole)-6), "checksum"},
		"a line":  {zipped(t, []byte("{}\n")), "line 1"},
		"a bomb":  {bomb, "is longer than"},
		"many":    {zipped(t, append([]byte(goldenLog), bytes.Repeat([]byte{'\n'}, 64<<20)...)), "line 5"},
	} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path+PackedSuffix, c.packed, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want a corrupt file and %q", name, err, c.says)
		}
	}
}

// What unpacks to far more than its size is refused before it fills the memory.
func TestUnpackingIsBounded(t *testing.T) {
	packed := zipped(t, make([]byte, 256<<20))
	path := filepath.Join(t.TempDir(), "run.jsonl.gz")
	if err := os.WriteFile(path, packed, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, buffer := 0, make([]byte, 1<<16)
	for err == nil {
		var k int
		k, err = f.Read(buffer)
		n += k
	}
	if !errors.Is(err, fault.Corrupt) || n > mostUnpacked+unpackedRatio*len(packed) {
		t.Errorf("%d bytes of %d, then %v", n, len(packed), err)
	}
}

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func FuzzReadPacked(f *testing.F) {
	f.Add(zipped(f, []byte(goldenLog)))
	f.Add(zipped(f, []byte(goldenLog))[:80])
	f.Add([]byte("no gzip"))
	path := filepath.Join(f.TempDir(), "in.jsonl")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path+PackedSuffix, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err != nil && !errors.Is(err, fault.Corrupt) && !errors.Is(err, fault.Mismatch) {
			t.Fatalf("an error of no kind: %v", err)
		}
	})
}
