package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/train"
	"github.com/spf13/cobra"
)

// backendReport says whether a backend works here.
type backendReport struct {
	Name    string `json:"name"`
	Works   bool   `json:"works"`
	Why     string `json:"why,omitempty"` // it does not
	Library string `json:"library,omitempty"`
	Path    string `json:"path,omitempty"` // of the library
	On      string `json:"on,omitempty"`
	Devices int    `json:"devices,omitempty"`
	// Precision is that of matrix products, if a run does not choose.
	Precision string `json:"precision,omitempty"`
	Fused     bool   `json:"fused_attention,omitempty"`
}

func newBackends() *cobra.Command {
	var asJSON bool
	var install string
	cmd := &cobra.Command{
		Use:   "backends [NAME...]",
		Short: "Which backends compute here, and why others do not",
		Long: `Backends opens every backend there is and trains a tiny model on each that opens,
to see that it computes what the Go backend does. It says what each runs on, and of
the others what is missing and how to get it.

go needs nothing installed. onnx and the XLA backends are part of programs that were
built with a C compiler and the tags onnx and xla, and each needs a library:
--install downloads it. A NAME may be followed by the path of a library that is there
already, as for 'gradus train --backend': xla:cpu:/opt/pjrt_c_api_cpu_plugin.so.`,
		Example: `  gradus backends
  gradus backends --install xla:cpu
  gradus backends onnx:/opt/libonnxruntime.so --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if install != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "installing the library of %s\n", install)
				if err := train.InstallBackend(install); err != nil {
					return err
				}
			}
			reports, err := tryBackends(names)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					Backends []backendReport `json:"backends"`
				}{reports})
			}
			printBackends(cmd.OutOrStdout(), reports)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&install, "install", "", "download the library of this backend first: onnx, xla:cpu or xla:cuda")
	f.BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

// tryBackends opens and checks the backends named; none: all there are.
func tryBackends(names []string) ([]backendReport, error) {
	if len(names) == 0 {
		names = train.Backends()
	}
	var reports []backendReport
	for _, name := range names {
		r, err := tryBackend(name)
		if errors.Is(err, fault.Invalid) {
			return nil, err
		}
		if err != nil {
			r.Why = err.Error()
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func tryBackend(name string) (backendReport, error) {
	r := backendReport{Name: name}
	b, err := train.OpenBackend(name)
	if err != nil {
		return r, err
	}
	defer b.Close()
	r.Library, r.Path, r.On, r.Devices, r.Fused, r.Precision = b.Library, b.Path, b.On, b.Devices, b.Fused, "float32"
	if b.BFloat16 {
		r.Precision = "bfloat16"
	}
	if err := b.Check(); err != nil {
		return r, err
	}
	r.Works = true
	return r, nil
}

func printBackends(out io.Writer, reports []backendReport) {
	for _, r := range reports {
		if r.Works {
			fmt.Fprintf(out, "%-9s works on %s, in %s: %s\n", r.Name, r.On, r.Precision, strings.TrimSpace(r.Library+" "+r.Path))
			continue
		}
		fmt.Fprintf(out, "%-9s does not work here: %s\n", r.Name, strings.TrimPrefix(r.Why, "backend "+r.Name+": "))
	}
}
