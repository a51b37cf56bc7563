package program

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradus-ml/gradus/internal/fault"
	"github.com/gradus-ml/gradus/metric"
	"github.com/gradus-ml/gradus/tokenizer"
	"pgregory.net/rapid"
)

// The tests run this test binary as the program, in one of the manners below.
const manner = "GRADUS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if name := os.Getenv(manner); name != "" {
		behave(name)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// behave is the program: it answers the sum of the tokens of a sample, in a
// good or bad manner.
func behave(name string) {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	each := func(answer func(i, sum int)) {
		for i := 0; ; i++ {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			var s struct{ Tokens []int }
			if err := json.Unmarshal(line, &s); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(9)
			}
			sum := 0
			for _, t := range s.Tokens {
				sum += t
			}
			answer(i, sum)
			if name != "buffers" {
				out.Flush()
			}
		}
	}
	say := func(_, sum int) { fmt.Fprintln(out, sum) }
	switch name {
	case "sum", "buffers":
		each(say)
	case "batches":
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			var samples []struct{ Tokens []int }
			if err := json.Unmarshal(line, &samples); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(9)
			}
			for _, s := range samples {
				fmt.Fprintf(out, "%d.%02d\n", len(s.Tokens), len(samples))
			}
			out.Flush()
		}
	case "pid":
		each(func(int, int) { fmt.Fprintln(out, os.Getpid()) })
	case "crash":
		fmt.Fprintln(os.Stderr, strings.Repeat("x", 10000), "\nno such model")
		os.Exit(7)
	case "crash at 3":
		each(func(i, sum int) {
			if i == 3 {
				fmt.Fprintln(os.Stderr, "Traceback: sample too hard")
				os.Exit(5)
			}
			fmt.Fprintln(out, sum)
		})
	case "few":
		each(func(i, sum int) {
			if i != 2 {
				fmt.Fprintln(out, sum)
			}
		})
	case "many":
		each(func(i, sum int) { fmt.Fprintf(out, "%d\n%d\n", sum, sum) })
	case "one more":
		each(say)
		fmt.Fprintln(out, 1)
	case "header":
		fmt.Fprintln(out, 17)
		out.Flush()
		each(say)
	case "unasked": // while the second run is being made
		each(func(i, sum int) {
			fmt.Fprintln(out, sum)
			if i == 9 {
				out.Flush()
				time.Sleep(20 * time.Millisecond)
				fmt.Fprintln(out, "99")
				out.Flush()
				os.WriteFile(os.Getenv("GRADUS_TEST_FILE"), nil, 0o666)
			}
		})
	case "fails at its end":
		each(say)
		fmt.Fprintln(os.Stderr, "cannot save")
		os.Exit(4)
	case "stays":
		each(say)
		time.Sleep(time.Hour)
	case "hangs":
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			panic(err)
		}
		os.WriteFile(os.Getenv("GRADUS_TEST_FILE"), fmt.Appendln(nil, os.Getpid(), child.Process.Pid), 0o666)
		time.Sleep(time.Hour)
	case "hangs at 3":
		each(func(i, sum int) {
			if i == 3 {
				time.Sleep(time.Hour)
			}
			fmt.Fprintln(out, sum)
		})
	case "answers blindly":
		in.Peek(1)
		for range 10 {
			fmt.Fprintln(out, 1)
		}
		out.Flush()
		time.Sleep(time.Hour)
	case "forever":
		in.Peek(1)
		for {
			if _, err := fmt.Fprintln(out, 1); err != nil {
				return
			}
		}
	case "long":
		in.Peek(1)
		for {
			if _, err := out.WriteString(strings.Repeat("7", 1000)); err != nil {
				return
			}
		}
	case "binary":
		in.Peek(1)
		out.WriteString("\x00\xff\xfe\x01\n")
	case "killed":
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		time.Sleep(time.Hour)
	case "closes":
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "gradus": // with a program that hangs, to be killed itself
		os.Setenv(manner, "hangs")
		m, err := New(os.Getenv("GRADUS_TEST_COMMAND"), Options{})
		if err != nil {
			panic(err)
		}
		score(m, metric.Source{}, samples(1))
	default: // an answer, said once, when it is asked
		in.Peek(1)
		fmt.Fprintln(out, name)
		out.Flush()
		io.Copy(io.Discard, in)
	}
}

// command returns the command that runs this binary in a manner.
func command(t interface{ Fatal(...any) }, name string) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Under the race detector a program would sleep for a second before it ends.
	return fmt.Sprintf("exec env %s='%s' GORACE=atexit_sleep_ms=0 '%s'", manner, name, self)
}

