package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// Writer makes a corpus, one row a document. Its memory does not grow with the
// corpus. It is not safe for concurrent use.
//
// Nothing is visible under the corpus' name until Commit, and then PREFIX.idx
// is what makes the corpus exist: Commit takes an old one away before it puts
// the other files in place, and brings the new one last. A process killed at
// any point leaves the old corpus, the new one, or none that opens.
type Writer struct {
	prefix   string
	dtype    DType
	bin, idx *atomicfile.File
	rows     int64
	tokens   int64
	largest  int32 // token seen
	lengths  hash.Hash
	chunks   *chunkHash
	scratch  []byte
	err      error // the first failure: what is on disk after it is not known

	// Set by the steps of Commit.
	index   hash.Hash        // of the document index
	side    *atomicfile.File // PREFIX.json
	placing bool             // files are being put in place
	done    bool             // all are
}

// Create starts the corpus PREFIX.bin, PREFIX.idx, PREFIX.json; as with Open,
// the name of one of the files is taken for the prefix. An existing corpus is
// replaced by Commit. A type that the format cannot write is an error of kind
// fault.Invalid.
func Create(prefix string, dtype DType) (*Writer, error) {
	if !dtype.valid() || kinds[dtype].code == 0 {
		return nil, fault.Invalidf("corpus %s: type %s cannot be written, Megatron's format has no code for it; use int32", prefix, dtype)
	}
	prefix = trimPrefix(prefix)
	if base := filepath.Base(prefix); prefix == "" || base == "." || base == ".." || os.IsPathSeparator(prefix[len(prefix)-1]) {
		return nil, fault.Invalidf("%q is no name for a corpus; give a file name without ending, such as data/corpus", prefix)
	}
	bin, err := atomicfile.Create(prefix + ".bin")
	if err != nil {
		return nil, fmt.Errorf("create corpus %s: %w", prefix, err)
	}
	idx, err := atomicfile.Create(prefix + ".idx")
	if err != nil {
		bin.Abort()
		return nil, fmt.Errorf("create corpus %s: %w", prefix, err)
	}
	w := &Writer{prefix: prefix, dtype: dtype, bin: bin, idx: idx, lengths: sha256.New(), chunks: newChunkHash()}
	// The lengths follow the header as documents come; the header is written
	// over this one when their number is known.
	idx.Write(appendHeader(nil, dtype, 0, 0)) // fits the buffer, so cannot fail
	return w, nil
}

// Path returns the prefix.
func (w *Writer) Path() string { return w.prefix }

// DType returns how tokens are stored.
func (w *Writer) DType() DType { return w.dtype }

// Documents returns how many documents were appended.
func (w *Writer) Documents() int64 { return w.rows }

// Tokens returns how many tokens were appended.
func (w *Writer) Tokens() int64 { return w.tokens }

// Append writes one document; its end-of-document token, if it is to have one,
// is the caller's. A document of more than 2^31-1 tokens, or with a token that
// is negative or does not fit the type, is an error of kind fault.Invalid and
// is not written: the Writer can go on. After a failed write it cannot.
func (w *Writer) Append(document []int32) error {
	if w.err != nil {
		return w.err
	}
	if len(document) > longestRow {
		return fault.Invalidf("document %d has %d tokens; the format's limit is %d, split it", w.rows, len(document), longestRow)
	}
	largest, limit := w.largest, kinds[w.dtype].largest
	for i, t := range document {
		if t < 0 || t > limit {
			return fault.Invalidf("document %d: token %d is %d, which does not fit %s (0 to %d)", w.rows, i, t, w.dtype, limit)
		}
		largest = max(largest, t)
	}
	length := binary.LittleEndian.AppendUint32(nil, uint32(len(document)))
	if w.err = w.put(document, length); w.err != nil {
		w.err = fmt.Errorf("write corpus %s: %w", w.prefix, w.err)
		return w.err
	}
	w.lengths.Write(length)
	w.rows++
	w.tokens += int64(len(document))
	w.largest = largest
	return nil
}

// put writes a document and its length. It encodes a piece at a time: the whole
// would double the memory that a long document takes.
func (w *Writer) put(document []int32, length []byte) error {
	const piece = 32 << 10
	for len(document) > 0 {
		n := min(piece, len(document))
		w.scratch = w.dtype.narrow(w.scratch[:0], document[:n])
		document = document[n:]
		if _, err := w.bin.Write(w.scratch); err != nil {
			return err
		}
		w.chunks.write(w.scratch)
	}
	_, err := w.idx.Write(length)
	return err
}

