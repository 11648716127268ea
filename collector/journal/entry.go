package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/smartvillage/nabz/telemetry"
)

// Kind is what an entry is.
type Kind string

// The kinds of entries.
const (
	Comment     Kind = "comment"
	Acknowledge Kind = "acknowledge" // somebody takes care of it
	Maintenance Kind = "maintenance" // a window was planned
	Cancel      Kind = "cancel"      // of a window
	Command     Kind = "command"     // something was asked of an agent
)

// Entry is one thing that somebody wrote down.
type Entry struct {
	ID     uint64    `json:"id"`               // rises; never given twice
	At     time.Time `json:"at"`               // UTC, whole milliseconds
	Who    string    `json:"who"`              // a user of the board
	Kind   Kind      `json:"kind"`             //
	Site   string    `json:"site,omitempty"`   // "" where it is of no single site
	Alert  string    `json:"alert,omitempty"`  // that was acknowledged; "" for whatever troubles the site
	Text   string    `json:"text,omitempty"`   // for people; may have several lines
	Window *Window   `json:"window,omitempty"` // of Maintenance
	Of     uint64    `json:"of,omitempty"`     // the window that Cancel ends
}

const (
	maxText  = 1000     // characters of a text
	maxName  = 200      // bytes of who, alert, district, operator
	maxLine  = 16 << 10 // bytes of a line, far above what the bounds before allow
	maxWeeks = 200      // bytes of a weekly text
)

// Fault is what is wrong with something that a person typed. Field names it: who, site, alert, text, scope, from, to, weekly, zone, reason or window.
type Fault struct {
	Field string
	What  string // what is wrong, and what to do
}

// Error tells both.
func (f *Fault) Error() string { return f.Field + ": " + f.What }

func fault(field, format string, a ...any) error { return &Fault{field, fmt.Sprintf(format, a...)} }

// clean is a text as it is kept: one way to end a line, no space around it.
func clean(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\t", " "))
}

// checkText refuses what a page or a message could not show as it was meant.
func checkText(field, text string, most int, lines bool) error {
	if !utf8.ValidString(text) {
		return fault(field, "is not UTF-8 text; type it anew")
	}
	for _, r := range text {
		if unicode.IsControl(r) && !(lines && r == '\n') || r >= 0x202a && r <= 0x202e || r == 0x2028 || r == 0x2029 {
			return fault(field, "holds the control character U+%04X; leave it out", r)
		}
	}
	if n := utf8.RuneCountInString(text); n > most {
		return fault(field, "has %d characters, at most %d are allowed; shorten it", n, most)
	}
	return nil
}

// check joins every fault of an entry, whoever wrote it: a form or the disk.
func (e Entry) check() error {
	faults := []error{checkText("text", e.Text, maxText, true), checkText("who", e.Who, maxName, false), checkText("alert", e.Alert, maxName, false)}
	add := func(field, format string, a ...any) { faults = append(faults, fault(field, format, a...)) }
	if e.Who == "" {
		add("who", "nobody says who it was; sign in")
	}
	if e.Site != "" && telemetry.CheckID("site", e.Site) != nil {
		add("site", "%q is no id of a site", e.Site)
	}
	if (e.Window != nil) != (e.Kind == Maintenance) || (e.Of != 0) != (e.Kind == Cancel) {
		add("window", "an entry of kind %q cannot have or lack a window so", e.Kind)
	}
	switch e.Kind {
	case Comment:
		if e.Text == "" {
			add("text", "is empty; write what others should know")
		}
		fallthrough
	case Command:
		if e.Site == "" {
			add("site", "is not named")
		}
	case Acknowledge:
		if e.Site == "" && e.Alert == "" {
			add("site", "neither a site nor an alert is named")
		}
	case Maintenance:
		if e.Window != nil {
			faults = append(faults, e.Window.check())
		}
	case Cancel:
	default:
		add("kind", "%q is no kind of entry", e.Kind)
	}
	return errors.Join(faults...)
}

// encode is the entry as a line, with its end.
func (e Entry) encode() ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("write an entry of the journal as JSON: %w", err)
	}
	return append(line, '\n'), nil
}

// decode reads one line without its end.
func decode(line []byte) (e Entry, err error) {
	if len(line) > maxLine {
		return e, fmt.Errorf("has %d bytes, at most %d are allowed", len(line), maxLine)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	if err := d.Decode(&e); err != nil {
		return Entry{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Entry{}, errors.New("there is something behind the entry")
	}
	if e.ID == 0 || e.At.IsZero() {
		return Entry{}, errors.New("id or time is missing")
	}
	e.At = e.At.UTC()
	if e.Window != nil {
		e.Window.ID = e.ID
		e.Window.From, e.Window.To = e.Window.From.UTC(), e.Window.To.UTC()
	}
	return e, e.check()
}
