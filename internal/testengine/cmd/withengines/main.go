// Command withengines runs a command beside a PostgreSQL server of its own,
// whose address the command finds in COMMSD_TEST_POSTGRES, so that a test run
// over many packages starts one server instead of one for each, and with its
// temporary folder in memory where there is room (testengine.MemoryDir):
//
//	go run ./internal/testengine/cmd/withengines -- go test -race ./...
//
// It exits with the command's code, and ends the server whatever happens.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"commsd/internal/testengine"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "withengines:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("usage: withengines -- command [argument…]")
	}
	// From here on a signal goes to the command; we end when it has ended.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	env := os.Environ()
	if parent := testengine.MemoryDir(); parent != "" {
		dir, err := os.MkdirTemp(parent, "commsd-test-")
		if err != nil {
			return 1, err
		}
		defer func() {
			if removeErr := os.RemoveAll(dir); removeErr != nil {
				code, err = max(code, 1), errors.Join(err, removeErr)
			}
		}()
		// Servers that run as another user reach their folders in it; what go
		// compiles stays where it was.
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // names alone are seen
			return 1, err
		}
		env = append(env, "TMPDIR="+dir, "GOTMPDIR="+os.TempDir())
	}
	if os.Getenv(testengine.PostgresEnv) == "" {
		server, err := testengine.StartPostgres(false)
		if err != nil {
			return 1, err
		}
		defer func() {
			if stopErr := server.Stop(); stopErr != nil {
				code, err = max(code, 1), errors.Join(err, stopErr)
			}
		}()
		env = append(env, testengine.PostgresEnv+"="+server.URL())
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that a signal reaches all it starts
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			_ = syscall.Kill(-cmd.Process.Pid, sig.(syscall.Signal)) // it may have ended this moment
		case err := <-done:
			return exitCode(err)
		}
	}
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 1, err
}
