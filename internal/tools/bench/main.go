//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/smartvillage/nabz/internal/bench"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/influxd"
)

func main() { os.Exit(command.Run("bench", run, os.Args[1:], os.Stdout, os.Stderr)) }

// settings is what can be told on the command line.
type settings struct {
	what    string
	bin     string
	length  time.Duration
	warm    time.Duration
	influxd string // set when we are inside
	rounds  int
	only    []string
	profile string
	extra   string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s := settings{}
	if len(args) > 0 {
		s.what, args = args[0], args[1:]
	}
	switch s.what {
	case "load":
		return loads(ctx, args, stdout)
	case "profiled":
		return profiled(ctx, args, stderr)
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.bin, "bin", "bin", "folder of the built programs")
	fs.DurationVar(&s.length, "for", time.Hour, "how long to look")
	fs.DurationVar(&s.warm, "warm", time.Minute, "how long to let things settle before")
	fs.StringVar(&s.influxd, "inside", "", "for the tool itself: it runs in a namespace of its own, with this influxd")
	fs.IntVar(&s.rounds, "rounds", 3, "collector, report: slices or reports of each kind, of which the median counts")
	fs.Func("only", "parts that are wanted; collector: of rates,null,drain,mosquitto,storm,fleet; report: of month_10,month_100,month_1000,year_100; default all", func(v string) error { s.only = strings.Split(v, ","); return nil })
	fs.StringVar(&s.profile, "profile", "", "collector: file for a profile of its processor time, of the part that ran last")
	fs.StringVar(&s.extra, "extra", "", "collector: lines at the end of its configuration, to try something")
	if err := fs.Parse(args); err != nil {
		return command.Usage(err)
	}
	switch s.what {
	case "wire", "agent":
	case "report":
		return s.report(ctx, stdout, stderr)
	case "collector", "board":
		if s.length == time.Hour {
			s.length = map[string]time.Duration{"collector": 15 * time.Second, "board": 3 * time.Minute}[s.what]
		}
		return s.collect(ctx, stdout, stderr)
	default:
		return command.Usage(fmt.Errorf("want wire, agent, collector, board or report, not %q", s.what))
	}
	if s.influxd == "" {
		return s.outside(ctx, stdout, stderr)
	}
	return s.inside(ctx, stdout, stderr)
}

// outside gets what has to be fetched and runs this program again in an empty network namespace.
func (s settings) outside(ctx context.Context, stdout, stderr io.Writer) error {
	if os.Getuid() != 0 {
		return errors.New("needs root, for network namespaces of its own; run it as: sudo make bench-" + s.what)
	}
	for _, p := range []string{"ip", "nsenter", "mount"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("needs the program %s; apt-get install iproute2 util-linux", p)
		}
	}
	influx, err := influxd.Find(ctx, stderr)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, s.what, "-bin", s.bin, "-for", s.length.String(), "-warm", s.warm.String(), "-inside", influx)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	runtime.LockOSThread() // Pdeathsig: the child ends with the thread that started it
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("measure in a network namespace: %w", err)
	}
	return nil
}

func (s settings) inside(ctx context.Context, stdout, stderr io.Writer) error {
	bin, err := filepath.Abs(s.bin)
	if err != nil {
		return err
	}
	programs := bench.Programs{Agent: filepath.Join(bin, "nabz-agent"), Collector: filepath.Join(bin, "nabz-collector"), Influxd: s.influxd}
	var figures []bench.Figure
	switch s.what {
	case "wire":
		figures, err = bench.Wire{Programs: programs, For: s.length, Warm: s.warm, Log: stderr}.Run(ctx)
	case "agent":
		figures, err = bench.Footprint{Programs: programs, Root: ".", For: s.length, Warm: s.warm, Log: stderr}.Run(ctx)
	}
	if err != nil {
		return err
	}
	return bench.Print(stdout, figures)
}
