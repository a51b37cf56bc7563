package cmd

import (
	"bytes"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/prepare"
)

// Away from a terminal nothing is shown until the pause is over, and then one
// plain line a pause.
func TestGaugeWithoutTerminal(t *testing.T) {
	var out bytes.Buffer
	g := newGauge(&out)
	show := prepareProgress(g)
	show(prepare.Progress{Bytes: 1})
	if out.Len() > 0 {
		t.Errorf("%q at once", out.String())
	}
	for _, k := range []struct {
		progress prepare.Progress
		want     string
	}{
		{prepare.Progress{Bytes: 5, Total: 10, Documents: 2, Tokens: 7}, "prepare: 5 of 10 bytes read, 2 documents, 7 tokens\n"},
		{prepare.Progress{Bytes: 5, Documents: 2, Tokens: 7}, "prepare: 5 bytes read, 2 documents, 7 tokens\n"},
	} {
		out.Reset()
		g.next = time.Now().Add(-time.Second)
		show(k.progress)
		show(k.progress)
		if out.String() != k.want {
			t.Errorf("shown is %q, want %q", out.String(), k.want)
		}
	}
	g.close()
}
