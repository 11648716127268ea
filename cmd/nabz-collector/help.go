package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/manual"
)

//go:embed overview.txt
var overview string

//go:embed commands.txt
var commandTexts string

// help prints the page of what was asked for: the whole program, a group of commands, or one.
func help(_ kong.HelpOptions, ctx *kong.Context) error {
	n := ctx.Selected()
	asked := n != nil && n.Type == kong.CommandNode && typed(ctx, n)
	if !asked {
		n = ctx.Model.Node
	}
	page, err := pageOf(ctx.Model.Node, n)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(ctx.Stdout, page)
	return err
}

// typed tells whether a person named the command; one that is the default was not.
func typed(ctx *kong.Context, n *kong.Node) bool {
	return slices.Contains(ctx.Args, n.Name)
}

// pageOf is the page of a node of the model.
func pageOf(root, n *kong.Node) (manual.Page, error) {
	if n == root {
		return wholePage(root)
	}
	if len(n.Children) > 0 && n.DefaultCmd == nil {
		return groupPage(n), nil
	}
	page := manual.Page{Name: n.FullPath(), Brief: brief(n.Help)}
	path := n.Path()
	if n.Parent != nil && n.Parent != root && n.Parent.DefaultCmd == n {
		path = n.Parent.Path()
	}
	text, err := textOf(path)
	if err != nil {
		return page, err
	}
	page.Sections = []manual.Section{{Title: manual.Synopsis, Lines: []string{synopsis(n)}}, {Title: manual.About, Text: text.about}}
	if len(n.Children) > 0 {
		page.Sections[0].Lines = append(page.Sections[0].Lines, n.FullPath()+" COMMAND [ARGUMENT]...")
		page.Sections = append(page.Sections, commandsOf(n, n.Path()+" "))
	}
	if o := optionsOf(n); len(o.Items) > 0 {
		page.Sections = append(page.Sections, o)
	}
	if len(text.examples) > 0 {
		page.Sections = append(page.Sections, manual.Section{Title: manual.Examples, Lines: text.examples})
	}
	return page, nil
}

// wholePage is the overview, with what the model knows in its places.
func wholePage(root *kong.Node) (manual.Page, error) {
	page, err := manual.Parse(overview)
	if err != nil {
		return page, fmt.Errorf("overview.txt: %w", err)
	}
	for i, s := range page.Sections {
		switch s.Title {
		case manual.Commands:
			page.Sections[i].Items = commandsOf(root, "").Items
		case manual.Options:
			page.Sections[i].Items = append(optionsOf(root.DefaultCmd).Items, optionsOf(root).Items...)
		}
	}
	lines := []string{strings.Replace(synopsis(root.DefaultCmd), " run", " [run]", 1), root.Name + " COMMAND [ARGUMENT]...", root.Name + " COMMAND --help", root.Name + " --help | --version"}
	page.Sections = slices.Insert(page.Sections, 0, manual.Section{Title: manual.Synopsis, Lines: lines})
	return page, nil
}

func groupPage(n *kong.Node) manual.Page {
	return manual.Page{Name: n.FullPath(), Brief: brief(n.Help), Sections: []manual.Section{
		{Title: manual.Synopsis, Lines: []string{n.FullPath() + " COMMAND [ARGUMENT]...", n.FullPath() + " COMMAND --help"}}, commandsOf(n, n.Path()+" ")}}
}

// brief is a sentence as it stands behind a name.
func brief(sentence string) string {
	sentence = strings.TrimSuffix(strings.TrimSuffix(sentence, "."), " (the default)")
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

// commandsOf lists what is below a node and can be run, without the words in front.
func commandsOf(n *kong.Node, without string) manual.Section {
	s := manual.Section{Title: manual.Commands}
	for _, child := range n.Children {
		switch {
		case child.Hidden || child == n.DefaultCmd && n.Parent != nil:
			continue
		case len(child.Children) == 0 || child.DefaultCmd != nil:
			s.Items = append(s.Items, manual.Item{Term: strings.TrimPrefix(child.Path(), without), Text: child.Help})
		}
		s.Items = append(s.Items, commandsOf(child, without).Items...)
	}
	return s
}

// runs is the node whose flags and arguments a command takes: its own, or those of its default.
func runs(n *kong.Node) *kong.Node {
	if n.DefaultCmd != nil && n.Parent != nil {
		return n.DefaultCmd
	}
	return n
}

func optionsOf(n *kong.Node) manual.Section {
	s := manual.Section{Title: manual.Options}
	for _, f := range runs(n).Flags {
		if f.Hidden || f.Name == "help" && n.Parent != nil {
			continue
		}
		term := "--" + f.Name
		if f.Short != 0 {
			term = fmt.Sprintf("-%c, %s", f.Short, term)
		}
		if f.PlaceHolder != "" {
			term += " " + f.PlaceHolder
		}
		if len(f.Envs) > 0 {
			term += "  " + f.Envs[0]
		}
		s.Items = append(s.Items, manual.Item{Term: term, Text: f.Help})
	}
	return s
}

// synopsis is a command as it is typed.
func synopsis(n *kong.Node) string {
	words := []string{n.FullPath()}
	for _, p := range runs(n).Positional {
		word := strings.ToUpper(p.Name)
		if p.Tag.PlaceHolder != "" {
			word = p.Tag.PlaceHolder
		}
		if !p.Required {
			word = "[" + word + "]"
		}
		if p.IsCumulative() {
			word += "..."
		}
		words = append(words, word)
	}
	for _, f := range runs(n).Flags {
		if f.Hidden || f.Name == "help" {
			continue
		}
		word := "--" + f.Name
		if f.PlaceHolder != "" {
			word += " " + f.PlaceHolder
		}
		if !f.Required {
			word = "[" + word + "]"
		}
		if f.IsCumulative() {
			word += "..."
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// meant says which command a person may have meant who began with none.
func meant(root *kong.Node, args []string, err error) error {
	var known []string
	for _, n := range root.Children {
		known = append(known, n.Name)
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || slices.Contains(known, args[0]) {
		return err
	}
	if near := conf.Nearest(args[0], known); near != "" {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], near)
	}
	return fmt.Errorf("unknown command %q; there are %s", args[0], strings.Join(known, ", "))
}

// told is what commands.txt says of a command.
type told struct{ about, examples []string }

// textOf finds what commands.txt says of a command.
func textOf(path string) (told, error) {
	var t told
	_, rest, found := strings.Cut(commandTexts, "\n\n"+path+"\n")
	if !found {
		return t, fmt.Errorf("commands.txt says nothing of %q", path)
	}
	for line := range strings.Lines(rest) {
		text := strings.TrimSpace(line)
		example, is := strings.CutPrefix(text, "$ ")
		switch {
		case text == "":
		case !strings.HasPrefix(line, " "):
			return t, nil
		case is:
			t.examples = append(t.examples, example)
		default:
			t.about = append(t.about, text)
		}
	}
	return t, nil
}
