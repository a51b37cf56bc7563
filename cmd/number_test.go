package cmd

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 950: "950", 999: "999", 1000: "1k", 12_345: "12.3k", 999_400: "999k", 999_600: "1M",
		4_560_000: "4.56M", 7_800_000_000: "7.8G", 3e12: "3T", math.MaxInt64: "9.22E", -5: "-5",
	} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, k := range []struct {
		values []float64
		want   string
	}{
		{nil, ""},
		{[]float64{3}, "▁"},
		{[]float64{2, 2}, "▁▁"},
		{[]float64{7, 6, 5, 4, 3, 2, 1, 0}, "█▇▆▅▄▃▂▁"},
		{[]float64{1, nan, 0, inf}, "█x▁x"},
		{[]float64{nan}, "x"},
		{[]float64{0, 9, 0, 9, 0, 9, 0, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0}, "██████▁▁▁"}, // the second of each two
	} {
		if got := sparkline(k.values, 9); got != k.want {
			t.Errorf("sparkline(%v) = %s, want %s", k.values, got, k.want)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, k := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{GoVersion: "go1.26"}, "devel, go1.26"},
		{debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "(devel)"}}, "devel, go1.26"},
		{debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3, go1.26"},
		{debug.BuildInfo{GoVersion: "go1.26", Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: "true"},
		}}, "devel, commit 0123456789ab with changes, go1.26"},
	} {
		if got := versionOf(&k.info); got != k.want {
			t.Errorf("%q, want %q", got, k.want)
		}
	}
}
