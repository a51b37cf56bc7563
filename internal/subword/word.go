package subword

import "unicode/utf8"

// WordPiece takes the longest token that a piece begins with, then the longest
// that the rest begins with, and so on (Devlin et al. 2019, after Wu et al.
// 2016). A piece that this does not use up is Unknown as a whole.
type WordPiece struct {
	Vocabulary map[string]int32
	// Prefix is what a token has before it that does not begin a piece.
	Prefix  string
	Unknown int32
	// Longest is how many characters a piece may have; a longer one is Unknown.
	Longest int
}

func (m *WordPiece) encode(dst []int32, piece []byte, _ *Encoder) []int32 {
	if utf8.RuneCount(piece) > m.Longest {
		return append(dst, m.Unknown)
	}
	start := len(dst)
	var text []byte
	for at := 0; at < len(piece); {
		end, id := len(piece), int32(None)
		for end > at {
			text = text[:0]
			if at > 0 {
				text = append(text, m.Prefix...)
			}
			text = append(text, piece[at:end]...)
			var ok bool
			if id, ok = m.Vocabulary[string(text)]; ok {
				break
			}
			_, n := utf8.DecodeLastRune(piece[at:end])
			end -= n
		}
		if end == at {
			return append(dst[:start], m.Unknown)
		}
		dst = append(dst, id)
		at = end
	}
	return dst
}

// WordLevel has a token for each word it knows and Unknown for the others.
type WordLevel struct {
	Vocabulary map[string]int32
	Unknown    int32 // None: a word that is not known is left out
}

func (m *WordLevel) encode(dst []int32, piece []byte, _ *Encoder) []int32 {
	if id, ok := m.Vocabulary[string(piece)]; ok {
		return append(dst, id)
	}
	if m.Unknown == None {
		return dst
	}
	return append(dst, m.Unknown)
}
