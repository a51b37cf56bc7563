package saving

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
)

// Output says where Write puts a result. What is empty is not written.
type Output struct {
	Page    string // the HTML file
	JSON    string // the Result
	Table   string // the Markdown file
	SVGDir  string // for a file a figure, made if it is missing
	Command string // shown on the page: what repeats the study
}

// Write writes a result: the figures, the JSON, the table, and last the page. Each file is
// whole or not there; one of the same name is replaced.
func Write(ctx context.Context, out Output, r Result) error {
	type file struct {
		path  string
		write func(io.Writer) error
	}
	var files []file
	if out.SVGDir != "" {
		if err := os.MkdirAll(out.SVGDir, 0o777); err != nil {
			return fmt.Errorf("saving: %w", err)
		}
		for _, f := range Figures(r) {
			files = append(files, file{filepath.Join(out.SVGDir, f.Name+".svg"), func(w io.Writer) error { _, err := w.Write(f.SVG()); return err }})
		}
	}
	files = append(files,
		file{out.JSON, r.JSON},
		file{out.Table, r.Table},
		file{out.Page, func(w io.Writer) error { return Page(w, r, out.Command) }},
	)
	for _, f := range files {
		if f.path == "" {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := atomicfile.Write(f.path, f.write); err != nil {
			return fmt.Errorf("saving: %w", err)
		}
	}
	return nil
}

// JSON writes the result as indented JSON.
func (r Result) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("saving: %w", err)
	}
	return nil
}
