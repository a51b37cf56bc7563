package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/runlog"
)

// Output says where Write puts a report.
type Output struct {
	Page    string // the HTML file
	SVGDir  string // for a file a figure, made if it is missing; "" writes none
	Command string // shown on the page: what makes it anew
}

// Write writes the report of a comparison of runs, which must be those given to
// Compare with the same names: the figures, then the page. It returns the SVG
// files it wrote. Each file is whole or not there; one of the same name is
// replaced.
func Write(ctx context.Context, out Output, runs []*runlog.Log, names []string, c Comparison) ([]string, error) {
	figures, svgs := Figures(runs, names, c), []string{}
	if out.SVGDir != "" {
		if err := os.MkdirAll(out.SVGDir, 0o777); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		for _, f := range figures {
			if err := ctx.Err(); err != nil {
				return svgs, err
			}
			path := filepath.Join(out.SVGDir, f.Name+".svg")
			err := atomicfile.Write(path, func(w io.Writer) error { _, err := w.Write(f.SVG()); return err })
			if err != nil {
				return svgs, fmt.Errorf("report: %w", err)
			}
			svgs = append(svgs, path)
		}
	}
	if err := ctx.Err(); err != nil {
		return svgs, err
	}
	if err := atomicfile.Write(out.Page, func(w io.Writer) error { return Page(w, c, figures, out.Command) }); err != nil {
		return svgs, fmt.Errorf("report: %w", err)
	}
	return svgs, nil
}
