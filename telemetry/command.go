package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// CommandKind is what an agent is asked to do: a-z, then up to 31 of a-z, 0-9 and "-".
type CommandKind string

// The commands. An agent refuses, in words, a kind that it does not know or that its owner does not allow.
const (
	CommandSpeedtest   CommandKind = "speedtest"   // measure the throughput now, within the month's budget
	CommandDiagnostics CommandKind = "diagnostics" // what "nabz-agent status" and "nabz-agent check" say
)

// CommandKinds are all that this version knows.
func CommandKinds() []CommandKind { return []CommandKind{CommandSpeedtest, CommandDiagnostics} }

// Bounds on commands and results.
const (
	MaxCommand     = 128              // bytes of a command
	MaxCommandLife = 10 * time.Minute // between asking and expiry
	MaxResult      = 4096             // bytes of a result as it is sent
	MaxResultText  = 512              // bytes of its text
	MaxResultData  = 16 << 10         // bytes of its data, unpacked
)

// commandVersion is the first word of both. Another version is another language: its reader must not guess.
const commandVersion = "1"

// ErrVersion is a command or result of a version that is not known here.
var ErrVersion = errors.New("version is not known here")

// Command is what the collector asks of one agent that is there now, as text:
//
//	1 9f3a11c24f2a9c1b speedtest 1763900000000 120
//
// Version, id, kind, the collector's clock in ms when it was asked, and for how many seconds from then on it may begin. The same command may come
// several times: its id says that it is one.
type Command struct {
	ID    string // 16 hex digits
	Kind  CommandKind
	Asked time.Time     // in ms
	Life  time.Duration // in s
}

// Expires is when it may begin no longer.
func (c Command) Expires() time.Time { return c.Asked.Add(c.Life) }

// Check reports what of a command cannot be sent.
func (c Command) Check() error {
	switch ms := c.Asked.UnixMilli(); {
	case !IsCommandID(c.ID):
		return errors.New("id is not 16 hex digits")
	case !isKind(string(c.Kind)):
		return errors.New("kind is not a word")
	case ms <= 0 || ms > maxCommandClock:
		return errors.New("time of asking is not one")
	case c.Life < time.Second || c.Life > MaxCommandLife || c.Life%time.Second != 0:
		return fmt.Errorf("life is not between 1 and %d whole seconds", int(MaxCommandLife.Seconds()))
	}
	return nil
}

const maxCommandClock = 253402300799999 // ms, the end of the year 9999

// Append writes the command behind dst.
func (c Command) Append(dst []byte) []byte {
	return fmt.Appendf(dst, "%s %s %s %d %d", commandVersion, c.ID, c.Kind, c.Asked.UnixMilli(), int64(c.Life/time.Second))
}

// ParseCommand reads a command, strictly. Of one whose version is not known (ErrVersion) the id is returned where it has one, so that
// it can be refused.
func ParseCommand(b []byte) (Command, error) {
	bad := func(what string) (Command, error) {
		return Command{}, fmt.Errorf("command %.80q: %s: %w", b, what, ErrMalformed)
	}
	if len(b) > MaxCommand {
		return Command{}, fmt.Errorf("command of %d bytes: %w of %d", len(b), ErrTooLarge, MaxCommand)
	}
	words := strings.Split(string(b), " ")
	if words[0] != commandVersion {
		if _, ok := wholeNumber(words[0], 1<<31); !ok || len(words) < 2 || !IsCommandID(words[1]) {
			return bad("no version and id")
		}
		return Command{ID: words[1]}, fmt.Errorf("command of version %s, and here is %s: %w", words[0], commandVersion, ErrVersion)
	}
	if len(words) != 5 {
		return bad("not 5 words")
	}
	asked, ok1 := wholeNumber(words[3], maxCommandClock)
	life, ok2 := wholeNumber(words[4], int64(MaxCommandLife/time.Second))
	if !ok1 || !ok2 {
		return bad("time of asking or life is not a number")
	}
	c := Command{ID: words[1], Kind: CommandKind(words[2]), Asked: time.UnixMilli(asked).UTC(), Life: time.Duration(life) * time.Second}
	if err := c.Check(); err != nil {
		return bad(err.Error())
	}
	return c, nil
}

