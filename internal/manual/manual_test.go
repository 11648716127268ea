package manual

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/internal/testneed"
)

const small = `NAME
  pulse - takes the pulse of a village

SYNOPSIS
  pulse [run] [--config FILE] [--log debug|info] [--broker URL]...
             [--data-dir DIR]
  pulse look|tell [--json] [--config FILE]...
  pulse join TOKEN
  pulse --help | --version

DESCRIPTION
  Asks.

  And tells.

COMMANDS
  run    Go on until stopped.
  look   See how
         it is.
  tell   Say so.
  join   Enrol.

OPTIONS
  A flag wins.

  --config FILE  PULSE_CONFIG
        Where it is told.
  --log debug|info
        How much.
  --broker URL
        Whom to ask.
  --data-dir DIR
        Where to keep.
  -j, --json
        Of look and tell: for programs.

EXIT STATUS
  0  all is well
`

func TestAHelpTextIsTakenApart(t *testing.T) {
	p, err := Parse(small)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "pulse" || p.Brief != "takes the pulse of a village" || len(p.Section(Synopsis).Lines) != 4 || !reflect.DeepEqual(p.Section(About).Text, []string{"Asks.", "And tells."}) {
		t.Errorf("got %+v", p)
	}
	if got, want := p.Section(Commands).Items[1], (Item{"look", "See how it is."}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	f := p.Flags()
	if want := (Option{Long: "--config", Value: "FILE", Env: "PULSE_CONFIG", Text: "Where it is told."}); !reflect.DeepEqual(f[0], want) {
		t.Errorf("got %+v, want %+v", f[0], want)
	}
	if want := (Option{Short: "-j", Long: "--json", Text: "Of look and tell: for programs.", Of: []string{"look", "tell"}}); !reflect.DeepEqual(f[4], want) {
		t.Errorf("got %+v, want %+v", f[4], want)
	}
}

func TestAHelpTextThatIsNoneIsRefusedWithItsLine(t *testing.T) {
	for name, row := range map[string]struct{ text, want string }{
		"nothing":                 {"", "the help has no section NAME"},
		"no name":                 {"DESCRIPTION\n  a\n", "the help has no section NAME"},
		"a heading in the margin": {"NAME\n  a - b\nwhat\n", `line 3 of the help: "what" is no heading`},
		"a name without a word":   {"NAME\n  a\n", `line 2 of the help: "  a" is not "name - what it does"`},
		"half a margin":           {"NAME\n  a - b\n\nFILES\n x\n", `line 5 of the help: " x" stands too far left`},
		"a meaning of nothing":    {"NAME\n  a - b\n\nFILES\n      x\n", `line 5 of the help: "x" stands too deep: there is no word above that it is about`},
		"a word without one":      {"NAME\n  a - b\n\nFILES\n  x  y\n  z\n", `line 6 of the help: "z" is neither a word with its meaning nor part of one`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(row.text)
			if err == nil || err.Error() != row.want {
				t.Errorf("got %v\nwant %s", err, row.want)
			}
		})
	}
}

// drawn makes any page that a program could have.
func drawn(t *rapid.T) Page {
	word := rapid.StringMatching(`[a-z]{1,12}[.,;]?`)
	words := func(most int, label string) string {
		return strings.Join(rapid.SliceOfN(word, 1, most).Draw(t, label), " ")
	}
	p := Page{Name: "pulse " + rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name"), Brief: words(6, "brief")}
	line := p.Name
	for range rapid.IntRange(0, 12).Draw(t, "flags") {
		line += " [--" + rapid.StringMatching(`[a-z]{2,10}`).Draw(t, "flag") + " FILE]"
	}
	p.Sections = append(p.Sections, Section{Title: Synopsis, Lines: []string{line}})
	s := Section{Title: About}
	for range rapid.IntRange(1, 3).Draw(t, "paragraphs") {
		s.Text = append(s.Text, words(40, "text"))
	}
	p.Sections = append(p.Sections, s)
	for _, title := range []string{Commands, Options, "FILES"} {
		s := Section{Title: title}
		if rapid.Bool().Draw(t, "intro") {
			s.Text = []string{words(20, "intro")}
		}
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			term := rapid.StringMatching(`[a-z/-]{1,30}`).Draw(t, "term")
			if title == Options {
				term = "--" + rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "option") + rapid.SampledFrom([]string{"", " FILE", " FILE  PULSE_X", "  PULSE_X"}).Draw(t, "rest")
			}
			s.Items = append(s.Items, Item{strings.Trim(term, "-"), words(30, "meaning")})
			if title == Options {
				s.Items[len(s.Items)-1].Term = term
			}
		}
		p.Sections = append(p.Sections, s)
	}
	return p
}

