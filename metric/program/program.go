// Package program makes a metric of any program.
//
// Its noun is the Program: a command that reads samples and answers a number
// for each. It is run by "sh -c", once for each worker of the analysis, and
// stays until the end. The protocol is lines of text:
//
//	standard input   {"id":12,"tokens":[464,3290],"text":"The dog"}
//	standard output  3.25
//
// A line in is one sample, a JSON object: its number in the corpus, its tokens,
// and its text if the corpus says what its tokens are. In the text, bytes that
// are not valid UTF-8 are U+FFFD; the tokens are exact. A line out is one
// number, of the samples in their order. The program ends when its input does,
// with exit status 0. So this is a whole one:
//
//	python3 -c 'import sys, json
//	for line in sys.stdin: print(len(json.loads(line)["tokens"]))'
//
// A program must not wait for the next sample before it answers the last, and
// has to flush what it has answered (python3 does: PYTHONUNBUFFERED is set). One
// that cannot is started for each run of samples anew and gets the end of its
// input after them, with once=true. One that wants many samples at a time gets,
// with batch=N, up to N in a line, as a JSON array; it still answers a line for
// each. What it writes to standard error is shown if it fails.
//
// The value of a sample must follow from the sample only: how samples are
// spread over processes is not said.
package program

import (
	"strings"
	"sync"
	"time"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
)

// Options of a Program. The zero of a field is its default.
type Options struct {
	// Processes is how many run at the same time; default: one for each scorer.
	Processes int
	// Timeout is the longest a program may neither answer nor read, and then is
	// killed; default: a minute.
	Timeout time.Duration
	// Send is what a sample is sent as: "tokens", "text" or "both"; default:
	// both, or tokens if the text is not known.
	Send string
	// Batch, if not 0, sends up to so many samples in a line, as an array.
	Batch int
	// Once starts the program anew for each run of samples.
	Once bool
	// Whole says that all values are whole numbers.
	Whole bool
	// Descending says that larger values are easier.
	Descending bool
	// Version is the program's: another one is another metric; default: 1.
	Version int
}

const (
	defaultTimeout = time.Minute
	// mostProcesses is more than a machine has cores for.
	mostProcesses = 1 << 12
	// mostBatch is what a worker is handed at once by package analyze.
	mostBatch = 1 << 16
)

// Definition is the metric "exec:COMMAND" of a registry.
func Definition() metric.Definition {
	return metric.Definition{
		Name:    "exec",
		Summary: "any program: samples as JSON lines on its standard input, a number for each on its output (docs/exec-metric.md)",
		Keys: []metric.Key{
			{Name: "processes", Help: "how many run at the same time (default: one for each worker)"},
			{Name: "timeout", Help: "the longest it may neither answer nor read (default: 60s)"},
			{Name: "send", Help: "tokens, text or both (default: both, or tokens if the text is not known)"},
			{Name: "batch", Help: "send up to so many samples in a line, as a JSON array"},
			{Name: "once", Help: "true: start it anew for each run of samples, and end its input after them"},
			{Name: "whole", Help: "true: all values are whole numbers"},
			{Name: "descending", Help: "true: larger values are easier"},
			{Name: "version", Help: "of the program; another one is another metric (default: 1)"},
		},
		Rest: "COMMAND",
		Make: func(args *metric.Args) (metric.Metric, error) {
			p, err := New(args.Rest(), Options{
				Processes:  args.Int("processes", 0, 1, mostProcesses),
				Timeout:    args.Duration("timeout", 0),
				Send:       args.String("send", ""),
				Batch:      args.Int("batch", 0, 1, mostBatch),
				Once:       args.Bool("once", false),
				Whole:      args.Bool("whole", false),
				Descending: args.Bool("descending", false),
				Version:    args.Int("version", 1, 1, 1<<30),
			})
			if err != nil {
				return nil, err
			}
			p.info = args.Info(p.info)
			return p, nil
		},
	}
}

// Program is a metric.Metric. Its scorers are io.Closers: Close ends their
// processes and says if one of them has answered too much or ended badly, in
// which case what it answered before is not to be trusted. Close may be called
// while Score runs, which then ends at once.
type Program struct {
	command string
	o       Options
	info    metric.Info

	mu     sync.Mutex
	shared *group // of all scorers, if Options.Processes is set
}

// New returns the metric of a command. It does not run it yet. Options that
// make no sense are an error of kind fault.Invalid.
func New(command string, o Options) (*Program, error) {
	if strings.TrimSpace(command) == "" {
		return nil, fault.Invalidf("the command is missing; write exec:COMMAND, such as exec:python3 difficulty.py")
	}
	if strings.ContainsRune(command, 0) {
		return nil, fault.Invalidf("the command %q has a zero byte", command)
	}
	switch o.Send {
	case "", "tokens", "text", "both":
	default:
		return nil, fault.Invalidf("send=%s: tokens, text or both can be sent", o.Send)
	}
	if o.Processes < 0 || o.Batch < 0 || o.Timeout < 0 || o.Version < 0 {
		return nil, fault.Invalidf("processes, batch, timeout and version must be 0 (the default) or more")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	info := metric.Info{
		Name:       "exec",
		Spec:       "exec:" + command,
		Version:    max(o.Version, 1),
		Descending: o.Descending,
		Summary:    "answers of the program " + quote(command),
	}
	if o.Whole {
		info.Kind = metric.Whole
	}
	return &Program{command: command, o: o, info: info}, nil
}

// Info describes the metric. What the command does is not looked into, so that
// a changed program should be given another version.
func (p *Program) Info() metric.Info { return p.info }

// Statistics returns none.
func (p *Program) Statistics() []metric.Statistic { return nil }

// Scorer makes a scorer and starts nothing yet: the program starts with the
// first samples. To send text where the tokenizer is not known is an error of
// kind fault.Invalid.
func (p *Program) Scorer(source metric.Source) (metric.Scorer, error) {
	known := p.o.Send != "tokens" && source.Text() != nil
	text := p.o.Send == "text" || known
	if p.o.Send != "" && p.o.Send != "tokens" && !known {
		return nil, fault.Invalidf("send=%s: the corpus does not say what its tokens are, so there is no text; send=tokens", p.o.Send)
	}
	f := format{tokens: p.o.Send != "text", batch: p.o.Batch}
	if text {
		f.tokenizer = source.Text()
	}
	return newScorer(p.join(), f), nil
}

// join returns the group of processes that a new scorer uses.
func (p *Program) join() *group {
	if p.o.Processes == 0 {
		return newGroup(p, 1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil || !p.shared.enter() {
		p.shared = newGroup(p, p.o.Processes)
	}
	return p.shared
}
