package report

import "fmt"

// fault is what is wrong with a question: a sentence for a person, and one of the Err… for a program.
type fault struct {
	kind error
	text string
}

func (f fault) Error() string { return f.text }
func (f fault) Unwrap() error { return f.kind }

func faultf(kind error, format string, a ...any) error { return fault{kind, fmt.Sprintf(format, a...)} }
