package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json; see "go doc test2json".
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// summary gathers events and prints each package when it has ended.
type summary struct {
	out                     io.Writer
	packages                map[string]*pack
	passed, failed, skipped int
	reasons                 []string // of skipped tests
}

type pack struct {
	output map[string][]string // test name to what it printed; "" for the package itself
	result map[string]string   // test name to pass, fail or skip
	order  []string
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, packages: map[string]*pack{}}
}

func (s *summary) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil {
				s.event(e)
			} else {
				fmt.Fprintf(s.out, "%s", line)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) event(e event) {
	if e.Package == "" { // a build: there is output only when it fails
		fmt.Fprint(s.out, e.Output)
		return
	}
	p := s.packages[e.Package]
	if p == nil {
		p = &pack{output: map[string][]string{}, result: map[string]string{}}
		s.packages[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.order = append(p.order, e.Test)
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.ended(e, p)
			delete(s.packages, e.Package)
			return
		}
		p.result[e.Test] = e.Action
		if e.Action == "pass" {
			delete(p.output, e.Test)
		}
	}
}

// ended counts and prints a package.
func (s *summary) ended(e event, p *pack) {
	failed := 0
	for _, name := range p.order {
		switch result := p.result[name]; {
		case result == "": // broke off: a panic, a timeout, an exit
			failed++
			s.show("FAIL (broke off)", e.Package, name, p.output[name])
		case result == "fail" && !p.child(name, "fail") && !p.child(name, ""):
			failed++
			s.show("FAIL", e.Package, name, p.output[name])
		case p.leaf(name) && result == "skip":
			s.skipped++
			s.reasons = append(s.reasons, fmt.Sprintf("skipped %s %s: %s", e.Package, name, reason(p.output[name])))
		case p.leaf(name) && result == "pass":
			s.passed++
		}
	}
	if e.Action == "fail" && failed == 0 { // no test is to blame: it did not build, or a check after the tests failed
		failed++
		s.show("FAIL", e.Package, "(package)", p.output[""])
	}
	s.failed += failed
	if e.Action == "fail" {
		fmt.Fprintf(s.out, "FAIL    %s %.1fs\n", e.Package, e.Elapsed)
	} else if len(p.order) > 0 {
		fmt.Fprintf(s.out, "ok      %s %.1fs\n", e.Package, e.Elapsed)
	}
}

// close prints what is left when go test has ended.
func (s *summary) close() {
	names := make([]string, 0, len(s.packages))
	for name := range s.packages {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names { // never said how it ended
		s.ended(event{Action: "fail", Package: name}, s.packages[name])
	}
	for _, r := range s.reasons {
		fmt.Fprintln(s.out, r)
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
}

func (s *summary) show(what, pkg, test string, output []string) {
	fmt.Fprintf(s.out, "--- %s: %s %s\n%s", what, pkg, test, strings.Join(output, ""))
}

func (p *pack) leaf(name string) bool {
	return !slices.ContainsFunc(p.order, func(other string) bool { return strings.HasPrefix(other, name+"/") })
}

// child tells whether a subtest of name has that result.
func (p *pack) child(name, result string) bool {
	return slices.ContainsFunc(p.order, func(other string) bool {
		return strings.HasPrefix(other, name+"/") && p.result[other] == result
	})
}

// reason is what a skipped test said, without file and line, on one line.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, rest, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok := strings.Cut(rest, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}
