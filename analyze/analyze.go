// Package analyze measures every sample of a corpus by metrics and makes an
// index of it.
//
// Its nouns: a Block is a run of samples that is read and scored as one; a pass
// goes through the whole corpus once. Run makes at most three: it gathers the
// statistics that the metrics need (one pass over the tokens for all of them,
// none if none is needed), it scores (one pass over the samples for all
// metrics), and it orders the samples by each metric.
//
// Blocks are mapped on all cores and merged in order, and the values of a
// sample depend on nothing but the sample and the statistics, which add up
// exactly; so the index is the same bytes for any number of workers and any
// size of block. The maps are plain functions, Gather and Score, and what they
// return can travel: another runtime can call them.
package analyze

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/gradus-ml/gradus/corpus"
	"github.com/gradus-ml/gradus/index"
	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Options of Run. The zero of a field is its default.
type Options struct {
	// Metrics to measure, in the order the index will list them; default:
	// length and rarity.
	Metrics []metric.Metric
	// Workers is the number of cores to use; default: all.
	Workers int
	// BlockTokens is how many tokens a worker reads at once, at least one
	// sample; default: 2^18, which with their int32 make 1 MiB and stay in a
	// core's cache.
	BlockTokens int
	// Force replaces an index that is at the directory already.
	Force bool
	// Progress, if not nil, is called at the beginning of each pass and after
	// each block, from one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a pass has come.
type Progress struct {
	Pass    string // "statistics", "scores" or "order"
	Samples int64  // done in this pass, of TotalSamples; 0 while gathering statistics
	Tokens  int64  // done in this pass, of TotalTokens; 0 while ordering
	// What the pass has to do. While scoring windows that is a little more
	// than the corpus, since neighbours share a token.
	TotalSamples, TotalTokens int64
}

// Result is what Run has done.
type Result struct {
	Index    string         `json:"index"` // the directory
	Manifest index.Manifest `json:"manifest"`
	Workers  int            `json:"workers"`
	Passes   []Pass         `json:"passes"`
	Seconds  float64        `json:"seconds"` // of all passes and what lies between
}

// Pass is one pass that was made.
type Pass struct {
	Name    string  `json:"name"`
	Samples int64   `json:"samples,omitempty"` // went through
	Tokens  int64   `json:"tokens,omitempty"`  // went through
	Seconds float64 `json:"seconds"`
}

// Run measures the samples by the metrics and makes the index dir.
//
// If it fails or ctx is cancelled (then it returns ctx.Err()), nothing new is
// left, and an index that was at dir is still there. A metric that fails, or
// gives what is no finite number, ends the analysis with an error that names
// the sample; with several at fault it is the first of them, for any number of
// workers.
func Run(ctx context.Context, s *corpus.Samples, dir string, o Options) (Result, error) {
	if o.BlockTokens < 0 || o.Workers < 0 {
		return Result{}, fault.Invalidf("analyze: %d workers and blocks of %d tokens; both must be 0 (the default) or more", o.Workers, o.BlockTokens)
	}
	if len(o.Metrics) == 0 {
		o.Metrics = []metric.Metric{metric.Length(), metric.Rarity()}
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.BlockTokens == 0 {
		o.BlockTokens = DefaultBlockTokens
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	r := &run{Options: o, samples: s, started: time.Now()}
	return r.run(ctx, dir)
}

// run is an analysis under way.
type run struct {
	Options
	samples *corpus.Samples
	started time.Time
	passes  []Pass
}

func (r *run) run(ctx context.Context, dir string) (Result, error) {
	w, err := index.Create(dir, r.samples, r.Force)
	if err != nil {
		return Result{}, err
	}
	defer w.Abort()
	columns := make([]*index.ColumnWriter, len(r.Metrics))
	for i, m := range r.Metrics {
		info := m.Info()
		if columns[i], err = w.Column(info.Name, info.Version, info.Unit, info.Kind == metric.Whole); err != nil {
			return Result{}, err
		}
	}
	source, err := r.gather(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := r.score(ctx, source, columns); err != nil {
		return Result{}, err
	}
	if err := r.order(ctx, columns); err != nil {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if err := w.Commit(); err != nil {
		return Result{}, err
	}
	return Result{
		Index: dir, Manifest: w.Manifest(), Workers: r.Workers,
		Passes: r.passes, Seconds: time.Since(r.started).Seconds(),
	}, nil
}

// pass reports the progress of one pass and, at its end, adds it to the list.
func (r *run) pass(p Progress, do func(progress func(samples, tokens int64)) error) error {
	began := time.Now()
	r.Progress(p)
	err := do(func(samples, tokens int64) {
		p.Samples += samples
		p.Tokens += tokens
		r.Progress(p)
	})
	r.passes = append(r.passes, Pass{p.Pass, p.Samples, p.Tokens, time.Since(began).Seconds()})
	return err
}

// gather makes the pass over the tokens, if a metric needs a statistic.
func (r *run) gather(ctx context.Context) (metric.Source, error) {
	c := r.samples.Corpus()
	source := metric.Source{Meta: c.Meta(), Samples: r.samples, Statistics: map[string]metric.Statistic{}}
	for _, m := range r.Metrics {
		for _, s := range m.Statistics() {
			source.Statistics[s.Name()] = s
		}
	}
	if len(source.Statistics) == 0 {
		return source, nil
	}
	var total []metric.Statistic
	for _, name := range slices.Sorted(maps.Keys(source.Statistics)) {
		total = append(total, source.Statistics[name])
	}
	// Each worker gathers for itself: a statistic may be megabytes, and merging
	// it once a block would cost more than counting.
	own := make([][]metric.Statistic, r.Workers)
	for w := range own {
		for _, s := range total {
			own[w] = append(own[w], s.New())
		}
	}
	err := r.pass(Progress{Pass: "statistics", TotalTokens: c.Tokens()}, func(progress func(samples, tokens int64)) error {
		count := func(w int, s span) (int64, error) { return s.end - s.start, Gather(c, s.start, s.end, own[w]) }
		err := inOrder(ctx, r.Workers, spans(c.Tokens(), int64(r.BlockTokens)), count, func(tokens int64) error {
			progress(0, tokens)
			return nil
		})
		for w := range own {
			for i, s := range own[w] {
				if err == nil {
					err = total[i].Merge(s)
				}
			}
		}
		return err
	})
	return source, err
}

// score makes the pass over the samples and fills the columns.
func (r *run) score(ctx context.Context, source metric.Source, columns []*index.ColumnWriter) error {
	scorers := make([][]metric.Scorer, r.Workers)
	for w := range scorers {
		for _, m := range r.Metrics {
			scorer, err := m.Scorer(source)
			if err != nil {
				return err
			}
			scorers[w] = append(scorers[w], scorer)
		}
	}
	p := Progress{Pass: "scores", TotalSamples: r.samples.Len(), TotalTokens: r.samples.Corpus().Tokens()}
	if n := r.samples.Cut().Window; n > 0 {
		p.TotalTokens = r.samples.Len() * (int64(n) + 1)
	}
	return r.pass(p, func(progress func(samples, tokens int64)) error {
		score := func(w int, b Block) (Scores, error) { return Score(r.samples, b, r.Metrics, scorers[w]) }
		return inOrder(ctx, r.Workers, Blocks(r.samples, r.BlockTokens), score, func(s Scores) error {
			for i, values := range s.Values {
				if err := columns[i].Append(values); err != nil {
					return err
				}
			}
			progress(s.Block.End-s.Block.Start, s.Tokens)
			return nil
		})
	})
}

// order makes the order of each column, one after the other: each takes all
// cores, and memory for one.
func (r *run) order(ctx context.Context, columns []*index.ColumnWriter) error {
	p := Progress{Pass: "order", TotalSamples: r.samples.Len() * int64(len(columns))}
	return r.pass(p, func(progress func(samples, tokens int64)) error {
		for _, c := range columns {
			if err := c.Close(ctx, r.Workers); err != nil {
				return err
			}
			progress(r.samples.Len(), 0)
		}
		return nil
	})
}
