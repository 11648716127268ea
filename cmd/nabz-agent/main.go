// Program nabz-agent takes the pulse of a site's internet link.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/mdlayher/sdnotify"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/command"
)

func main() { os.Exit(command.Run("nabz-agent", run, os.Args[1:], os.Stdout, os.Stderr)) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := parse(args, os.Getenv)
	if err != nil {
		return err
	}
	switch c.command {
	case "help":
		_, err = io.WriteString(stdout, help())
	case "version":
		_, err = fmt.Fprintln(stdout, command.Version())
	case "config":
		_, err = io.WriteString(stdout, agent.Example)
	default:
		err = start(ctx, c.settings, stderr)
	}
	return err
}

// defaultFile is read when no --config is given, and may be missing then.
const defaultFile = "/etc/nabz/agent.toml"

func start(ctx context.Context, settings map[string]setting, stderr io.Writer) error {
	c, err := load(settings)
	if err != nil {
		return err
	}
	c.Version = command.Version()
	if n, err := sdnotify.New(); err == nil { // there is a service manager that waits for it
		defer n.Close()
		c.Notify = func(state ...string) { _ = n.Notify(state...) }
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return err
	}
	return agent.Run(ctx, c, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})))
}

// load reads the file, lets flags and environment win, and checks the whole.
func load(settings map[string]setting) (agent.Config, error) {
	file, given := defaultFile, false
	if s, ok := settings["config"]; ok {
		file, given = s.value, true
	}
	profile := settings["profile"]
	c, doc, err := agent.Read(file, profile.value)
	if doc == nil {
		if given || !errors.Is(err, os.ErrNotExist) {
			return c, err
		}
		if c, doc, err = agent.Parse(file, nil, profile.value); err != nil {
			return c, err
		}
	}
	to := map[string]*string{"site": &c.Site, "agent": &c.Agent, "profile": &c.Profile, "secret-file": &c.SecretFile, "data-dir": &c.DataDir, "log-level": &c.LogLevel}
	for _, o := range options() {
		s, given := settings[o.name]
		switch {
		case !given || o.key == "":
		case o.name == "broker":
			c.Brokers = strings.Split(s.value, ",")
			for i := range c.Brokers {
				doc.Override(fmt.Sprintf("brokers[%d]", i), s.source)
			}
		default:
			*to[o.name] = s.value
			doc.Override(o.key, s.source)
		}
	}
	return c, errors.Join(err, c.Validate(doc))
}
