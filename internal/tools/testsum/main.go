package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	// go test and the tests get a Ctrl-C themselves, from the terminal; what is left to do is to sum up.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	sum := newSummary(stdout)
	readErr := sum.read(events)
	err = cmd.Wait()
	sum.close()
	switch {
	case readErr != nil:
		return fmt.Errorf("read what go test says: %w", readErr)
	case err != nil:
		return fmt.Errorf("go test: %w", err)
	case sum.failed > 0:
		return fmt.Errorf("%d tests failed", sum.failed)
	}
	return nil
}
