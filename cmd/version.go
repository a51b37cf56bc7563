package cmd

import (
	"runtime/debug"
	"strings"
)

// version says what was built: the module's version where there is one, the
// commit where it was built in a checkout, and the Go that built it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	var commit, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = "commit " + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " with changes"
		}
	}
	v := strings.Trim(info.Main.Version, "()") // devel, where Go knows no version
	if v == "" {
		v = "devel"
	}
	if commit != "" {
		v += ", " + commit + changed
	}
	return v + ", " + info.GoVersion
}
