package report

import (
	"context"
	"testing"
	"os"
	"path/filepath"
	"encoding/json"

	"github.com/gradus-ml/gradus/runlog"
)

func TestPreview(t *testing.T) {
	dir := "/tmp/preview"
	os.MkdirAll(dir, 0o777)
	two := []*runlog.Log{synthetic("baseline", 1234, false, 1), synthetic("composed", 1234, true, 1.5)}
	names := Names(two, nil)
	c, err := Compare(two, names, 0)
	if err != nil { t.Fatal(err) }
	c.Table(os.Stdout)
	b, _ := json.MarshalIndent(c, "", " ")
	os.WriteFile(dir+"/two.json", b, 0o666)
	if _, err := Write(context.Background(), Output{filepath.Join(dir, "two.html"), filepath.Join(dir, "two-svg"), "gradus report demo/baseline demo/composed --out two.html"}, two, names, c); err != nil { t.Fatal(err) }

	many := append(two, synthetic("reverse", 1234, true, 0.7), synthetic("baseline", 1235, false, 1.02), synthetic("truncate-only with a rather long name", 1234, true, 1.2), synthetic("diverged", 7, false, 1),
		synthetic("r6", 7, true, 1.1), synthetic("r7", 7, true, 1.15), synthetic("r8", 7, true, 1.3))
	for i := range many[5].Steps { if i > 150 { many[5].Steps[i].Loss = 1e9; if many[5].Steps[i].HeldOut != nil { *many[5].Steps[i].HeldOut = 1e8 } } }
	many[5].Run.Corpus = "other"
	many[3].Run.Recipe = many[0].Run.Recipe
	many[4].Steps = many[4].Steps[:333]
	names = Names(many, nil)
	c, err = Compare(many, names, 0)
	if err != nil { t.Fatal(err) }
	c.Table(os.Stdout)
	if _, err := Write(context.Background(), Output{filepath.Join(dir, "many.html"), filepath.Join(dir, "many-svg"), "gradus report"}, many, names, c); err != nil { t.Fatal(err) }
}