// samples returns n samples, from id 100 on, of different lengths; the first is
// empty.
func samples(n int) []metric.Sample {
	s := make([]metric.Sample, n)
	for i := range s {
		s[i] = metric.Sample{ID: int64(100 + i), Len: i % 50, Tokens: make([]int32, i%50)}
		for k := range s[i].Tokens {
			s[i].Tokens[k] = int32(k + i)
		}
	}
	return s
}

func sums(samples []metric.Sample) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		for _, t := range s.Tokens {
			values[i] += float64(t)
		}
	}
	return values
}

// score scores all samples by one scorer and closes it.
func score(m metric.Metric, source metric.Source, samples []metric.Sample) ([]float64, error) {
	scorer, err := m.Scorer(source)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(samples))
	err = scorer.Score(values, samples)
	return values, errors.Join(err, scorer.(io.Closer).Close())
}

func equal(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// However samples are divided into runs and whichever way they are sent, the
// values are those of the program.
func TestSums(t *testing.T) {
	all := samples(3000)
	want := sums(all)
	for name, o := range map[string]Options{
		"sum":     {Whole: true},
		"buffers": {Once: true},
	} {
		p, err := New(command(t, name), o)
		if err != nil {
			t.Fatal(err)
		}
		scorer, err := p.Scorer(metric.Source{})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float64, len(all))
		for i, run := 0, 1; i < len(all); run *= 4 {
			end := min(i+run, len(all))
			if err := scorer.Score(values[i:end], all[i:end]); err != nil {
				t.Fatal(name, err)
			}
			i = end
		}
		if err := scorer.Score(nil, nil); err != nil {
			t.Error(err)
		}
		closer := scorer.(io.Closer)
		if err := errors.Join(closer.Close(), closer.Close()); err != nil {
			t.Error(name, err)
		}
		if !equal(values, want) {
			t.Errorf("%s: other values", name)
		}
		if err := scorer.Score(values[:1], all[:1]); err == nil {
			t.Error("a closed scorer scores")
		}
	}
}

// Scorers of many goroutines share as many processes as were asked for; without
// a number each has its own. A group that has ended is begun anew.
func TestProcesses(t *testing.T) {
	for processes, want := range map[int]int{0: 4, 1: 1, 3: 3} {
		p, err := New(command(t, "pid"), Options{Processes: processes})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var pids sync.Map
			var wait sync.WaitGroup
			var scorers []metric.Scorer
			for range 4 {
				scorer, err := p.Scorer(metric.Source{})
				if err != nil {
					t.Fatal(err)
				}
				scorers = append(scorers, scorer)
			}
			for _, scorer := range scorers {
				wait.Go(func() {
					for range 8 {
						values := make([]float64, 10)
						if err := scorer.Score(values, samples(10)); err != nil {
							t.Error(err)
							return
						}
						pids.Store(values[9], true)
					}
				})
			}
			wait.Wait()
			for _, scorer := range scorers {
				if err := scorer.(io.Closer).Close(); err != nil {
					t.Error(err)
				}
			}
			n := 0
			pids.Range(func(any, any) bool { n++; return true })
			if n < 1 || n > want || processes != 3 && n != want {
				t.Errorf("processes=%d: %d were running", processes, n)
			}
		}
	}
}

