package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// program is the gradus under test.
type program struct {
	path    string
	workers int
	metrics []metricLine // as its help lists them
	flags   map[string]bool
}

// metricLine is a metric of the program's help.
type metricLine struct{ name, summary string }

// ran is one run of a process.
type ran struct {
	output  []byte
	seconds float64 // from its start to its end
	peak    int64   // greatest resident set, bytes; 0 where the system does not say
}

// execute runs a process to its end.
func execute(ctx context.Context, name string, args ...string) (ran, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 10 * time.Second // for what a killed process has started
	began := time.Now()
	err := cmd.Run()
	seconds := time.Since(began).Seconds()
	if err != nil && ctx.Err() != nil {
		return ran{}, fmt.Errorf("%s: %w", filepath.Base(name), context.Cause(ctx))
	}
	if err != nil {
		said := strings.TrimSpace(errs.String())
		if i := strings.LastIndexByte(said, '\n'); i >= 0 {
			said = said[i+1:]
		}
		return ran{}, fmt.Errorf("%s: %w: %s", filepath.Base(name), err, said)
	}
	return ran{out.Bytes(), seconds, peakMemory(cmd.ProcessState)}, nil
}

// look asks the program what it offers.
func (p *program) look(ctx context.Context) error {
	r, err := execute(ctx, p.path, "analyze", "--help")
	if err != nil {
		return fmt.Errorf("%w; 'make build' makes the program", err)
	}
	return p.parse(string(r.output))
}

// parse reads the flags and metrics out of the help of analyze.
func (p *program) parse(help string) error {
	p.metrics, p.flags = nil, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(help, -1) {
		p.flags[m[1]] = true
	}
	heading := regexp.MustCompile(`(?m)^Metrics\b.*:\n+`).FindStringIndex(help)
	if heading == nil {
		return errors.New("the help of gradus analyze lists no metrics")
	}
	line := regexp.MustCompile(`^ +([a-z][a-z0-9-]*)\S*  +(\S.*)$`)
	for l := range strings.Lines(help[heading[1]:]) {
		m := line.FindStringSubmatch(strings.TrimRight(l, "\n"))
		if m == nil {
			break
		}
		p.metrics = append(p.metrics, metricLine{m[1], m[2]})
	}
	return nil
}

// Analysis is what gradus analyze --json says, as far as it matters here.
type Analysis struct {
	Seconds float64 `json:"seconds"`
	Peak    int64   `json:"peak_memory_bytes"`
	Passes  []struct {
		Name    string  `json:"name"`
		Samples int64   `json:"samples"`
		Tokens  int64   `json:"tokens"`
		Seconds float64 `json:"seconds"`
	} `json:"passes"`
	Manifest struct {
		Samples int64 `json:"samples"`
		Metrics []struct {
			Name   string  `json:"name"`
			Mean   float64 `json:"mean"`
			Values struct {
				Bytes int64 `json:"bytes"`
			} `json:"values"`
			Order struct {
				Bytes int64 `json:"bytes"`
			} `json:"order"`
		} `json:"metrics"`
	} `json:"manifest"`
}

// output returns the bytes of the index's columns.
func (a Analysis) output() (bytes int64) {
	for _, m := range a.Manifest.Metrics {
		bytes += m.Values.Bytes + m.Order.Bytes
	}
	return bytes
}

// analyze makes an index of the corpus at prefix in dir and removes it again.
func (p *program) analyze(ctx context.Context, prefix, dir string, args ...string) (ran, Analysis, error) {
	dir = filepath.Join(dir, "index")
	if err := os.RemoveAll(dir); err != nil {
		return ran{}, Analysis{}, err
	}
	args = append([]string{"analyze", "--corpus", prefix, "--out", dir, "--workers", fmt.Sprint(p.workers), "--json"}, args...)
	r, err := execute(ctx, p.path, args...)
	if err != nil {
		return ran{}, Analysis{}, err
	}
	a, err := decode[Analysis](r.output, "gradus analyze --json")
	if err == nil {
		err = os.RemoveAll(dir)
	}
	return r, a, err
}

// helper runs a command of this very program as a process of its own. That
// keeps what it maps out of the parent, whose resident set Linux counts as the
// peak of every child that it starts.
func helper[T any](ctx context.Context, args ...string) (value T, r ran, err error) {
	self, err := os.Executable()
	if err != nil {
		return value, r, err
	}
	if r, err = execute(ctx, self, args...); err != nil {
		return value, r, err
	}
	err = json.Unmarshal(r.output, &value)
	return value, r, err
}
