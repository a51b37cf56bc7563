package report_test

import (
	"fmt"
	"log"

	"github.com/gradus-ml/gradus/report"
	"github.com/gradus-ml/gradus/runlog"
)

// run is a log of one evaluation a step, each step of the given tokens.
func run(name string, tokens int64, losses ...float64) *runlog.Log {
	l := &runlog.Log{Run: runlog.Run{Name: name, Clock: "tokens", Steps: int64(len(losses))}}
	for i, loss := range losses {
		n := int64(i + 1)
		l.Steps = append(l.Steps, runlog.Step{
			Step: n, Tokens: n * tokens, LayerTokens: float64(n * tokens), Seconds: float64(n), HeldOut: &loss,
		})
	}
	return l
}

// Two runs, as runlog.Read gives them; the second takes shorter steps.
func Example() {
	runs := []*runlog.Log{run("baseline", 1000, 4, 3, 2), run("short", 500, 4, 3, 2.2, 1.8)}
	names := report.Names(runs, nil)
	c, err := report.Compare(runs, names, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Headline)

	short := c.Runs[1]
	fmt.Printf("%.0f tokens, %.2f times as few\n", short.Reached.Tokens, short.Saving.Factor.Tokens)

	// Write(ctx, report.Output{Page: "report.html", SVGDir: "report-svg"}, ...)
	// puts page and figures into files; Page writes to any io.Writer.
	for _, f := range report.Figures(runs, names, c)[:2] {
		fmt.Println(f.Name, "-", f.Title)
	}
	// Output:
	// short reached the baseline's final held-out loss (2.000) with 42 % fewer layer-tokens, 42 % fewer tokens and 17 % more time.
	// 1750 tokens, 1.71 times as few
	// loss-layer-tokens - Held-out loss against layer-tokens
	// loss-tokens - Held-out loss against tokens
}
