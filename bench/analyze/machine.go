package main

import (
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
	if kib, err := strconv.ParseFloat(fromFile("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`), 64); err == nil {
		m.Memory = kib / (1 << 20)
	}
	return m
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