func TestBatches(t *testing.T) {
	p, err := New(command(t, "batches"), Options{Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	got, err := score(p, metric.Source{}, samples(10))
	want := []float64{0.04, 1.04, 2.04, 3.04, 4.04, 5.04, 6.04, 7.04, 8.02, 9.02}
	if err != nil || !equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestFormat(t *testing.T) {
	text, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	two := []metric.Sample{{ID: 12, Tokens: []int32{72, 105, 34, 10, 60}}, {ID: 1 << 40, Tokens: []int32{255, 256, 104}}}
	for _, c := range []struct {
		f    format
		want string
	}{
		{format{tokens: true}, `{"id":12,"tokens":[72,105,34,10,60]}` + "\n" + `{"id":1099511627776,"tokens":[255,256,104]}` + "\n"},
		{format{tokenizer: text}, `{"id":12,"text":"Hi\"\n<"}` + "\n" + `{"id":1099511627776,"text":"\ufffdh"}` + "\n"},
		{format{tokens: true, tokenizer: text, batch: 2}, `[{"id":12,"tokens":[72,105,34,10,60],"text":"Hi\"\n<"},{"id":1099511627776,"tokens":[255,256,104],"text":"\ufffdh"}]` + "\n"},
		{format{batch: 1}, `[{"id":12}]` + "\n" + `[{"id":1099511627776}]` + "\n"},
	} {
		var b bytes.Buffer
		if err := c.f.write(&b, two); err != nil || b.String() != c.want {
			t.Errorf("%s\nwant %s (%v)", b.String(), c.want, err)
		}
	}
}

// Whatever the tokens are, each line is JSON that says the same.
func TestFormatIsJSON(t *testing.T) {
	text, err := tokenizer.New("bytes")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var all []metric.Sample
		for i := range rapid.IntRange(0, 5).Draw(t, "samples") {
			all = append(all, metric.Sample{ID: int64(i), Tokens: rapid.SliceOf(rapid.Int32Range(0, 300)).Draw(t, "tokens")})
		}
		var b bytes.Buffer
		if err := (format{tokens: true, tokenizer: text}).write(&b, all); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(b.String(), "\n")
		if len(lines) != len(all)+1 || lines[len(all)] != "" {
			t.Fatalf("%d lines for %d samples", len(lines)-1, len(all))
		}
		for i, s := range all {
			var got struct {
				ID     int64
				Tokens []int32
				Text   string
			}
			if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
				t.Fatal(err)
			}
			want := strings.ToValidUTF8(string(text.Decode(nil, s.Tokens)), "\ufffd")
			if got.ID != s.ID || fmt.Sprint(got.Tokens) != fmt.Sprint(s.Tokens) || strings.ToValidUTF8(strings.ReplaceAll(got.Text, "\ufffd", ""), "") != strings.ReplaceAll(want, "\ufffd", "") {
				t.Fatalf("%q of %v", lines[i], s)
			}
		}
	})
}

// Each way to go wrong is an error that names the sample and what happened.
func TestBad(t *testing.T) {
	const either = -2
	for name, c := range map[string]struct {
		o    Options
		at   int64
		says []string
	}{
		"crash":            {at: 100, says: []string{"ended after 0 numbers for 10 samples (exit status 7); its standard error ends with\n... xxx", "\nno such model"}},
		"crash at 3":       {at: 103, says: []string{"ended after 3 numbers for 10 samples (exit status 5)", "Traceback: sample too hard"}},
		"killed":           {at: 100, says: []string{"(signal: killed)"}},
		"few":              {o: Options{Once: true}, at: 109, says: []string{"ended after 9 numbers for 10 samples (exit status 0)"}},
		"many":             {at: either, says: []string{"answered more"}}, // noticed at once or at the end
		"forever":          {at: 109, says: []string{"answered more than one number a sample: after 10 numbers for 10 samples came \"1\""}},
		"answers blindly":  {o: Options{Timeout: 300 * time.Millisecond}, at: -1, says: []string{"did not end within 300ms of the end of its input"}},
		"hangs at 3":       {o: Options{Timeout: 2 * time.Second}, at: 103, says: []string{"no number for 2s (timeout=), 3 of 10 before", "set once=true"}},
		"buffers":          {o: Options{Timeout: 300 * time.Millisecond}, at: 100, says: []string{"no number for 300ms", "flush"}},
		"closes":           {at: 100, says: []string{"ended after 0 numbers for 10 samples"}},
		"header":           {at: either, says: []string{"answered"}},
		"one more":         {at: -1, says: []string{`answered more numbers than it got samples, with "1"`}},
		"fails at its end": {at: -1, says: []string{"answered all, and failed at its end (exit status 4)", "cannot save"}},
		"stays":            {o: Options{Timeout: 300 * time.Millisecond}, at: -1, says: []string{"did not end within 300ms"}},
		"long":             {at: 100, says: []string{`a line of more than 4096 bytes that begins with "7777`}},
		"binary":           {at: 100, says: []string{`answered "\x00\xff\xfe\x01", which is no number`}},
		"abc":              {at: 100, says: []string{`answered "abc", which is no number`}},
		" ":                {at: 100, says: []string{`answered "", which is no number`}},
		"NaN":              {at: 100, says: []string{`which is no finite number`}},
		"-inf":             {at: 100, says: []string{`which is no finite number`}},
		"1e999":            {at: 100, says: []string{`beyond what a float64 holds`}},
		"1 2":              {at: 100, says: []string{`answered "1 2", which is no number`}},
		"2.5":              {o: Options{Whole: true}, at: 100, says: []string{`whole=true needs a whole number`}},
		"9007199254740993": {o: Options{Whole: true}, at: 100, says: []string{`at most 2^53`}},
		"1e300":            {o: Options{Whole: true}, at: 100, says: []string{`at most 2^53`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := New(command(t, name), c.o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = score(p, metric.Source{}, samples(10))
			var at *metric.SampleError
			if err == nil || c.at != either && (errors.As(err, &at) != (c.at >= 0) || at != nil && at.ID != c.at) {
				t.Fatalf("%v, want sample %d", err, c.at)
			}
			for _, say := range append(c.says, "program "+strconv.Quote(p.command)[:30]) {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("%v\nwant %q", err, say)
				}
			}
		})
	}
}

