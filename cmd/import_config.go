package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradus-ml/gradus/deepspeed"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/spf13/cobra"
)

// looksLikeConfig reports whether a path is a file of JSON, by its first
// characters: a section, or a comment as DeepSpeed takes them. The files of an
// analysis are no text, and known by their endings.
func looksLikeConfig(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the beginning of an analysis' names, perhaps
		if filepath.Ext(path) == ".json" {
			return false, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		return false, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, nil
	}
	switch filepath.Ext(path) {
	case ".bin", ".idx", ".npy", ".csv":
		return false, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, err
	}
	head = bytes.TrimLeft(head[:n], " \t\r\n\ufeff")
	for _, start := range []string{"{", "//", "/*", "#"} {
		if bytes.HasPrefix(head, []byte(start)) {
			return true, nil
		}
	}
	return filepath.Ext(path) == ".json", nil
}

// A convertedView is what import deepspeed prints of a configuration with --json.
type convertedView struct {
	Path     string           `json:"path,omitempty"`   // of the recipe
	Recipe   string           `json:"recipe,omitempty"` // its text, where there is no path
	Complete bool             `json:"complete"`         // nothing is to be filled in
	Notes    []deepspeed.Note `json:"notes"`
}

// runConfig makes a recipe.
func (o *importFlags) runConfig(cmd *cobra.Command, path string) error {
	if err := misplaced(cmd, path, "a configuration", "dtype", "documents", "metric", "workers"); err != nil {
		return err
	}
	if len(o.names) > 1 {
		return fault.Invalidf("--corpus: %d are named; a recipe of a configuration has one, and others can be written into it", len(o.names))
	}
	for _, f := range []string{"window", "steps", "tokens"} {
		if value := cmd.Flag(f).Value.String(); cmd.Flags().Changed(f) && (value == "0" || strings.HasPrefix(value, "-")) {
			return fault.Invalidf("--%s %s: it must be at least 1", f, value)
		}
	}
	c := o.convert
	c.Window, c.Corpus = o.cut.Window, strings.Join(o.names, "")
	config, err := deepspeed.ReadConfig(path)
	if err != nil {
		return err
	}
	draft, notes, err := config.Convert(c)
	if err != nil {
		return err
	}
	v := convertedView{Complete: !strings.Contains(string(draft), deepspeed.FillIn), Notes: notes}
	if o.out == "" || o.out == "-" {
		v.Recipe = string(draft)
	} else {
		v.Path = o.out
	}
	if v.Complete { // what a flag says may not go together with the file
		if _, err := recipe.Parse(or(v.Path, "the recipe"), []byte(draft)); err != nil {
			return err
		}
	}
	if v.Path != "" {
		if err := writeRecipe(v.Path, []byte(draft), o.Force); err != nil {
			return err
		}
	}
	if o.json {
		return printJSON(cmd.OutOrStdout(), v)
	}
	if err := printNotes(cmd.ErrOrStderr(), path, v); err != nil {
		return err
	}
	if v.Path == "" {
		_, err = io.WriteString(cmd.OutOrStdout(), v.Recipe)
	} else {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "recipe: %s\n", v.Path)
	}
	return err
}

// writeRecipe writes a recipe where none is yet.
func writeRecipe(path string, text []byte, force bool) error {
	if _, err := os.Lstat(path); err == nil && !force {
		return fault.Invalidf("%s: it is there already; --force replaces it", path)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// noteKinds are the kinds of notes in the order of their weight, with what they
// say.
var noteKinds = []struct {
	kind deepspeed.NoteKind
	says string
}{
	{deepspeed.Missing, "to be filled in"},
	{deepspeed.Changed, "changed"},
	{deepspeed.Assumed, "assumed"},
	{deepspeed.LeftOut, "left out: a recipe has nothing for it"},
	{deepspeed.NoEffect, "without effect in DeepSpeed too"},
	{deepspeed.Trainer, "for the trainer"},
	{deepspeed.Kept, "kept"},
}

// printNotes prints what became of the keys of a configuration, by kind.
func printNotes(out io.Writer, path string, v convertedView) error {
	var b bytes.Buffer
	for _, k := range noteKinds {
		first := true
		for _, n := range v.Notes {
			if n.Kind != k.kind {
				continue
			}
			if first {
				fmt.Fprintf(&b, "%s:\n", k.says)
				first = false
			}
			switch {
			case n.Line > 0:
				fmt.Fprintf(&b, "  %s:%d: %s: %s\n", path, n.Line, n.Key, n.Text)
			default:
				fmt.Fprintf(&b, "  %s\n", n.Text)
			}
		}
	}
	if !v.Complete {
		fmt.Fprintf(&b, "The recipe has %s where something is missing; gradus reads it when that is filled in.\n", deepspeed.FillIn)
	}
	_, err := out.Write(b.Bytes())
	return err
}
