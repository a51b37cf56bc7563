package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/internal/keyed"
)

// studyWorkshop is a workshop with a study of four runs.
func studyWorkshop(t *testing.T) (dir string) {
	t.Helper()
	dir = workshop(t)
	writeFile(t, filepath.Join(dir, "plain.yaml"), `
corpus: corpus
index: index
sample: {window: 32}
batch: {size: 4}
budget: {tokens: 1500, clock: layer-tokens}
model: {kind: gpt, layers: 3, width: 8, heads: 2}
optimizer: {rate: 3e-3}
evaluate: {every: 50%, held_out: 3%}
checkpoint: {every: 10%}
`)
	writeFile(t, filepath.Join(dir, "study.yaml"), `
recipe: plain.yaml
seeds: [5]
budgets: [50%, 100%]
baseline: plain
primary: {arm: paced, clocks: [tokens]}
arms:
  - name: plain
  - name: paced
    with:
      curriculum:
        - metric: rarity
          pace: {kind: root, from: 10, to: 100, step: 10, until: 50%}
`)
	return dir
}

// runsOf returns the logs of a study's runs without the times.
func runsOf(t *testing.T, out string) map[string]string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(out, "runs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string]string{}
	for _, dir := range dirs {
		logs[filepath.Base(dir)] = timeless(t, filepath.Join(dir, "run.jsonl"))
	}
	return logs
}

// A study that was killed at any moment and started again has the numbers of one that
// was not, with one run at a time and with several.
func TestCompareKilled(t *testing.T) {
	dir := studyWorkshop(t)
	gradus(t, dir, "compare", "study.yaml", "--out", "whole")
	whole := filepath.Join(dir, "whole")
	want := runsOf(t, whole)
	if got := fmt.Sprint(sortedNames(want)); got != "[paced-100-5 paced-50-5 plain-100-5 plain-50-5]" {
		t.Fatalf("the runs are %s", got)
	}
	lines := 0
	for _, log := range want {
		lines += strings.Count(log, "\n")
	}
	stream := keyed.NewKey(uint64(time.Now().UnixNano()), "kills").Stream()
	for _, jobs := range []string{"1", "2"} {
		out := filepath.Join(dir, "killed"+jobs)
		kills := 0
		for range 4 {
			cmd := exec.Command("gradus", "compare", "study.yaml", "--out", out, "--jobs", jobs)
			var stderr bytes.Buffer
			cmd.Dir, cmd.Stderr = dir, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			made := linesLogged(out)
			target := made + 1 + int(stream.Uint64N(uint64(max((lines-made)/2, 1))))
			for len(ended) == 0 && linesLogged(out) < target {
				time.Sleep(time.Millisecond)
			}
			cmd.Process.Kill()
			if err := <-ended; err == nil {
				break
			} else if cmd.ProcessState.ExitCode() >= 0 {
				t.Fatalf("%v\n%s", err, &stderr)
			}
			kills++
		}
		gradus(t, dir, "compare", "study.yaml", "--out", out, "--jobs", jobs)
		got := runsOf(t, out)
		for name, log := range want {
			if got[name] != log {
				t.Errorf("jobs %s: after %d kills the log of %s is another", jobs, kills, name)
			}
		}
		if len(got) != len(want) || kills == 0 {
			t.Errorf("jobs %s: %d runs after %d kills, want %d", jobs, len(got), kills, len(want))
		}
		for _, left := range []string{"checkpoints", "plan"} {
			if names, _ := filepath.Glob(filepath.Join(out, "runs", "*", left)); len(names) > 0 {
				t.Errorf("%s are left", names)
			}
		}
	}
}

// Ctrl-C saves, says how to go on and exits with 130.
func TestCompareInterrupted(t *testing.T) {
	dir := studyWorkshop(t)
	for _, jobs := range []string{"1", "2"} {
		out := filepath.Join(dir, "cut"+jobs)
		cmd := exec.Command("gradus", "compare", "study.yaml", "--out", out, "--jobs", jobs, "--only", "p*", "--pack")
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 10_000 {
			if linesLogged(out) > 3 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Fatalf("exit code %d, want %d\n%s", code, exitInterrupted, &stderr)
		}
		for _, want := range []string{"go on with: gradus compare study.yaml --out " + out, " --only 'p*' --pack"} {
			if !strings.Contains(stderr.String(), want) {
				t.Errorf("it does not say %q:\n%s", want, &stderr)
			}
		}
		if names, _ := filepath.Glob(filepath.Join(out, "runs", "*", "checkpoints", "step-*")); len(names) == 0 {
			t.Error("no run was saved")
		}
	}
}

