package analyze

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/atomicfile"
	"github.com/gradus-ml/gradus/internal/dirlock"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Shard is one of Count parts of an analysis, numbered from 0. The zero is the
// whole.
type Shard struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// ParseShard reads "I/N", the part I, from 0 to N-1, of N.
func ParseShard(text string) (Shard, error) {
	i, n, ok := strings.Cut(text, "/")
	s := Shard{}
	var err1, err2 error
	s.Index, err1 = strconv.Atoi(i)
	s.Count, err2 = strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || s.Count < 1 || s.Count > maxShards || s.Index < 0 || s.Index >= s.Count {
		return Shard{}, fault.Invalidf("%q is no part of an analysis; write I/N, the parts of N being 0/N to N-1/N", text)
	}
	return s, nil
}

const maxShards = 100_000

// String returns "I/N".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// of returns the samples [from, to) of n that the part has: from floor(I*n/N)
// on, as DeepSpeed's analyzer splits a dataset.
func (s Shard) of(n int64) (from, to int64) {
	if s.Count == 0 {
		return 0, n
	}
	at := func(i int) int64 {
		high, low := bits.Mul64(uint64(i), uint64(n))
		quotient, _ := bits.Div64(high, low, uint64(s.Count))
		return int64(quotient)
	}
	return at(s.Index), at(s.Index + 1)
}

// Shards lie beside the index they are of, each in a directory of its own.
func shardsDir(dir string) string { return filepath.Clean(dir) + ".shards" }

func (s Shard) dir(dir string) string {
	return filepath.Join(shardsDir(dir), fmt.Sprintf("%05d-of-%05d", s.Index, s.Count))
}

// ShardResult is how far a shard is.
type ShardResult struct {
	Shard Shard `json:"shard"`
	// Done says that the shard is whole.
	Done bool `json:"done"`
	// Waiting lists the shards whose statistics the next pass needs: once they
	// are there, the same command goes on.
	Waiting []Shard `json:"waiting,omitempty"`
	Passes  []Pass  `json:"passes"`
}

// RunShard makes one part of an analysis, or as much of it as can be made: a
// metric that needs statistics of the whole corpus is scored once all shards
// have gathered theirs, and until then RunShard returns whom it waits for. To
// call it again is right at any time: what is done is not done again, and what
// was killed goes on; once Merge has ended the job there is nothing to do,
// unless Options.Force or Restart is set.
func RunShard(ctx context.Context, job *Job, dir string, shard Shard, o Options) (ShardResult, error) {
	o, err := o.withDefaults()
	if err != nil {
		return ShardResult{}, err
	}
	if shard.Count < 1 || shard.Index < 0 || shard.Index >= shard.Count {
		return ShardResult{}, fault.Invalidf("no shard %s", shard)
	}
	result := ShardResult{Shard: shard}
	if _, ok, err := job.made(dir); err != nil || ok && !o.Restart && !o.Force {
		result.Done = ok
		return result, err
	}
	if err := fingerprintOnce(ctx, dir, job.samples.Corpus()); err != nil {
		return result, err
	}
	id, err := job.identity(shard)
	if err != nil {
		return result, err
	}
	own := shard.dir(dir)
	if err := os.MkdirAll(own, 0o777); err != nil {
		return result, err
	}
	lock, err := dirlock.Lock(own)
	if err != nil {
		return result, fmt.Errorf("shard %s: %w", shard, err)
	}
	defer lock.Close()
	if err := resumable(own, id, o.Restart); err != nil {
		return result, err
	}
	p, err := openPart(job, own, id, o)
	if err != nil {
		return result, err
	}
	defer p.close()
	p.shared = true
	waiting := &waitingError{}
	p.gathered = func(pass int) (map[string]metric.Statistic, error) {
		if pass == 0 {
			return map[string]metric.Statistic{}, nil
		}
		states, missing, err := shardStates(dir, shard.Count, pass)
		if err == nil && len(missing) > 0 {
			waiting.shards, err = missing, waiting
		}
		if err != nil {
			return nil, err
		}
		for s, other := range states {
			if difference := other.Job.same(withShard(id, s)); difference != "" {
				return nil, fault.Mismatchf("shard %s is of another analysis: %s; give all shards the same corpus and flags", s, difference)
			}
		}
		return job.gather(pass, fromFiles(dir, states))
	}
	err = p.run(ctx)
	result.Passes = p.state.Passes
	if errors.Is(err, waiting) {
		result.Waiting = waiting.shards
		return result, nil
	}
	result.Done = err == nil
	return result, err
}

// known is a file among the shards: what one of them has found out about the
// corpus.
type known struct {
	Stamp       string `json:"stamp"`
	Fingerprint string `json:"fingerprint"`
}

