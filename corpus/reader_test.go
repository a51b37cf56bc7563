package corpus

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gradus-ml/gradus/internal/fault"
)

// manyTokens are pseudo-random tokens below a bound.
func manyTokens(n int, below int32) []int32 {
	r := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = r.Int32N(below)
	}
	return tokens
}

// Ranges that are in sequence, overlap, go back, cross what was read ahead and
// cross parts, of all types.
func TestReaderAcrossBuffers(t *testing.T) {
	t.Chdir(t.TempDir())
	all := manyTokens(3*readAhead, 100)
	at, names := 0, []string{}
	for d := Uint8; d.valid(); d++ {
		n := readAhead/3 + 1000*int(d)
		name := fmt.Sprintf("%d.npy", d)
		os.WriteFile(name, npyBytes(d, d.narrow(nil, all[at:at+n]), int64(n)), 0o666)
		names, at = append(names, name), at+n
	}
	all = all[:at]
	c, err := Open(names...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rnd := rand.New(rand.NewPCG(3, 4))
	r := c.NewReader()
	start := 0
	for i := range 3000 {
		switch i % 10 {
		case 0:
			start = rnd.IntN(len(all))
		case 1, 2:
			start = max(start-1, 0) // as windows do
		}
		n := min(rnd.IntN(3000), len(all)-start)
		if i%50 == 0 {
			n = min(rnd.IntN(2*readAhead), len(all)-start)
		}
		got := make([]int32, n)
		if i%3 == 0 && n > 0 {
			raw, d, err := r.ReadRaw(int64(start), int64(n))
			got = got[:int64(len(raw))/d.Size()]
			n = len(got)
			if err != nil || !d.widen(got, raw) {
				t.Fatal(err)
			}
		} else if err := r.Read(got, int64(start)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, all[start:start+n]) {
			t.Fatalf("read %d: tokens %d to %d are wrong", i, start, start+n)
		}
		start += n
	}
	if cap(r.buf) > 5*8*readAhead {
		t.Errorf("the buffer has grown to %d bytes", cap(r.buf))
	}
}

// A file that is cut short while it is open is an error to a Reader, to the
// fingerprint and to Check: none of them faults.
func TestCutShortWhileOpen(t *testing.T) {
	for _, ending := range []string{".bin", ".idx"} {
		t.Chdir(t.TempDir())
		writeCorpus(t, "c", Uint16, Meta{EndOfDocument: -1}, manyTokens(200_000, 1000))
		os.Remove("c.json")
		c := mustOpen(t, "c")
		r := c.NewReader()
		dst := make([]int32, 10)
		if err := r.Read(dst, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate("c"+ending, 50); err != nil {
			t.Skip("an open file cannot be cut here:", err)
		}
		_, err := c.Fingerprint()
		errs := map[string]error{"Fingerprint": err}
		if ending == ".bin" {
			errs["Check"] = c.Check()
			errs["Read behind the end"] = r.Read(dst, 150_000)
			errs["Read across the end"] = c.NewReader().Read(dst, 20)
			_, _, errs["ReadRaw"] = c.NewReader().ReadRaw(20, 10)
		}
		for what, err := range errs {
			if !errors.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "c"+ending+": byte ") || !strings.Contains(err.Error(), "cut short") {
				t.Errorf("%s of a short %s: %v", what, ending, err)
			}
		}
	}
}

// resident returns how many bytes of a mapped file count as this process's.
func resident(t *testing.T, name string) (bytes int64) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip("no list of maps here:", err)
	}
	defer f.Close()
	inside := false
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if !strings.Contains(strings.Fields(line)[0], ":") || strings.Contains(strings.Fields(line)[0], "-") {
			inside = strings.HasSuffix(line, name)
		}
		var n int64
		if k, _ := fmt.Sscanf(line, "Rss: %d kB", &n); k == 1 && inside {
			bytes += n << 10
		}
	}
	return bytes
}

// Whatever goes through a corpus in sequence leaves no page of it resident.
func TestNothingStaysResident(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says")
	}
	t.Chdir(t.TempDir())
	documents := make([][]int32, 50_000)
	for i := range documents {
		documents[i] = manyTokens(50, 100)
	}
	writeCorpus(t, "c", Uint16, Meta{Vocabulary: 100, EndOfDocument: -1}, documents...)
	os.Remove("c.json") // or the fingerprint would be known
	c := mustOpen(t, "c")
	r := c.NewReader()
	dst := make([]int32, 1000)
	for at := int64(0); at < c.Tokens(); at += int64(len(dst)) {
		if err := r.Read(dst, at); err != nil {
			t.Fatal(err)
		}
	}
	fingerprint(t, c)
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/c.bin", "/c.idx"} {
		if n := resident(t, name); n > 0 {
			t.Errorf("%d bytes of %s are resident", n, name)
		}
	}
	// The map's pages are, until they are given back.
	for d := range c.Documents() {
		c.Bounds(d)
	}
	allTokens(t, c)
	for name, least := range map[string]int64{"/c.bin": c.Tokens(), "/c.idx": 8 * c.Documents()} {
		if n := resident(t, name); n < least {
			t.Errorf("%d bytes of %s are resident; the measure is wrong", n, name)
		}
	}
	c.Release()
	for _, name := range []string{"/c.bin", "/c.idx"} {
		if n := resident(t, name); n > 0 {
			t.Errorf("%d bytes of %s are resident after Release", n, name)
		}
	}
	if got := allTokens(t, c); !slices.Equal(got[:50], documents[0]) {
		t.Error("Release has changed what is read")
	}
}
