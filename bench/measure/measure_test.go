package measure

import "testing"

func TestSpread(t *testing.T) {
	if got, want := Of([]float64{5, 1, 4, 2, 9}), (Spread{1, 4, 9, 5}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := Ratios([]float64{6, 9, 1}, []float64{2, 1, 1}), (Spread{1, 3, 9, 3}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := Ratios([]float64{6, 9, 1}, []float64{2}), (Spread{3, 3, 3, 1}); got != want {
		t.Errorf("fewer runs of one: %v, want %v", got, want)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{132_400_000: "132M", 999_600: "1M", 12.25: "12.2", 1.5e9: "1.5G", 980: "980"} {
		if got := SI(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 66_318_626: "66,318,626"} {
		if got := Grouped(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