// What is asked for in part is surveyed in part, whatever the logs hold.
func TestCompareSurvey(t *testing.T) {
	dir := studyWorkshop(t)
	var survey struct {
		Runs []struct{ Name, State, Recipe string }
	}
	read := func(args ...string) {
		t.Helper()
		survey.Runs = nil
		if err := json.Unmarshal([]byte(gradus(t, dir, append([]string{"compare", "study.yaml", "--out", "out", "--dry-run", "--json"}, args...)...)), &survey); err != nil {
			t.Fatal(err)
		}
	}
	read("--only", "paced-*")
	if len(survey.Runs) != 2 || survey.Runs[0].Name != "paced-50-5" {
		t.Errorf("--only paced-*: %+v", survey.Runs)
	}
	// A study, in JSON for once, where its result is to lie.
	writeFile(t, filepath.Join(dir, "out", "study.json"), `{"recipe": "plain.yaml", "seeds": [5], "baseline": "plain", "arms": [{"name": "plain"}]}`)
	cmd := exec.Command("gradus", "compare", "out/study.json", "--out", "out")
	cmd.Dir = dir
	if told, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(string(told), "is where the result of the study is to lie") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), told)
	}
	// A log of a run without steps.
	writeFile(t, filepath.Join(dir, "out", "runs", "paced-50-5", "run.jsonl"),
		fmt.Sprintf(`{"run":{"version":1,"name":"x","recipe":%q,"corpus":"sha256:0","seed":5,"model":"none","parameters":1,"rate":1,"steps":0,"clock":"layer-tokens","budget":750,"backend":"go:ops_sequential"}}`+"\n", survey.Runs[0].Recipe))
	read()
	if len(survey.Runs) != 4 {
		t.Errorf("%+v", survey.Runs)
	}
}

// A study whose runs are done is compared again where neither corpus nor index is, and
// from packed logs; runs of another recipe or backend are refused.
func TestCompareAgain(t *testing.T) {
	dir := studyWorkshop(t)
	first := gradus(t, dir, "compare", "study.yaml", "--out", "out", "--json")
	for _, name := range []string{"corpus.bin", "corpus.idx", "corpus.json", "index"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if again := gradus(t, dir, "compare", "study.yaml", "--out", "out", "--json", "--pack"); again != first {
		t.Errorf("the second result is\n%s, the first\n%s", again, first)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "out", "runs", "*", "run.jsonl")); len(names) > 0 {
		t.Errorf("%s are not packed", names)
	}
	if again := gradus(t, dir, "compare", "study.yaml", "--out", "out", "--json"); again != first {
		t.Error("the result of packed logs is another")
	}
	var survey struct {
		Runs []struct{ Name, State string }
	}
	if err := json.Unmarshal([]byte(gradus(t, dir, "compare", "study.yaml", "--out", "out", "--dry-run", "--json")), &survey); err != nil {
		t.Fatal(err)
	}
	for _, r := range survey.Runs {
		if r.State != "done" {
			t.Errorf("%s is %s", r.Name, r.State)
		}
	}
	for _, c := range []struct {
		change [2]string
		flags  []string
		says   string
	}{
		{[2]string{"until: 50%", "until: 60%"}, nil, "was made by another recipe"},
		{[2]string{"", ""}, []string{"--backend", "xla:cpu"}, "was made on the backend go"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, "study.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "other.yaml"), strings.Replace(string(text), c.change[0], c.change[1], 1))
		cmd := exec.Command("gradus", append([]string{"compare", "other.yaml", "--out", "out"}, c.flags...)...)
		cmd.Dir = dir
		told, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitMismatch || !strings.Contains(string(told), c.says) {
			t.Errorf("exit code %d (%v), want %d and %q\n%s", code, err, exitMismatch, c.says, told)
		}
	}
}

// Runs that fail or diverge are told, the others go on, and one that diverged is not
// run again.
func TestCompareDiverged(t *testing.T) {
	dir := studyWorkshop(t)
	writeFile(t, filepath.Join(dir, "study.yaml"), `
recipe: plain.yaml
seeds: [5]
baseline: plain
arms:
  - name: plain
  - name: wild
    with: {optimizer: {rate: 1e30, clip: 0}}
  - name: paced
    with: {batch: {size: 2}}
`)
	cmd := exec.Command("gradus", "compare", "study.yaml", "--out", "out")
	cmd.Dir = dir
	told, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(told), "1 of 3 runs failed") || !strings.Contains(string(told), "wild-100-5: the run diverged at step") {
		t.Errorf("exit code %d, want %d\n%s", code, exitFailed, told)
	}
	before := runsOf(t, filepath.Join(dir, "out"))
	if len(before) != 3 {
		t.Errorf("%d runs, want 3", len(before))
	}
	gradus(t, dir, "compare", "study.yaml", "--out", "out")
	if after := runsOf(t, filepath.Join(dir, "out")); after["wild-100-5"] != before["wild-100-5"] {
		t.Error("the run that diverged was run again")
	}
}

// linesLogged counts the lines of the logs of a study under way.
func linesLogged(out string) int {
	names, _ := filepath.Glob(filepath.Join(out, "runs", "*", "run.jsonl"))
	n := 0
	for _, name := range names {
		text, _ := os.ReadFile(name)
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

func sortedNames(of map[string]string) []string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
