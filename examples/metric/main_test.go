package main

import (
	"testing"

	"github.com/gradus-ml/gradus/cmd"
	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is the program that the scripts call gradus, and gradus without
// the metric, which they call plain.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gradus": main, "plain": cmd.Main})
}

func TestScript(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata"}) }
