package prepare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// block is documents on their way through the pipeline: some texts, pieces of
// one, or values of a Parquet column, whose ends are known; or whole lines of a
// JSONL file. It is used again when it has been written.
type block struct {
	data        []byte
	ends        []end  // of the documents in data
	name        string // of the JSONL file
	line        int    // number of its first line here; 0: not JSONL
	nulls       int64  // values that are not there
	read, total int64  // for Progress

	done chan struct{} // gets a value when encode has set what follows
	rows *corpus.Rows
	sums sums
	err  error

	// Scratch of encode.
	tokens []int32
	text   []byte
}

// end is where a document ends, and the file it came from.
type end struct {
	at   int
	name string
}

// sums counts what a block gave.
type sums struct {
	textBytes, empty, badLines int64
}

func newBlock(dtype corpus.DType) *block {
	return &block{done: make(chan struct{}, 1), rows: corpus.NewRows(dtype)}
}

// reset makes a block empty and keeps its memory.
func (b *block) reset() {
	b.rows.Reset()
	*b = block{data: b.data[:0], ends: b.ends[:0], done: b.done, rows: b.rows, tokens: b.tokens[:0], text: b.text[:0]}
}

// encode tokenizes the documents of the block.
func (b *block) encode(o Options) {
	if b.line > 0 {
		b.encodeLines(o)
		return
	}
	from := 0
	for _, e := range b.ends {
		if b.err = b.add(o, b.data[from:e.at]); b.err != nil {
			b.err = fmt.Errorf("%s: %w", e.name, b.err)
			return
		}
		from = e.at
	}
}

func (b *block) encodeLines(o Options) {
	data := b.data
	for line := b.line; len(data) > 0; line++ {
		var one []byte
		one, data, _ = bytes.Cut(data, []byte("\n"))
		if line == 1 {
			one = bytes.TrimPrefix(one, []byte("\ufeff"))
		}
		if int64(len(one)) > o.LongestDocument {
			b.err = lineTooLong(b.name, line, o.LongestDocument)
			return
		}
		if one = bytes.TrimSpace(one); len(one) == 0 {
			continue
		}
		var text []byte
		var err error
		var quick bool
		if text, b.text, quick = quickText(one, o.Field, b.text); !quick {
			var careful string
			careful, err = textOf(one, o.Field)
			text = []byte(careful)
		}
		switch {
		case err != nil && o.SkipBadLines:
			b.sums.badLines++
			continue
		case err != nil:
			b.err = fault.Invalidf("%s:%d: %w; mend it, or have such lines skipped (--skip-bad-lines)", b.name, line, err)
			return
		}
		if b.err = b.add(o, text); b.err != nil {
			b.err = fmt.Errorf("%s:%d: %w", b.name, line, b.err)
			return
		}
	}
}

func (b *block) add(o Options, text []byte) error {
	if len(text) == 0 {
		b.sums.empty++
		return nil
	}
	b.sums.textBytes += int64(len(text))
	b.tokens = append(o.Tokenizer.Encode(b.tokens[:0], text), int32(o.Tokenizer.EndOfDocument()))
	return b.rows.Append(b.tokens)
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
