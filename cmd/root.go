// Package cmd is the gradus program: one file a verb. It alone prints and exits.
//
// A program of your own that registers a metric, a pace, a shaper or a routing
// policy and then calls Main is gradus with that built in.
package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitCorrupt     = 3
	exitMismatch    = 4
	exitInterrupted = 130
)

// exitCodes ends the help of every verb.
const exitCodes = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 corrupt file, 4 mismatch (wrong
corpus, recipe or version), 130 interrupted.
`

// Main runs the program on the process's arguments and exits.
func Main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without the process around it, so that tests can call it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends a program that is slow to stop
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var how interrupted
	if errors.Is(err, context.Canceled) && !errors.As(err, &how) {
		err = interrupted("interrupted; nothing is left half-written")
	}
	fmt.Fprintln(stderr, "gradus:", err)
	return exitCode(err)
}

// interrupted is the error of work that a signal ended, in words for people:
// what was saved, and how to go on.
type interrupted string

func (i interrupted) Error() string      { return string(i) }
func (interrupted) Is(target error) bool { return target == context.Canceled }

func exitCode(err error) int {
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, fault.Corrupt):
		return exitCorrupt
	case errors.Is(err, fault.Mismatch):
		return exitMismatch
	case errors.Is(err, fault.Invalid):
		return exitUsage
	default:
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gradus",
		Short: "Train models on less data and in less time",
		Long: `Gradus measures how hard every sample of a corpus is, paces training from easy
to hard, routes only some of the tokens through the middle layers, and reports
what that saved.

The way of a run: prepare text into a corpus, analyze it into an index, write a
recipe, look at its plan, train, report. 'gradus demo' does it all once.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.Invalidf("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.AddCommand(
		// One line a verb, in the order of the work.
		newPrepare(),
		newAnalyze(),
		newInspect(),
		newCheck(),
		newSchema(),
		newPlan(),
		newSample(),
		newWhere(),
		newTrain(),
		newTune(),
		newBackends(),
		newGenerate(),
		newReport(),
		newCompare(),
		newExport(),
		newImport(),
		newDemo(),
	)
	root.SuggestionsMinimumDistance = 2 // letters that differ
	root.SetVersionTemplate("gradus {{.Version}}\n")
	root.SetUsageTemplate(root.UsageTemplate() + exitCodes)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, verb := range root.Commands() {
		verb.Args = usageArgs(verb.Args)
		for _, shell := range verb.Commands() { // of completion
			shell.Args = usageArgs(shell.Args)
		}
	}
	return root
}

// knownVerb reports a verb that is none, with those that are nearly spelt so.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fault.Invalidf("unknown verb %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return fault.Invalidf("unknown verb %q; see 'gradus --help'", args[0])
}

// usageArgs makes a wrong number of arguments an error of usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return fault.Invalidf("%w; see '%s --help'", err, cmd.CommandPath())
		}
		return nil
	}
}

// printJSON writes v as indented JSON and a newline: what --json prints.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
