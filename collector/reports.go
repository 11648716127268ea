package collector

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
)

// Reports is the archive of published reports, under data_dir. It may be used beside a collector that runs.
func Reports(c Config, now func() time.Time) *archive.Archive {
	return archive.New(c.DataDir, now)
}

// Benchmarks are those that come with nabz and those of report.benchmarks_dir.
func Benchmarks(c Config) (*benchmark.Set, error) { return benchmark.Load(c.Report.BenchmarksDir) }

// NewDesk is the desk of a programme, for a program that runs once.
func NewDesk(c Config, q report.Querier, now func() time.Time) (*report.Desk, error) {
	registry, err := fleet.OpenRegistry(c.SitesFile, c.AgentsFile)
	if err != nil {
		return nil, err
	}
	return newDesk(c, q, registry.Sites, now)
}

func newDesk(c Config, q report.Querier, sites func() []fleet.Site, now func() time.Time) (*report.Desk, error) {
	set, err := Benchmarks(c)
	if err != nil {
		return nil, err
	}
	if _, err := set.Choose(c.Report.Benchmarks); err != nil {
		return nil, fmt.Errorf("report.benchmarks: %w", err)
	}
	zone, err := report.LoadZone(c.Web.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("web.time_zone: %w", err)
	}
	return &report.Desk{Querier: q, Sites: sites, Benchmarks: set, Programme: c.Report.Programme, Zone: zone, PeakHours: c.Report.PeakHours, Chosen: c.Report.Benchmarks, Now: now}, nil
}

// Publish keeps a report in the archive. fresh is false where the newest revision says the same.
func Publish(a *archive.Archive, r *report.Report, title, who string) (rev archive.Revision, fresh bool, err error) {
	doc, err := r.Canonical()
	if err != nil {
		return rev, false, err
	}
	if title == "" {
		title = strings.TrimSpace(r.Asked.Programme + " " + r.Asked.Period + ", " + strings.Join(r.Asked.Sites, ", "))
	}
	return a.Publish(doc, archive.Meta{ID: r.ID(), Title: title, From: r.From, To: r.To, Who: who})
}

// ReportLink is the permanent address of a published report; "" where nothing says where the board is.
func ReportLink(c Config, r archive.Revision) string {
	return boardLink(c, "reports", r.ID, fmt.Sprint(r.Number))
}

// ShareLink is the address by which anybody can read a report.
func ShareLink(c Config, token string) string {
	if link := boardLink(c, "shared", token); link != "" {
		return link
	}
	return "/shared/" + token
}

func boardLink(c Config, path ...string) string {
	if c.Alert.BoardURL == "" {
		return ""
	}
	link, err := url.JoinPath(c.Alert.BoardURL, path...)
	if err != nil { // it is checked with the configuration
		return ""
	}
	return link
}
