package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A contender is a process that answers each line of a request with a line of
// JSON. It says so when it is ready, and ends with its input.
type contender struct {
	name   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errs   *bytes.Buffer
	stop   context.CancelFunc
	memory watch
	ended  error
}

// start runs a program with dir for its temporary files, and waits for its first
// line.
func start[T any](ctx context.Context, dir, program string, args ...string) (c *contender, ready T, err error) {
	ctx, stop := context.WithCancel(ctx)
	c = &contender{name: filepath.Base(program), cmd: exec.CommandContext(ctx, program, args...), errs: new(bytes.Buffer), stop: stop}
	// The contenders in Go keep their arrays in files there.
	c.cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	c.cmd.Stderr = c.errs
	c.cmd.WaitDelay = 10 * time.Second
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, ready, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, ready, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, ready, err
	}
	c.memory.begin(c.cmd.Process.Pid)
	ready, err = answer[T](c)
	if err != nil {
		c.close()
		return nil, ready, err
	}
	return c, ready, nil
}

// startSelf runs a command of this very program.
func startSelf[T any](ctx context.Context, dir string, args ...string) (*contender, T, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, *new(T), err
	}
	return start[T](ctx, dir, self, args...)
}

// ask sends a request and returns the answer.
func ask[T any](c *contender, words ...any) (T, error) {
	if _, err := fmt.Fprintln(c.in, words...); err != nil && !errors.Is(err, os.ErrClosed) {
		return *new(T), c.failed(err)
	}
	return answer[T](c)
}

func answer[T any](c *contender) (value T, err error) {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return value, c.failed(err)
	}
	return decode[T](line, c.name)
}

// failed is why a contender does not answer: the last line that it wrote.
func (c *contender) failed(err error) error {
	c.in.Close()
	if end := c.cmd.Wait(); end != nil {
		err = end
	}
	c.ended = err
	said := strings.TrimSpace(c.errs.String())
	return fmt.Errorf("%s: %w: %s", c.name, err, said[strings.LastIndexByte(said, '\n')+1:])
}

// close ends the process.
func (c *contender) close() {
	if c == nil {
		return
	}
	c.memory.end()
	c.in.Close()
	if c.ended == nil {
		_ = c.cmd.Wait() // what it had to say, it has said
	}
	c.stop()
}

// serve is the contender's side: it answers every line of the input.
func serve(ready any, answer func(words []string) (any, error)) error {
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(ready); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		value, err := answer(strings.Fields(in.Text()))
		if err != nil {
			return err
		}
		if err := out.Encode(value); err != nil {
			return err
		}
	}
	return in.Err()
}

// A watch reads a process's memory every few milliseconds and keeps the peaks.
// Its own peak the system does not keep: that counts the pages of mapped files.
type watch struct {
	mu        sync.Mutex
	path      string
	own, maps float64 // peaks in bytes: memory of its own, pages of files
	quit      chan struct{}
}

const watchEvery = 10 * time.Millisecond

func (w *watch) begin(pid int) {
	w.path, w.quit = fmt.Sprintf("/proc/%d/status", pid), make(chan struct{})
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-tick.C:
				w.look()
			}
		}
	}()
}

// look takes the memory now: RssAnon, and RssFile with RssShmem.
func (w *watch) look() {
	data, err := os.ReadFile(w.path)
	if err != nil {
		return // another system, or it has ended
	}
	var anon, file, shared float64
	for line := range bytes.Lines(data) {
		for _, f := range []struct {
			name  string
			value *float64
		}{{"RssAnon:", &anon}, {"RssFile:", &file}, {"RssShmem:", &shared}} {
			if rest, ok := bytes.CutPrefix(line, []byte(f.name)); ok {
				fmt.Sscan(string(rest), f.value)
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own, w.maps = max(w.own, anon*1024), max(w.maps, (file+shared)*1024)
}

// peaks returns the peaks since the last call.
func (w *watch) peaks() (own, maps float64) {
	w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	own, maps = w.own, w.maps
	w.own, w.maps = 0, 0
	return own, maps
}

func (w *watch) end() { close(w.quit) }
