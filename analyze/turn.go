package analyze

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/metric"
)

// turn is a pass under way.
type turn struct {
	*part
	mappers  []*Mapper          // one a worker
	total    []metric.Statistic // gathered so far
	size     blockSize
	record   *Pass
	progress Progress
	doubted  atomic.Bool // a scorer has put what it gave in doubt
}

// close closes all mappers.
func (t *turn) close() (err error) {
	for _, m := range t.mappers {
		err = errors.Join(err, m.Close())
	}
	return t.note(err)
}

// note remembers an error that puts in doubt what was scored before it, whether
// or not it becomes the error of the pass.
func (t *turn) note(err error) error {
	var doubt *metric.DoubtError
	if errors.As(err, &doubt) {
		t.doubted.Store(true)
	}
	return err
}

// doubt forgets what the pass has done if that is in doubt.
func (t *turn) doubt(err error) error {
	t.close()
	if !t.doubted.Load() {
		return err
	}
	t.state.Samples = t.from
	if _, none := os.Stat(filepath.Join(t.dir, index.StateName)); none != nil {
		return err // nothing was made durable yet
	}
	return errors.Join(err, t.checkpoint(nil))
}

// begin opens the record of the pass, which an earlier process may have begun.
func (t *turn) begin(pass int) {
	name := t.job.name(pass)
	if n := len(t.state.Passes); n == 0 || t.state.Passes[n-1].Name != name {
		record := Pass{Name: name}
		for _, s := range t.job.passes[pass].statistics {
			record.Statistics = append(record.Statistics, s.Name())
		}
		for _, n := range t.job.passes[pass].nodes {
			record.Metrics = append(record.Metrics, t.job.nodes[n].info.Name)
		}
		t.state.Passes = append(t.state.Passes, record)
	}
	t.record = &t.state.Passes[len(t.state.Passes)-1]
	resumed := t.state.Samples - t.from
	t.state.Samples = min(max(t.state.Samples, t.job.start(pass)), t.to)
	t.progress = Progress{
		Pass: name, TotalSamples: t.to - t.from, TotalTokens: t.tokensBefore(t.to),
		Samples: t.state.Samples - t.from, Tokens: t.tokensBefore(t.state.Samples), Resumed: resumed,
	}
	t.o.Progress(t.progress)
}

// round maps blocks until it is time for a checkpoint, or none is left, and
// merges what all workers have gathered.
func (t *turn) round(ctx context.Context) error {
	began := time.Now()
	deadline := t.saved.Add(t.pause)
	blocks := func(yield func(Block) bool) { // at least one
		for b := range Blocks(t.job.samples, t.state.Samples, t.to, t.size.get) {
			if !yield(b) || time.Now().After(deadline) {
				return
			}
		}
	}
	done := t.state.Samples
	err := inOrder(ctx, t.o.Workers, blocks, t.do, func(s Scores) error {
		done = s.Block.End
		t.record.Samples += s.Block.End - s.Block.Start
		t.record.Tokens += s.Tokens
		t.record.Bytes += s.Bytes
		t.progress.Samples = done - t.from
		t.progress.Tokens += s.Tokens
		t.o.Progress(t.progress)
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range t.mappers {
		for i, s := range m.Statistics() {
			if err := t.total[i].Merge(s); err != nil {
				return err
			}
		}
	}
	t.state.Samples = done
	t.record.Seconds += time.Since(began).Seconds()
	t.job.samples.Corpus().Release() // the pages of the documents' bounds, where they are mapped
	return nil
}

// do maps a block and writes its values.
func (t *turn) do(worker int, b Block) (Scores, error) {
	began := time.Now()
	s, err := t.mappers[worker].Map(b)
	if err != nil {
		return s, t.note(err)
	}
	for i, values := range s.Values {
		if values == nil {
			continue
		}
		if err := t.values[i].WriteAt(values, b.Start); err != nil {
			return s, err
		}
	}
	s.Values = nil
	t.size.took(time.Since(began))
	return s, nil
}
