package conf

import (
	"fmt"
	"strconv"
	"strings"
)

// lines finds the line on which each key of a TOML text stands. The library tells lines for faults that it
// finds itself, but not for keys that it merely knows nothing about, nor for values out of range.
//
// The text has been parsed before, so the scanner need not find faults; it only has to end on any input.
// Keys are dotted paths, elements of lists are counted from zero: "service[1].name".
func lines(data []byte) map[string]int {
	s := scanner{text: strings.TrimPrefix(string(data), "\ufeff"), line: 1, found: map[string]int{}, lists: map[string]int{}}
	section := ""
	for s.blank(); s.pos < len(s.text); s.blank() {
		if s.peek() == '[' {
			section = s.header()
		} else {
			s.pair(section)
		}
		s.skipTo("\n")
	}
	return s.found
}

type scanner struct {
	text  string
	pos   int
	line  int
	found map[string]int // path to its first line
	lists map[string]int // path of a [[list of sections]] to the number seen
}

// header reads [a.b] or [[a.b]] and returns the path under which the next keys stand.
func (s *scanner) header() string {
	s.step()
	list := s.peek() == '['
	if list {
		s.step()
	}
	path := ""
	names := s.key("]")
	for i, name := range names {
		path = join(path, name)
		s.note(path)
		if list && i == len(names)-1 {
			s.lists[path]++
		}
		if n := s.lists[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
			s.note(path)
		}
	}
	return path
}

func (s *scanner) pair(section string) {
	path, line := section, s.line
	for _, name := range s.key("=") {
		path = join(path, name)
		if _, seen := s.found[path]; !seen {
			s.found[path] = line
		}
	}
	s.step() // the equals sign
	s.value(path)
}

// key reads the names of a dotted key up to one of the bytes in end, which it leaves unread.
func (s *scanner) key(end string) []string {
	var names []string
	for s.pos < len(s.text) {
		s.spaces()
		switch c := s.peek(); {
		case strings.IndexByte(end, c) >= 0 || c == '\n':
			return names
		case c == '.':
			s.step()
		case c == '"' || c == '\'':
			start := s.pos
			s.quoted()
			names = append(names, unquote(s.text[start:s.pos]))
		default:
			start := s.pos
			s.skipTo(". \t\r\n" + end)
			names = append(names, s.text[start:s.pos])
		}
	}
	return names
}

func (s *scanner) value(path string) {
	s.spaces()
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.step()
		for i := 0; s.more(']'); i++ {
			element := fmt.Sprintf("%s[%d]", path, i)
			s.note(element)
			s.value(element)
		}
	case '{':
		s.step()
		for s.more('}') {
			s.pair(path)
		}
	default:
		s.skipTo(",]}#\n")
	}
}

// more moves to the next element of a list or inline table; false, and past its end, when there is none.
func (s *scanner) more(end byte) bool {
	s.blank()
	if s.peek() == ',' {
		s.step()
		s.blank()
	}
	if c := s.peek(); c == end || s.pos >= len(s.text) || strings.IndexByte(",]}=", c) >= 0 {
		s.step()
		return false
	}
	return true
}

// quoted skips a string of any of the four kinds.
func (s *scanner) quoted() {
	q := s.text[s.pos : s.pos+1]
	end := q
	if strings.HasPrefix(s.text[s.pos:], q+q+q) {
		end = q + q + q
	}
	s.advance(len(end))
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], end) {
		if q == `"` && s.peek() == '\\' {
			s.step()
		}
		s.step()
	}
	s.advance(len(end))
	for len(end) == 3 && strings.HasPrefix(s.text[s.pos:], q) { // up to two quotes may stand before the closing three
		s.step()
	}
}

func (s *scanner) note(path string) {
	if _, seen := s.found[path]; !seen {
		s.found[path] = s.line
	}
}

// blank skips white space, line ends and comments.
func (s *scanner) blank() {
	for s.pos < len(s.text) {
		switch s.peek() {
		case ' ', '\t', '\r', '\n':
			s.step()
		case '#':
			s.skipTo("\n")
		default:
			return
		}
	}
}

func (s *scanner) spaces() {
	for s.peek() == ' ' || s.peek() == '\t' || s.peek() == '\r' {
		s.step()
	}
}

func (s *scanner) skipTo(stops string) {
	for s.pos < len(s.text) && strings.IndexByte(stops, s.peek()) < 0 {
		s.step()
	}
}

func (s *scanner) advance(n int) {
	for range n {
		s.step()
	}
}

func (s *scanner) step() {
	if s.pos < len(s.text) {
		if s.text[s.pos] == '\n' {
			s.line++
		}
		s.pos++
	}
}

func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func unquote(q string) string {
	if s, err := strconv.Unquote(q); err == nil && q[0] == '"' {
		return s
	}
	return strings.Trim(q, q[:1])
}
