package testengine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds how long a server may take to say that it is ready, on
// a machine that is busy with other tests.
const startTimeout = 90 * time.Second

// process is a server that says on its output when it is ready. It dies with
// the test process, even if that is killed.
type process struct {
	cmd *exec.Cmd

	exited chan struct{} // closed once it has ended; err is set then
	err    error

	mu   sync.Mutex
	tail []string // guarded by mu; its last lines, for error messages
}

// startProcess starts cmd and waits for a line that contains ready.
func startProcess(cmd *exec.Cmd, ready string) (*process, error) {
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	cmd.WaitDelay = 10 * time.Second // for children that keep the output open
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a terminal's Ctrl-C is ours to pass on
	cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT
	p := &process{cmd: cmd, exited: make(chan struct{})}

	started := make(chan error, 1)
	isReady := make(chan struct{})
	go p.watch(in, started)
	go p.read(out, ready, isReady)
	if err := <-started; err != nil {
		return nil, err
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-isReady:
		return p, nil
	case <-p.exited:
		return nil, fmt.Errorf("%s ended at its start: %s", cmd.Path, p.lastLines())
	case <-timer.C:
		p.signal(syscall.SIGKILL)
		<-p.exited
		return nil, fmt.Errorf("%s did not become ready within %s: %s", cmd.Path, startTimeout, p.lastLines())
	}
}

// watch starts the process and waits for its end, on one thread: the signal
// of a parent's death comes when the thread that forked ends.
func (p *process) watch(output *io.PipeWriter, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	defer func() { _ = output.Close() }() // a pipe's Close always returns nil
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
}

func (p *process) read(output io.Reader, ready string, isReady chan<- struct{}) {
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		p.mu.Lock()
		p.tail = append(p.tail, lines.Text())
		if len(p.tail) > 20 {
			p.tail = p.tail[1:]
		}
		p.mu.Unlock()
		if isReady != nil && strings.Contains(lines.Text(), ready) {
			close(isReady)
			isReady = nil
		}
	}
	_, _ = io.Copy(io.Discard, output) // a line too long for the scanner
}

func (p *process) lastLines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.tail, " | ")
}

func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.exited:
	default:
		_ = p.cmd.Process.Signal(sig) // it may have ended this moment
	}
}

// stop sends sig and waits; a process that does not obey is killed.
func (p *process) stop(sig syscall.Signal) error {
	p.signal(syscall.SIGCONT) // one that is paused hears nothing
	p.signal(sig)
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		p.signal(syscall.SIGKILL)
		<-p.exited
		return errors.New(p.cmd.Path + " had to be killed: " + p.lastLines())
	}
}

// freePort asks the kernel for a port that nobody listens on. Another process
// may take it before we do, so whoever starts a server tries again.
func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }() // it was only asked for its number
	return l.Addr().(*net.TCPAddr).Port, nil
}
