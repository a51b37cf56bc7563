package spell

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"pace", "pace", 0}, {"lenght", "length", 2}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	if name, edits := Nearest("layer", []string{"policy", "layers", "keep"}); name != "layers" || edits != 1 {
		t.Errorf("nearest to layer: %q, %d edits", name, edits)
	}
	if name, _ := Nearest("x", nil); name != "" {
		t.Errorf("nearest to nothing: %q", name)
	}
}
