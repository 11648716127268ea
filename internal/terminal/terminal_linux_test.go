package terminal

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/internal/testtty"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestColoursAreForATerminalThatHasThemAndForWhoWantsThem(t *testing.T) {
	_, tty := testtty.Open(t)
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, row := range []struct {
		name string
		out  io.Writer
		env  func(string) string
		want bool
	}{
		{"a terminal", tty, env("TERM", "xterm"), true},
		{"a terminal without a name", tty, env(), true},
		{"NO_COLOR", tty, env("NO_COLOR", "1"), false},
		{"NO_COLOR with any word", tty, env("NO_COLOR", "0"), false},
		{"an empty NO_COLOR asks for nothing", tty, env("NO_COLOR", ""), true},
		{"a dumb terminal", tty, env("TERM", "dumb"), false},
		{"a file", file, env("TERM", "xterm"), false},
		{"memory", &bytes.Buffer{}, env("TERM", "xterm"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Coloured(row.out, row.env); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
			if same := Paint(row.out, row.env, First(nil)) == row.out; same == row.want {
				t.Errorf("painted: %v, want %v", !same, row.want)
			}
		})
	}
}

func TestWordsArePaintedWhereTheyStandForAState(t *testing.T) {
	words := map[string]Colour{"pass": Green, "FAIL": Red, "waits to enrol": Yellow, "revoked": Red, "add": Green}
	for _, row := range []struct {
		name       string
		by         Painter
		line, want string
	}{
		{"a grade", First(words), "pass  clock  as it is", "\x1b[32mpass\x1b[0m  clock  as it is"},
		{"no grade", First(words), "password  pass", "password  pass"},
		{"the line below", First(words), "      → call them", "      → call them"},
		{"nothing", First(words), "", ""},
		{"a heading", Cells(words), "ID  NAME (UTC)", "\x1b[1mID  NAME (UTC)\x1b[0m"},
		{"a cell", Cells(words), "gokina/main  revoked 2026-11-28", "gokina/main  \x1b[31mrevoked\x1b[0m 2026-11-28"},
		{"a cell with more", Cells(words), "gokina/main  waits to enrol, token until", "gokina/main  \x1b[33mwaits to enrol\x1b[0m, token until"},
		{"a word within another", Cells(words), "gokina  additional  add", "gokina  additional  \x1b[32madd\x1b[0m"},
		{"no table", Cells(words), "3 added, 1 unchanged", "3 added, 1 unchanged"},
		{"a number alone", Cells(words), "1  2", "1  2"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := row.by(row.line); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

func TestPaintingChangesNoLetterHoweverItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		p := &painted{out: &out, paint: Cells(map[string]Colour{"add": Green, "a": Red, "FAIL": Red})}
		text := rapid.StringMatching(`([aDdFILA ,→]{0,12}\n){1,5}`).Draw(t, "text")
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if _, err := fmt.Fprint(p, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got := escapes.ReplaceAllString(out.String(), ""); got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
	})
}
