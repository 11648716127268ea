package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/testtty"
)

func echoes(t *testing.T, tty *os.File) bool {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

// hidden waits until the terminal no longer shows what is typed.
func hidden(t *testing.T, tty *os.File) {
	t.Helper()
	again, end := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for echoes(t, tty) {
		select {
		case <-again.C:
		case <-end:
			t.Fatal("the terminal goes on to show what is typed")
		}
	}
}

func TestATerminalDoesNotShowThePassword(t *testing.T) {
	person, program := testtty.Open(t)
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := ask(t.Context(), program, io.Discard, "Password: ")
		answers <- answer{text, err}
	}()
	hidden(t, program)
	if _, err := io.WriteString(person, "magenta cactus teapot river\n"); err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.err != nil || a.text != "magenta cactus teapot river" {
		t.Errorf("got %q, %v", a.text, a.err)
	}
	if !echoes(t, program) {
		t.Error("the terminal was not given back as it was")
	}
	_ = person.SetReadDeadline(time.Now().Add(time.Second))
	shown := make([]byte, 1000)
	n, _ := person.Read(shown) // the end of the line is all that may come
	if strings.ContainsAny(string(shown[:n]), "magenta") {
		t.Errorf("the terminal showed %q", shown[:n])
	}
}

func TestCtrlCGivesTheTerminalBack(t *testing.T) {
	person, program := testtty.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	var said bytes.Buffer
	go func() {
		_, err := ask(ctx, program, &said, "Password: ")
		failed <- err
	}()
	hidden(t, program)
	cancel()
	if err := <-failed; err == nil || err.Error() != "stopped; nothing has changed" {
		t.Errorf("got %v", err)
	}
	if !echoes(t, program) {
		t.Error("the terminal goes on to hide what is typed")
	}
	_, _ = io.WriteString(person, "\n") // lets the reader end
}
