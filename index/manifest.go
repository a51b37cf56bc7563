package index

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/internal/npy"
)

// Names within the directory.
const (
	manifestName   = "manifest.json"
	valuesName     = "values"
	orderName      = "order"
	statisticsName = "statistics"
)

// manifestVersion counts changes of the format: 2 since an index names several
// files of a corpus, keeps statistics and knows descending metrics.
const manifestVersion = 2

// manifestLimit is far above the 8 KiB a metric takes.
const manifestLimit = 16 << 20

// Manifest is manifest.json: one JSON object of the fields below. Its last
// field, "checksum", stands on the last line but one and is the SHA-256 of all
// bytes of the file before the comma that precedes it; so no byte of the file
// can change unnoticed.
type Manifest struct {
	Version int `json:"version"` // of the format: 2
	Head
	Metrics    []Metric    `json:"metrics"` // in the order they were asked for
	Statistics []Statistic `json:"statistics,omitempty"`
}

// Head says what an index is over.
type Head struct {
	Corpus  Corpus     `json:"corpus"`
	Cut     corpus.Cut `json:"cut"`     // what a sample is
	Samples int64      `json:"samples"` // how many there are, at least 1
}

// HeadOf describes samples. The corpus's fingerprint is computed if it is not
// known.
func HeadOf(s *corpus.Samples) (Head, error) {
	c := s.Corpus()
	fingerprint, err := c.Fingerprint()
	if err != nil {
		return Head{}, err
	}
	meta := c.Meta()
	return Head{
		Corpus: Corpus{
			Paths: c.Paths(), Form: formName(c.Form()), Fingerprint: fingerprint, Documents: c.Documents(), Tokens: c.Tokens(),
			Tokenizer: meta.Tokenizer, Vocabulary: meta.Vocabulary, EndOfDocument: meta.EndOfDocument,
		},
		Cut:     s.Cut(),
		Samples: s.Len(),
	}, nil
}

func formName(f corpus.Form) string {
	if f == corpus.Auto {
		return ""
	}
	return f.String()
}

// Open opens the corpus where it was when the index was made.
func (c Corpus) Open() (*corpus.Corpus, error) {
	form, err := corpus.ParseForm(cmp.Or(c.Form, corpus.Auto.String()))
	if err != nil {
		return nil, err
	}
	return corpus.OpenAs(form, c.Paths...)
}

// Open opens the corpus where it was when the index was made, and cuts it as it
// was cut then; whether it is still the same, Index.Matches tells.
func (h Head) Open() (*corpus.Samples, error) {
	c, err := h.Corpus.Open()
	if err != nil {
		return nil, err
	}
	s, err := c.Samples(h.Cut)
	if err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}

// Corpus says what an index was made of.
type Corpus struct {
	Paths       []string `json:"paths"`          // of its parts, in order; the corpus may have moved since
	Form        string   `json:"form,omitempty"` // corpus.Form, if one was forced
	Fingerprint string   `json:"fingerprint"`
	Documents   int64    `json:"documents"`
	Tokens      int64    `json:"tokens"`
	Tokenizer   string   `json:"tokenizer,omitempty"`
	Vocabulary  int      `json:"vocabulary,omitempty"` // 0: unknown
	// EndOfDocument is the token that ends a document; -1: none, or unknown.
	EndOfDocument int `json:"end_of_document"`
}

// Meaning says what the tokens are: what values may depend on beside the tokens
// themselves.
func (c Corpus) Meaning() string {
	return fmt.Sprintf("tokens of %s, a vocabulary of %d, end of document %d", cmp.Or(c.Tokenizer, "an unknown tokenizer"), c.Vocabulary, c.EndOfDocument)
}

// Metric says what a column holds.
type Metric struct {
	Name string `json:"name"`
	// Spec says how the metric is made again, and Content identifies what
	// beside the corpus decides its values; see metric.Info.
	Spec    string `json:"spec,omitempty"`
	Content string `json:"content,omitempty"`
	Version int    `json:"version"`
	Unit    string `json:"unit"`
	// Descending: larger values are easier, and the order runs from the largest
	// value down.
	Descending bool    `json:"descending,omitempty"`
	DType      string  `json:"dtype"` // of the values: Whole or Real
	Values     File    `json:"values"`
	Order      File    `json:"order"`
	Min        float64 `json:"min"`
	Max        float64 `json:"max"`
	Mean       float64 `json:"mean"` // summed in sample order
	// Quantiles are the values at 0, 1, ..., 100 percent of the samples in
	// order, by nearest rank; see Column.Quantile.
	Quantiles []float64 `json:"quantiles"`
}

