package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/gradus-ml/gradus/experiment"
)

// shareOf returns part i of parts of some cores; with more parts than cores, one of
// them, which parts share.
func shareOf(cores []int, i, parts int) []int {
	n := len(cores)
	if parts >= n {
		return cores[i%n : i%n+1]
	}
	return cores[i*n/parts : (i+1)*n/parts]
}

// children returns what runs a cell in a process of its own, bound to its share of the
// cores; jobs of them may run at once. arguments are those of the program for a cell.
//
// A child ends, with its run saved, when its standard input is closed: so it does not
// outlive this process, however that ends.
func children(jobs int, arguments func(cell string) []string) func(context.Context, experiment.Cell, string) error {
	places := make(chan int, jobs)
	for i := range jobs {
		places <- i
	}
	return func(ctx context.Context, c experiment.Cell, _ string) error {
		i := <-places
		defer func() { places <- i }()
		self, err := os.Executable()
		if err != nil {
			return err
		}
		child := exec.CommandContext(ctx, self, arguments(c.Name)...)
		stdin, err := child.StdinPipe()
		if err != nil {
			return err
		}
		child.Cancel = stdin.Close
		var stderr bytes.Buffer
		child.Stderr = &stderr
		if err := startOn(child, i, jobs); err != nil {
			return err
		}
		err = child.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil {
			return fmt.Errorf("%s", lastWords(stderr.String(), exit))
		}
		return err
	}
}

// lastWords returns what a child said at its end.
func lastWords(stderr string, exit *exec.ExitError) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if words, ok := strings.CutPrefix(lines[i], "gradus: "); ok {
			return words
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%v: %s", exit, lines[len(lines)-1]))
}
