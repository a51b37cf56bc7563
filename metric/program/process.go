package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gradus-ml/gradus/metric"
)

const (
	// longestLine is far more than a number has.
	longestLine = 4 << 10
	// farewell is how long a program may take to end, after its input has
	// ended or when it is to be killed anyway.
	farewell = 10 * time.Second
	// moment is how long a program that has closed its output may take to end.
	moment = time.Second
	// glance is how long is waited for an answer that nobody has asked for.
	glance = 100 * time.Microsecond
)

// process is a running program, used by one goroutine, but for kill.
type process struct {
	*Program
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	lines  *bufio.Reader // of out
	stderr tail

	patience time.Duration // of a read
	active   atomic.Int64  // when it last read or answered, in ns since began
	began    time.Time

	exited chan struct{} // is closed when it has ended, and err is set
	err    error         // of Wait
	kill   func()
}

// start starts the program, the leader of a process group of its own.
func start(p *Program) (*process, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer theirOut.Close()
	r := &process{
		Program: p, cmd: exec.Command("sh", "-c", p.command), in: in, out: out,
		patience: p.o.Timeout, began: time.Now(), exited: make(chan struct{}),
	}
	r.lines = bufio.NewReaderSize(reader{r}, longestLine)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = theirIn, theirOut, &r.stderr
	// Python would keep what it prints until it has 8 KiB of it.
	r.cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	// A child of the program may hold standard error open for longer.
	r.cmd.WaitDelay = moment
	separate(r.cmd)
	r.kill = sync.OnceFunc(func() {
		in.Close() // first, since it wakes a write that waits
		killGroup(r.cmd)
	})
	started := make(chan error)
	go func() {
		// The system ends the program when the thread that has started it ends,
		// and so with gradus (see separate); the thread has to last as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.cmd.Start()
		started <- err
		if err == nil {
			r.err = r.cmd.Wait()
			close(r.exited)
		}
	}()
	if err := <-started; err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start %s: %w", quote(p.command), err)
	}
	return r, nil
}

// exchange sends the samples, while it reads their values, so that no pipe
// fills up with nobody reading it. With last, it then ends the program's input.
// If something is wrong, it kills the program and returns which of the samples
// it was about.
func (p *process) exchange(values []float64, samples []metric.Sample, f format, last bool) (at int, err error) {
	if p.asked() {
		return 0, &metric.DoubtError{Err: p.fail(false, "it answered %s before it was asked", p.unasked())}
	}
	p.touch()
	written := make(chan error, 1)
	go func() {
		err := f.write(writer{p}, samples)
		if err == nil && last {
			err = p.in.Close()
		}
		written <- err
	}()
	for i := range samples {
		if values[i], err = p.answer(i, len(samples)); err != nil {
			<-written // the program is killed, its input closed
			return i, err
		}
	}
	if !last && p.lines.Buffered() > 0 {
		err = &metric.DoubtError{Err: p.fail(false, "it answered more than one number a sample: after %d numbers for %d samples came %s", len(samples), len(samples), p.unasked())}
		<-written
		return len(samples) - 1, err
	}
	timeout := time.NewTimer(p.o.Timeout)
	defer timeout.Stop()
	select {
	case <-written: // a program that needs not all of its input may close it
		return 0, nil
	case <-timeout.C:
		err = p.fail(false, "it has answered all, and not read its input for %v", p.o.Timeout)
		<-written
		return len(samples) - 1, err
	}
}

// asked reports an answer that is there although nobody has asked.
func (p *process) asked() bool {
	p.patience = glance
	p.touch()
	_, err := p.lines.Peek(1)
	p.patience = p.o.Timeout
	return err == nil
}

// unasked quotes what is there to be read.
func (p *process) unasked() string {
	text, _ := p.lines.Peek(p.lines.Buffered())
	first, _, _ := strings.Cut(string(text), "\n")
	return quote(first)
}

