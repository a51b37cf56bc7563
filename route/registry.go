package route

import (
	"slices"
	"strings"
	"sync"
)

// A NamedPolicy is a Policy that recipes reach by its name, as in 'policy: NAME'.
type NamedPolicy struct {
	Name    string
	Summary string // one line of help
	Policy  Policy
}

var registry = struct {
	sync.RWMutex
	policies []NamedPolicy // in order of Name
}{policies: []NamedPolicy{
	{"constant", "a random subset for every layer and row, the same at every step: a control", Constant{}},
	{"random-ltd", "a random subset, drawn anew for every layer and row (arXiv 2211.11586)", RandomLTD{}},
	{"shared", "a random subset, drawn anew for every row, the same in layers without a gap between them (arXiv 2501.04765)", Shared{}},
	{"token-bypass", "the tokens that the model predicts worst so far, the same in layers without a gap between them (arXiv 2203.13240)", TokenBypass{}},
}}

// Register makes a policy available to recipes; call it from an init function, or
// before the first recipe is loaded. It panics if there is no name or no policy,
// or if the name is taken; "none" means in recipes that no layer drops a token.
func Register(name, summary string, p Policy) {
	if name == "" || p == nil {
		panic("route: Register without a name or without a policy")
	}
	registry.Lock()
	defer registry.Unlock()
	at, taken := slices.BinarySearchFunc(registry.policies, name, func(p NamedPolicy, name string) int { return strings.Compare(p.Name, name) })
	if taken || name == "none" {
		panic("route: Register of " + name + ", which is registered already")
	}
	registry.policies = slices.Insert(registry.policies, at, NamedPolicy{name, summary, p})
}

// Lookup returns the policy of a name.
func Lookup(name string) (Policy, bool) {
	for _, p := range Policies() {
		if p.Name == name {
			return p.Policy, true
		}
	}
	return nil, false
}

// Policies returns all policies in order of name.
func Policies() []NamedPolicy {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Clone(registry.policies)
}
