package measure

import (
	"flag"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
)

// Command returns the make command that runs this program as it was run: the
// target, the build tags, and the flags of the command line. Those in hidden name
// places of one machine and are left out; show, if not nil, changes what else is
// written of a flag's value.
func Command(target string, show func(name, value string) string, hidden ...string) string {
	command := "make " + target
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" && s.Value != "" {
				command += " BENCHTAGS=" + s.Value
			}
		}
	}
	var given []string
	flag.Visit(func(f *flag.Flag) { // in order of name
		if slices.Contains(hidden, f.Name) {
			return
		}
		value := f.Value.String()
		if show != nil {
			value = show(f.Name, value)
		}
		given = append(given, fmt.Sprintf("-%s=%s", f.Name, value))
	})
	if len(given) == 0 {
		return command
	}
	return command + " BENCHFLAGS='" + strings.Join(given, " ") + "'"
}
