package recipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/gradus-ml/gradus/internal/fault"
)

// A File is strict YAML: a recipe, or a file of another kind that is about recipes
// and read in the same way. It knows where each of its lines comes from, so that
// messages name the place that is to be changed, also in a file that Merge made.
type File struct {
	path string
	text []byte
	tree *ast.File

	// Of a file that Merge made, nil else: "study.yaml:12" of each line, and of each value
	// by its path, such as "curriculum[0].pace".
	lines  []string
	places map[string]string
}

// LoadFile reads a file.
func LoadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseFile(path, text)
}

// ParseFile is LoadFile on the text of a file.
func ParseFile(path string, text []byte) (*File, error) {
	f := &File{path: path, text: text}
	return f, f.parse()
}

func (f *File) parse() (err error) {
	if f.tree, err = parser.ParseBytes(f.text, 0); err != nil {
		return f.yamlError(err)
	}
	if n := len(f.tree.Docs); n > 1 {
		return fault.Invalidf("%s: it holds %d documents of YAML; leave one", f.path, n)
	}
	return nil
}

// root returns the whole of the file; nil: it is empty.
func (f *File) root() ast.Node {
	if len(f.tree.Docs) == 0 {
		return nil
	}
	return f.tree.Docs[0].Body
}

// Path returns the file's name.
func (f *File) Path() string { return f.path }

// Text returns the file as it was read, or as Merge wrote it.
func (f *File) Text() []byte { return f.text }

// Decode reads the file into a pointer to a struct whose fields have yaml tags, as
// Recipe's have. An unknown key is an error with its line and the nearest known
// key. Fields may be Patches, which are held to the keys of a Recipe.
func (f *File) Decode(v any) error {
	if f.root() == nil {
		return fault.Invalidf("%s: it is empty", f.path)
	}
	if err := f.checkKeys(reflect.TypeOf(v)); err != nil {
		return err
	}
	ctx := context.WithValue(context.Background(), fileKey{}, f)
	if err := yaml.NewDecoder(bytes.NewReader(f.text)).DecodeContext(ctx, v); err != nil {
		return f.yamlError(err)
	}
	return nil
}

// fileKey is under what Patches find the file that they stand in.
type fileKey struct{}

// Errorf returns an error of kind fault.Invalid that begins with the file, the line
// and the path of a value, such as "curriculum[0].pace".
func (f *File) Errorf(at, format string, args ...any) error {
	return fault.Invalidf("%s: %w", f.Place(at), fmt.Errorf(format, args...))
}

// Place returns "recipe.yaml:12: routing.keep", with the line of the nearest part of
// the path that stands in the file.
func (f *File) Place(at string) string {
	for part := at; part != ""; {
		if place, ok := f.places[part]; ok {
			return place + ": " + at
		}
		if p, err := yaml.PathString("$." + part); err == nil {
			if n, err := p.FilterFile(f.tree); err == nil && n != nil {
				return f.lineOf(n) + ": " + at
			}
		}
		i := strings.LastIndexAny(part, ".[")
		part = part[:max(i, 0)]
	}
	return f.path + ": " + at
}

// lineOf returns where a node comes from, such as "recipe.yaml:12".
func (f *File) lineOf(n ast.Node) string { return f.line(n.GetToken().Position.Line) }

func (f *File) line(number int) string {
	if number >= 1 && number <= len(f.lines) {
		return f.lines[number-1]
	}
	return fmt.Sprintf("%s:%d", f.path, number)
}

// yamlError returns an error of the YAML reader with its place in the file, in
// words for people who do not write Go.
func (f *File) yamlError(err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return fault.Invalidf("%s: %s", f.path, first)
	}
	token, what := at.GetToken(), at.GetMessage()
	var mistyped *yaml.TypeError
	var large *yaml.OverflowError
	switch {
	case errors.As(err, &mistyped):
		what = fmt.Sprintf("%q stands where %s must", token.Value, kindName(mistyped.DstType))
	case errors.As(err, &large):
		what = fmt.Sprintf("%s is out of range for %s", large.SrcNum, kindName(large.DstType))
	}
	return fault.Invalidf("%s: %s", f.line(token.Position.Line), what)
}