// A number too many is noticed before the next run of samples takes it for its
// own.
func TestUnasked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "said")
	t.Setenv("GRADUS_TEST_FILE", file)
	p, err := New(command(t, "unasked"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := p.Scorer(metric.Source{})
	if err != nil {
		t.Fatal(err)
	}
	defer scorer.(io.Closer).Close()
	values := make([]float64, 10)
	if err := scorer.Score(values, samples(10)); err != nil || !equal(values, sums(samples(10))) {
		t.Fatal(values, err)
	}
	for _, err := os.Stat(file); err != nil; _, err = os.Stat(file) {
		time.Sleep(time.Millisecond)
	}
	if err := scorer.Score(values, samples(10)); err == nil || !strings.Contains(err.Error(), `sample 100: `) || !strings.Contains(err.Error(), `it answered "99" before it was asked`) {
		t.Error(err)
	}
}

// What is no program at all.
func TestNoProgram(t *testing.T) {
	p, err := New("gradus-has-no-such-program --now", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := score(p, metric.Source{}, samples(2)); err == nil || !strings.Contains(err.Error(), "sample 100:") || !strings.Contains(err.Error(), "exit status 127") || !strings.Contains(err.Error(), "not found") {
		t.Error(err)
	}
	for command, o := range map[string]Options{"": {}, " \n": {}, "a\x00b": {}, "x": {Send: "all"}, "y": {Batch: -1}} {
		if _, err := New(command, o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", command, err)
		}
	}
	p, err = New("cat", Options{Send: "both"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Scorer(metric.Source{}); !errors.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// A sample larger than what pipes hold, answered by as much.
func TestLargeSamples(t *testing.T) {
	p, err := New(command(t, "sum"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := samples(4)
	all[2].Tokens = make([]int32, 200_000)
	for i := range all[2].Tokens {
		all[2].Tokens[i] = int32(i)
	}
	got, err := score(p, metric.Source{}, all)
	if err != nil || !equal(got, sums(all)) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	known := metric.Registry{Definition()}
	made, err := known.Parse(`hard=exec:timeout=5s,whole=true,version=3,descending=true,awk '{print NF, 1}' a=b,c`)
	if err != nil {
		t.Fatal(err)
	}
	p := made[0].(*Program)
	if p.command != `awk '{print NF, 1}' a=b,c` || p.o.Timeout != 5*time.Second {
		t.Errorf("%+v", p)
	}
	if info := p.Info(); info.Name != "hard" || info.Version != 3 || info.Kind != metric.Whole || !info.Descending || info.Blind ||
		info.Spec != `exec:timeout=5s,whole=true,descending=true,version=3,awk '{print NF, 1}' a=b,c` {
		t.Errorf("%+v", info)
	}
	again, err := known.Parse("hard=" + p.Info().Spec)
	if err != nil || again[0].Info() != p.Info() {
		t.Errorf("%v, %v", again, err)
	}
	for _, spec := range []string{"exec", "exec:timeout=0s,x", "exec:processes=0,x", "exec:send=words,x", "exec:whole=maybe,x", "exec:timeout=5s"} {
		if _, err := known.Parse(spec); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// The one-liner of the documentation, if there is a Python.
func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3")
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "exec-metric.md"))
	if err != nil {
		t.Fatal(err)
	}
	const line = "python3 -c 'import sys, json\nfor line in sys.stdin: print(len(json.loads(line)[\"tokens\"]))'"
	if !bytes.Contains(doc, []byte(line)) {
		t.Error("docs/exec-metric.md has another one-liner")
	}
	for _, spec := range []string{"exec:whole=true," + line, "exec:once=true," + line} {
		made, err := metric.Registry{Definition()}.Parse(spec)
		if err != nil {
			t.Fatal(err)
		}
		all := samples(200)
		got, err := score(made[0], metric.Source{}, all)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range all {
			if got[i] != float64(s.Len) {
				t.Errorf("sample %d: %v, want %d", s.ID, got[i], s.Len)
			}
		}
	}
}
