package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/packaging"
)

// The budgets of the agent.
const (
	limitRSS     = 12 << 20
	limitCPUPct  = 0.2
	limitBinary  = 9e6 // mipsle
	limitPackage = 3.2e6
	limitFlash   = 1 << 20
)

// settle is what the agent gets to find out that its link is cut.
const settle = 2 * time.Minute

// Footprint says what to measure of the agent on its machine.
type Footprint struct {
	Programs Programs // Agent is not used: the release is built
	Root     string   // of the checkout, whose packages are made
	For      time.Duration
	Warm     time.Duration
	Log      io.Writer
}

// targets are what is shipped. The first that is this machine's is run.
func targets() []string { return []string{"amd64", "arm64", "armv7", "mips", "mipsle"} }

// Run builds the releases, runs this machine's one first with its link and then without, and returns the figures. It has to run in an empty
// network namespace of its own.
func (f Footprint) Run(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "bench-agent-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	native, err := f.native()
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "packages")
	made, err := f.packages(ctx, out)
	if err != nil {
		return nil, err
	}
	for _, target := range targets() {
		i, err := os.Stat(packaging.ProgramIn(out, "nabz-agent", target))
		if err != nil {
			return nil, err
		}
		b := Figure{Name: "agent_binary_" + target, Value: float64(i.Size()), Unit: "B"}
		if target == "mipsle" {
			b.Limit = limitBinary
		}
		figures = append(figures, b)
	}
	figures = append(figures, made...)
	f.Programs.Agent = packaging.ProgramIn(out, "nabz-agent", native)
	if err := unix.Chmod(f.Programs.Agent, 0o755); err != nil {
		return nil, fmt.Errorf("there is no release for this machine: %w", err)
	}
	run, err := f.live(ctx, dir)
	return append(figures, run...), err
}

func (f Footprint) native() (string, error) {
	name, ok := map[string]string{"amd64": "amd64", "arm64": "arm64", "arm": "armv7"}[runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no release runs on a machine of %s", runtime.GOARCH)
	}
	return name, nil
}

// packages makes those of the agent, as they are shipped, and tells what they weigh.
func (f Footprint) packages(ctx context.Context, out string) ([]Figure, error) {
	source, err := packaging.Look(ctx, f.Root, "0.0.0")
	if err != nil {
		return nil, err
	}
	agents := slices.DeleteFunc(packaging.All(), func(p packaging.Package) bool { return p.Program != "nabz-agent" })
	made, err := packaging.Build(ctx, source, agents, out, f.Log)
	if err != nil {
		return nil, err
	}
	var figures []Figure
	for _, p := range agents {
		for _, m := range made {
			if m.File == p.File(source.Version) {
				figures = append(figures, Figure{Name: "agent_package_" + p.Arch + "_" + p.Kind, Value: float64(m.Size), Unit: "B", Limit: limitPackage})
			}
		}
	}
	return figures, nil
}

// live runs the agent behind a link, signed in over TLS.
func (f Footprint) live(ctx context.Context, dir string) (_ []Figure, err error) {
	const name = "standard"
	c, err := openCentre(ctx, f.Programs, dir, []string{name}, f.Log)
	if err != nil {
		return nil, err
	}
	defer c.close()
	v, err := openVillage(ctx, c, name, brokerHost, 1, profiles()[0].settings)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.connected(ctx); err != nil {
		return nil, err
	}
	w := Wire{For: f.For, Log: f.Log}
	s := []*survey{{profile: profile{name: name}, village: v}}
	use := func(what string, length time.Duration) (a, b usage, err error) {
		if a, err = readUsage(v.agent.pid()); err != nil {
			return a, b, err
		}
		if err = w.wait(ctx, what, length, s); err != nil {
			return a, b, err
		}
		b, err = readUsage(v.agent.pid())
		return a, b, err
	}
	if _, _, err := use("bench-agent: warming up", f.Warm); err != nil {
		return nil, err
	}
	a, b, err := use("bench-agent: link up", f.For)
	if err != nil {
		return nil, err
	}
	if err := v.cut(ctx); err != nil {
		return nil, err
	}
	if _, _, err := use("bench-agent: the agent finds the link down", settle); err != nil {
		return nil, err
	}
	d, e, err := use("bench-agent: link down", f.For/2)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(f.Log, "bench-agent: after %v: %d KiB in memory, of which %d its own; most ever %d; %d threads\n", f.For, b.rss>>10, b.anon>>10, b.peak>>10, b.threads)
	rate := func(x, y usage) float64 { return 100 * (y.cpu - x.cpu).Seconds() / y.at.Sub(x.at).Seconds() }
	figures := []Figure{
		{Name: "agent_rss", Value: float64(b.rss), Unit: "B", Limit: limitRSS},
		{Name: "agent_rss_anon", Value: float64(b.anon), Unit: "B"},
		{Name: "agent_rss_link_down", Value: float64(e.rss), Unit: "B", Limit: limitRSS},
		{Name: "agent_cpu_link_up", Value: rate(a, b), Unit: "%", Limit: limitCPUPct},
		{Name: "agent_cpu_link_up_hour", Value: rate(a, b) * 36, Unit: "s"},
		{Name: "agent_cpu_link_down", Value: rate(d, e), Unit: "%", Limit: limitCPUPct},
		{Name: "agent_cpu_link_down_hour", Value: rate(d, e) * 36, Unit: "s"},
	}
	var on unix.Statfs_t
	if err := unix.Statfs(dir, &on); err != nil {
		return nil, err
	}
	if int64(on.Type) == unix.TMPFS_MAGIC {
		fmt.Fprintf(f.Log, "bench-agent: %s is in RAM, so flash writes cannot be counted; set TMPDIR to a folder on a disk\n", dir)
		return figures, nil
	}
	day := float64(b.written-a.written) * float64(24*time.Hour) / float64(b.at.Sub(a.at))
	return append(figures, Figure{Name: "agent_flash_day", Value: float64(int64(day)), Unit: "B", Limit: limitFlash}), nil
}
