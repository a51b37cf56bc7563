package analyze

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// state is how far a part of an analysis has come: the journal from which a
// killed process goes on. It is one file, replaced as a whole: a line of JSON,
// what the pass under way has gathered so far, and the SHA-256 of both in hex on
// a last line.
type state struct {
	Version int      `json:"version"` // 1
	Job     identity `json:"job"`
	// Values is the directory of the values.
	Values string `json:"values"`
	// Pass is the one under way, and Samples those it has done, counted from
	// the first of the part: everything before is durable.
	Pass    int   `json:"pass"`
	Samples int64 `json:"samples"`
	// Gathered are the statistics of finished passes, in files of their own.
	Gathered []index.Statistic `json:"gathered,omitempty"`
	// Columns are the finished columns of the index.
	Columns []index.Metric `json:"columns,omitempty"`
	// Passes is what was measured of the passes so far.
	Passes []Pass `json:"passes,omitempty"`
	// Sizes of the statistics that follow the line.
	Sizes []int `json:"sizes,omitempty"`

	partial [][]byte // the statistics
}

// identity is all that the bytes of an index depend on. The same identity goes
// on where it was; another one has to start anew.
type identity struct {
	Head    index.Head     `json:"head"`
	Metrics []index.Metric `json:"metrics"`
	Shard   Shard          `json:"shard"`
	Base    string         `json:"base,omitempty"` // fingerprint and samples of the index that is extended
}

const (
	stateVersion = 1
	stateLimit   = 16 << 30
)

// readState reads the state in a directory, or returns nil if there is none.
func readState(dir string) (*state, error) {
	name := filepath.Join(dir, index.StateName)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, stateLimit))
	if err != nil {
		return nil, err
	}
	s, err := parseState(data)
	if err != nil {
		return nil, fault.Corruptf("%s: %w; remove %s to start the analysis anew", name, err, dir)
	}
	return s, nil
}

func parseState(data []byte) (*state, error) {
	seal := 2*sha256.Size + 1
	if len(data) < seal {
		return nil, errors.New("it ends before its checksum")
	}
	body := data[:len(data)-seal]
	if sum := sha256.Sum256(body); string(data[len(body):]) != hex.EncodeToString(sum[:])+"\n" {
		return nil, errors.New("its checksum does not fit its content")
	}
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	if !ok {
		return nil, errors.New("no line of JSON")
	}
	s := &state{}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, err
	}
	if s.Version != stateVersion || s.Values != filepath.Base(s.Values) || !strings.HasPrefix(s.Values, valuesDir) {
		return nil, fmt.Errorf("version %d with values in %q; this gradus knows version %d", s.Version, s.Values, stateVersion)
	}
	for _, n := range s.Sizes {
		if n < 0 || n > len(rest) {
			return nil, fmt.Errorf("a statistic of %d bytes, of which there are %d", n, len(rest))
		}
		s.partial, rest = append(s.partial, rest[:n]), rest[n:]
	}
	if len(rest) > 0 || s.Pass < 0 || s.Samples < 0 {
		return nil, fmt.Errorf("%d bytes too many, pass %d, %d samples", len(rest), s.Pass, s.Samples)
	}
	return s, nil
}

// write replaces the state in a directory.
func (s *state) write(dir string) error {
	s.Sizes = nil
	for _, b := range s.partial {
		s.Sizes = append(s.Sizes, len(b))
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, index.StateName), func(out io.Writer) error {
		sum := sha256.New()
		both := io.MultiWriter(out, sum)
		for _, b := range append([][]byte{append(line, '\n')}, s.partial...) {
			if _, err := both.Write(b); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(out, "%x\n", sum.Sum(nil))
		return err
	})
}

// keep stores what the pass under way has gathered.
func (s *state) keep(statistics []metric.Statistic) error {
	s.partial = nil
	for _, x := range statistics {
		b, err := x.MarshalBinary()
		if err != nil {
			return fmt.Errorf("statistic %s: %w", x.Name(), err)
		}
		s.partial = append(s.partial, b)
	}
	return nil
}

// restore fills empty statistics with what keep has stored.
func (s *state) restore(statistics []metric.Statistic) error {
	if len(s.partial) == 0 {
		return nil
	}
	if len(s.partial) != len(statistics) {
		return fault.Corruptf("%d statistics of %d", len(s.partial), len(statistics))
	}
	for i, x := range statistics {
		if err := x.UnmarshalBinary(s.partial[i]); err != nil {
			return err
		}
	}
	s.partial = nil
	return nil
}

// same says how two jobs differ, or nothing. Where the corpus lies is of no
// consequence.
func (a identity) same(b identity) (difference string) {
	say := func(what string, before, now any) string {
		return fmt.Sprintf("%s: %v before, now %v", what, before, now)
	}
	switch {
	case a.Head.Corpus.Fingerprint != b.Head.Corpus.Fingerprint:
		return say("corpus", a.Head.Corpus.Fingerprint, b.Head.Corpus.Fingerprint)
	case a.Head.Corpus.Meaning() != b.Head.Corpus.Meaning():
		return say("what tokens are", a.Head.Corpus.Meaning(), b.Head.Corpus.Meaning())
	case a.Head.Cut != b.Head.Cut:
		return say("samples", a.Head.Cut, b.Head.Cut)
	case a.Shard != b.Shard:
		return say("shard", a.Shard, b.Shard)
	case a.Base != b.Base:
		return say("index to go on from", orNone(a.Base), orNone(b.Base))
	}
	names := func(id identity) (list []string) {
		for _, m := range id.Metrics {
			list = append(list, m.Name)
		}
		return list
	}
	if was, is := names(a), names(b); !slices.Equal(was, is) {
		return say("metrics", was, is)
	}
	for i, m := range a.Metrics {
		if was, is := fmt.Sprintf("%+v", m), fmt.Sprintf("%+v", b.Metrics[i]); was != is {
			return say("metric "+m.Name, was, is)
		}
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
