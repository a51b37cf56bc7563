package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gradus": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs every testdata/script/*.txtar: commands, the files they work
// on and what they must print. Name a script after its verb, as in
// prepare_errors.txtar. Beyond testscript's own there are these commands:
//
//	code N gradus ARGS...    run gradus and require exit code N
//	png FILE N GRAY          write an image of N x N pixels
//	json FIELD...            require stdout to be a JSON object with these fields,
//	                         each a path such as run.flops
//
// SOURCE is the root of the source, for files that are no text.
func TestScript(t *testing.T) {
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Setup:               func(e *testscript.Env) error { e.Setenv("SOURCE", source); return nil },
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code, "json": hasFields, "png": writePNG},
	})
}

// code runs a command and fails the script unless it exits with the given code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// writePNG writes a square gray image.
func writePNG(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: png FILE side gray")
	}
	side, err := strconv.Atoi(args[1])
	ts.Check(err)
	gray, err := strconv.Atoi(args[2])
	ts.Check(err)
	m := image.NewGray(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = uint8(gray)
	}
	var b bytes.Buffer
	ts.Check(png.Encode(&b, m))
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o777))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o666))
}

func hasFields(ts *testscript.TestScript, neg bool, fields []string) {
	if neg || len(fields) == 0 {
		ts.Fatalf("usage: json field...")
	}
	var object any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	for _, path := range fields {
		at := object
		for name := range strings.SplitSeq(path, ".") {
			parent, _ := at.(map[string]any) // of anything else, every field is missing
			field, ok := parent[name]
			if at = field; !ok {
				ts.Fatalf("the field %s is missing", path)
			}
		}
	}
}
