package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/smartvillage/nabz/internal/manual"
)

func model(t *testing.T) *kong.Node {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("nabz-collector"), kong.Vars{"version": "-"})
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Node
}

func TestEveryCommandTeachesItselfAndNoneIsTaughtThatIsNot(t *testing.T) {
	p, err := program(model(t))
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for _, page := range p.Pages {
		paths[strings.TrimPrefix(page.Name, "nabz-collector ")] = true
		got, err := manual.Parse(page.String())
		if err != nil || got.String() != page.String() {
			t.Errorf("%s: its help is not read as it is printed: %v\n%s", page.Name, err, page)
		}
		for _, f := range page.Flags() {
			if f.Text == "" {
				t.Errorf("%s: %s says nothing", page.Name, f.Long)
			}
		}
		for _, example := range page.Section(manual.Examples).Lines {
			if !strings.HasPrefix(example, page.Name) && page.Name != "nabz-collector" {
				t.Errorf("%s has an example of something else: %s", page.Name, example)
			}
		}
	}
	_, texts, _ := strings.Cut(commandTexts, "\n\n")
	for line := range strings.Lines(texts) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, " ") && !paths[line] {
			t.Errorf("commands.txt tells of %q, which is no command", line)
		}
	}
}

func TestTheExamplesOfTheHelpAreTakenByTheProgram(t *testing.T) {
	root := model(t)
	p, err := program(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range p.Pages {
		for _, example := range page.Section(manual.Examples).Lines {
			typed, _, _ := strings.Cut(example, " > ")
			typed, _, _ = strings.Cut(typed, " | ")
			var c commands
			parser, err := kong.New(&c, kong.Name("nabz-collector"), kong.Vars{"version": "-"}, kong.Writers(&bytes.Buffer{}, &bytes.Buffer{}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(strings.Fields(typed)[1:]); err != nil {
				t.Errorf("%s: %v", example, err)
			}
		}
	}
}
