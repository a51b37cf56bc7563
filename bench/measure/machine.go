// Package measure has what the benchmarks share: what a machine is, how a number
// of runs is spread, and how numbers are written.
package measure

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
)

// Machine is where something was measured.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory float64 `json:"memory_gib,omitempty"`
	System string  `json:"system"`
	Go     string  `json:"go"`
}

// Here returns this machine.
func Here() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if name := fromFile("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`); name != "" {
		m.CPU = name
	}
	m.Memory = number("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`) / (1 << 20)
	return m
}

// RAM returns ", 24 GiB"; empty: it is not known.
func (m Machine) RAM() string {
	if m.Memory == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f GiB", m.Memory)
}

// Load is how many tasks wanted a core over the last minute; 0: not known.
func Load() float64 { return number("/proc/loadavg", `^(\S+) `) }

// number returns fromFile as a number, 0 if there is none.
func number(path, pattern string) float64 {
	v, err := strconv.ParseFloat(fromFile(path, pattern), 64)
	if err != nil {
		return 0
	}
	return v
}

// fromFile returns the first group of the pattern in a file, "" if there is none.
func fromFile(path, pattern string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	m := regexp.MustCompile(pattern).FindSubmatch(data)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// Revision is the commit this program was built from, with a plus if files had
// been changed since.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	commit, changed := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	return commit + changed
}
