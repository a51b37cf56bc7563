package cmd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/spell"
	"github.com/gradus-ml/gradus/recipe"
)

// idText writes an id for people: the number within its source, behind the
// source's name where there are several.
func idText(b *recipe.Bound, id int64) string {
	i, local := curriculum.Split(id)
	number := strconv.FormatInt(local, 10)
	if len(b.Sources) == 1 {
		return number
	}
	return b.Sources[i].Name + ":" + number
}

// globalID returns the id of the n-th unit or sample of a source.
func globalID(source int, n int64) int64 { return int64(source)<<curriculum.SourceShift | n }

// parseID reads what idText writes; a source's number does for its name. The
// number may be anything from 0 on that an id has room for.
func parseID(b *recipe.Bound, flag, text string) (source int, n int64, err error) {
	name, number, named := strings.Cut(text, ":")
	if !named {
		name, number = "", text
	}
	n, err = strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n >= 1<<curriculum.SourceShift {
		return 0, 0, fault.Invalidf("--%s %s: an id is a whole number from 0 on, with the name of its source before it where there are several, as in web:4711", flag, text)
	}
	source, err = parseSource(b, flag+" "+text, name)
	return source, n, err
}

// parseSource finds a source by its name or number; no name means the only one.
func parseSource(b *recipe.Bound, flag, name string) (int, error) {
	var names []string
	for _, s := range b.Sources {
		names = append(names, s.Name)
	}
	if name == "" && len(b.Sources) == 1 {
		return 0, nil
	}
	if i := slices.Index(names, name); i >= 0 && name != "" {
		return i, nil
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(b.Sources) {
		return i, nil
	}
	known := strings.Join(names, ", ")
	if len(b.Sources) == 1 && names[0] == "" {
		return 0, fault.Invalidf("--%s: there is one source, without a name; leave %q out", flag, name)
	}
	if name == "" {
		return 0, fault.Invalidf("--%s: it does not say of which source; there are %s, so write NAME:ID, or --source NAME beside --document", flag, known)
	}
	nearest, _ := spell.Nearest(name, names)
	return 0, fault.Invalidf("--%s: no source %q; did you mean %s? There are %s", flag, name, nearest, known)
}
