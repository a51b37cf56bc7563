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

	"github.com/gradus-ml/gradus/internal/fault"
)

// The fingerprint is "sha256:" and the hex SHA-256 of this text, each line
// ended by one newline, every hash in lower-case hex:
//
//	gradus corpus 1
//	dtype uint16
//	tokens 1000000
//	documents 250
//	lengths HASH      of the row lengths as they stand in PREFIX.idx
//	index HASH        of the document index, without repeated ends
//	chunk HASH        of each 16 MiB of PREFIX.bin in order, the last one shorter
//
// So it depends on the tokens and where documents and rows end, and not on who
// wrote the files, the table of codes, or how many workers hashed them.

// chunkSize is what is hashed as one piece: large enough that the list of
// hashes is a 500,000th of the corpus, small enough to keep all cores busy.
const chunkSize = 16 << 20

type digest = [sha256.Size]byte

// fingerprintOf puts the parts together.
func fingerprintOf(dtype DType, tokens, documents int64, lengths, index digest, chunks []digest) string {
	var text strings.Builder
	fmt.Fprintf(&text, "gradus corpus 1\ndtype %s\ntokens %d\ndocuments %d\nlengths %x\nindex %x\n", dtype, tokens, documents, lengths, index)
	for _, c := range chunks {
		fmt.Fprintf(&text, "chunk %x\n", c)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// findFingerprint is Fingerprint before it is remembered.
func (c *Corpus) findFingerprint() (string, error) {
	if c.side != nil && c.side.unchanged(c.bin.Info(), c.idx.Info()) {
		return c.side.Fingerprint, nil
	}
	return c.hash(runtime.GOMAXPROCS(0)), nil
}

// hash computes the fingerprint from the files.
func (c *Corpus) hash(workers int) string {
	bin := c.bin.Bytes()
	chunks := make([]digest, (len(bin)+chunkSize-1)/chunkSize)
	inParallel(len(chunks), workers, func(i int) error {
		chunks[i] = sha256.Sum256(bin[i*chunkSize : min((i+1)*chunkSize, len(bin))])
		return nil
	})
	return fingerprintOf(c.rows.dtype, c.rows.tokens, c.rows.documents, sha256.Sum256(c.rows.lengths), sha256.Sum256(c.rows.first), chunks)
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

// Check proves everything that can be proven about the corpus, beyond what
// Open does: that every token is one and is within the vocabulary, if that is
// known, and that the content is what PREFIX.json says. It reads everything, on
// all cores. A failure is an error of kind fault.Corrupt.
func (c *Corpus) Check() error {
	workers := runtime.GOMAXPROCS(0)
	per := int64(chunkSize) / c.rows.dtype.Size()
	chunks := (c.rows.tokens + per - 1) / per
	err := inParallel(int(chunks), workers, func(i int) error {
		return c.checkTokens(int64(i)*per, min(int64(i+1)*per, c.rows.tokens))
	})
	if err != nil || c.side == nil {
		return err
	}
	if got := c.hash(workers); got != c.side.Fingerprint {
		return fault.Corruptf("%s.json says %s, but the content has the fingerprint %s; it was changed after it was written, prepare it again", c.prefix, c.side.Fingerprint, got)
	}
	return nil
}

// checkTokens looks at the tokens [start, end).
func (c *Corpus) checkTokens(start, end int64) error {
	vocabulary := int64(c.Meta().Vocabulary)
	buf := make([]int32, 16<<10)
	for ; start < end; start += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end-start)]
		if err := c.Read(buf, start); err != nil {
			return err
		}
		if vocabulary == 0 {
			continue
		}
		for i, t := range buf {
			if int64(t) >= vocabulary {
				at := start + int64(i)
				return fault.Corruptf("%s.bin: token %d (byte %d, document %d) is %d, outside the vocabulary of %d", c.prefix, at, at*c.rows.dtype.Size(), c.DocumentAt(at), t, vocabulary)
			}
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
