package cmd

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// runView is what inspect shows of a run, or of a run log alone.
type runView struct {
	Kind        string        `json:"kind"`
	Path        string        `json:"path"`
	Run         runlog.Run    `json:"run"`
	Done        int64         `json:"done"` // steps
	Finished    bool          `json:"finished"`
	Torn        bool          `json:"torn"`           // the log ends in half a line
	Last        *runlog.Step  `json:"last,omitempty"` // the last step
	HeldOut     []runlog.Step `json:"held_out"`       // steps after which it was evaluated
	Checkpoints []string      `json:"checkpoints,omitempty"`
}

func viewLog(path string) (runView, *runlog.Log, error) {
	log, err := runlog.Read(path)
	if err != nil {
		return runView{}, nil, err
	}
	v := runView{
		Kind: "run log", Path: path, Run: log.Run, Done: int64(len(log.Steps)), Torn: log.Torn,
		Finished: int64(len(log.Steps)) == log.Run.Steps, HeldOut: []runlog.Step{},
	}
	for i, s := range log.Steps {
		if s.HeldOut != nil {
			v.HeldOut = append(v.HeldOut, s)
		}
		v.Last = &log.Steps[i]
	}
	return v, log, nil
}

func inspectLog(_ context.Context, out io.Writer, path string, o inspectOptions) error {
	v, _, err := viewLog(path)
	if err != nil {
		return err
	}
	return printRun(out, v, o)
}

func inspectRun(_ context.Context, out io.Writer, path string, o inspectOptions) error {
	v, _, err := viewLog(filepath.Join(path, runlog.FileName))
	if err != nil {
		return err
	}
	v.Kind, v.Path = "run", path
	if v.Checkpoints, err = train.Checkpoints(path); err != nil {
		return err
	}
	return printRun(out, v, o)
}

// sparkWidth is how many characters the curve of the held-out loss takes.
const sparkWidth = 48

func printRun(out io.Writer, v runView, o inspectOptions) error {
	if o.json {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", v.Kind, v.Path)
	fmt.Fprintf(w, "name\t%s (recipe %s, seed %d)\n", v.Run.Name, v.Run.Recipe, v.Run.Seed)
	fmt.Fprintf(w, "model\t%s, %s parameters\n", v.Run.Model, count(v.Run.Parameters))
	fmt.Fprintf(w, "corpus\t%s\n", v.Run.Corpus)
	fmt.Fprintf(w, "planned\t%d steps, budget %s %s, peak rate %g, on %s\n", v.Run.Steps, count(int64(v.Run.Budget)), v.Run.Clock, v.Run.Rate, v.Run.Backend)
	if s := v.Last; s == nil {
		fmt.Fprint(w, "done\tno step yet\n")
	} else {
		fmt.Fprintf(w, "done\t%d of %d steps: %s tokens, %s layer-tokens, %.3g FLOPs, %.1f s\n",
			v.Done, v.Run.Steps, count(s.Tokens), count(int64(s.LayerTokens)), s.FLOPs, s.Seconds)
		fmt.Fprintf(w, "last step\tloss %.4f, gradient norm %.3g, rate %.3g, %d rows of %d tokens, %d kept\n",
			s.Loss, s.GradNorm, s.Rate, s.Rows, s.Length, s.Kept)
	}
	if n := len(v.HeldOut); n > 0 {
		losses := make([]float64, n)
		best := v.HeldOut[0]
		for i, e := range v.HeldOut {
			losses[i] = *e.HeldOut
			if *e.HeldOut < *best.HeldOut || !finite(*best.HeldOut) {
				best = e
			}
		}
		last := v.HeldOut[n-1]
		fmt.Fprintf(w, "held out\tloss %.4f at step %d; best %.4f at step %d\n", *last.HeldOut, last.Step, *best.HeldOut, best.Step)
		fmt.Fprintf(w, "\t%.4f %s %.4f\n", losses[0], sparkline(losses, sparkWidth), losses[n-1])
	}
	for i, c := range v.Checkpoints {
		head := ""
		if i == 0 {
			head = "checkpoints"
		}
		fmt.Fprintf(w, "%s\t%s\n", head, c)
	}
	if v.Torn {
		fmt.Fprint(w, "torn\tthe log ends in half a line, as after a kill; train --resume cuts it off\n")
	}
	return w.Flush()
}

func checkLog(_ context.Context, path string, _ checkOptions) (string, error) {
	v, _, err := viewLog(path)
	if err != nil {
		return "", err
	}
	return v.words(), nil
}

// words says how far a run is.
func (v runView) words() string {
	text := fmt.Sprintf("%s, %d of %d steps made", v.Kind, v.Done, v.Run.Steps)
	if v.Torn {
		text += ", torn after the last (train --resume mends it)"
	}
	return text
}
