// Package analyze measures every sample of a corpus by metrics and makes an
// index of it.
//
// Its nouns: a Job is what is to be measured, planned into passes; a Block is a
// run of samples that is read and measured as one; a Mapper makes a pass over
// blocks; a Shard is one of several parts of a job that different machines make.
//
// A pass goes through the whole corpus once. In it, statistics are gathered and
// samples are scored by all metrics whose statistics earlier passes have
// gathered: length needs none and is scored in the first pass, while tokens are
// counted for rarity, which is scored in the second. At the end the samples are
// ordered by each metric.
//
// Blocks are mapped on all cores. The values of a sample depend on nothing but
// the sample and the statistics, which add up exactly; so the index is the same
// bytes for any number of workers, any size of block, however often the process
// was killed and went on, and however many shards it was made in. The map is a
// plain function, Mapper.Map, and what it returns can travel: another runtime
// can call it.
//
// Memory is bounded by Options.Memory beside what the metrics themselves hold:
// tokens are read past the map, values are written where they belong as they
// come, and an order that does not fit is sorted in runs. A sample has to fit.
package analyze

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"golang.org/x/sync/errgroup"
)

// Options of an analysis. The zero of a field is its default.
type Options struct {
	// Workers is the number of cores to use; default: all.
	Workers int
	// Memory is about how many bytes ordering may take; default:
	// index.DefaultMemory.
	Memory int64
	// BlockTokens is how many tokens a worker reads at once, at least one
	// sample; default: what takes a few hundredths of a second.
	BlockTokens int
	// Checkpoint is how often what is done is made durable; default: each two
	// seconds, or less often where that would take more than a twentieth of the
	// time.
	Checkpoint time.Duration
	// Force replaces an index that is at the directory already.
	Force bool
	// Restart throws away what a killed process has left, of this analysis or of
	// another one, which otherwise is an error.
	Restart bool
	// Progress, if not nil, is called at the beginning of each pass and after
	// each block, from one goroutine at a time.
	Progress func(Progress)
}

func (o Options) withDefaults() (Options, error) {
	if o.BlockTokens < 0 || o.Workers < 0 || o.Memory < 0 || o.Checkpoint < 0 {
		return o, fault.Invalidf("analyze: %d workers, %d bytes of memory, blocks of %d tokens, checkpoints each %v; all must be 0 (the default) or more", o.Workers, o.Memory, o.BlockTokens, o.Checkpoint)
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	return o, nil
}

// Progress is how far a pass has come.
type Progress struct {
	Pass                      string // its name, or "order"
	Samples, Tokens           int64  // done in this pass, by this process or one before it
	TotalSamples, TotalTokens int64  // what the pass has to do; no tokens while ordering
	Resumed                   int64  // of Samples: done by a process before this one
}

// Result is what an analysis has done.
type Result struct {
	Index    string         `json:"index"` // the directory
	Manifest index.Manifest `json:"manifest"`
	Workers  int            `json:"workers"`
	Passes   []Pass         `json:"passes"`
	// Resumed is how many samples of the pass under way an earlier process had
	// done.
	Resumed int64   `json:"resumed,omitempty"`
	Seconds float64 `json:"seconds"` // of this process
}

// Pass is one pass that was made, by all processes together.
type Pass struct {
	Name       string   `json:"name"`
	Statistics []string `json:"statistics,omitempty"` // gathered
	Metrics    []string `json:"metrics,omitempty"`    // scored
	Samples    int64    `json:"samples,omitempty"`    // gone through
	Tokens     int64    `json:"tokens,omitempty"`     // gone through
	Bytes      int64    `json:"bytes,omitempty"`      // read of the corpus
	Seconds    float64  `json:"seconds"`
}

// Run measures samples by metrics and makes the index dir: NewJob and Job.Run.
// Without metrics, it measures length and rarity.
func Run(ctx context.Context, s *corpus.Samples, metrics []metric.Metric, dir string, o Options) (Result, error) {
	if len(metrics) == 0 {
		metrics = []metric.Metric{metric.Length(), metric.Rarity()}
	}
	job, err := NewJob(s, metrics)
	if err != nil {
		return Result{}, err
	}
	return job.Run(ctx, dir, o)
}

// Run makes the index dir of the job.
//
// If it fails or ctx is cancelled (then it returns ctx.Err()), an index that was
// at dir is still there, and what was done is kept in DIR.partial, from where
// the next Run of the same job goes on; another job there is an error of kind
// fault.Mismatch, unless Options.Restart is set. A metric that fails, or gives
// what is no finite number, ends the analysis with an error that names the
// sample; with several at fault it is the first of them, for one metric and any
// number of workers.
func (j *Job) Run(ctx context.Context, dir string, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	id, err := j.identity(Shard{})
	if err != nil {
		return Result{}, err
	}
	r := newRun(j, dir, o)
	w, err := index.Resume(dir, id.Head, o.Force)
	if err != nil {
		return Result{}, err
	}
	defer func() { // keep what there is to go on from
		if _, err := os.Stat(filepath.Join(w.Dir(), index.StateName)); err == nil {
			w.Suspend()
		}
		w.Abort()
	}()
	if m, ok := w.Whole(); ok && j.makes(id, m) { // killed when all was done but the last renaming
		return Result{Index: dir, Manifest: m, Workers: o.Workers, Resumed: j.samples.Len(), Seconds: time.Since(r.started).Seconds()}, w.Publish()
	}
	if err := resumable(w.Dir(), id, o.Restart); err != nil {
		w.Suspend()
		return Result{}, err
	}
	p, err := openPart(j, w.Dir(), id, o)
	if err != nil {
		return Result{}, err
	}
	defer p.close()
	own := func(total metric.Statistic) error { return total.Merge(p.totals[total.Name()]) }
	p.gathered = func(pass int) (map[string]metric.Statistic, error) { return j.gather(pass, own) }
	if p.state.Pass < j.Passes() {
		r.resumed = p.state.Samples
	}
	err = p.run(ctx)
	for i, pass := range p.state.Passes {
		r.add(i, pass)
	}
	if err != nil {
		return Result{}, err
	}
	if err := r.order(ctx, w, id.Metrics, p.state.Columns, func(m index.Metric) error { return p.ordered(m, w.Wait) }); err != nil {
		return Result{}, err
	}
	gathered, err := j.gather(j.Passes(), own)
	if err != nil {
		return Result{}, err
	}
	return r.commit(w, gathered)
}

// identity is what decides the bytes of the index.
func (j *Job) identity(s Shard) (identity, error) {
	head, err := index.HeadOf(j.samples)
	return identity{Head: head, Metrics: j.Metrics(), Shard: s, Base: j.base.name()}, err
}

// makes reports whether the job makes an index of that manifest.
func (j *Job) makes(id identity, m index.Manifest) bool {
	made := identity{Head: m.Head, Base: id.Base, Shard: id.Shard}
	for _, metric := range m.Metrics {
		made.Metrics = append(made.Metrics, index.Metric{
			Name: metric.Name, Spec: metric.Spec, Content: metric.Content, Version: metric.Version,
			Unit: metric.Unit, Descending: metric.Descending, DType: metric.DType,
		})
	}
	for _, s := range m.Statistics {
		if s.Tokens != j.base.tokens(j, s.Name) {
			return false
		}
	}
	return made.same(id) == ""
}

// resumable looks at what is in a working directory: nothing, or the same job.
// Anything else is an error, or removed.
func resumable(dir string, id identity, restart bool) error {
	if restart {
		return empty(dir)
	}
	s, err := readState(dir)
	if err == nil && s != nil {
		if difference := s.Job.same(id); difference != "" {
			err = fault.Mismatchf("%s holds an unfinished analysis of something else (%s); run that one again to finish it, or throw it away (--restart)", dir, difference)
		}
	}
	if err != nil || s != nil {
		return err
	}
	return empty(dir)
}

// empty removes what is in a directory, the state first: what is left of the
// rest, if that is cut short, is then of no analysis.
func empty(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, index.StateName)); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// run is an analysis under way.
type run struct {
	job     *Job
	dir     string
	o       Options
	started time.Time
	passes  []Pass
	resumed int64
}

