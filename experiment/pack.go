package experiment

import (
	"path/filepath"

	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// Pack compresses the logs of the runs that are over.
func (o Outcome) Pack() error {
	for _, s := range o.Cells {
		if s.Over() {
			if err := runlog.Pack(filepath.Join(s.Dir, runlog.FileName)); err != nil {
				return err
			}
		}
	}
	return nil
}

// On sets what computes the study's runs, in place of what its file says; empty: as it
// says.
func (s *Study) On(backend, precision string) error {
	if backend != "" {
		s.Backend = backend
	}
	if precision != "" {
		s.Precision = precision
	}
	return new(train.Config).Compute(s.Backend, s.Precision)
}
