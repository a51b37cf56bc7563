package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gradus-ml/gradus/internal/pretoken"
)

// normalizer reads a normalizer, nil for null.
func (b *builder) normalizer(at string, raw json.RawMessage) (pretoken.Normalizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := typeOf(at, raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var p struct {
			part
			Normalizers []json.RawMessage `json:"normalizers"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		var all pretoken.Normalizers
		err := b.nested(at+".normalizers", p.Normalizers, func(at string, raw json.RawMessage, _ bool) error {
			n, err := b.normalizer(at, raw)
			if n != nil {
				all = append(all, n)
			}
			return err
		})
		if len(all) == 0 {
			return nil, err
		}
		return all, err
	case "NFC", "NFD", "NFKC", "NFKD":
		form, _ := pretoken.Forms(kind)
		return form, strict(at, raw, &part{})
	case "Lowercase":
		return pretoken.Lowercase(), strict(at, raw, &part{})
	case "StripAccents":
		return pretoken.StripAccents(), strict(at, raw, &part{})
	case "Strip":
		p := struct {
			part
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}{}
		err := strict(at, raw, &p)
		return &pretoken.Strip{Left: p.Left, Right: p.Right}, err
	case "Prepend":
		var p struct {
			part
			Prepend string `json:"prepend"`
		}
		err := strict(at, raw, &p)
		return pretoken.Before(p.Prepend), err
	case "Replace":
		x, err := readReplace(at, raw)
		return x, err
	case "BertNormalizer":
		p := struct {
			part
			Clean        bool  `json:"clean_text"`
			Chinese      bool  `json:"handle_chinese_chars"`
			StripAccents *bool `json:"strip_accents"`
			Lower        bool  `json:"lowercase"`
		}{Clean: true, Chinese: true, Lower: true}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		strip := p.Lower
		if p.StripAccents != nil {
			strip = *p.StripAccents
		}
		return &pretoken.BertNormalizer{Clean: p.Clean, Chinese: p.Chinese, StripAccents: strip, Lower: p.Lower}, nil
	case "Precompiled":
		var p struct {
			part
			Map []byte `json:"precompiled_charsmap"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		m, err := pretoken.NewCharsMap(p.Map)
		if err != nil {
			return nil, fmt.Errorf("%s.precompiled_charsmap: %w", at, err)
		}
		return m, nil
	}
	return nil, unsupported(at, kind)
}

func readReplace(at string, raw json.RawMessage) (*pretoken.Replace, error) {
	var p struct {
		part
		Pattern pattern `json:"pattern"`
		Content string  `json:"content"`
	}
	if err := strict(at, raw, &p); err != nil {
		return nil, err
	}
	find, err := p.Pattern.finder(at + ".pattern")
	return &pretoken.Replace{At: find, By: []byte(p.Content)}, err
}

var behaviors = map[string]pretoken.Behavior{
	"Isolated": pretoken.Isolated, "Removed": pretoken.Removed, "Contiguous": pretoken.Contiguous,
	"MergedWithPrevious": pretoken.MergedWithPrevious, "MergedWithNext": pretoken.MergedWithNext,
}

// splitter reads a pre-tokenizer. last says that none comes after it.
func (b *builder) splitter(at string, raw json.RawMessage, last bool) (pretoken.Splitter, error) {
	if isNull(raw) {
		return pretoken.Sequence{}, nil
	}
	kind, err := typeOf(at, raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var p struct {
			part
			Splitters []json.RawMessage `json:"pretokenizers"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		all := pretoken.Sequence{}
		err := b.nested(at+".pretokenizers", p.Splitters, func(at string, raw json.RawMessage, end bool) error {
			s, err := b.splitter(at, raw, last && end)
			all = append(all, s)
			return err
		})
		return all, err
	case "ByteLevel":
		// trim_offsets is about places in the text, not about tokens.
		p := struct {
			part
			Prefix bool `json:"add_prefix_space"`
			Trim   bool `json:"trim_offsets"`
			Regex  bool `json:"use_regex"`
		}{Prefix: true, Regex: true}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		if !last {
			return nil, fmt.Errorf("%s: the type ByteLevel is supported only as the last pre-tokenizer", at)
		}
		b.byteLevel = true
		b.lossy = b.lossy || p.Prefix
		return &pretoken.ByteLevel{Prefix: p.Prefix, Plain: !p.Regex}, nil
	case "Metaspace":
		s, err := readMetaspace(at, raw)
		return s, err
	case "Whitespace":
		return b.removing(pretoken.Words(), true), strict(at, raw, &part{})
	case "WhitespaceSplit":
		return b.removing(pretoken.Spaces(), false), strict(at, raw, &part{})
	case "BertPreTokenizer":
		b.lossy = true
		return pretoken.Bert(), strict(at, raw, &part{})
	case "CharDelimiterSplit":
		var p struct {
			part
			Delimiter string `json:"delimiter"`
		}
		err := strict(at, raw, &p)
		return b.removing(pretoken.Literal(p.Delimiter), false), err
	case "Digits":
		var p struct {
			part
			Individual bool `json:"individual_digits"`
		}
		err := strict(at, raw, &p)
		behavior := pretoken.Contiguous
		if p.Individual {
			behavior = pretoken.Isolated
		}
		return &pretoken.Cut{At: pretoken.Numbers(), Behavior: behavior}, err
	case "Punctuation":
		p := struct {
			part
			Behavior string `json:"behavior"`
		}{Behavior: "Isolated"}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		return b.cut(at, pretoken.Punctuation(), p.Behavior, false)
	case "Split":
		var p struct {
			part
			Pattern  pattern `json:"pattern"`
			Behavior string  `json:"behavior"`
			Invert   bool    `json:"invert"`
		}
		if err := strict(at, raw, &p); err != nil {
			return nil, err
		}
		find, err := p.Pattern.finder(at + ".pattern")
		if err != nil {
			return nil, err
		}
		return b.cut(at, find, p.Behavior, p.Invert)
	}
	return nil, unsupported(at, kind)
}

func (b *builder) cut(at string, find pretoken.Finder, behavior string, invert bool) (pretoken.Splitter, error) {
	how, ok := behaviors[behavior]
	if !ok {
		return nil, fmt.Errorf("%s.behavior: %q is not supported", at, behavior)
	}
	b.lossy = b.lossy || how == pretoken.Removed
	return &pretoken.Cut{At: find, Behavior: how, Invert: invert}, nil
}

// removing leaves out what is found, or what is not.
func (b *builder) removing(find pretoken.Finder, invert bool) pretoken.Splitter {
	b.lossy = true
	return &pretoken.Cut{At: find, Behavior: pretoken.Removed, Invert: invert}
}

// metaspace has the fields of the pre-tokenizer and the decoder of that name.
type metaspace struct {
	part
	Sign   string  `json:"replacement"`
	Plain  *string `json:"str_rep"` // of before 2021, the same
	Prefix *bool   `json:"add_prefix_space"`
	Scheme *string `json:"prepend_scheme"`
	Split  *bool   `json:"split"`
}

func readMetaspace(at string, raw json.RawMessage) (*pretoken.Metaspace, error) {
	var p metaspace
	if err := strict(at, raw, &p); err != nil {
		return nil, err
	}
	if p.Sign == "" {
		return nil, errors.New(at + ".replacement: is missing")
	}
	m := &pretoken.Metaspace{Sign: p.Sign, Before: pretoken.Always, Whole: p.Split != nil && !*p.Split}
	switch {
	case p.Scheme == nil && p.Prefix != nil && !*p.Prefix:
		m.Before = pretoken.Never
	case p.Scheme == nil || *p.Scheme == "always":
	case *p.Scheme == "first":
		m.Before = pretoken.First
	case *p.Scheme == "never":
		m.Before = pretoken.Never
	default:
		return nil, fmt.Errorf("%s.prepend_scheme: %q is not supported", at, *p.Scheme)
	}
	return m, nil
}
