package deploy

import (
	"bufio"
	"os"
	"regexp"
	"strings"
	"testing"
)

// block is a piece of a page that a person types, or writes into a file.
type block struct {
	page, heading string
	kind          string            // sh, toml, ini
	text          string            //
	marks         map[string]string // what is said about it in comments above it: stand-in, status
}

var mark = regexp.MustCompile(`^<!-- ([a-z-]+): (.+) -->$`)

// blocks are those of a page, in order.
func blocks(t *testing.T, page string) (all []block) {
	t.Helper()
	f, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, inside, heading := block{marks: map[string]string{}}, false, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		switch m := mark.FindStringSubmatch(line); {
		case inside && line == "```":
			inside = false
			all = append(all, b)
			b = block{marks: map[string]string{}}
		case inside:
			b.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			inside = true
			b.page, b.heading, b.kind = page, heading, strings.TrimPrefix(line, "```")
		case m != nil:
			b.marks[m[1]] = m[2]
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimLeft(line, "# ")
		}
	}
	if inside {
		t.Fatalf("%s: a block does not end", page)
	}
	return all
}
