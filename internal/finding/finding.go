package finding

import (
	"fmt"
	"io"
	"strings"
)

// Grade says how well a matter stands.
type Grade uint8

// The grades, from good to bad.
const (
	Pass Grade = iota
	Warn
	Fail
)

// String is "pass", "warn" or "FAIL": colour is never the only sign.
func (g Grade) String() string { return [...]string{"pass", "warn", "FAIL"}[g] }

// MarshalText is "pass", "warn" or "fail".
func (g Grade) MarshalText() ([]byte, error) { return []byte(strings.ToLower(g.String())), nil }

// Status is the exit status of a check whose worst grade this is: 0, 3 where it warns, 1 where it fails.
func (g Grade) Status() int { return [...]int{0, 3, 1}[g] }

// Finding is what was found out about one matter.
type Finding struct {
	Matter string `json:"matter"`
	Grade  Grade  `json:"grade"`
	Found  string `json:"found"`
	Next   string `json:"next,omitempty"` // what to do; "" where nothing
}

// WriteTo writes the finding in one line, or two where something is to be done.
func (f Finding) WriteTo(w io.Writer) (int64, error) {
	text := fmt.Sprintf("%-4s  %-13s %s\n", f.Grade, f.Matter, f.Found)
	if f.Next != "" {
		text += fmt.Sprintf("%-4s  %-13s → %s\n", "", "", f.Next)
	}
	n, err := io.WriteString(w, text)
	return int64(n), err
}
