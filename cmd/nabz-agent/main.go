// Program nabz-agent takes the pulse of a site's internet link.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/mdlayher/sdnotify"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/checkup"
	"github.com/smartvillage/nabz/agent/enrol"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/conf"
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
		_, err = fmt.Fprintln(stdout, command.About("nabz-agent"))
	case "config":
		err = example(c.settings["profile"], stdout)
	case "enroll":
		err = enroll(ctx, c, stdout)
	case "check":
		err = check(ctx, c.settings, stdout)
	case "status":
		err = status(ctx, c, stdout)
	case "speedtest":
		err = speedTest(ctx, c, stdout)
	default:
		err = start(ctx, c.settings, stderr)
	}
	return err
}

// example prints the commented configuration of a profile.
func example(profile setting, stdout io.Writer) error {
	if p := profile.value; p != "" && p != agent.Standard && p != agent.Metered {
		return fmt.Errorf("%s: %q is none of %s, %s", profile.source, p, agent.Standard, agent.Metered)
	}
	_, err := io.WriteString(stdout, agent.ExampleOf(profile.value))
	return err
}

// enroll makes this router an agent of the programme.
func enroll(ctx context.Context, c commandLine, stdout io.Writer) error {
	if c.token == "-" {
		b, err := io.ReadAll(io.LimitReader(os.Stdin, maxToken))
		if err != nil {
			return fmt.Errorf("read the token from standard input: %w", err)
		}
		c.token = string(b)
	}
	for _, name := range []string{"site", "agent", "broker", "profile"} {
		if s, given := c.settings[name]; given {
			return fmt.Errorf("%s: enrolment tells it, so it cannot be set here; change the configuration afterwards", s.source)
		}
	}
	file, _ := fileOf(c.settings)
	return enrol.Run(ctx, enrol.Options{Token: c.token, ConfigFile: file, SecretFile: c.settings["secret-file"].value, DataDir: c.settings["data-dir"].value,
		Overwrite: c.replace, Start: !c.stay, Out: stdout})
}

// maxToken is more than a token takes, in bytes.
const maxToken = 4096

// The exit statuses of check.
const (
	statusFail = 1
	statusWarn = 3
)

// check looks at everything in the order in which it is mended.
func check(ctx context.Context, settings map[string]setting, stdout io.Writer) error {
	c, _, err := load(settings)
	if err != nil {
		fmt.Fprintf(stdout, "%-4s  %-13s what stands below is not right; nothing else was looked at\n", checkup.Fail, "configuration")
		return err
	}
	c.Version = command.Version()
	worst := checkup.Run(ctx, c, where(settings), func(f checkup.Finding) { _, _ = f.WriteTo(stdout) })
	switch {
	case ctx.Err() != nil:
		return errors.New("stopped before the end")
	case worst == checkup.Fail:
		return command.Exit(statusFail)
	case worst == checkup.Warn:
		return command.Exit(statusWarn)
	}
	return nil
}

// status asks the running agent.
func status(ctx context.Context, c commandLine, stdout io.Writer) error {
	dir, fault := folder(c.settings)
	if dir == "" {
		return fault
	}
	s, err := agent.ReadStatus(ctx, dir)
	if err != nil {
		return errors.Join(fault, err)
	}
	return show(c, s, stdout)
}

// speedTest has the running agent measure its throughput now.
func speedTest(ctx context.Context, c commandLine, stdout io.Writer) error {
	dir, fault := folder(c.settings)
	if dir == "" {
		return fault
	}
	s, err := agent.SpeedTest(ctx, dir)
	if err != nil {
		return errors.Join(fault, fmt.Errorf("speed test: %w", err))
	}
	return show(c, s, stdout)
}

// folder is where to ask a running agent. One that runs is asked though its file was spoilt since; but when the file does not tell where that is,
// the folder is "", as the default may be that of another agent. The fault is that of the configuration.
func folder(settings map[string]setting) (dir string, fault error) {
	c, doc, err := load(settings)
	if s, given := settings["data-dir"]; given {
		return s.value, err
	}
	if err == nil || doc.Has("data_dir") {
		return c.DataDir, err
	}
	if _, there := fileOf(settings); there {
		return "", err
	}
	return c.DataDir, nil // no file, and so no site; the default folder is what was meant
}

// show writes an answer for a person, or as JSON.
func show(c commandLine, answer io.WriterTo, stdout io.Writer) error {
	if c.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(answer)
	}
	_, err := answer.WriteTo(stdout)
	return err
}

// defaultFile is read when no --config is given, and may be missing then.
const defaultFile = "/etc/nabz/agent.toml"

func start(ctx context.Context, settings map[string]setting, stderr io.Writer) error {
	runtime.GOMAXPROCS(1)  // one core carries it, and each further one costs a cache of memory: a megabyte less on two
	debug.SetGCPercent(25) // half a megabyte is alive; the heap would grow to four before it is first cleared up, and so to one
	c, _, err := load(settings)
	if err != nil {
		return err
	}
	c.Version = command.Version()
	c.Checkup = func(ctx context.Context) string {
		var b strings.Builder
		checkup.Run(ctx, c, where(settings), func(f checkup.Finding) { _, _ = f.WriteTo(&b) })
		return b.String()
	}
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

// fileOf is the configuration file that is read; false where there is none.
func fileOf(settings map[string]setting) (string, bool) {
	if s, ok := settings["config"]; ok {
		return s.value, true
	}
	return defaultFile, there(defaultFile) || there(agent.LocalFile(defaultFile))
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// where is what was configured, for a person.
func where(settings map[string]setting) string {
	name, ok := fileOf(settings)
	switch local := agent.LocalFile(name); {
	case !ok:
		return "defaults and flags"
	case there(local) && there(name):
		return name + " and " + filepath.Base(local)
	case there(local):
		return local
	}
	return name
}

// load reads the file, lets flags and environment win, and checks the whole.
func load(settings map[string]setting) (agent.Config, *conf.Doc, error) {
	file, given := defaultFile, false
	if s, ok := settings["config"]; ok {
		file, given = s.value, true
	}
	profile := settings["profile"]
	c, doc, err := agent.Read(file, profile.value)
	if doc == nil {
		if given || !errors.Is(err, os.ErrNotExist) {
			return c, nil, err
		}
		if c, doc, err = agent.Parse("defaults", nil, profile.value); err != nil {
			return c, doc, err
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
	err = errors.Join(err, c.Validate(doc))
	if err != nil && !there(file) {
		err = errors.Join(fmt.Errorf("there is no %s; make it with \"nabz-agent config > %s\", or name yours with --config", file, file), err)
	}
	return c, doc, err
}
