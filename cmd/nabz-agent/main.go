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
	"time"

	"github.com/mdlayher/sdnotify"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/checkup"
	"github.com/smartvillage/nabz/agent/enrol"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/terminal"
	"github.com/smartvillage/nabz/telemetry"
)

func main() {
	args := command.Hide(os.Args[1:], tokens(os.Args[1:]))
	os.Exit(command.Run("nabz-agent", run, args, os.Stdout, os.Stderr))
}

// tokens tells which arguments may be a token, or a piece of one that was cut by a space.
func tokens(args []string) func(string) bool {
	enrols := len(args) > 0 && args[0] == "enroll"
	return func(arg string) bool {
		flag := strings.HasPrefix(arg, "-") && len(arg) <= longFlag
		return telemetry.HoldsEnrolment(arg) || enrols && arg != "enroll" && !flag && !strings.Contains(arg, "/")
	}
}

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
		err = check(ctx, c.settings, painted(stdout))
	case "status":
		err = status(ctx, c, stdout)
	case "speedtest":
		err = speedTest(ctx, c, stdout, stderr)
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
	var err error
	switch {
	case c.token == "" && terminal.Is(os.Stdin):
		c.token, err = askToken(ctx, os.Stdin, stdout)
	case c.token == "":
		err = command.Usage(errors.New("enroll needs the token that \"nabz-collector agent add\" printed at the NOC; - reads it from standard input, and a terminal is asked for it"))
	case c.token == "-":
		c.token, err = readToken(os.Stdin)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{"site", "agent", "broker", "profile"} {
		if s, given := c.settings[name]; given {
			return fmt.Errorf("%s: enrolment tells it, so it cannot be set here; change the configuration afterwards", s.source)
		}
	}
	file, _ := fileOf(c.settings)
	return enrol.Run(ctx, enrol.Options{Token: c.token, ConfigFile: file, SecretFile: c.settings["secret-file"].value, DataDir: c.settings["data-dir"].value,
		Overwrite: c.replace, Start: !c.stay, Out: stdout, Now: time.Now})
}

// check looks at everything in the order in which it is mended.
func check(ctx context.Context, settings map[string]setting, stdout io.Writer) error {
	c, _, err := load(settings)
	if err != nil {
		fmt.Fprintf(stdout, "%-4s  %-13s what stands below is not right; nothing else was looked at\n", checkup.Fail, "configuration")
		return err
	}
	c.Version = command.Version()
	worst := checkup.Run(ctx, c, where(settings), func(f checkup.Finding) { _, _ = f.WriteTo(stdout) })
	if ctx.Err() != nil {
		return errors.New("stopped before the end")
	}
	if status := worst.Status(); status != 0 {
		return command.Exit(status)
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
func speedTest(ctx context.Context, c commandLine, stdout, stderr io.Writer) error {
	dir, fault := folder(c.settings)
	if dir == "" {
		return fault
	}
	if terminal.Is(stderr) {
		fmt.Fprintln(stderr, "the agent measures; Ctrl-C stops waiting for it")
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

// painted has the colours of what is good and bad, on a terminal.
func painted(stdout io.Writer) io.Writer {
	grades := terminal.First(map[string]terminal.Colour{"pass": terminal.Green, "warn": terminal.Yellow, "FAIL": terminal.Red, "note": terminal.Yellow, "next": terminal.Bold})
	state := terminal.Cells(map[string]terminal.Colour{"up": terminal.Green, "degraded": terminal.Yellow, "down": terminal.Red})
	return terminal.Paint(stdout, os.Getenv, func(line string) string {
		if strings.HasPrefix(line, "link  ") {
			return state(line)
		}
		return grades(line)
	})
}

// show writes an answer for a person, or as JSON.
func show(c commandLine, answer io.WriterTo, stdout io.Writer) error {
	if c.json {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(answer)
	}
	_, err := answer.WriteTo(painted(stdout))
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
