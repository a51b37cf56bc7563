package analyze

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// part measures the samples [from, to) of a job in a directory: all of them in
// the index's own, or a shard in one of its own.
//
//	state               how far it is
//	values/<metric>.npy the values of its samples; of a shard, in values-*
//	statistics/own.*    what it has gathered, of each finished pass
type part struct {
	job      *Job
	dir      string
	from, to int64
	o        Options
	state    *state
	values   []*index.Values // of each column
	// totals are what the part has gathered in finished passes, by name.
	totals map[string]metric.Statistic
	// gathered returns the statistics of the whole corpus from passes before
	// the given one.
	gathered func(pass int) (map[string]metric.Statistic, error)

	pause  time.Duration // between two checkpoints
	saved  time.Time     // the last one, or the start
	shared bool          // others need what is done at the end of each pass
}

const valuesDir = "values"

// openPart opens or starts a part. What is in the directory must be of the same
// job, or nothing.
func openPart(job *Job, dir string, id identity, o Options) (*part, error) {
	p := &part{job: job, dir: dir, o: o, pause: cmp.Or(o.Checkpoint, defaultCheckpoint), saved: time.Now(), totals: map[string]metric.Statistic{}}
	p.from, p.to = id.Shard.of(job.samples.Len())
	var err error
	if p.state, err = readState(dir); err != nil {
		return nil, err
	}
	begun := p.state != nil
	if !begun {
		p.state = &state{Version: stateVersion, Job: id, Samples: p.from, Values: valuesDir}
		if id.Shard.Count > 0 {
			// Where a lock does not reach, the same shard may run twice: each
			// writes its own files, and the state says which they are.
			p.state.Values += "-" + rand.Text()[:10]
		}
	}
	if s := p.state; s.Pass > job.Passes() || s.Samples < p.from || s.Samples > p.to {
		return nil, fault.Corruptf("%s: pass %d of %d, sample %d of %d to %d; remove it to start the analysis anew", dir, s.Pass, job.Passes(), s.Samples, p.from, p.to)
	}
	for pass := range p.state.Pass {
		for _, total := range job.Statistics(pass) {
			if err := p.state.addTo(total, dir); err != nil {
				return nil, err
			}
			p.totals[total.Name()] = total
		}
	}
	values := filepath.Join(dir, p.state.Values)
	if err := os.MkdirAll(values, 0o777); err != nil {
		return nil, err
	}
	for _, m := range id.Metrics {
		name := filepath.Join(values, m.Name+".npy")
		var v *index.Values
		if begun { // what the state says is done must be there
			err = index.CheckValues(name, m, p.to-p.from)
		}
		if err == nil {
			v, err = index.OpenValues(name, m, p.from, p.to-p.from)
		}
		if err != nil {
			p.close()
			return nil, err
		}
		p.values = append(p.values, v)
	}
	if begun {
		return p, nil
	}
	return p, atomicfile.SyncDir(values)
}

func (p *part) close() error {
	var errs []error
	for _, v := range p.values {
		errs = append(errs, v.Close())
	}
	return errors.Join(errs...)
}

// run makes all passes that are not made yet.
func (p *part) run(ctx context.Context) error {
	if p.state.Pass == 0 && p.state.Samples == p.from {
		if err := p.job.base.copyValues(ctx, p.job, p.values, p.from, p.to); err != nil {
			return err
		}
	}
	for p.state.Pass < p.job.Passes() {
		if err := p.pass(ctx, p.state.Pass); err != nil {
			return err
		}
	}
	return nil
}

