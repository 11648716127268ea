package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/dashboards"
	"github.com/smartvillage/nabz/internal/progress"
	"github.com/smartvillage/nabz/telemetry"
)

type dashboardsCommand struct {
	Install dashboardsInstall `cmd:"" help:"Write data sources and dashboards where Grafana finds them."`
	Check   dashboardsCheck   `cmd:"" help:"Ask every query of every panel of InfluxDB."`
}

type dashboardsInstall struct {
	Dir    string `name:"grafana-dir" placeholder:"DIR" required:"" help:"Folder of Grafana's configuration, such as /etc/grafana."`
	Board  string `name:"board-url" placeholder:"URL" help:"Address of nabz's board as people reach it, for links. Default: http://127.0.0.1:8080."`
	Influx string `name:"influx-url" placeholder:"URL" help:"Address of InfluxDB as Grafana reaches it. Default: influx.url."`
	Token  string `name:"token-file" placeholder:"FILE" help:"Holds a credential that may read both buckets. Default: the collector's own (influx.token), which may write, too."`
	fileFlag
}

func (d *dashboardsInstall) do(stdout io.Writer) error {
	run := runCommand{fileFlag: d.fileFlag} // InfluxDB's address and token may be in the environment
	c, err := run.load()
	if err != nil {
		return err
	}
	g := dashboards.Grafana{Dir: d.Dir, Board: d.Board, Influx: c.Influx.URL, Token: c.Influx.Token, DetailBucket: c.Influx.DetailBucket, LedgerBucket: c.Influx.LedgerBucket}
	if d.Influx != "" {
		g.Influx = d.Influx
	}
	if d.Token != "" {
		b, err := os.ReadFile(d.Token)
		if err != nil {
			return fmt.Errorf("read --token-file: %w", err)
		}
		if g.Token = strings.TrimSpace(string(b)); g.Token == "" {
			return fmt.Errorf("--token-file %s is empty; put an API token into it (1.8: \"user:password\")", d.Token)
		}
	}
	if err := g.Install(func(format string, a ...any) { fmt.Fprintf(stdout, format+"\n", a...) }); err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, "next: restart Grafana (systemctl restart grafana-server); the dashboards are in its folder nabz.\n      nabz-collector dashboards check tells whether InfluxDB answers all their queries")
	return err
}

// counted shows how many queries of all were asked.
type counted struct {
	*store.Store
	bar   *progress.Bar
	n, of int64
}

func (c *counted) Query(ctx context.Context, tier telemetry.Tier, query string) ([]store.Series, error) {
	series, err := c.Store.Query(ctx, tier, query)
	c.n++
	c.bar.Show(float64(c.n)/float64(c.of), c.n)
	return series, err
}

// queries is how many there are to ask.
func queries(all []dashboards.Dashboard) (n int64) {
	for _, d := range all {
		for _, v := range d.Variables {
			if v.Kind == "query" {
				n++
			}
		}
		for _, p := range d.Panels {
			n += int64(len(p.Queries))
		}
	}
	return n
}

type dashboardsCheck struct {
	Range time.Duration `name:"range" placeholder:"LENGTH" default:"24h" help:"How much of the past is asked for, such as 720h."`
	fileFlag
}

func (d *dashboardsCheck) do(ctx context.Context, stdout, stderr io.Writer) error {
	if d.Range < time.Minute {
		return fmt.Errorf("--range %v is too short; a minute is the least", d.Range)
	}
	run := runCommand{fileFlag: d.fileFlag}
	c, err := run.load()
	if err != nil {
		return err
	}
	s, err := collector.OpenStore(c)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Ping(ctx); err != nil {
		return err
	}
	now := time.Now()
	all := dashboards.All("")
	q := &counted{Store: s, of: queries(all), bar: progress.New(stderr, "dashboards", "queries", time.Now)}
	defer q.bar.Close()
	tried, err := dashboards.Check(ctx, q, all, now.Add(-d.Range), now)
	if err == nil {
		q.bar.Finish("asked")
	}
	out := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "DASHBOARD\tPANEL\tQUERY\tROWS\tMS\tERROR")
	failed, empty := 0, 0
	for _, t := range tried {
		words := ""
		switch {
		case t.Err != nil:
			failed++
			words = reason(t.Err.Error())
		case t.Rows == 0:
			empty++
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\t%s\n", strings.TrimPrefix(t.Dashboard, "nabz: "), t.Panel, t.Ref, t.Rows, t.Took.Milliseconds(), words)
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d queries, %d without rows, %d failed\n", len(tried), empty, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d queries failed; what each says is in the last column", failed, len(tried))
	}
	return nil
}
