package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/smartvillage/nabz/telemetry"
)

// maxToken is more than a token takes with all that is copied along with it, in bytes.
const maxToken = 4096

// terminal tells whether somebody can be asked there.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// readToken reads a token from a pipe or a file.
func readToken(from io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(from, maxToken))
	if err != nil {
		return "", fmt.Errorf("read the token from standard input: %w", err)
	}
	return string(b), nil
}

// askToken asks for a token, and reads lines until they are one: messages break it into several. An empty line ends one that is not whole.
func askToken(ctx context.Context, from io.Reader, to io.Writer) (string, error) {
	fmt.Fprint(to, "Token from the NOC, ended by an empty line if it goes on over several: ")
	got := make(chan string, 1)
	go func() { // what hangs on a terminal cannot be woken; the process ends with it
		var text strings.Builder
		lines := bufio.NewScanner(io.LimitReader(from, maxToken))
		for lines.Scan() {
			if lines.Text() == "" && text.Len() > 0 {
				break
			}
			text.WriteString(lines.Text() + "\n")
			if _, err := telemetry.ParseEnrolment(text.String()); err == nil {
				break
			}
		}
		got <- text.String()
	}()
	select {
	case token := <-got:
		return token, nil
	case <-ctx.Done():
		return "", errors.New("stopped; run this again with the same token")
	}
}
