package saving

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/gradus-ml/gradus/internal/keyed"
)

func sortedKeys(m map[string]float64) []string { return slices.Sorted(maps.Keys(m)) }

// draws is how many studies are drawn for each setting: GRADUS_DRAWS, or 100.
func draws(t *testing.T) int {
	if s := os.Getenv("GRADUS_DRAWS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 100
}

// The interval of a saving holds the true one in at least 90 of 100 draws, whatever the
// saving, the noise and the number of seeds; a baseline that never reaches the arm's loss
// is told to be so, and one that does is not.
func TestCoverage(t *testing.T) {
	n := draws(t)
	for _, seeds := range []int{3, 5} {
		for i, w := range worlds() {
			covered, never, estimated, gained, back := map[string]int{}, map[string]int{}, map[string]float64{}, map[string]int{}, map[string]int{}
			arms := map[string]float64{"one": 1, "half": 1.5, "two": 2, "never": 6}
			for draw := range n {
				r, err := Compare(w.study(seeds, keyed.NewKey(uint64(draw), "coverage", uint64(i), uint64(seeds)), []float64{0.5, 1}, arms))
				if err != nil {
					t.Fatal(err)
				}
				for name, truth := range arms {
					on := r.at(name, 1).On("tokens")
					if on.Saving.Interval.Holds(truth) {
						covered[name]++
					}
					if on.Saving.Never {
						never[name]++
					}
					estimated[name] += on.Saving.Factor / float64(n)
					if on.Gain.Interval.Holds(w.height - w.height*pow(truth, -w.power)) {
						gained[name]++
					}
					for _, rev := range r.Arms[slices.IndexFunc(r.Arms, func(a ArmResult) bool { return a.Name == name })].Reverse {
						if rev.Clock == "tokens" && rev.Interval.Holds(truth) {
							back[name]++
						}
					}
				}
			}
			for _, name := range sortedKeys(arms) {
				label := fmt.Sprintf("%d seeds, world %d, a true saving of %v", seeds, i, arms[name])
				t.Logf("%s: held in %d of %d, never reached in %d, mean estimate %.3f; gain held in %d, reverse in %d",
					label, covered[name], n, never[name], estimated[name], gained[name], back[name])
				if covered[name]*10 < n*9 || gained[name]*10 < n*9 || back[name]*10 < n*9 {
					t.Errorf("%s: the interval of the saving held it in %d of %d draws, that of the gain in %d, the reverse in %d", label, covered[name], n, gained[name], back[name])
				}
			}
			if never["never"]*10 < n*9 {
				t.Errorf("%d seeds, world %d: never reached is told in %d of %d draws", seeds, i, never["never"], n)
			}
			if never["one"]+never["half"] > n/20 {
				t.Errorf("%d seeds, world %d: what is reached is told as never reached in %d of %d draws", seeds, i, never["one"]+never["half"], 2*n)
			}
		}
	}
}
