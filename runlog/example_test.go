package runlog_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/gradus-ml/gradus/runlog"
)

func Example() {
	dir, err := os.MkdirTemp("", "runlog")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, runlog.FileName)

	// A trainer appends a line a step ...
	w, err := runlog.Create(path, runlog.Run{Name: "baseline", Clock: "tokens", Budget: 6144})
	if err != nil {
		log.Fatal(err)
	}
	for n := int64(1); n <= 3; n++ {
		err = w.Append(runlog.Step{Step: n, Tokens: 2048 * n, Length: 256, Rows: 8, Kept: 256, Loss: 5 - float64(n)/2})
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	// ... after a kill goes on from its checkpoint at step 2 ...
	w, err = runlog.Resume(path, 2)
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Append(runlog.Step{Step: 3, Tokens: 6144, Length: 256, Rows: 8, Kept: 256, Loss: 3.5}); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}

	// ... and a report reads it.
	run, err := runlog.Read(path)
	if err != nil {
		log.Fatal(err)
	}
	last := run.Steps[len(run.Steps)-1]
	fmt.Println(run.Run.Name, "step", last.Step, "tokens", last.Tokens, "loss", last.Loss)
	// Output: baseline step 3 tokens 6144 loss 3.5
}
