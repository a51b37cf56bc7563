package deepspeed

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/gradus-ml/gradus/internal/fault"
)

// A node is a value of a configuration and where it stands.
type node struct {
	line  int // from 1
	value any // *object, []node, string, json.Number, bool, or nil for null
}

// An object keeps its members in the order of the file: the original pairs and
// intersects metrics in that order.
type object struct {
	members []*member
}

type member struct {
	key  string
	at   place
	node node
	read bool // somebody asked for it
}

func (o *object) find(key string) *member {
	for _, m := range o.members {
		if m.key == key {
			return m
		}
	}
	return nil
}

// maxDepth is how deep values may be nested, and maxConfig how long a
// configuration may be. Those that exist are 7 deep and a few kilobytes long.
const (
	maxDepth  = 100
	maxConfig = 1 << 20
)

// parseJSON reads one value, with its lines. As the original's reader does, it
// passes over comments (#, // and /* */) and a comma before a closing bracket,
// and refuses a key that stands twice in one object.
func parseJSON(name string, data []byte) (node, error) {
	if len(data) > maxConfig {
		return node{}, fault.Invalidf("%s: it is longer than %d bytes, and no configuration is", name, maxConfig)
	}
	data = plain(data)
	var any json.RawMessage
	if err := json.Unmarshal(data, &any); err != nil {
		at := len(data)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = int(syntax.Offset)
		}
		return node{}, fault.Invalidf("%s:%d: it is no JSON: %w", name, 1+bytes.Count(data[:min(at, len(data))], []byte("\n")), err)
	}
	p := &jsonParser{name: name, data: data, line: 1, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	return p.value(0)
}

// jsonParser walks the tokens of valid JSON.
type jsonParser struct {
	name    string
	data    []byte
	decoder *json.Decoder
	counted int // bytes whose lines are in line
	line    int
}

// next returns a token and its line. A token never spans lines.
func (p *jsonParser) next() (json.Token, int, error) {
	token, err := p.decoder.Token()
	end := int(p.decoder.InputOffset())
	p.line += bytes.Count(p.data[p.counted:end], []byte("\n"))
	p.counted = end
	return token, p.line, err
}

func (p *jsonParser) value(depth int) (node, error) {
	token, line, err := p.next()
	if err != nil {
		return node{}, fault.Invalidf("%s:%d: %w", p.name, line, err)
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return node{line, token}, nil
	case depth == maxDepth:
		return node{}, fault.Invalidf("%s:%d: values are nested more than %d deep", p.name, line, maxDepth)
	case delim == '[':
		return p.list(line, depth+1)
	default:
		return p.object(line, depth+1)
	}
}

func (p *jsonParser) list(line, depth int) (node, error) {
	list := []node{}
	for p.decoder.More() {
		item, err := p.value(depth)
		if err != nil {
			return node{}, err
		}
		list = append(list, item)
	}
	_, _, err := p.next() // the bracket
	return node{line, list}, err
}

func (p *jsonParser) object(line, depth int) (node, error) {
	o := &object{}
	places := map[string]place{}
	for p.decoder.More() {
		token, keyLine, err := p.next()
		if err != nil {
			return node{}, fault.Invalidf("%s:%d: %w", p.name, keyLine, err)
		}
		key, _ := token.(string)
		if first, twice := places[key]; twice {
			return node{}, fault.Invalidf("%s:%d: the key %q stands here and in line %d; remove one, as the original asks too", p.name, keyLine, key, first.line)
		}
		at := place{keyLine, p.counted}
		places[key] = at
		value, err := p.value(depth)
		if err != nil {
			return node{}, err
		}
		o.members = append(o.members, &member{key: key, at: at, node: value})
	}
	_, _, err := p.next() // the brace
	return node{line, o}, err
}

// plain returns the text with comments and superfluous commas blanked out. Every
// other byte stays where it is.
func plain(data []byte) []byte {
	out := bytes.Clone(data)
	comma := -1 // a comma after which nothing has come yet
	for i := 0; i < len(out); {
		end := i + 1
		switch c := out[i]; {
		case c == '"':
			end = stringEnd(out, i)
			comma = -1
		case commentEnd(out, i) > i:
			end = commentEnd(out, i)
			for j := i; j < end; j++ {
				if out[j] != '\n' {
					out[j] = ' '
				}
			}
		case c == ',':
			comma = i
		case (c == '}' || c == ']') && comma >= 0:
			out[comma], comma = ' ', -1
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			comma = -1
		}
		i = end
	}
	return out
}

// stringEnd returns what follows the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// commentEnd returns what follows the comment that begins at i; i if none does.
func commentEnd(data []byte, i int) int {
	end, skip := "\n", 0
	switch rest := data[i:]; {
	case rest[0] == '#', bytes.HasPrefix(rest, []byte("//")):
	case bytes.HasPrefix(rest, []byte("/*")):
		end, skip = "*/", 2
	default:
		return i
	}
	n := bytes.Index(data[i+skip:], []byte(end))
	if n < 0 {
		return len(data)
	}
	if skip == 0 {
		return i + n // the end of the line is no part of it
	}
	return i + skip + n + len(end)
}
