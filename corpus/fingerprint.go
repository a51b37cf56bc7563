package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gradus-ml/gradus/internal/mmap"
)

// The fingerprint of a part is "sha256:" and the hex SHA-256 of this text, each
// line ended by one newline, every hash in lower-case hex:
//
//	gradus corpus 1
//	dtype uint16
//	tokens 1000000
//	documents 250
//	lengths HASH      of the row lengths as they stand in PREFIX.idx
//	index HASH        of the document index, without repeated ends
//	chunk HASH        of each 16 MiB of tokens in order, the last one shorter
//
// A part that is no pair, whose documents all have one length, has one line
// instead of lengths and index:
//
//	each 4000         tokens of every document
//
// A corpus of one part has that part's fingerprint. One of several has the
// SHA-256, written alike, of this text; parts without documents do not count,
// and if they leave one part, it is that part's.
//
//	gradus corpus parts 1
//	part sha256:HEX   fingerprint of each part in order
//
// So it depends on the tokens and where documents, rows and parts end, and not
// on who wrote the files, their names, the table of codes, or how many workers
// hashed them. What was added behind a corpus leaves the text before it alone:
// see Head.

// chunkSize is what is hashed as one piece: large enough that the list of
// hashes is a 500,000th of the corpus, small enough to keep all cores busy.
const chunkSize = 16 << 20

type digest = [sha256.Size]byte

// fingerprintOf puts the text of a part together.
func fingerprintOf(dtype DType, tokens, documents int64, layout string, chunks []digest) string {
	var text strings.Builder
	fmt.Fprintf(&text, "gradus corpus 1\ndtype %s\ntokens %d\ndocuments %d\n%s", dtype, tokens, documents, layout)
	for _, c := range chunks {
		fmt.Fprintf(&text, "chunk %x\n", c)
	}
	return sumOf(text.String())
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// rowLines are the lines of a pair's layout.
func rowLines(lengths, index digest) string {
	return fmt.Sprintf("lengths %x\nindex %x\n", lengths, index)
}

// Stamp tells quickly whether the files are still those they were: the sizes and
// modification times of all parts, in order.
func (c *Corpus) Stamp() string {
	var text strings.Builder
	for _, p := range c.parts {
		for _, f := range []*mmap.File{p.bin, p.idx} {
			if f != nil {
				fmt.Fprintf(&text, "%s %d %d %d\n", p.dtype, p.documents, f.Info().Size(), f.Info().ModTime().UnixNano())
			}
		}
	}
	return sumOf(text.String())
}

// Remember takes the fingerprint that was found when the corpus had a stamp, on
// this machine or another one that sees the same files, so that Fingerprint
// need not read everything. It does nothing and returns false if the corpus has
// another stamp now, or that is no fingerprint. It is not to be called while
// another method runs.
func (c *Corpus) Remember(fingerprint, stamp string) bool {
	if stamp != c.Stamp() || !fingerprintForm.MatchString(fingerprint) {
		return false
	}
	c.fingerprint = func() (string, error) { return fingerprint, nil }
	return true
}

// findFingerprint is Fingerprint before it is remembered.
func (c *Corpus) findFingerprint() (string, error) {
	known := make([]string, len(c.parts))
	var unknown []*part
	for i, p := range c.parts {
		if p.side != nil && p.side.unchanged(p.bin.Info(), p.idx.Info()) {
			known[i] = p.side.Fingerprint
		} else {
			unknown = append(unknown, p)
		}
	}
	found, err := hashParts(unknown, runtime.GOMAXPROCS(0))
	if err != nil {
		return "", err
	}
	text, counted := "gradus corpus parts 1\n", 0
	last := 0
	for i, p := range c.parts {
		if known[i] == "" {
			known[i], found = found[0], found[1:]
		}
		if p.documents > 0 {
			text += "part " + known[i] + "\n"
			counted, last = counted+1, i
		}
	}
	if counted == 1 || len(c.parts) == 1 {
		return known[last], nil
	}
	return sumOf(text), nil
}

// hashParts computes the fingerprints of parts from the files, which it reads
// past the maps.
func hashParts(parts []*part, workers int) ([]string, error) {
	type job struct{ part, chunk int } // chunk -1 is the layout
	var jobs []job
	layouts, chunks := make([]string, len(parts)), make([][]digest, len(parts))
	for i, p := range parts {
		chunks[i] = make([]digest, (p.tokens*p.dtype.Size()+chunkSize-1)/chunkSize)
		for k := -1; k < len(chunks[i]); k++ {
			jobs = append(jobs, job{i, k})
		}
	}
	err := inParallel(len(jobs), workers, func(i int) (err error) {
		j := jobs[i]
		p := parts[j.part]
		if j.chunk < 0 {
			layouts[j.part], err = p.layout.lines()
			return err
		}
		h := sha256.New()
		start := p.begin + int64(j.chunk)*chunkSize
		err = p.bin.Scan(start, min(start+chunkSize, p.at(p.tokens)), func(piece []byte) error {
			h.Write(piece)
			return nil
		})
		chunks[j.part][j.chunk] = digest(h.Sum(nil))
		return err
	})
	if err != nil {
		return nil, err
	}
	fingerprints := make([]string, len(parts))
	for i, p := range parts {
		fingerprints[i] = fingerprintOf(p.dtype, p.tokens, p.documents, layouts[i], chunks[i])
	}
	return fingerprints, nil
}

// inParallel calls do(0) to do(n-1) on some workers and returns the error of
// the lowest number that failed, the same for any number of workers.
func inParallel(n, workers int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(n, max(workers, 1)) {
		wg.Go(func() {
			// Numbers are handed out in order and every number taken is done,
			// so when one fails, all below it are done or under way.
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = do(i); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// chunkHash hashes a stream in chunks as it is written.
type chunkHash struct {
	current hash.Hash
	filled  int
	done    []digest
}

func newChunkHash() *chunkHash { return &chunkHash{current: sha256.New()} }

func (h *chunkHash) write(p []byte) {
	for len(p) > 0 {
		n := min(len(p), chunkSize-h.filled)
		h.current.Write(p[:n])
		h.filled += n
		p = p[n:]
		if h.filled == chunkSize {
			h.close()
		}
	}
}

// close ends the current chunk, if it has anything, and returns all.
func (h *chunkHash) close() []digest {
	if h.filled > 0 {
		h.done = append(h.done, digest(h.current.Sum(nil)))
		h.current.Reset()
		h.filled = 0
	}
	return h.done
}
