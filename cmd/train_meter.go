package cmd

import (
	"fmt"
	"io"
	"time"

	"github.com/gradus-ml/gradus/curriculum"
	"github.com/gradus-ml/gradus/recipe"
	"github.com/gradus-ml/gradus/runlog"
	"github.com/gradus-ml/gradus/train"
)

// meterPause is how long a log that is no terminal may wait for a line.
const meterPause = time.Minute

// A trainMeter shows a run under way: on a terminal one line that is rewritten,
// elsewhere a line now and then; and in both a line that stays at every evaluation.
type trainMeter struct {
	out      io.Writer
	terminal bool
	quiet    bool // no line stays
	total    float64
	clock    curriculum.Clock
	name     string
	stages   int
	last     time.Time
	from     train.Progress // where the rate is counted from
	begun    time.Time
}

func newTrainMeter(out io.Writer, r *recipe.Recipe, b *recipe.Bound) *trainMeter {
	return &trainMeter{out: out, terminal: isTerminal(out), total: r.BudgetTotal(), clock: curriculum.Clock(r.Budget.Clock), name: r.Name, stages: len(b.Plan.Stages())}
}

func (m *trainMeter) show(p train.Progress) {
	now := time.Now()
	if m.begun.IsZero() {
		m.begun, m.last, m.from = now, now, p
	}
	if m.quiet && !m.terminal {
		return
	}
	if !m.terminal && p.HeldOut == nil && now.Sub(m.last) > meterPause {
		m.last = now
		fmt.Fprintln(m.out, m.line(p, now))
	}
	if m.terminal {
		if now.Sub(m.last) < 200*time.Millisecond && p.HeldOut == nil {
			return
		}
		m.last = now
		fmt.Fprintf(m.out, "\r\x1b[K%s", m.line(p, now))
	}
	if p.HeldOut != nil && !m.quiet {
		if m.terminal {
			fmt.Fprint(m.out, "\r\x1b[K")
		}
		m.last = now
		fmt.Fprintln(m.out, m.line(p, now)+evaluationWords(p.Step))
	}
}

// line says where the run stands and how long it will go on.
func (m *trainMeter) line(p train.Progress, now time.Time) string {
	share := p.Position.On(m.clock) / m.total
	text := fmt.Sprintf("%s %3.0f%%  step %d  stage %d of %d  loss %.3f  rate %.2g  length %d",
		m.name, 100*min(share, 1), p.Step.Step, p.Stage+1, m.stages, p.Loss, p.Rate, p.Length)
	if p.Kept < p.Length {
		text += fmt.Sprintf(" (%d kept)", p.Kept)
	}
	done := share - m.from.Position.On(m.clock)/m.total
	if elapsed := now.Sub(m.begun); done > 0 && elapsed > time.Second {
		speed := float64(p.Tokens-m.from.Tokens) / elapsed.Seconds()
		left := time.Duration(float64(elapsed) / done * max(1-share, 0)).Round(time.Second)
		text += fmt.Sprintf("  %s tokens/s  %s left", count(int64(speed)), left)
	}
	return text
}

// evaluationWords says what an evaluation found.
func evaluationWords(s runlog.Step) string {
	text := fmt.Sprintf("  held-out loss %.4f", *s.HeldOut)
	if s.HeldOutRaw != nil {
		text += fmt.Sprintf(" (%.4f without averaging)", *s.HeldOutRaw)
	}
	if s.Accuracy != nil {
		text += fmt.Sprintf("  accuracy %.2f %%", 100**s.Accuracy)
	}
	return text
}

func (m *trainMeter) close() {
	if m.terminal {
		fmt.Fprint(m.out, "\r\x1b[K")
	}
}
