package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

// Func is a program without its process.
type Func func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// usage marks an error as the fault of the command line.
type usage struct{ error }

// Usage says that err is the fault of who typed the command.
func Usage(err error) error { return usage{err} }

// exit is a status without a message: all was said.
type exit int

func (e exit) Error() string { return "exit status " + strconv.Itoa(int(e)) }

// Exit ends the program with this status, when what there is to say has been said.
func Exit(status int) error { return exit(status) }

// Run runs a program until it returns, and gives the exit status that fits what it returned.
func Run(name string, run Func, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	err := run(ctx, args, stdout, stderr)
	if err == nil {
		return 0
	}
	if e := exit(0); errors.As(err, &e) {
		return int(e)
	}
	if wrong := (usage{}); errors.As(err, &wrong) {
		fmt.Fprintf(stderr, "%s: %v; see %s --help\n", name, err, name)
		return 2
	}
	for _, e := range flatten(err) {
		fmt.Fprintf(stderr, "%s: %v\n", name, e)
	}
	return 1
}

// flatten takes joined errors apart. An error that merely wraps two others has words of its own and stays whole.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	var lines []string
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
		lines = append(lines, e.Error())
	}
	if err.Error() != strings.Join(lines, "\n") {
		return []error{err}
	}
	return out
}
