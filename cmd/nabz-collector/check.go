package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/smartvillage/nabz/collector/checkup"
	"github.com/smartvillage/nabz/internal/command"
	"github.com/smartvillage/nabz/internal/finding"
)

type checkCommand struct {
	JSON    bool   `name:"json" help:"Print JSON, for other programs."`
	Ready   bool   `name:"ready" help:"Ask only whether the collector that runs is ready, as a container's health check does."`
	Grafana string `name:"grafana-dir" placeholder:"DIR" default:"/etc/grafana" help:"Folder of Grafana's configuration, where it is on this machine."`
	fileFlag
}

// do looks at everything in the order in which it is mended.
func (k *checkCommand) do(ctx context.Context, stdout io.Writer) error {
	findings := []finding.Finding{}
	tell := func(f finding.Finding) {
		if findings = append(findings, f); !k.JSON {
			_, _ = f.WriteTo(stdout)
		}
	}
	run := runCommand{fileFlag: k.fileFlag} // InfluxDB's address and token may be in the environment
	c, err := run.load()
	if err != nil {
		tell(finding.Finding{Matter: "configuration", Grade: finding.Fail, Found: "what stands below is not right; nothing else was looked at"})
		if k.JSON {
			findings[0].Found = err.Error()
			return errors.Join(printJSON(stdout, findings), command.Exit(finding.Fail.Status()))
		}
		return err
	}
	file := k.ConfigFile
	if file == "" {
		file = defaultFile
	}
	if k.Ready {
		return checkup.Ready(ctx, c)
	}
	worst := checkup.Run(ctx, checkup.Options{Config: c, File: file, GrafanaDir: k.Grafana, Version: command.Version(), Now: time.Now}, tell)
	if ctx.Err() != nil {
		return errors.New("stopped before the end")
	}
	if k.JSON {
		err = printJSON(stdout, findings)
	} else if worst == finding.Pass {
		_, err = fmt.Fprintln(stdout, "all is well")
	}
	if status := worst.Status(); err == nil && status != 0 {
		err = command.Exit(status)
	}
	return err
}
