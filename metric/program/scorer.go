package program

import (
	"context"
	"errors"
	"sync"

	"github.com/gradus-ml/gradus/metric"
)

// group is the processes that some scorers share, each used by one of them at a
// time.
type group struct {
	program *Program
	// idle has one entry for each process that is not in use; nil: it is not
	// running.
	idle chan *process

	mu    sync.Mutex
	users int // scorers; the last to leave ends the processes
}

// newGroup returns a group that one scorer uses.
func newGroup(p *Program, processes int) *group {
	g := &group{program: p, idle: make(chan *process, processes), users: 1}
	for range processes {
		g.idle <- nil
	}
	return g
}

// enter adds a scorer, unless the processes were ended already.
func (g *group) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users == 0 {
		return false
	}
	g.users++
	return true
}

// leave removes a scorer. The last one ends the processes, all at once, and
// returns what is wrong with them.
func (g *group) leave() error {
	g.mu.Lock()
	g.users--
	last := g.users == 0
	g.mu.Unlock()
	if !last {
		return nil
	}
	errs := make([]error, cap(g.idle))
	var wait sync.WaitGroup
	for i := range errs {
		if p := <-g.idle; p != nil { // the last one in use comes back soon: its scorer has left
			wait.Go(func() { errs[i] = p.finish() })
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// scorer sends samples to one of the group's processes at a time.
type scorer struct {
	group  *group
	format format
	// open ends with Close, and a Score under way with it.
	open  context.Context
	close func() error
}

func newScorer(g *group, f format) *scorer {
	open, end := context.WithCancel(context.Background())
	return &scorer{g, f, open, sync.OnceValue(func() error {
		end()
		return g.leave()
	})}
}

// Close ends the processes if this was the last scorer that uses them.
func (s *scorer) Close() error { return s.close() }

// Score waits for a free process, and has it answer.
func (s *scorer) Score(values []float64, samples []metric.Sample) error {
	if len(samples) == 0 {
		return nil
	}
	var p *process
	select {
	case <-s.open.Done():
		return s.open.Err()
	case p = <-s.group.idle:
	}
	p, err := s.score(p, values, samples)
	s.group.idle <- p
	return err
}

// score starts the process if it does not run, and returns it if it may go on.
func (s *scorer) score(p *process, values []float64, samples []metric.Sample) (_ *process, err error) {
	if err := s.open.Err(); err != nil { // both were ready
		return p, err
	}
	if p == nil {
		if p, err = start(s.group.program); err != nil {
			return nil, &metric.SampleError{ID: samples[0].ID, Err: err}
		}
	}
	unhook := context.AfterFunc(s.open, p.kill)
	defer unhook()
	once := s.group.program.o.Once
	at, err := p.exchange(values, samples, s.format, once)
	if err == nil && once {
		at, err = len(samples)-1, p.finish()
	}
	switch {
	case s.open.Err() != nil:
		p.stop()
		return nil, s.open.Err()
	case err != nil:
		return nil, &metric.SampleError{ID: samples[at].ID, Err: err}
	case once:
		return nil, nil
	}
	return p, nil
}
