package route_test

import (
	"testing"

	"github.com/gradus-ml/gradus/route"
)

func TestRegister(t *testing.T) {
	if p, ok := route.Lookup("random-ltd"); !ok || p != (route.RandomLTD{}) {
		t.Errorf("random-ltd is %v, %v", p, ok)
	}
	if _, ok := route.Lookup("none"); ok {
		t.Error("none is a policy")
	}
	route.Register("a test's", "for this test", route.RandomLTD{})
	names := ""
	for _, p := range route.Policies() {
		names += p.Name + "; "
	}
	if names != "a test's; constant; random-ltd; shared; token-bypass; " {
		t.Errorf("policies %s", names)
	}
	for name, p := range map[string]route.Policy{"": route.RandomLTD{}, "none": route.RandomLTD{}, "random-ltd": route.RandomLTD{}, "nil": nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is registered", name)
				}
			}()
			route.Register(name, "", p)
		}()
	}
}