// ResultState is how far a command has come at its agent.
type ResultState string

// The states. After Accepted comes one of Done and Failed; Refused had no effect.
const (
	ResultAccepted ResultState = "accepted"
	ResultRefused  ResultState = "refused"
	ResultDone     ResultState = "done"
	ResultFailed   ResultState = "failed"
)

// Result is an agent's word on a command, as text in one line, and data behind it where there are any:
//
//	1 9f3a11c24f2a9c1b done 1763900012000 from noc.example.org: down 4.1 Mbit/s, up 1.2 Mbit/s …
//
// Version, id, state, the agent's clock in ms (0 where it does not know the time), text for a person. Data are text, plain or packed as batches
// are; Codec.Open unpacks them.
type Result struct {
	ID    string
	State ResultState
	At    time.Time // zero: not known
	Text  string    // in one line, at most MaxResultText bytes
	Data  []byte    // as it is sent
}

// Append writes the result behind dst. Text is made one line and cut to its bound. Data that do not fit are left out and the text says so.
func (r Result) Append(dst []byte) []byte {
	start := len(dst)
	var at int64
	if !r.At.IsZero() {
		at = r.At.UnixMilli()
	}
	dst = fmt.Appendf(dst, "%s %s %s %d", commandVersion, r.ID, r.State, at)
	text := oneLine(r.Text)
	if len(r.Data) > 0 && len(dst)-start+len(text)+2+len(r.Data) > MaxResult {
		r.Data, text = nil, oneLine("the data were too many to be sent; "+text)
	}
	if text != "" {
		dst = append(append(dst, ' '), text...)
	}
	if len(r.Data) > 0 {
		dst = append(append(dst, '\n'), r.Data...)
	}
	return dst
}

// oneLine makes a text fit for a result.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if !strconv.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= MaxResultText {
		return text
	}
	cut := MaxResultText - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.TrimRight(text[:cut], " ") + "…"
}

// ParseResult reads a result, strictly. Data are not unpacked.
func ParseResult(b []byte) (Result, error) {
	bad := func(what string) (Result, error) {
		return Result{}, fmt.Errorf("result %.80q: %s: %w", b, what, ErrMalformed)
	}
	if len(b) > MaxResult {
		return Result{}, fmt.Errorf("result of %d bytes: %w of %d", len(b), ErrTooLarge, MaxResult)
	}
	head, data, more := bytes.Cut(b, []byte{'\n'})
	if more && len(data) == 0 {
		return bad("no data behind the line")
	}
	words := strings.SplitN(string(head), " ", 5)
	if words[0] != commandVersion {
		if _, ok := wholeNumber(words[0], 1<<31); ok {
			return Result{}, fmt.Errorf("result of version %s, and here is %s: %w", words[0], commandVersion, ErrVersion)
		}
		return bad("no version")
	}
	if len(words) < 4 {
		return bad("too few words")
	}
	r := Result{ID: words[1], State: ResultState(words[2])}
	if len(data) > 0 {
		r.Data = data
	}
	switch r.State {
	case ResultAccepted, ResultRefused, ResultDone, ResultFailed:
	default:
		return bad("state is none of accepted, refused, done, failed")
	}
	at, ok := wholeNumber(words[3], maxCommandClock)
	if !IsCommandID(r.ID) || !ok {
		return bad("no id and time")
	}
	if at > 0 {
		r.At = time.UnixMilli(at).UTC()
	}
	if len(words) == 5 {
		if r.Text = words[4]; r.Text == "" || r.Text != oneLine(r.Text) {
			return bad("text is not one line of words within its bound")
		}
	}
	return r, nil
}

// IsCommandID tells whether a text may name a command: 16 digits or letters a to f.
func IsCommandID(s string) bool {
	if len(s) != 16 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isKind(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

// wholeNumber reads a whole number from 0 to most that is written in the one way there is.
func wholeNumber(s string, most int64) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && n <= most && strconv.FormatInt(n, 10) == s
}