// Commit completes the corpus and puts it in place. A corpus without documents
// or with tokens outside the vocabulary of meta is an error of kind
// fault.Invalid. After any error nothing of the new corpus is left; the old one
// is untouched if writing failed, and gone if only putting in place did.
func (w *Writer) Commit(meta Meta) error {
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	if err := w.checkMeta(meta); err != nil {
		return err
	}
	for _, s := range w.steps(meta) {
		if err := s(); err != nil {
			return fmt.Errorf("write corpus %s: %w", w.prefix, err)
		}
	}
	w.done = true
	return nil
}

// Abort takes back everything. After Commit it does nothing, so that it can be
// deferred right after Create.
func (w *Writer) Abort() {
	for _, f := range []*atomicfile.File{w.bin, w.side, w.idx} {
		if f == nil {
			continue
		}
		f.Abort()
		if w.placing && !w.done {
			os.Remove(f.Path())
		}
	}
	w.placing = false
	if w.err == nil {
		w.err = fmt.Errorf("corpus %s: the writer is closed", w.prefix)
	}
}

func (w *Writer) checkMeta(meta Meta) error {
	if w.rows == 0 {
		return fault.Invalidf("corpus %s: there are no documents to write", w.prefix)
	}
	if err := meta.validate(); err != nil {
		return fault.Invalidf("corpus %s: %w", w.prefix, err)
	}
	if meta.Vocabulary > 0 && int64(w.largest) >= int64(meta.Vocabulary) {
		return fault.Invalidf("corpus %s: token %d is outside the vocabulary of %d", w.prefix, w.largest, meta.Vocabulary)
	}
	return nil
}

// steps are what Commit does, in order. Whatever can fill the disk comes
// first; from the removal on, only names change. Each step is durable before
// the next one begins.
func (w *Writer) steps(meta Meta) []func() error {
	return []func() error{
		w.bin.Sync,
		w.finishIndex,
		func() error { return w.writeSidecar(meta) },
		w.removeOld,
		w.bin.Commit,
		func() error { return w.side.Commit() },
		w.idx.Commit,
	}
}

// finishIndex adds to the lengths the offsets, which are their running sum, and
// the document index 0, 1, ..., n; then the header.
func (w *Writer) finishIndex() error {
	le := binary.LittleEndian
	var number [8]byte
	var offset int64
	block := make([]byte, 64<<10)
	for at := int64(0); at < 4*w.rows; at += int64(len(block)) {
		block = block[:min(int64(len(block)), 4*w.rows-at)]
		if _, err := w.idx.ReadAt(block, headerSize+at); err != nil {
			return err
		}
		for i := 0; i < len(block); i += 4 {
			le.PutUint64(number[:], uint64(offset))
			if _, err := w.idx.Write(number[:]); err != nil {
				return err
			}
			offset += int64(le.Uint32(block[i:])) * w.dtype.Size()
		}
	}
	w.index = sha256.New()
	both := io.MultiWriter(w.idx, w.index)
	for row := range w.rows + 1 {
		le.PutUint64(number[:], uint64(row))
		if _, err := both.Write(number[:]); err != nil {
			return err
		}
	}
	if _, err := w.idx.WriteAt(appendHeader(nil, w.dtype, uint64(w.rows), uint64(w.rows)+1), 0); err != nil {
		return err
	}
	return w.idx.Sync()
}

// writeSidecar writes PREFIX.json beside its place. A rename keeps the sizes
// and modification times it notes.
func (w *Writer) writeSidecar(meta Meta) error {
	bin, err := w.bin.Stat()
	if err != nil {
		return err
	}
	idx, err := w.idx.Stat()
	if err != nil {
		return err
	}
	fingerprint := fingerprintOf(w.dtype, w.tokens, w.rows, rowLines(digest(w.lengths.Sum(nil)), digest(w.index.Sum(nil))), w.chunks.close())
	content, err := (&sidecar{
		Version: sidecarVersion, Meta: meta,
		Documents: w.rows, Tokens: w.tokens, DType: w.dtype.String(), Fingerprint: fingerprint,
		BinBytes: bin.Size(), IdxBytes: idx.Size(),
		BinModified: bin.ModTime().UnixNano(), IdxModified: idx.ModTime().UnixNano(),
	}).encode()
	if err != nil {
		return err
	}
	if len(content) > sidecarLimit {
		return fault.Invalidf("%s.json would have %d bytes, more than %d; shorten the names of the classes", w.prefix, len(content), sidecarLimit)
	}
	if w.side, err = atomicfile.Create(w.prefix + ".json"); err != nil {
		return err
	}
	if _, err := w.side.Write(content); err != nil {
		return err
	}
	return w.side.Sync()
}

// removeOld takes the index of an old corpus away, and with it that corpus.
func (w *Writer) removeOld() error {
	w.placing = true
	err := os.Remove(w.idx.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(w.idx.Path()))
}