func newRun(j *Job, dir string, o Options) *run {
	return &run{job: j, dir: dir, o: o, started: time.Now()}
}

// add adds what a part has done in a pass.
func (r *run) add(pass int, p Pass) {
	if pass == len(r.passes) {
		r.passes = append(r.passes, p)
		return
	}
	sum := &r.passes[pass]
	sum.Samples += p.Samples
	sum.Tokens += p.Tokens
	sum.Bytes += p.Bytes
	sum.Seconds += p.Seconds
}

// atOnce is how many columns are ordered at a time, in a share of the memory
// each: while one is written, the other has the cores.
const atOnce = 2

// order makes the order of each column. Some may be done; ordered is told of
// each other.
func (r *run) order(ctx context.Context, w *index.Writer, metrics, done []index.Metric, ordered func(index.Metric) error) error {
	began := time.Now()
	n := r.job.samples.Len()
	p := Progress{Pass: "order", TotalSamples: n * int64(len(metrics))}
	r.o.Progress(p)
	columns := make([]index.Metric, len(metrics))
	var mu sync.Mutex
	group, inGroup := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, m := range metrics {
		ready := slices.IndexFunc(done, func(d index.Metric) bool { return d.Name == m.Name })
		group.Go(func() error {
			var err error
			if ready >= 0 {
				m = done[ready]
			} else if m, err = w.Order(inGroup, m, r.o.Workers, r.o.Memory/atOnce); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			columns[i] = m
			if ready < 0 {
				err = ordered(m)
			}
			p.Samples += n
			r.o.Progress(p)
			return err
		})
	}
	if err := cmp.Or(group.Wait(), ctx.Err(), w.Wait()); err != nil {
		return err
	}
	for _, m := range columns {
		if err := w.Add(m); err != nil {
			return err
		}
	}
	r.passes = append(r.passes, Pass{Name: p.Pass, Samples: p.Samples, Seconds: time.Since(began).Seconds()})
	return nil
}

// commit puts the index in place, with the statistics of all passes.
func (r *run) commit(w *index.Writer, gathered map[string]metric.Statistic) (Result, error) {
	for _, p := range r.job.passes {
		for _, s := range p.statistics {
			data, err := gathered[s.Name()].MarshalBinary()
			if err != nil {
				return Result{}, fmt.Errorf("statistic %s: %w", s.Name(), err)
			}
			kept, err := index.KeepStatistic(w.Dir(), s.Name(), r.job.base.tokens(r.job, s.Name()), data)
			if err != nil {
				return Result{}, err
			}
			w.AddStatistic(kept)
		}
	}
	if err := w.Commit(); err != nil {
		return Result{}, err
	}
	return Result{
		Index: r.dir, Manifest: w.Manifest(), Workers: r.o.Workers,
		Passes: r.passes, Resumed: r.resumed, Seconds: time.Since(r.started).Seconds(),
	}, nil
}
