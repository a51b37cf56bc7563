package deepspeed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/internal/fault"
)

// source is the files of one metric.
type source struct {
	metric string
	prefix string // DIR/m; a dataset is at prefix + one of the endings
}

// has reports whether the metric has a dataset of this kind, whole or not.
func (s source) has(kind string) bool {
	for _, suffix := range []string{".idx", ".bin"} {
		if _, err := os.Stat(s.prefix + kind + suffix); err == nil {
			return true
		}
	}
	return false
}

const whatIsRead = "give the directory of a metric, a directory with such directories, or a file such as DIR/seqlen/seqlen_index_to_sample"

// find returns the metrics at a path, sorted by name: those of a directory, those
// in the directories in it, or the one of a file or a file's prefix.
func find(path string) ([]source, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	default:
		return findFile(path, err)
	}
	found, err := findIn(path)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if info, err := os.Stat(filepath.Join(path, e.Name())); err != nil || !info.IsDir() {
				continue
			}
			more, err := findIn(filepath.Join(path, e.Name()))
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	if len(found) == 0 {
		return nil, fault.Invalidf("%s: no file of DeepSpeed's data analyzer is in it (NAME%s.idx and .bin); %s", path, indexToSample, whatIsRead)
	}
	slices.SortFunc(found, func(a, b source) int { return strings.Compare(a.metric+"\x00"+a.prefix, b.metric+"\x00"+b.prefix) })
	for i, s := range found[1:] {
		if s.metric == found[i].metric {
			return nil, fault.Invalidf("%s: metric %s is at %s and at %s; give the path of one", path, s.metric, found[i].prefix, s.prefix)
		}
	}
	return found, nil
}

// findIn returns the metrics whose rows of samples lie in a directory itself.
func findIn(dir string) ([]source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []source
	for _, e := range entries {
		if metric, ok := strings.CutSuffix(e.Name(), indexToSample+".idx"); ok && metric != "" {
			found = append(found, source{metric, filepath.Join(dir, metric)})
		}
	}
	return found, nil
}

// findFile returns the metric that one file, or its prefix, belongs to. missing
// is the error if there is no file of that very name.
func findFile(path string, missing error) ([]source, error) {
	dir, base := filepath.Split(trimEnding(path))
	for _, kind := range []string{percentileMerged, indexToSample, indexToMetric, sampleToMetric} {
		if metric, ok := strings.CutSuffix(base, kind); ok && metric != "" {
			s := source{metric, filepath.Join(dir, metric)}
			if !s.has(indexToSample) {
				return nil, fmt.Errorf("metric %s: no file %s%s.idx: %w; it is what DeepSpeed's sampler reads, and what is imported", metric, s.prefix, indexToSample, fs.ErrNotExist)
			}
			return []source{s}, nil
		}
	}
	if strings.HasSuffix(base, metricValue) {
		return nil, fault.Invalidf("%s: it is a sum over the corpus and has no value for each sample; %s", path, whatIsRead)
	}
	if missing != nil {
		return nil, fmt.Errorf("%w; %s", missing, whatIsRead)
	}
	return nil, fault.Invalidf("%s: it is no file of DeepSpeed's data analyzer; %s", path, whatIsRead)
}

// stampOf returns what Export wrote beside the metrics of a source, or nil if
// another program made them.
func stampOf(s source) (*stamp, error) {
	name := filepath.Join(filepath.Dir(s.prefix), "..", stampName)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const limit = 1 << 20 // 200 bytes a metric
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	var st stamp
	if err := json.Unmarshal(data, &st); err != nil || len(data) > limit {
		return nil, fault.Corruptf("%s: it is not what 'gradus export deepspeed' writes; remove it if it is not of that", name)
	}
	if st.Version != stampVersion {
		return nil, fault.Mismatchf("%s: version %d; this gradus knows version %d", name, st.Version, stampVersion)
	}
	return &st, nil
}

// fits reports samples that are not those of the stamp.
func (st *stamp) fits(s source, samples *corpus.Samples) error {
	if st.Cut != samples.Cut() {
		return fault.Mismatchf("metric %s was exported for samples cut as %s, not as %s", s.metric, st.Cut, samples.Cut())
	}
	fingerprint, err := samples.Corpus().Fingerprint()
	if err == nil && st.Corpus != fingerprint {
		err = fault.Mismatchf("metric %s was exported for a corpus with the fingerprint %s; corpus %s has %s", s.metric, st.Corpus, samples.Corpus().Path(), fingerprint)
	}
	return err
}
