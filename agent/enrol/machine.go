package enrol

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/shirou/gopsutil/v3/disk"

	"github.com/smartvillage/nabz/agent"
)

// group is that of the agent's own user where one was made for it; it has to read what root writes here.
const group = "nabz-agent"

// roomFor is the folder for the spool, or another where that would lie in RAM and the other would not: everything under /var does on OpenWrt.
func roomFor(dir, other string) string {
	if inRAM(dir) && !inRAM(other) {
		return other
	}
	return dir
}

func inRAM(dir string) bool {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	u, err := disk.Usage(dir)
	return err == nil && (u.Fstype == "tmpfs" || u.Fstype == "ramfs")
}

// Where a service manager of each kind shows that it is there.
const (
	systemdRuns = "/run/systemd/system"
	initScript  = "/etc/init.d/nabz-agent"
)

// startCommand has the agent started anew, and at each boot, by whatever manages services here; "" where nothing does.
func startCommand() string {
	if _, err := os.Stat(systemdRuns); err == nil {
		return "systemctl enable nabz-agent && systemctl restart nabz-agent"
	}
	if _, err := os.Stat(initScript); err == nil {
		return initScript + " enable && " + initScript + " restart"
	}
	return ""
}

// start becomes the command that starts the agent, or says how to. To become it takes no room; to start a process would be 60 kB of a router's binary.
func start(ctx context.Context, o Options, dataDir string) error {
	command := startCommand()
	if command != "" && o.Start {
		fmt.Fprintln(o.Out, "starting the agent: "+command)
		err := syscall.Exec("/bin/sh", []string{"sh", "-c", command + " && echo 'next: nabz-agent check'"}, os.Environ())
		return fmt.Errorf("enrolled, but the agent is not started: %w; run: %s", err, command)
	}
	if command == "" {
		command = "nabz-agent run --config " + o.ConfigFile
		if _, err := agent.ReadStatus(ctx, dataDir); err == nil {
			command = "stop the agent that is running, and " + command
		}
	}
	_, err := fmt.Fprintf(o.Out, "next: %s; then nabz-agent check\n", command)
	return err
}