// The types of values: int64 and float64, as NumPy names them.
const (
	Whole = "<i8"
	Real  = "<f8"
)

// Whole reports whether the values are whole numbers.
func (m Metric) Whole() bool { return m.DType == Whole }

func (m Metric) dtype() npy.DType {
	if m.Whole() {
		return npy.Int64
	}
	return npy.Float64
}

// Statistic is something gathered over the corpus, in the binary form of
// metric.Statistic.
type Statistic struct {
	Name string `json:"name"`
	// Tokens that were looked at, from the first one on: all of the corpus, or
	// fewer where the index was extended and the statistic frozen.
	Tokens int64 `json:"tokens"`
	File
}

// File is a file of the index.
type File struct {
	Name   string `json:"file"` // relative to the directory, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // 64 hex digits
}

// The last lines of the file around the digits of the checksum.
const (
	sealHead = ",\n  \"checksum\": \"sha256:"
	sealTail = "\"\n}\n"
	sealLen  = len(sealHead) + 2*sha256.Size + len(sealTail)
)

// encode returns the file.
func (m Manifest) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n}\n"))
	sum := sha256.Sum256(body)
	return fmt.Appendf(body, "%s%x%s", sealHead, sum, sealTail), nil
}

func readManifest(dir string) (Manifest, error) {
	name := filepath.Join(dir, manifestName)
	f, err := os.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && Is(dir):
		return Manifest{}, fault.Corruptf("%s: the index has no %s: its analysis did not finish; the same 'gradus analyze' goes on from there", dir, manifestName)
	case errors.Is(err, fs.ErrNotExist):
		return Manifest{}, fmt.Errorf("no index at %s: %w; 'gradus analyze' makes one", dir, err)
	case err != nil:
		return Manifest{}, fmt.Errorf("open index: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, manifestLimit+1))
	if err != nil {
		return Manifest{}, fmt.Errorf("open index: %w", err)
	}
	return parseManifest(name, data)
}

// parseManifest checks a file and everything in it that can be checked without
// the arrays.
func parseManifest(name string, data []byte) (Manifest, error) {
	body, err := unseal(data)
	if err != nil {
		return Manifest{}, fault.Corruptf("%s: %w; analyze the corpus again", name, err)
	}
	object := append(bytes.Clone(body), "\n}"...)
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(object, &version); err != nil {
		return Manifest{}, fault.Corruptf("%s: %w", name, err)
	}
	if version.Version != manifestVersion {
		return Manifest{}, fault.Mismatchf("%s: version %d; this gradus knows version %d: analyze the corpus again, or use a later gradus", name, version.Version, manifestVersion)
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return Manifest{}, fault.Corruptf("%s: %w", name, err)
	}
	if err := m.validate(); err != nil {
		return Manifest{}, fault.Corruptf("%s: %w", name, err)
	}
	return m, nil
}

// unseal checks the checksum and returns what it covers.
func unseal(data []byte) ([]byte, error) {
	if len(data) > manifestLimit {
		return nil, fmt.Errorf("larger than %d bytes", manifestLimit)
	}
	if len(data) < sealLen {
		return nil, fmt.Errorf("offset %d: it ends before its checksum", len(data))
	}
	body, seal := data[:len(data)-sealLen], data[len(data)-sealLen:]
	if sum := sha256.Sum256(body); string(seal) != fmt.Sprintf("%s%x%s", sealHead, sum, sealTail) {
		return nil, fmt.Errorf("offset %d: the checksum does not fit the content; it was changed or cut off after it was written", len(body))
	}
	return body, nil
}

var (
	nameForm        = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,99}$`)
	fingerprintForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	sha256Form      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// checkName holds a metric's name against what can be a file's name on every
// system and cannot lead out of the directory.
func checkName(name string) error {
	if !nameForm.MatchString(name) || strings.HasSuffix(name, ".") {
		return fault.Invalidf("%q is no name for a metric; use lower-case letters, digits and hyphens", name)
	}
	return nil
}

func (m Manifest) validate() error {
	c := m.Corpus
	if err := m.Cut.Validate(); err != nil {
		return errors.New("cut: " + err.Error()) // not its kind: the file is at fault
	}
	samples := c.Documents
	if m.Cut.Window > 0 {
		samples = max(c.Tokens-1, 0) / int64(m.Cut.Window)
	}
	switch {
	case len(c.Paths) == 0:
		return errors.New("corpus: no path")
	case !fingerprintForm.MatchString(c.Fingerprint):
		return fmt.Errorf("corpus: %q is no fingerprint", c.Fingerprint)
	case c.Documents < 0 || c.Tokens < 0 || c.Vocabulary < 0:
		return fmt.Errorf("corpus: %d documents, %d tokens, a vocabulary of %d", c.Documents, c.Tokens, c.Vocabulary)
	case m.Samples < 1 || m.Samples != samples || m.Samples > math.MaxInt64/16:
		return fmt.Errorf("%d samples; %d documents with %d tokens cut as %s have %d", m.Samples, c.Documents, c.Tokens, m.Cut, samples)
	case len(m.Metrics) == 0:
		return errors.New("no metric")
	}
	seen := map[string]bool{}
	for _, metric := range m.Metrics {
		if seen[metric.Name] {
			return fmt.Errorf("metric %q twice", metric.Name)
		}
		seen[metric.Name] = true
		if err := metric.validate(m.Samples); err != nil {
			return fmt.Errorf("metric %q: %w", metric.Name, err)
		}
	}
	known := map[string]bool{}
	for _, s := range m.Statistics {
		if known[s.Name] || checkName(s.Name) != nil || s.Tokens < 0 || s.Tokens > c.Tokens || s.File.Name != statisticName(s.Name) || s.Bytes < 0 || !sha256Form.MatchString(s.SHA256) {
			return fmt.Errorf("statistic %q, file %q of %d bytes, sha256 %q", s.Name, s.File.Name, s.Bytes, s.SHA256)
		}
		known[s.Name] = true
	}
	return nil
}

func (m Metric) validate(samples int64) error {
	if err := checkName(m.Name); err != nil {
		return errors.New(err.Error())
	}
	if m.DType != Whole && m.DType != Real {
		return fmt.Errorf("values of type %q", m.DType)
	}
	for _, f := range []struct {
		file File
		dir  string
		item int64
	}{
		{m.Values, valuesName, 8},
		{m.Order, orderName, int64(orderType(samples).Size())},
	} {
		if f.file.Name != arrayName(f.dir, m.Name) || f.file.Bytes < f.item*samples || !sha256Form.MatchString(f.file.SHA256) {
			return fmt.Errorf("file %q of %d bytes, sha256 %q", f.file.Name, f.file.Bytes, f.file.SHA256)
		}
	}
	if len(m.Quantiles) != 101 {
		return fmt.Errorf("%d quantiles instead of 101", len(m.Quantiles))
	}
	for i, q := range m.Quantiles[1:] {
		if before := m.Quantiles[i]; q < before && !m.Descending || q > before && m.Descending {
			return fmt.Errorf("quantile %d, %v, is easier than quantile %d, %v", i+1, q, i, before)
		}
	}
	easiest, hardest := m.Min, m.Max
	if m.Descending {
		easiest, hardest = hardest, easiest
	}
	if m.Quantiles[0] != easiest || m.Quantiles[100] != hardest {
		return fmt.Errorf("the range %v to %v is not that of the quantiles", m.Min, m.Max)
	}
	return nil
}

// arrayName is the name of a metric's file, relative to the index.
func arrayName(dir, metric string) string { return dir + "/" + metric + ".npy" }

// statisticName is the name of a statistic's file, relative to the index.
func statisticName(statistic string) string { return statisticsName + "/" + statistic + ".bin" }

// hexDigest is how a manifest writes a checksum.
func hexDigest(sum []byte) string { return hex.EncodeToString(sum) }
