package telemetry

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

const commandID = "9f3a11c24f2a9c1b"

func TestCommandsAndResultsReadAsTheyWereWritten(t *testing.T) {
	at := time.UnixMilli(1763900000123).UTC()
	c := Command{ID: commandID, Kind: CommandSpeedtest, Asked: at, Life: 2 * time.Minute}
	if got, want := string(c.Append(nil)), "1 9f3a11c24f2a9c1b speedtest 1763900000123 120"; got != want {
		t.Errorf("a command is %q, want %q", got, want)
	}
	if got, err := ParseCommand(c.Append(nil)); err != nil || got != c {
		t.Errorf("a command became %+v (%v), want %+v", got, err, c)
	}
	if got := c.Expires(); !got.Equal(at.Add(2 * time.Minute)) {
		t.Errorf("it expires at %v", got)
	}
	for _, tt := range []struct {
		r    Result
		want string
	}{
		{Result{ID: commandID, State: ResultAccepted}, "1 9f3a11c24f2a9c1b accepted 0"},
		{Result{ID: commandID, State: ResultDone, At: at, Text: "down 4.1 Mbit/s"}, "1 9f3a11c24f2a9c1b done 1763900000123 down 4.1 Mbit/s"},
		{Result{ID: commandID, State: ResultRefused, At: at, Text: " two\nlines\tand \x00 \xff bytes "}, "1 9f3a11c24f2a9c1b refused 1763900000123 two lines and ? bytes"},
		{Result{ID: commandID, State: ResultDone, At: at, Text: "all", Data: []byte("agent\nlink")}, "1 9f3a11c24f2a9c1b done 1763900000123 all\nagent\nlink"},
		{Result{ID: commandID, State: ResultFailed, Data: []byte("x")}, "1 9f3a11c24f2a9c1b failed 0\nx"},
	} {
		got := tt.r.Append([]byte("before "))
		if string(got) != "before "+tt.want {
			t.Errorf("a result is %q, want %q", got, tt.want)
		}
		again, err := ParseResult([]byte(tt.want))
		if err != nil || again.ID != tt.r.ID || again.State != tt.r.State || !again.At.Equal(tt.r.At) || !bytes.Equal(again.Data, tt.r.Data) || string(again.Append(nil)) != tt.want {
			t.Errorf("%q became %+v (%v)", tt.want, again, err)
		}
	}
}

func TestWhatDoesNotFitIntoAResultIsLeftOutAndSaid(t *testing.T) {
	long := Result{ID: commandID, State: ResultDone, Text: strings.Repeat("möglich ", 100)}.Append(nil)
	r, err := ParseResult(long)
	if err != nil || len(r.Text) > MaxResultText || !strings.HasSuffix(r.Text, "…") {
		t.Errorf("a long text became %d bytes, %q (%v)", len(r.Text), r.Text, err)
	}
	full := Result{ID: commandID, State: ResultDone, Text: "ok", Data: make([]byte, MaxResult)}.Append(nil)
	if r, err = ParseResult(full); err != nil || r.Data != nil || r.Text != "the data were too many to be sent; ok" {
		t.Errorf("too many data became %+v (%v)", r, err)
	}
}

func TestAMalformedCommandOrResultIsRefused(t *testing.T) {
	for text, want := range map[string]error{
		"":                           ErrMalformed,
		"1":                          ErrMalformed,
		"x":                          ErrMalformed,
		"1 9f3a11c24f2a9c1b":         ErrMalformed,
		"2 9f3a11c24f2a9c1b":         ErrVersion,
		"2 9f3a11c24f2a9c1b any a b": ErrVersion,
		"02 9f3a11c24f2a9c1b any":    ErrMalformed,
		"2 9F3A11C24F2A9C1B any":     ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1763900000000 120 more":         ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1763900000000 120 ":             ErrMalformed,
		"1  9f3a11c24f2a9c1b speedtest 1763900000000 120":             ErrMalformed,
		"1 9f3a11c24f2a9c1 speedtest 1763900000000 120":               ErrMalformed,
		"1 9f3a11c24f2a9c1g speedtest 1763900000000 120":              ErrMalformed,
		"1 9f3a11c24f2a9c1b Speedtest 1763900000000 120":              ErrMalformed,
		"1 9f3a11c24f2a9c1b  1763900000000 120":                       ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 0 120":                          ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest -1 120":                         ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest +1763900000000 120":             ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 01763900000000 120":             ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 99999999999999999 120":          ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1763900000000 0":                ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1763900000000 601":              ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1763900000000 120\n":            ErrMalformed,
		"1 9f3a11c24f2a9c1b " + strings.Repeat("x", 33) + " 1 1":      ErrMalformed,
		"1 9f3a11c24f2a9c1b speedtest 1 1" + strings.Repeat(" ", 128): ErrTooLarge,
	} {
		if c, err := ParseCommand([]byte(text)); !errors.Is(err, want) || (c.ID != "") != (want == ErrVersion) {
			t.Errorf("%q became %+v (%v), want %v", text, c, err, want)
		}
	}
	const head = "1 9f3a11c24f2a9c1b done 1763900000000"
	for text, want := range map[string]error{
		"":                                      ErrMalformed,
		"2 9f3a11c24f2a9c1b done 0":             ErrVersion,
		"done":                                  ErrMalformed,
		"1 9f3a11c24f2a9c1b done":               ErrMalformed,
		"1 9f3a11c24f2a9c1b won 0":              ErrMalformed,
		"1 9f3a11c24f2a9c1 done 0":              ErrMalformed,
		"1 9f3a11c24f2a9c1b done 1e3":           ErrMalformed,
		head + " ":                              ErrMalformed,
		head + " two  spaces":                   ErrMalformed,
		head + " a\tb":                          ErrMalformed,
		head + " \x1b[31mred":                   ErrMalformed,
		head + " \xff":                          ErrMalformed,
		head + "\n":                             ErrMalformed,
		head + " " + strings.Repeat("x", 513):   ErrMalformed,
		head + "\n" + strings.Repeat("x", 4096): ErrTooLarge,
	} {
		if r, err := ParseResult([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q became %+v (%v), want %v", text, r, err, want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte("1 9f3a11c24f2a9c1b speedtest 1763900000000 120"))
	f.Add([]byte("2 9f3a11c24f2a9c1b reboot"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommand(b)
		if err != nil {
			if c.ID != "" && (!IsCommandID(c.ID) || !errors.Is(err, ErrVersion)) {
				t.Fatalf("%q is refused (%v) and yet has the id %q", b, err, c.ID)
			}
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, b) { // there is one way to write it
			t.Fatalf("%q became %q", b, again)
		}
		if c.Life > MaxCommandLife || c.Check() != nil {
			t.Fatalf("%q was taken: %v", b, c.Check())
		}
	})
}

func FuzzParseResult(f *testing.F) {
	f.Add([]byte("1 9f3a11c24f2a9c1b done 1763900000000 from noc.example.org: down 4.1 Mbit/s\nagent gokina/main"))
	f.Add([]byte("1 9f3a11c24f2a9c1b accepted 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResult(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
		if len(r.Text) > MaxResultText || strings.ContainsAny(r.Text, "\n\r\x00\x1b") {
			t.Fatalf("%q has the text %q", b, r.Text)
		}
	})
}
