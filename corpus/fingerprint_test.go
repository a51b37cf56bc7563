package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const goldenFingerprint = "f4c7c3d3cf734f6256976b492ba00e50b4594f85f957adde7143c99bfb85e078"

// The text of fingerprint.go, written out for the corpus of TestGoldenBytes.
func TestFingerprintText(t *testing.T) {
	sum := func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
	text := "gradus corpus 1\ndtype uint16\ntokens 4\ndocuments 2\n" +
		"lengths " + sum(le([]int32{1, 3})) + "\n" +
		"index " + sum(le([]int64{0, 1, 2})) + "\n" +
		"chunk " + sum(le([]uint16{5, 6, 7, 256})) + "\n"
	if got := sum([]byte(text)); got != goldenFingerprint {
		t.Errorf("the fingerprint of the text is %s", got)
	}
}

// A foreign copy of the same corpus has the same fingerprint, whatever its
// table of codes and the repeated end of its document index.
func TestFingerprintOfForeign(t *testing.T) {
	for _, k := range []struct {
		code byte
		docs []int64
	}{{8, []int64{0, 1, 2}}, {6, []int64{0, 1, 2, 2}}} {
		prefix := filepath.Join(t.TempDir(), "c")
		put(t, prefix, le([]uint16{5, 6, 7, 256}), indexBytes(k.code, []int32{1, 3}, 2, k.docs), nil)
		if got, err := mustOpen(t, prefix).Fingerprint(); err != nil || got != "sha256:"+goldenFingerprint {
			t.Errorf("code %d: %s, %v", k.code, got, err)
		}
	}
}

// More than one chunk, hashed by the writer as a stream and by readers with any
// number of workers.
func TestFingerprintWorkers(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	document := make([]int32, chunkSize+chunkSize/2+3) // bytes: one and a half chunks each
	for i := range document {
		document[i] = int32(uint32(i) * uint32(i) % 251)
	}
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, document, document[:chunkSize/2-3], document[:9])
	c := mustOpen(t, prefix)
	for _, workers := range []int{1, 2, 7} {
		if got, err := hashParts(c.parts, workers); err != nil || got[0] != c.parts[0].side.Fingerprint {
			t.Errorf("%d workers: %s, %v, the writer has %s", workers, got, err, c.parts[0].side.Fingerprint)
		}
	}
}

// The fingerprint of the .json is trusted as long as the files are those noted
// in it, and never after.
func TestFingerprintIsNeverStale(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "c")
	writeCorpus(t, prefix, Uint8, Meta{EndOfDocument: -1}, []int32{1, 2}, []int32{3})
	fingerprint := func() string {
		t.Helper()
		got, err := mustOpen(t, prefix).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	original := fingerprint()

	// Trusted: a changed hash in the .json is believed.
	json, err := os.ReadFile(prefix + ".json")
	if err != nil {
		t.Fatal(err)
	}
	claimed := "sha256:" + fmt.Sprintf("%064d", 7)
	os.WriteFile(prefix+".json", bytes.Replace(json, []byte(original), []byte(claimed), 1), 0o666)
	if got := fingerprint(); got != claimed {
		t.Errorf("%s, though the files are those that were hashed", got)
	}
	// Not after a file was touched.
	for _, ending := range []string{".bin", ".idx"} {
		info, err := os.Stat(prefix + ending)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []time.Time{info.ModTime().Add(-time.Hour), info.ModTime().Add(time.Microsecond)} {
			os.Chtimes(prefix+ending, at, at)
			if got := fingerprint(); got != original {
				t.Errorf("%s after %s was touched, want %s", got, ending, original)
			}
		}
		os.Chtimes(prefix+ending, info.ModTime(), info.ModTime())
	}
	// Nor for other tokens of the same size.
	os.WriteFile(prefix+".bin", []byte{1, 2, 4}, 0o666)
	if got := fingerprint(); got == original || got == claimed {
		t.Errorf("%s for other tokens", got)
	}
}

func TestFingerprintTells(t *testing.T) {
	seen := map[string]string{}
	for name, write := range map[string]func(prefix string){
		"base":      func(p string) { writeCorpus(t, p, Uint8, Meta{}, []int32{1, 2}, []int32{3}) },
		"token":     func(p string) { writeCorpus(t, p, Uint8, Meta{}, []int32{1, 2}, []int32{4}) },
		"boundary":  func(p string) { writeCorpus(t, p, Uint8, Meta{}, []int32{1}, []int32{2, 3}) },
		"empty end": func(p string) { writeCorpus(t, p, Uint8, Meta{}, []int32{1, 2}, []int32{3}, nil) },
		"type":      func(p string) { writeCorpus(t, p, Uint16, Meta{}, []int32{1, 2}, []int32{3}) },
	} {
		prefix := filepath.Join(t.TempDir(), "c")
		write(prefix)
		got, err := mustOpen(t, prefix).Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[got] = name
	}
}

func TestInParallelGivesFirstError(t *testing.T) {
	for workers := range 9 {
		err := inParallel(1000, workers, func(i int) error {
			if i%100 == 57 {
				return fmt.Errorf("at %d", i)
			}
			return nil
		})
		if err == nil || err.Error() != "at 57" {
			t.Errorf("%d workers: %v", workers, err)
		}
	}
	if err := inParallel(0, 3, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}