// sync makes the values durable.
func (p *part) sync() error {
	for _, v := range p.values {
		if err := v.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// pass makes one pass, or what is left of it.
func (p *part) pass(ctx context.Context, pass int) error {
	gathered, err := p.gathered(pass)
	if err != nil {
		return err
	}
	t := &turn{part: p, total: p.job.Statistics(pass), size: blockSize{fixed: p.o.BlockTokens}}
	for _, s := range t.total {
		if d, ok := s.(metric.Dependent); ok {
			if err := d.Bind(gathered); err != nil {
				return err
			}
		}
	}
	if err := p.state.restore(t.total); err != nil {
		return fmt.Errorf("%s: %w", p.dir, err)
	}
	defer t.close()
	for range p.o.Workers {
		m, err := p.job.Mapper(pass, gathered)
		if err != nil {
			return err
		}
		t.mappers = append(t.mappers, m)
	}
	// A scorer that waits for another program does not look at ctx.
	defer context.AfterFunc(ctx, func() { t.close() })()
	stopWriting := p.writeBack()
	defer stopWriting()

	t.begin(pass)
	for p.state.Samples < p.to {
		if err := t.round(ctx); err != nil {
			return t.doubt(cmp.Or(ctx.Err(), err))
		}
		if p.state.Samples < p.to {
			if err := p.checkpoint(t.total); err != nil {
				return err
			}
		}
	}
	if err := t.close(); err != nil { // what a scorer says at its end
		return t.doubt(cmp.Or(ctx.Err(), err))
	}
	if err := stopWriting(); err != nil {
		return err
	}
	return p.finish(t.total)
}

// writeBackPause is how often values are handed to the disk: while there is more
// to score, and not all at the end, when everything waits for it.
const writeBackPause = 100 * time.Millisecond

// writeBack does so until the function it returns is called, which says what has
// failed.
func (p *part) writeBack() (stop func() error) {
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		ticks := time.NewTicker(writeBackPause)
		defer ticks.Stop()
		for {
			select {
			case <-done:
				failed <- nil
				return
			case <-ticks.C:
				if err := p.sync(); err != nil {
					failed <- err
					return
				}
			}
		}
	}()
	return sync.OnceValue(func() error {
		close(done)
		return <-failed
	})
}

const (
	defaultCheckpoint = 2 * time.Second
	// checkpointShare bounds the time that goes into checkpoints to a
	// twentieth, unless it is said how often they are made.
	checkpointShare = 20
)

// checkpoint makes what was done so far durable. total is what the pass under
// way has gathered.
func (p *part) checkpoint(total []metric.Statistic) error {
	began := time.Now()
	if err := p.sync(); err != nil {
		return err
	}
	for pass := range p.state.Pass {
		for _, s := range p.job.passes[pass].statistics {
			if err := p.keepTotal(s.Name()); err != nil {
				return err
			}
		}
	}
	err := p.state.keep(total)
	if err == nil {
		err = p.state.write(p.dir)
	}
	p.state.partial = nil
	p.saved = time.Now()
	if p.o.Checkpoint == 0 {
		p.pause = max(defaultCheckpoint, checkpointShare*p.saved.Sub(began))
	}
	return err
}

// ownName is the name under which a part keeps what it has gathered, which is
// not all that the index keeps of that name if there is a base.
func ownName(statistic string) string { return "own." + statistic }

// keepTotal puts a statistic of a finished pass into a file, once.
func (p *part) keepTotal(name string) error {
	for _, kept := range p.state.Gathered {
		if kept.Name == ownName(name) {
			return nil
		}
	}
	data, err := p.totals[name].MarshalBinary()
	if err != nil {
		return fmt.Errorf("statistic %s: %w", name, err)
	}
	kept, err := index.KeepStatistic(p.dir, ownName(name), p.job.samples.Corpus().Tokens(), data)
	p.state.Gathered = append(p.state.Gathered, kept)
	return err
}

// finish ends a pass. What took less time than lies between two checkpoints is
// not made durable, unless other shards wait for it.
func (p *part) finish(total []metric.Statistic) error {
	for _, s := range total {
		p.totals[s.Name()] = s
	}
	p.state.Pass++
	p.state.Samples = p.from
	if p.shared || time.Since(p.saved) > p.pause {
		return p.checkpoint(nil)
	}
	return nil
}

// ordered notes that a column of the index is finished, once wait says that it
// is durable.
func (p *part) ordered(m index.Metric, wait func() error) error {
	p.state.Columns = append(p.state.Columns, m)
	if time.Since(p.saved) <= p.pause {
		return nil
	}
	if err := wait(); err != nil {
		return err
	}
	return p.checkpoint(nil)
}

// addTo adds what a part has gathered to the statistics of that name, if it has.
func (s *state) addTo(total metric.Statistic, dir string) error {
	for _, kept := range s.Gathered {
		if kept.Name == ownName(total.Name()) {
			data, err := index.LoadStatistic(dir, kept)
			if err != nil {
				return err
			}
			return merge(total, data)
		}
	}
	return fault.Corruptf("%s: no statistic %s; remove it to start the analysis anew", dir, total.Name())
}

// merge adds a statistic in its binary form.
func merge(total metric.Statistic, data []byte) error {
	one := total.New()
	if err := one.UnmarshalBinary(data); err != nil {
		return fmt.Errorf("statistic %s: %w", total.Name(), err)
	}
	return total.Merge(one)
}

// tokensBefore returns the tokens of the part's samples before one.
func (p *part) tokensBefore(sample int64) int64 {
	start := func(id int64) int64 {
		if id == p.job.samples.Len() {
			return p.job.samples.Corpus().Tokens()
		}
		first, _ := p.job.samples.Span(id)
		return first
	}
	return start(sample) - start(p.from)
}

// start returns the first sample that a pass has to look at.
func (j *Job) start(pass int) int64 {
	first := j.samples.Len()
	for _, n := range j.passes[pass].nodes {
		first = min(first, j.nodes[n].from)
	}
	for _, s := range j.passes[pass].statistics {
		first = min(first, j.base.firstToCount(j, s.Name()))
	}
	return first
}
