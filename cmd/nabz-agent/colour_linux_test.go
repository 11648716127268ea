package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/testtty"
)

// watched runs the program in a terminal, with these additions to the environment.
func watched(t *testing.T, env []string, args ...string) string {
	t.Helper()
	text, _ := testtty.Watched(t, "nabz-agent", env, args...)
	return text
}

func TestACheckHasColoursOnATerminalOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(file, []byte("site = \"gokina\"\nprobe.count = 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := watched(t, []string{"TERM=xterm"}, "check", "--config", file)
	if !strings.HasPrefix(text, "\x1b[31mFAIL\x1b[0m  configuration ") || !strings.Contains(text, "\x1b[31mnabz-agent:\x1b[0m "+file+":2: ") {
		t.Errorf("got %q", text)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if text := watched(t, []string{"TERM=xterm", env}, "check", "--config", file); strings.Contains(text, "\x1b") || !strings.HasPrefix(text, "FAIL  configuration ") {
			t.Errorf("with %s got %q", env, text)
		}
	}
}

func TestTheStateOfTheLinkHasItsColour(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for state, want := range map[string]string{"up": "\x1b[32mup\x1b[0m for", "degraded": "\x1b[33mdegraded\x1b[0m for", "down": "\x1b[31mdown\x1b[0m (backhaul) for"} {
		person, program := testtty.Open(t)
		s := agent.Status{Site: "down", Agent: "up", Link: agent.LinkStatus{State: state, ForS: 60}}
		if state == "down" {
			s.Link.Cause = "backhaul"
		}
		if _, err := s.WriteTo(painted(program)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintln(program, "end"); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		buf := make([]byte, 4096)
		for !strings.Contains(text.String(), "end\r\n") {
			if err := person.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := person.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q", err, text.String())
			}
			text.Write(buf[:n])
		}
		if !strings.Contains(text.String(), "link      "+want) || strings.Contains(text.String(), "agent     \x1b") {
			t.Errorf("%s: got %q", state, text.String())
		}
	}
}
