package metric

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

var registered = struct {
	sync.RWMutex
	definitions Registry // in order of Name
}{}

// Register makes a metric available to whatever chooses metrics by name, such as
// --metric of the gradus program; call it from an init function, or before
// cmd.Main. It panics if the definition has no Make or no name that Parse could
// read, if a Key has no name or is there twice, or if the name is taken.
func Register(d Definition) {
	if d.Make == nil || d.Name == "" || strings.ContainsAny(d.Name, ":=, \t\r\n") {
		panic("metric: Register of a definition without Make, or named " + strconv.Quote(d.Name))
	}
	for i, k := range d.Keys {
		if k.Name == "" || strings.ContainsAny(k.Name, "=, \t\r\n") || slices.ContainsFunc(d.Keys[:i], func(other Key) bool { return other.Name == k.Name }) {
			panic("metric: Register of " + d.Name + " with a parameter twice, or named " + strconv.Quote(k.Name))
		}
	}
	registered.Lock()
	defer registered.Unlock()
	at, taken := slices.BinarySearchFunc(registered.definitions, d.Name, func(d Definition, name string) int { return strings.Compare(d.Name, name) })
	if taken || slices.Contains(Builtin().Names(), d.Name) {
		panic("metric: Register of " + d.Name + ", which is registered already")
	}
	d.Keys = slices.Clone(d.Keys)
	registered.definitions = slices.Insert(registered.definitions, at, d)
}

// Definitions returns the metrics of this package, and then those registered, in
// order of name.
func Definitions() Registry {
	registered.RLock()
	defer registered.RUnlock()
	return append(Builtin(), registered.definitions...)
}