func TestAPageIsReadAsItWasPrintedAndFitsTheTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawn(t)
		for i, s := range p.Sections { // a term of nothing but dashes is none
			for j, item := range s.Items {
				if item.Term == "" {
					p.Sections[i].Items[j].Term = "x"
				}
			}
		}
		got, err := Parse(p.String())
		if err != nil {
			t.Fatalf("%v\n%s", err, p)
		}
		if !reflect.DeepEqual(got, p) {
			t.Fatalf("got\n%#v\nwant\n%#v\nof\n%s", got, p, p)
		}
		for l := range strings.Lines(p.String()) {
			if len(l) > width+1 {
				t.Fatalf("%q is too long", l)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(small)
	f.Add("NAME\n  a - b\n\nOPTIONS\n  -o, --output FILE  X\n        y\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		Split(p).bash()
		p.Flags()
		Program{Name: p.Name, Pages: []Page{p}}.Mdoc(8, time.Unix(0, 0))
	})
}

func TestTheMeaningOfASynopsisIsWhatAShellOffers(t *testing.T) {
	p, err := Parse(small)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, o := range Split(p).offers() {
		for _, f := range o.flags {
			got[o.at] = append(got[o.at], f.Long)
		}
		for _, a := range o.args {
			got[o.at] = append(got[o.at], a.value)
		}
	}
	general := []string{"--config", "--log", "--broker", "--data-dir", "--help"}
	want := map[string][]string{"": append(append([]string{}, general...), "--version"), "run": general,
		"look": {"--json", "--config", "--log", "--broker", "--data-dir", "--help"}, "tell": {"--json", "--config", "--log", "--broker", "--data-dir", "--help"}, "join": {"--help", "TOKEN"}}
	for at, w := range want {
		if !reflect.DeepEqual(got[at], w) {
			t.Errorf("%q: got %v, want %v", at, got[at], w)
		}
	}
}

// Signs that mean something to the formatter come out as they went in.
func TestWhatIsSpecialInAManualPageIsPrintedAsItIs(t *testing.T) {
	mandoc := testneed.Program(t, "mandoc", "apt-get install mandoc")
	const odd = `.Dd is no macro here, 'nor this; C:\new -x --yes "quoted" ~ ^ ` + "`so`" + ` 5 ≥ 4 … %d`
	p := Program{Name: "pulse", Pages: []Page{{Name: "pulse", Brief: "odd - very", Sections: []Section{{Title: About, Text: []string{odd}}, {Title: "FILES", Items: []Item{{`/a\b`, odd}}}}}}}
	cmd := exec.Command(mandoc, "-Tutf8", "-Owidth=200")
	cmd.Stdin = strings.NewReader(p.Mdoc(8, time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for strings.Contains(text, "\b") { // bold and underlined are written twice
		i := strings.IndexByte(text, '\b')
		text = text[:i-1] + text[i+1:]
	}
	if n := strings.Count(text, odd); n != 2 {
		t.Errorf("found %d times in\n%s", n, text)
	}
	if !strings.Contains(text, `/a\b`) || !strings.Contains(text, "November 28, 2026") {
		t.Errorf("got\n%s", text)
	}
}
