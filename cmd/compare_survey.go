package cmd

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/experiment"
	"github.com/gradus-ml/gradus/internal/words"
)

// A surveyed is a run as --dry-run --json has it.
type surveyed struct {
	Name   string           `json:"name"`
	Arm    string           `json:"arm"`
	Budget float64          `json:"budget"`
	Seed   uint64           `json:"seed"`
	State  experiment.State `json:"state"`
	Recipe string           `json:"recipe"` // hash
	Steps  int64            `json:"steps_done"`
	Cost   *experiment.Cost `json:"cost,omitempty"` // of the whole run, where it is not over
}

// survey says how far the study is, and what is missing will cost.
func (c *comparing) survey(ctx context.Context, s *experiment.Study) error {
	o, err := experiment.Survey(s, c.out)
	if err != nil {
		return err
	}
	if err := o.Costs(ctx); err != nil { // by all runs that are done
		return err
	}
	if err := o.Only(c.only); err != nil {
		return err
	}
	if c.asJSON {
		runs := []surveyed{}
		for _, s := range o.Cells {
			r := surveyed{Name: s.Name, Arm: s.Arm, Budget: s.Budget, Seed: s.Seed, State: s.State, Recipe: s.Recipe.Hash(), Cost: s.Cost}
			if s.Log != nil {
				r.Steps = int64(len(s.Log.Steps))
			}
			runs = append(runs, r)
		}
		return printJSON(c.stdout, struct {
			Runs  []surveyed `json:"runs"`
			Notes []string   `json:"notes,omitempty"`
		}{runs, o.Notes})
	}
	return printSurvey(c.stdout, o, c.jobs)
}

func printSurvey(out io.Writer, o experiment.Outcome, jobs int) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "run\tstate\tsteps\ttokens\tFLOPs\ttime")
	var tokens int64
	var flops, seconds float64
	timed := true
	for _, s := range o.Cells {
		switch {
		case s.Cost != nil:
			left := 1.0
			if s.Log != nil && s.Cost.Steps > 0 {
				left = 1 - float64(len(s.Log.Steps))/float64(s.Cost.Steps)
			}
			tokens += int64(left * float64(s.Cost.Tokens))
			flops += left * s.Cost.FLOPs
			seconds += left * s.Cost.Seconds
			timed = timed && s.Cost.Seconds > 0
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", s.Name, s.State, s.Cost.Steps, count(s.Cost.Tokens), amountOr(s.Cost.FLOPs), about(s.Cost.Seconds))
		case s.Log != nil && len(s.Log.Steps) > 0:
			last := s.Log.Steps[len(s.Log.Steps)-1]
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", s.Name, s.State, last.Step, count(last.Tokens), amountOr(last.FLOPs), words.Duration(last.Seconds))
		default:
			fmt.Fprintf(t, "%s\t%s\n", s.Name, s.State)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range o.Notes {
		fmt.Fprintf(out, "note: %s\n", n)
	}
	fmt.Fprintf(out, "%d of %d runs are over", o.Over(), len(o.Cells))
	if o.Over() == len(o.Cells) {
		_, err := fmt.Fprintln(out)
		return err
	}
	fmt.Fprintf(out, "; what is left takes %s tokens", count(tokens))
	if flops > 0 {
		fmt.Fprintf(out, ", %s FLOPs", amountOr(flops))
	}
	if timed {
		fmt.Fprintf(out, ", about %s by the runs that are done", words.Duration(seconds/float64(max(jobs, 1))))
	}
	_, err := fmt.Fprintln(out)
	return err
}

// amountOr writes an amount; 0 is one that is not known.
func amountOr(v float64) string {
	if v == 0 {
		return "?"
	}
	return fmt.Sprintf("%.3g", v)
}

// about writes an estimated time; 0 is one that is not known.
func about(seconds float64) string {
	if seconds == 0 {
		return "?"
	}
	return "about " + words.Duration(seconds)
}