// answer reads the value of sample i of n.
func (p *process) answer(i, n int) (float64, error) {
	line, err := p.lines.ReadSlice('\n')
	text := strings.TrimSpace(string(line))
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return 0, p.fail(false, "it answered a line of more than %d bytes that begins with %s; a number is needed", longestLine, quote(text))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, p.fail(false, "it gave no number for %v (timeout=), %d of %d before; if it works for longer, raise the timeout; if it keeps its output in a buffer, make it flush each number or set once=true", p.o.Timeout, i, n)
	case err == io.EOF && text != "":
	case err == io.EOF:
		return 0, p.fail(true, "it ended after %d numbers for %d samples", i, n)
	case err != nil:
		return 0, p.fail(false, "its output cannot be read: %v", err)
	}
	v, err := p.parse(text)
	if err != nil {
		return 0, p.fail(false, "it answered %s, %v", quote(text), err)
	}
	return v, nil
}

// parse reads a number.
func (p *process) parse(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errors.New("which is beyond what a float64 holds")
	case err != nil:
		return 0, errors.New("which is no number")
	case v-v != 0:
		return 0, errors.New("which is no finite number")
	case !p.o.Whole:
		return v, nil
	case v != math.Trunc(v):
		return 0, errors.New("and whole=true needs a whole number")
	}
	if n, err := strconv.ParseInt(text, 10, 64); math.Abs(v) > 1<<53 || err == nil && (n > 1<<53 || n < -1<<53) {
		return 0, errors.New("and whole=true needs a number of at most 2^53")
	}
	return v, nil
}

// finish ends the program's input and waits for its end. Anything it answers
// yet, and another exit status than 0, is an error.
func (p *process) finish() error {
	p.in.Close()
	p.patience = min(p.o.Timeout, farewell)
	p.touch()
	switch _, err := p.lines.Peek(1); {
	case err == nil:
		return &metric.DoubtError{Err: p.fail(false, "it answered more numbers than it got samples, with %s", p.unasked())}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return p.fail(false, "it did not end within %v of the end of its input", p.patience)
	case err != io.EOF:
		return p.fail(false, "its output cannot be read: %v", err)
	}
	p.wait(p.patience)
	if !p.ended() {
		return p.fail(false, "it closed its output and did not end within %v", p.patience)
	}
	if p.err != nil && !errors.Is(p.err, exec.ErrWaitDelay) {
		return p.fail(true, "it answered all, and failed at its end")
	}
	p.stop() // what it may have left behind in its group
	return nil
}

func (p *process) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
}

func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// fail kills the program and returns an error with what it did, how it ended,
// if it did so by itself, and the last of its standard error.
func (p *process) fail(ending bool, format string, args ...any) error {
	if ending {
		p.wait(moment)
	}
	status := ""
	if p.ended() && !errors.Is(p.err, exec.ErrWaitDelay) {
		status = " (" + p.cmd.ProcessState.String() + ")"
	}
	text := "program " + quote(p.command) + ": " + fmt.Sprintf(format, args...) + status
	p.stop()
	if said := p.stderr.String(); said != "" {
		text += "; its standard error ends with\n" + said
	}
	return errors.New(text)
}

// stop kills the program and waits for its end, and so for the last of its
// standard error.
func (p *process) stop() {
	p.kill()
	p.wait(farewell)
	p.out.Close()
}

// touch notes that the program is at work.
func (p *process) touch() { p.active.Store(int64(time.Since(p.began))) }

// writer writes to the program.
type writer struct{ *process }

func (w writer) Write(b []byte) (int, error) {
	for n := 0; n < len(b); {
		// In pieces that a pipe takes whole, to see whether it is read.
		m, err := w.in.Write(b[n:min(n+4<<10, len(b))])
		n += m
		if err != nil {
			return n, err
		}
		w.touch()
	}
	return len(b), nil
}

// reader reads what the program answers. It waits as long as there is patience,
// from when the program last did something.
type reader struct{ *process }

func (r reader) Read(b []byte) (int, error) {
	for {
		quiet := time.Since(r.began) - time.Duration(r.active.Load())
		wait := r.patience - quiet
		if wait <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		if err := r.out.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, err
		}
		n, err := r.out.Read(b)
		if n > 0 {
			r.touch()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
	all  int64 // bytes that were written
}

// tailBytes is 40 lines of a traceback.
const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b[max(len(b)-tailBytes, 0):]...)
	if more := len(t.text) - tailBytes; more > 0 {
		t.text = append(t.text[:0], t.text[more:]...)
	}
	t.all += int64(len(b))
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.text), "\uFFFD"))
	if t.all > tailBytes && text != "" {
		text = "... " + text
	}
	return text
}

// quote shows a text on one line, shortened.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}
