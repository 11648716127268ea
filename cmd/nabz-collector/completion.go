package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/alecthomas/kong"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/manual"
)

type completionCommand struct {
	What string `arg:"" placeholder:"bash|zsh|fish|sites|agents|users|reports" help:"The shell; or what is to be listed."`
	fileFlag
}

// program is every command of the model, for a shell.
func program(root *kong.Node) (manual.Program, error) {
	p := manual.Program{Name: root.Name, Lister: map[string]string{"SITE": "completion sites", "SITE/AGENT": "completion agents", "USER": "completion users", "REPORT": "completion reports"}}
	var walk func(n *kong.Node) error
	walk = func(n *kong.Node) error {
		if n.Hidden || n.Parent != nil && n.Parent != root && n.Parent.DefaultCmd == n {
			return nil
		}
		page, err := pageOf(root, n)
		p.Pages = append(p.Pages, page)
		for _, child := range n.Children {
			err = errors.Join(err, walk(child))
		}
		return err
	}
	return p, walk(root)
}

// plainID is what is passed on to a shell: one that is anything else could be read as a command there.
var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@/-]*$`)

// do prints the completion of a shell, or the words of one kind. What cannot be read is no fault then: nobody asked for it.
func (c *completionCommand) do(root *kong.Node, stdout io.Writer) error {
	list := map[string]func() []string{"sites": c.sites, "agents": c.agents, "users": c.users, "reports": c.reports}[c.What]
	if list == nil {
		p, err := program(root)
		if err != nil {
			return err
		}
		text, err := p.Completion(c.What)
		if err != nil {
			return command.Usage(err)
		}
		_, err = io.WriteString(stdout, text)
		return err
	}
	for _, word := range list() {
		if plainID.MatchString(word) {
			if _, err := fmt.Fprintln(stdout, word); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *completionCommand) registry() *fleet.Registry {
	if r, _, err := c.open(); err == nil {
		return r
	}
	return nil
}

func (c *completionCommand) sites() (ids []string) {
	if r := c.registry(); r != nil {
		for _, s := range r.Sites() {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func (c *completionCommand) agents() (ids []string) {
	if r := c.registry(); r != nil {
		for _, a := range r.Agents() {
			ids = append(ids, a.String())
		}
	}
	return ids
}

func (c *completionCommand) users() (names []string) {
	if p, _, err := c.people(); err == nil {
		for _, u := range p.Users() {
			names = append(names, u.Name)
		}
	}
	return names
}

func (c *completionCommand) reports() (ids []string) {
	f, _, err := c.read()
	if err != nil {
		return nil
	}
	all, err := collector.Reports(f, time.Now).List()
	if err != nil {
		return nil
	}
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ids
}
