package collector

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/prose"
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
func Publish(a *archive.Archive, r *report.Report, name, who string, now time.Time) (rev archive.Revision, fresh bool, err error) {
	doc, err := r.Canonical()
	if err != nil {
		return rev, false, err
	}
	return a.Publish(doc, archive.Meta{ID: r.ID(), Title: cmp.Or(name, prose.Listed(r, archive.MaxText)), From: r.From, To: r.To, Who: who, At: now})
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

// The forms of a report.
const (
	FormText = "text"
	FormJSON = "json" // the report itself; the others are made from it
	FormHTML = "html"
	FormPDF  = "pdf"
	FormXLSX = "xlsx"
	FormCSV  = "csv" // a zip of all tables and their dictionary
)

// Forms are all of them.
func Forms() []string { return []string{FormText, FormJSON, FormHTML, FormPDF, FormXLSX, FormCSV} }

// Languages are those that come with nabz and those of report.languages_dir.
func Languages(c Config) (*language.Set, error) { return language.Load(c.Report.LanguagesDir) }

// Printer writes reports in their forms.
type Printer struct {
	Text *language.Text
	Link string // where the report is kept; "": it is not
}

// Print writes a report, given as its canonical bytes. rev is zero where it is not published.
func (p Printer) Print(w io.Writer, form string, doc []byte, rev archive.Revision) error {
	if form == FormJSON {
		_, err := w.Write(doc)
		return err
	}
	r, doc, err := report.Parse(doc)
	if err != nil {
		return err
	}
	h := prose.Header{SHA256: report.Hash(doc), Link: p.Link, Revision: rev.Number, Published: rev.At}
	switch form {
	case FormText:
		return printText(w, &r, h, p.Text)
	case FormHTML:
		return press.Page(w, prose.Document(&r, h, p.Text))
	case FormPDF:
		return press.PDF(w, prose.Document(&r, h, p.Text))
	case FormXLSX:
		return prose.Package(&r, h).XLSX(w)
	case FormCSV:
		return prose.Package(&r, h).Bundle(w)
	}
	return fmt.Errorf("a report is not written as %q; choose one of %s", form, strings.Join(Forms(), ", "))
}

// mostLines is how many sites a text names; the other forms have all.
const mostLines = 40

// printText writes what a terminal has room for: the figures of the whole, and those of each site, the worst first.
func printText(w io.Writer, r *report.Report, h prose.Header, t *language.Text) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n%s\n\n", prose.Title(r, t), prose.Headline(r, t))
	tab := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "SITE\tAVAILABLE\tWHILE POWERED\tOBSERVED\tOUTAGES\tTESTS\tCITABLE")
	sites := slices.Clone(r.Sites)
	slices.SortStableFunc(sites, func(a, b report.SiteReport) int { return cmp.Compare(least(a), least(b)) })
	percent := func(v *float64, none string) string {
		if v == nil {
			return none
		}
		return t.Percent(*v, language.Down)
	}
	for _, s := range sites[:min(len(sites), mostLines)] {
		powered := "not known"
		if s.Time.ObservedMs > 0 {
			powered = "never with power"
		}
		citable := "yes"
		if !s.Time.Citable {
			citable = "no: " + s.Time.Why
		}
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", s.Site, percent(s.Time.Availability, "not known"), percent(s.Time.WithoutPower, powered), percent(s.Time.Completeness, "switched off"), s.Outages.All.Count, s.Throughput.All.Tests, citable)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if more := len(sites) - mostLines; more > 0 {
		fmt.Fprintf(&b, "and %d more; --format html, pdf, xlsx and csv have all\n", more)
	}
	fmt.Fprintf(&b, "\nSHA-256 %s, definition %s\n", h.SHA256, r.Definition)
	_, err := w.Write(b.Bytes())
	return err
}

// least sorts what nobody knows first.
func least(s report.SiteReport) float64 {
	if s.Time.Availability == nil {
		return -1
	}
	return *s.Time.Availability
}
