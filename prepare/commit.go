package prepare

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/tokenizer"
)

// commit puts the corpus in place, and beside it the tokenizer it was made with
// (nil: there is none) if that came from a file: tokens mean nothing without it, and the file the
// user named may change or stay behind when the corpus moves.
//
// The tokenizer comes first, so that there is no corpus without its own. A
// process killed between the two leaves an old corpus with another tokenizer,
// which opening it notices.
func commit(w *corpus.Writer, tok tokenizer.Tokenizer, meta corpus.Meta) error {
	path := tokenizer.CorpusFile(w.Path())
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, isFile := tok.(*tokenizer.File)
	if isFile {
		if err := put(path, file.Content()); err != nil {
			return err
		}
	}
	if err := w.Commit(meta); err != nil {
		switch {
		case isFile && old != nil:
			return errors.Join(err, put(path, old))
		case isFile:
			return errors.Join(err, os.Remove(path))
		}
		return err
	}
	if !isFile && old != nil { // of the corpus that was replaced
		return os.Remove(path)
	}
	return nil
}

func put(path string, content []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}
