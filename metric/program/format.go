package program

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strconv"

	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/tokenizer"
)

// format is how samples are written.
type format struct {
	tokens    bool
	tokenizer tokenizer.Tokenizer // nil: no text
	batch     int                 // samples in a line; 0: one, and no array
}

// write writes the samples as lines.
func (f format) write(to io.Writer, samples []metric.Sample) error {
	// As much as a pipe holds: one call to the system for each of its fillings.
	w := bufio.NewWriterSize(to, 64<<10)
	var line, text []byte
	var quoted bytes.Buffer
	quote := json.NewEncoder(&quoted)
	quote.SetEscapeHTML(false)
	for i, s := range samples {
		line = line[:0]
		if f.batch > 0 {
			line = append(line, ',')
			if i%f.batch == 0 {
				line[0] = '['
			}
		}
		line = append(line, `{"id":`...)
		line = strconv.AppendInt(line, s.ID, 10)
		if f.tokens {
			line = appendTokens(append(line, `,"tokens":[`...), s.Tokens)
			line = append(line, ']')
		}
		if f.tokenizer != nil {
			text = f.tokenizer.Decode(text[:0], s.Tokens)
			quoted.Reset()
			if err := quote.Encode(string(text)); err != nil {
				return err
			}
			line = append(line, `,"text":`...)
			line = append(line, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
		}
		line = append(line, '}')
		switch {
		case f.batch == 0:
			line = append(line, '\n')
		case (i+1)%f.batch == 0 || i+1 == len(samples):
			line = append(line, "]\n"...)
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

func appendTokens(line []byte, tokens []int32) []byte {
	for i, t := range tokens {
		if i > 0 {
			line = append(line, ',')
		}
		line = strconv.AppendInt(line, int64(t), 10)
	}
	return line
}
