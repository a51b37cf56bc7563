package main

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
)

// Machine is where it was measured.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Memory float64 `json:"memory_gib,omitempty"`
	System string  `json:"system"`
	Go     string  `json:"go"`
}

func thisMachine() Machine {
	m := Machine{CPU: "unknown", Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if name := fromFile("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`); name != "" {
		m.CPU = name
	}
	m.Memory = number("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`) / (1 << 20)
	return m
}

func (m Machine) memory() string {
	if m.Memory == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f GiB", m.Memory)
}

// load is how many tasks wanted a core over the last minute; 0: not known.
func load() float64 { return number("/proc/loadavg", `^(\S+) `) }

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

// revision is the commit this program was built from, with a plus if files had
// been changed since.
func revision() string {
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