const knownName = "corpus.json"

// knownPause is how often a shard looks whether another one is done with it.
const knownPause = 200 * time.Millisecond

// fingerprintOnce lets one shard read all of the corpus for its fingerprint, if
// it is not written beside the corpus, and the others wait for it: a hundred of
// them would otherwise read it a hundred times.
func fingerprintOnce(ctx context.Context, dir string, c *corpus.Corpus) error {
	shards := shardsDir(dir)
	if err := os.MkdirAll(shards, 0o777); err != nil {
		return err
	}
	lock, err := dirlock.Lock(shards)
	for ; errors.Is(err, fault.Invalid); lock, err = dirlock.Lock(shards) { // another shard has it
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(knownPause):
		}
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	name := filepath.Join(shards, knownName)
	var k known
	if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &k) == nil && c.Remember(k.Fingerprint, k.Stamp) {
		return nil
	}
	k.Stamp = c.Stamp()
	if k.Fingerprint, err = c.Fingerprint(); err != nil {
		return err
	}
	return atomicfile.Write(name, func(w io.Writer) error { return json.NewEncoder(w).Encode(k) })
}

// waitingError stops a shard at a pass that it cannot make yet.
type waitingError struct{ shards []Shard }

func (*waitingError) Error() string { return "other shards have to gather their statistics first" }

func withShard(id identity, s Shard) identity {
	id.Shard = s
	return id
}

// shardStates reads how far the shards are, and which have not finished so many
// passes.
func shardStates(dir string, count, passes int) (map[Shard]*state, []Shard, error) {
	states := map[Shard]*state{}
	var missing []Shard
	for i := range count {
		s := Shard{i, count}
		state, err := readState(s.dir(dir))
		switch {
		case err != nil:
			return nil, nil, err
		case state == nil || state.Pass < passes:
			missing = append(missing, s)
		default:
			states[s] = state
		}
	}
	return states, missing, nil
}

// fromFiles adds what the shards have in files.
func fromFiles(dir string, states map[Shard]*state) func(metric.Statistic) error {
	return func(total metric.Statistic) error {
		for s, state := range states {
			if err := state.addTo(total, s.dir(dir)); err != nil {
				return err
			}
		}
		return nil
	}
}

// gather returns the statistics of the passes before one: what the base has,
// and what add adds of this job's.
func (j *Job) gather(pass int, add func(total metric.Statistic) error) (map[string]metric.Statistic, error) {
	gathered := map[string]metric.Statistic{}
	for _, p := range j.passes[:pass] {
		for _, s := range p.statistics {
			total := s.New()
			if d, ok := total.(metric.Dependent); ok {
				if err := d.Bind(gathered); err != nil {
					return nil, err
				}
			}
			if old := j.base.statistics[s.Name()]; old != nil {
				if err := total.Merge(old); err != nil {
					return nil, err
				}
			}
			if err := add(total); err != nil {
				return nil, err
			}
			gathered[s.Name()] = total
		}
	}
	return gathered, nil
}

// Parts is what the shards of an index say of the job they are of.
type Parts struct {
	Head  index.Head
	Specs []string // of the metrics, as metric.Registry.Parse takes them
	Count int      // of shards, begun or not
}

// Shards reads what the shards of the index dir are of. Without shards the error
// is fs.ErrNotExist.
func Shards(dir string) (Parts, error) {
	id, err := shardIdentity(dir)
	if err != nil {
		return Parts{}, err
	}
	p := Parts{Head: id.Head, Count: id.Shard.Count}
	for _, m := range id.Metrics {
		p.Specs = append(p.Specs, m.Name+"="+m.Spec)
	}
	return p, nil
}

// shardIdentity reads the job of the shards there are, which must be of one
// number of them.
func shardIdentity(dir string) (identity, error) {
	entries, err := os.ReadDir(shardsDir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return identity{}, fmt.Errorf("no shards at %s: %w; 'gradus analyze --shard I/N' makes them", shardsDir(dir), err)
	}
	if err != nil {
		return identity{}, err
	}
	var found *state
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s, err := readState(filepath.Join(shardsDir(dir), e.Name()))
		if err != nil {
			return identity{}, err
		}
		if s == nil {
			continue
		}
		if found != nil && found.Job.Shard.Count != s.Job.Shard.Count {
			return identity{}, fault.Mismatchf("%s holds shards of %d and of %d; remove those that are not wanted", shardsDir(dir), found.Job.Shard.Count, s.Job.Shard.Count)
		}
		found = s
	}
	if found == nil {
		return identity{}, fmt.Errorf("no shard at %s has begun: %w", shardsDir(dir), fs.ErrNotExist)
	}
	return found.Job, nil
}
