package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
)

// bestFile, checkpoints/best of a run, holds the name of the best checkpoint on a
// line. It is a file and no link, which some file systems and archives lack.
const bestFile = "best"

// markBest writes which checkpoint is the best, if that has changed.
func markBest(root string, best *Best) error {
	if best == nil {
		return nil
	}
	name, line := filepath.Join(root, bestFile), checkpointName(best.Step)+"\n"
	if old, err := os.ReadFile(name); err == nil && string(old) == line {
		return nil
	}
	err := atomicfile.Write(name, func(w io.Writer) error {
		_, err := io.WriteString(w, line)
		return err
	})
	if err != nil {
		return fmt.Errorf("train: marking the best checkpoint: %w", err)
	}
	return nil
}

// BestCheckpoint returns the checkpoint of the run in dir with the lowest held-out
// loss, of those that were evaluated at their step; "" if there is none. A mark
// that names none is an error of kind fault.Corrupt.
func BestCheckpoint(dir string) (string, error) {
	return readBest(filepath.Join(dir, checkpointDir, bestFile))
}

// readBest returns the checkpoint that a mark names.
func readBest(mark string) (string, error) {
	text, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("train: the best checkpoint: %w", err)
	}
	name, ended := strings.CutSuffix(string(text), "\n")
	digits, named := strings.CutPrefix(name, checkpointPrefix)
	if !ended || !named || !isStep(digits) {
		return "", fault.Corruptf("%s does not hold the name of a checkpoint, such as %s; remove it", mark, checkpointName(1))
	}
	path := filepath.Join(filepath.Dir(mark), name)
	if _, err := os.Stat(path); err != nil {
		return "", fault.Corruptf("%s names %s, which is not there: %w; put it back, or remove the mark", mark, name, err)
	}
	return path, nil
}

// bestPath returns the best checkpoint so far; "": none.
func (r *run) bestPath() string {
	if r.best == nil {
		return ""
	}
	return filepath.Join(r.Dir, checkpointDir, checkpointName(r.best.Step))
}
