package corpus

import (
	"runtime"

	"github.com/gradus-ml/gradus/internal/fault"
)

// Check proves everything that can be proven about the corpus, beyond what
// Open does: that every token is one and is within the vocabulary, if that is
// known, and that the content is what PREFIX.json says. It reads everything, on
// all cores. A failure is an error of kind fault.Corrupt.
func (c *Corpus) Check() error {
	workers := runtime.GOMAXPROCS(0)
	const per = chunkSize
	chunks := (c.tokens + per - 1) / per
	err := inParallel(int(chunks), workers, func(i int) error {
		return c.checkTokens(int64(i)*per, min(int64(i+1)*per, c.tokens))
	})
	if err != nil {
		return err
	}
	var noted []*part
	for _, p := range c.parts {
		if p.side != nil {
			noted = append(noted, p)
		}
	}
	fingerprints, err := hashParts(noted, workers)
	if err != nil {
		return err
	}
	for i, p := range noted {
		if p.side.Fingerprint != fingerprints[i] {
			return fault.Corruptf("%s.json says %s, but the content has the fingerprint %s; it was changed after it was written, prepare it again", p.name, p.side.Fingerprint, fingerprints[i])
		}
	}
	return nil
}

// checkTokens looks at the tokens [start, end).
func (c *Corpus) checkTokens(start, end int64) error {
	vocabulary := int64(c.meta.Vocabulary)
	r := c.NewReader()
	buf := make([]int32, 16<<10)
	for ; start < end; start += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), end-start)]
		if err := r.Read(buf, start); err != nil {
			return err
		}
		if vocabulary == 0 {
			continue
		}
		for i, t := range buf {
			if int64(t) >= vocabulary {
				p := c.parts[c.partAt(start+int64(i))]
				at := start + int64(i) - p.token
				return fault.Corruptf("%s: token %d (byte %d, document %d) is %d, outside the vocabulary of %d", p.bin.Name(), at, p.at(at), p.documentAt(at), t, vocabulary)
			}
		}
	}
	return nil
}
