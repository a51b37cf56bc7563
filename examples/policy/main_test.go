package main

import (
	"testing"

	"github.com/gradus-ml/gradus/route/routetest"
	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is the program that the scripts call gradus.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"gradus": main}) }

func TestScript(t *testing.T) { testscript.Run(t, testscript.Params{Dir: "testdata"}) }

func TestStride(t *testing.T) {
	routetest.Laws(t, stride{})
	routetest.Uniform(t, stride{})
}
