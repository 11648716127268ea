package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestEachFaultGetsALineAndTheStatusFits(t *testing.T) {
	for _, row := range []struct {
		name   string
		err    error
		status int
		says   string
	}{
		{"all well", nil, 0, ""},
		{"one fault", errors.New("a"), 1, "p: a\n"},
		{"joined faults", errors.Join(errors.New("a"), errors.Join(errors.New("b"), errors.New("c"))), 1, "p: a\np: b\np: c\n"},
		{"one fault with two causes", fmt.Errorf("a: %w: %w", errors.New("b"), errors.New("c")), 1, "p: a: b: c\n"},
		{"wrong command line", Usage(errors.New("unknown flag --x")), 2, "p: unknown flag --x; see p --help\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var stderr bytes.Buffer
			status := Run("p", func(context.Context, []string, io.Writer, io.Writer) error { return row.err }, nil, io.Discard, &stderr)
			if status != row.status || stderr.String() != row.says {
				t.Errorf("status %d, said %q; want %d, %q", status, stderr.String(), row.status, row.says)
			}
		})
	}
}
