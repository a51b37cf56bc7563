package analyze

import (
	"context"
	"iter"
	"sync"
)

// inOrder maps jobs on several workers and takes the results in the order of
// the jobs, in the caller's goroutine. A worker may run ahead of the slowest
// by a few jobs only, so memory does not grow with the number of jobs. do gets
// the number of its worker. The error is that of the first job that failed,
// whichever failed earlier in time, or ctx's.
func inOrder[J, R any](ctx context.Context, workers int, jobs iter.Seq[J], do func(worker int, job J) (R, error), take func(R) error) error {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		value R
		err   error
	}
	type task struct {
		job  J
		done chan result // holds one, so that no worker waits for it to be taken
	}
	work := make(chan task)
	pending := make(chan task, 2*workers) // in order of jobs
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel() // before the wait
	wg.Go(func() {
		defer close(pending)
		defer close(work)
		for job := range jobs {
			t := task{job, make(chan result, 1)}
			for _, queue := range []chan task{pending, work} {
				select {
				case queue <- t:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for w := range workers {
		wg.Go(func() {
			for t := range work {
				value, err := do(w, t.job)
				t.done <- result{value, err}
			}
		})
	}
	for t := range pending {
		select {
		case r := <-t.done:
			if r.err != nil {
				return r.err
			}
			if err := take(r.value); err != nil {
				return err
			}
		case <-ctx.Done():
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
