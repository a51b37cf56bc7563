package prepare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
)

// block is a part of one file on its way through the pipeline: a text file as a
// whole, whole pieces of one that is split, or whole lines of a JSONL file.
type block struct {
	name        string
	line        int // number of the first line; 0: not JSONL
	data        []byte
	cuts        []int // where the pieces of a split text end
	read, total int64 // for Progress

	done chan struct{} // closed when encode has set what follows
	// Document i is tokens[ends[i-1]:ends[i]].
	tokens    []int32
	ends      []int
	textBytes int64
	empty     int64
	badLines  int64
	err       error
}

// encode tokenizes the documents of the block and lets go of its text.
func (b *block) encode(o Options) {
	if b.line == 0 {
		if b.cuts == nil {
			b.cuts = []int{len(b.data)}
		}
		from := 0
		for _, to := range b.cuts {
			b.add(o, b.data[from:to])
			from = to
		}
		b.data = nil
		return
	}
	data := b.data
	for line := b.line; len(data) > 0; line++ {
		var one []byte
		one, data, _ = bytes.Cut(data, []byte("\n"))
		if line == 1 {
			one = bytes.TrimPrefix(one, []byte("\ufeff"))
		}
		if int64(len(one)) > o.LongestDocument {
			b.err = lineTooLong(b.name, line, o.LongestDocument)
			break
		}
		if one = bytes.TrimSpace(one); len(one) == 0 {
			continue
		}
		text, err := textOf(one, o.Field)
		if err == nil {
			b.add(o, []byte(text))
		} else if o.SkipBadLines {
			b.badLines++
		} else {
			b.err = fault.Invalidf("%s:%d: %w; mend it, or have such lines skipped (--skip-bad-lines)", b.name, line, err)
			break
		}
	}
	b.data = nil
}

func (b *block) add(o Options, text []byte) {
	if len(text) == 0 {
		b.empty++
		return
	}
	b.textBytes += int64(len(text))
	b.tokens = append(o.Tokenizer.Encode(b.tokens, text), int32(o.Tokenizer.EndOfDocument()))
	b.ends = append(b.ends, len(b.tokens))
}

// textOf returns a field of the JSON object that a line is.
func textOf(line []byte, field string) (string, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return "", fmt.Errorf("not a JSON object: %w", err)
	}
	raw, ok := object[field]
	if !ok {
		return "", fmt.Errorf("no field %q%s", field, otherFields(object))
	}
	var text *string
	if err := json.Unmarshal(raw, &text); err != nil || text == nil {
		return "", fmt.Errorf("field %q is not a string", field)
	}
	return *text, nil
}

// otherFields says which fields hold strings, for the user who named the wrong one.
func otherFields(object map[string]json.RawMessage) string {
	var names []string
	for name, raw := range object {
		if bytes.HasPrefix(raw, []byte(`"`)) {
			names = append(names, fmt.Sprintf("%q", name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return fmt.Sprintf(" (fields with text are %s; choose one with --field)", strings.Join(names[:min(len(names), 8)], ", "))
}
