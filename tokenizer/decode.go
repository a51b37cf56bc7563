package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ml/gradus/internal/pretoken"
)

// decoder turns the texts of tokens into texts that, joined, are what the
// tokens say.
type decoder func(tokens []string) []string

// each is a decoder that looks at one token at a time.
func each(change func(i int, token string) string) decoder {
	return func(tokens []string) []string {
		for i, t := range tokens {
			tokens[i] = change(i, t)
		}
		return tokens
	}
}

// decoder reads a decoder; null puts blanks between tokens.
func (b *builder) decoder(at string, raw json.RawMessage) (decoder, error) {
	if isNull(raw) {
		return each(func(i int, t string) string {
			if i > 0 {
				t = " " + t
			}
			return t
		}), nil
	}
	kind, err := typeOf(at, raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var p struct {
			part
			Decoders []json.RawMessage `json:"decoders"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		var all []decoder
		err := b.nested(at+".decoders", p.Decoders, func(at string, raw json.RawMessage, _ bool) error {
			d, err := b.decoder(at, raw)
			all = append(all, d)
			return err
		})
		return func(tokens []string) []string {
			for _, d := range all {
				tokens = d(tokens)
			}
			return tokens
		}, err
	case "ByteLevel":
		var p struct {
			part
			Prefix bool `json:"add_prefix_space"`
			Trim   bool `json:"trim_offsets"`
			Regex  bool `json:"use_regex"`
		}
		b.byteDecoder = at == "decoder" // alone
		return each(func(_ int, t string) string {
			if text, ok := bytesOf(t); ok {
				return text
			}
			return t
		}), strict(at, raw, &p)
	case "Metaspace":
		m, err := readMetaspace(at, raw)
		if err != nil {
			return nil, err
		}
		return each(func(i int, t string) string {
			if i == 0 && m.Before != pretoken.Never {
				return strings.ReplaceAll(t, m.Sign, "")
			}
			return strings.ReplaceAll(t, m.Sign, " ")
		}), nil
	case "WordPiece":
		p := struct {
			part
			Prefix  string `json:"prefix"`
			Cleanup bool   `json:"cleanup"`
		}{Prefix: "##", Cleanup: true}
		err := strict(at, raw, &p)
		return wordPieceDecoder(p.Prefix, p.Cleanup), err
	case "BPEDecoder":
		p := struct {
			part
			Suffix string `json:"suffix"`
		}{Suffix: "</w>"}
		err := strict(at, raw, &p)
		return func(tokens []string) []string {
			for i, t := range tokens {
				by := " "
				if i == len(tokens)-1 {
					by = ""
				}
				tokens[i] = strings.ReplaceAll(t, p.Suffix, by)
			}
			return tokens
		}, err
	case "ByteFallback":
		return each(func(_ int, t string) string {
			if hex, ok := strings.CutPrefix(t, "<0x"); ok && len(t) == 6 && t[5] == '>' {
				if b, err := strconv.ParseUint(hex[:2], 16, 8); err == nil {
					return string([]byte{byte(b)})
				}
			}
			return t
		}), strict(at, raw, &part{})
	case "Fuse":
		return func(tokens []string) []string { return []string{strings.Join(tokens, "")} }, strict(at, raw, &part{})
	case "Strip":
		var p struct {
			part
			Content string `json:"content"`
			Start   int    `json:"start"`
			Stop    int    `json:"stop"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(p.Content) != 1 {
			return nil, fmt.Errorf("%s.content: %q is not one character", at, p.Content)
		}
		return each(func(_ int, t string) string {
			for range min(p.Start, len(t)) {
				t = strings.TrimPrefix(t, p.Content)
			}
			for range min(p.Stop, len(t)) {
				t = strings.TrimSuffix(t, p.Content)
			}
			return t
		}), nil
	case "Replace":
		x, err := readReplace(at, raw)
		return each(func(_ int, t string) string { return string(x.Normalize([]byte(t))) }), err
	}
	return nil, unsupported(at, kind)
}

// wordPieceDecoder puts blanks before tokens that begin a word, and takes some
// off again, before punctuation, if cleanup.
func wordPieceDecoder(prefix string, cleanup bool) decoder {
	tidy := strings.NewReplacer(" .", ".", " ?", "?", " !", "!", " ,", ",")
	english := [][2]string{{" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}
	return each(func(i int, t string) string {
		if rest, ok := strings.CutPrefix(t, prefix); ok && i > 0 {
			t = rest
		} else if i > 0 {
			t = " " + t
		}
		if cleanup {
			t = tidy.Replace(t)
			for _, x := range english {
				t = strings.ReplaceAll(t, x[0], x[1])
			}
		}
		return t
	})
}

// bytesOf returns the bytes that a byte-level token stands for. Each byte is
// written as a character that can be seen: printable Latin-1 as itself, the
// others as those from U+0100 on, in order (GPT-2's table).
func bytesOf(token string) (string, bool) {
	var text bytes.Buffer
	for _, r := range token {
		switch {
		case '!' <= r && r <= '~', '¡' <= r && r <= '¬', '®' <= r && r <= 'ÿ':
			text.WriteByte(byte(r))
		case 'Ā' <= r && r <= 'Ġ': // 0x00 to 0x20
			text.WriteByte(byte(r - 'Ā'))
		case 'ġ' <= r && r <= 'ł': // 0x7f to 0xa0
			text.WriteByte(byte(0x7f + r - 'ġ'))
		case r == 'Ń': // 0xad
			text.WriteByte(0xad)
		default:
			return "", false
		}
	}
	return text.String(), true
}
