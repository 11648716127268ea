package collector

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/hours"
)

// ReportConfig is how reports are made where a question does not say otherwise; when that of the last month is made by itself, of which sites, and who is told.
type ReportConfig struct {
	Programme     string   `toml:"programme"`
	PeakHours     string   `toml:"peak_hours"`
	Benchmarks    []string `toml:"benchmarks"`
	BenchmarksDir string   `toml:"benchmarks_dir"`
	LanguagesDir  string   `toml:"languages_dir"`

	Day       int      `toml:"day"`
	At        string   `toml:"at"`
	Sites     []string `toml:"sites"`
	Languages []string `toml:"languages"`
	ShareDays int      `toml:"share_days"`
	Channels  []string `toml:"channels"`
}

func reportDefaults() ReportConfig {
	return ReportConfig{PeakHours: report.PeakHours, Benchmarks: []string{}, At: "06:00", Sites: []string{"all"}, Languages: []string{"en"}, Channels: []string{}}
}

var languageCode = regexp.MustCompile(`^[a-z]{2,3}$`)

func (c *ReportConfig) validate(v *conf.Faults, board string) {
	if len(c.Programme) > 200 || strings.ContainsFunc(c.Programme, unicode.IsControl) {
		v.Add("report.programme", "%.80q is not a name; use at most 200 bytes on one line", c.Programme)
	}
	if _, err := hours.Parse(c.PeakHours); err != nil {
		v.Add("report.peak_hours", "%v", err)
	}
	conf.Between(v, "report.day", c.Day, 0, 28)
	if _, err := time.Parse("15:04", c.At); err != nil || len(c.At) != len("15:04") {
		v.Add("report.at", "%q is not a time of day; write it as \"06:00\"", c.At)
	}
	if c.Day > 0 && len(c.Sites) == 0 {
		v.Add("report.sites", "is empty; name what reports are of, such as [\"all\"] or [\"district=Hunza\"], or set report.day to 0")
	}
	if len(c.Sites) > mostSelections {
		v.Add("report.sites", "has %d selections, and %d are the most, as people are told of each", len(c.Sites), mostSelections)
	}
	if c.Day > 0 && len(c.Languages) == 0 {
		v.Add("report.languages", "is empty; name what people are told in, such as [\"en\"] or [\"ur\", \"en\"], or set report.day to 0")
	}
	for i, s := range c.Sites {
		if strings.TrimSpace(s) == "" {
			v.Add(fmt.Sprintf("report.sites[%d]", i), "is empty; name what the report is of, such as \"all\" or \"district=Hunza\"")
		}
	}
	for i, l := range c.Languages {
		if !languageCode.MatchString(l) {
			v.Add(fmt.Sprintf("report.languages[%d]", i), "%q is not a language; write it as \"en\" or \"ur\"", l)
		}
	}
	conf.Between(v, "report.share_days", c.ShareDays, 0, 3660)
	if c.Day > 0 && c.ShareDays > 0 && board == "" {
		v.Add("report.share_days", "a link needs to know where the board is; set alert.board_url, or report.share_days to 0")
	}
}

// mostSelections bounds how many reports a month has: alerts remember 400 notices, and have to know those of this month and of the last.
const mostSelections = 200

// errNoReport is in the error of a maker whose report cannot be made until a person does something, or agents tell more: no such site, nothing in the ledger.
var errNoReport = errors.New("there is nothing to report")

// reportAsk is what a report that is made by itself is asked for.
type reportAsk struct {
	month     string    // as "2026-10"
	from, to  time.Time // by the clock of the programme's zone; to exclusive
	selection string    // one of report.sites
	languages []string  // of what people are told, the first one first
}

// reportMade is the report, and what people are told of it.
type reportMade struct {
	doc           []byte // canonical JSON
	id, title     string // in the archive
	subject, text string // subject on one line; headline figures, in each language
}

// reportMaker makes a report. It is asked again later after an error; the day after where that holds errNoReport.
type reportMaker func(ctx context.Context, ask reportAsk) (reportMade, error)

// noticer tells people, once for each id through restarts. An alert.Engine is one.
type noticer interface {
	Notice(alert.Notice) (channels []string, err error)
	Knows(id string) bool
}

// Where a report is on the board: by its id, and by the token of a link.
const (
	reportPath = "/reports/"
	sharedPath = "/shared/"
)

const (
	scheduler   = "schedule"       // who publishes and shares what is made by itself
	lookEvery   = time.Hour        // at least, whether a report is due: somebody may have set the clock
	reportTime  = 15 * time.Minute // the longest that one may take
	reportFirst = time.Minute      // after the first failure; doubled until
	reportMost  = 30 * time.Minute
	reportNone  = 24 * time.Hour // after errNoReport
)

// reporting makes the reports of the last month on their day, publishes them and has people told. That it is done is known by the notice alone, which is
// written down last: a kill before it does all again, and that changes nothing that is there.
type reporting struct {
	ReportConfig
	zone    *time.Location
	board   string // its address; "" is not known
	make    reportMaker
	archive *archive.Archive
	tell    noticer
	record  func(audit.Entry) error // what was published and shared
	now     func() time.Time
	log     *slog.Logger

	tries map[string]int // by notice: those that failed
	next  map[string]time.Time
}

// newReporting is a schedule. What it needs of others is in its fields; with day 0 nothing is ever due.
func newReporting(r reporting) *reporting {
	r.tries, r.next = map[string]int{}, map[string]time.Time{}
	return &r
}

// run makes what is due, until ctx ends. What was missed while nothing ran is made at once: the last one, not all.
func (r *reporting) run(ctx context.Context) error {
	for r.Day > 0 && ctx.Err() == nil {
		r.look(ctx)
		sleep(ctx, r.wait(r.now()))
	}
	<-ctx.Done()
	return nil
}

// wait is how long there is nothing to do.
func (r *reporting) wait(now time.Time) time.Duration {
	y, m, _ := now.In(r.zone).Date()
	next := now.Add(lookEvery)
	for _, at := range append(slices.Collect(maps.Values(r.next)), r.dueIn(y, m), r.dueIn(y, m+1)) {
		if at.After(now) && at.Before(next) {
			next = at
		}
	}
	return next.Sub(now)
}

// dueIn is when in a month a report is due.
func (r *reporting) dueIn(y int, m time.Month) time.Time {
	clock, _ := time.Parse("15:04", r.At) // it was checked
	return time.Date(y, m, r.Day, clock.Hour(), clock.Minute(), 0, 0, r.zone)
}

// due is the last moment at which a report was due, and the month that it is of.
func (r *reporting) due(now time.Time) (at, from, to time.Time) {
	y, m, _ := now.In(r.zone).Date()
	if at = r.dueIn(y, m); at.After(now) {
		m--
		at = r.dueIn(y, m)
	}
	return at, time.Date(y, m-1, 1, 0, 0, 0, 0, r.zone), time.Date(y, m, 1, 0, 0, 0, 0, r.zone)
}

// look makes each report that is due and not told yet.
func (r *reporting) look(ctx context.Context) {
	now := r.now()
	at, from, to := r.due(now)
	for _, selection := range r.Sites {
		ask := reportAsk{month: from.Format("2006-01"), from: from, to: to, selection: selection, languages: r.Languages}
		id := noticeID(ask)
		if wait := r.next[id].Sub(now); wait > 0 && wait <= reportNone || r.tell.Knows(id) { // longer is of a clock that was ahead
			continue
		}
		done, cancel := context.WithTimeout(ctx, reportTime)
		rev, told, err := r.one(done, ask, id)
		cancel()
		log := r.log.With("month", ask.month, "sites", selection)
		switch {
		case ctx.Err() != nil && err != nil:
			return
		case err != nil:
			r.tries[id]++
			next := min(reportFirst<<min(r.tries[id]-1, 10), reportMost)
			if errors.Is(err, errNoReport) {
				next = reportNone
			}
			r.next[id] = r.now().Add(next)
			if r.tries[id] == 1 {
				log.Error("the report of the month cannot be made yet; it is tried again", "error", err)
			}
		default:
			log.Info("the report of the month is published", "report", rev.Permalink(), "sha256", rev.SHA256, "told", strings.Join(told, " "),
				"late_min", int64(now.Sub(at).Minutes()), "failed", r.tries[id])
			delete(r.tries, id)
			delete(r.next, id)
		}
	}
}

// one makes a report, publishes it, shares it where that is wanted, and has people told.
func (r *reporting) one(ctx context.Context, ask reportAsk, id string) (rev archive.Revision, told []string, err error) {
	made, err := r.make(ctx, ask)
	if err != nil {
		return rev, nil, err
	}
	rev, _, err = r.archive.Publish(made.doc, archive.Meta{ID: made.id, Title: made.title, From: ask.from, To: ask.to, Who: scheduler, At: r.now()})
	if err == nil {
		err = r.done("publish report", rev.Permalink(), "sha256 "+rev.SHA256)
	}
	if err != nil {
		return rev, nil, err
	}
	link, err := r.link(rev, id)
	if err != nil {
		return rev, nil, err
	}
	told, err = r.tell.Notice(alert.Notice{ID: id, Subject: made.subject, Text: made.text, Link: link, Channels: r.Channels})
	return rev, told, err
}

// link is where people find the report: for those who have it alone, or for those who can sign in.
func (r *reporting) link(rev archive.Revision, label string) (string, error) {
	board := strings.TrimSuffix(r.board, "/")
	if board == "" {
		return "", nil
	}
	if r.ShareDays == 0 {
		return board + reportPath + rev.ID, nil
	}
	all, err := r.archive.Shares()
	if err != nil && !errors.Is(err, archive.ErrDamaged) { // of another one
		return "", err
	}
	for _, s := range all { // a link that nobody was told of, as a kill came between
		if s.Report == rev.ID && s.Label == label && s.Who == scheduler && s.Used.IsZero() && s.Open(r.now()) {
			if _, err := r.archive.Revoke(s.ID, scheduler); err != nil {
				return "", err
			}
		}
	}
	token, s, err := r.archive.Share(rev.ID, label, scheduler, r.now().AddDate(0, 0, r.ShareDays))
	if err != nil {
		return "", err
	}
	if err := r.done("share report", rev.ID, "link "+s.ID+" for "+label); err != nil {
		return "", err // nobody is told of it, and the next try revokes it
	}
	return board + sharedPath + token, nil
}

// done records what the schedule did.
func (r *reporting) done(what, on, detail string) error {
	return r.record(audit.Entry{Who: scheduler, From: "collector", What: what, On: on, Outcome: audit.Done, Detail: detail})
}

// noticeID is the same for the same month and selection, and no other.
func noticeID(ask reportAsk) string {
	words := strings.FieldsFunc(strings.ToLower(ask.selection), func(c rune) bool { return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') })
	name := strings.Join(words, "-")
	if name != ask.selection || len(name) > 60 {
		sum := sha256.Sum256([]byte(ask.selection))
		name = strings.TrimLeft(fmt.Sprintf("%s-%x", strings.TrimRight(name[:min(len(name), 60)], "-"), sum[:4]), "-")
	}
	return "report-" + ask.month + "-" + name
}

// checkReporting wants channels that there are.
func (c *ReportConfig) checkReporting(tells func(names []string) ([]string, error), log *slog.Logger) error {
	if c.Day == 0 {
		return nil
	}
	told, err := tells(slices.Clone(c.Channels))
	if err != nil {
		return fmt.Errorf("report.channels: %w", err)
	}
	if len(told) == 0 {
		log.Warn("reports of the month are published, and nobody is told: no channel of alert.urls_file wants to hear of what is of severity info")
	}
	return nil
}

// openReports prepares the desk, the archive, and what makes reports by itself.
func (p *parts) openReports(registry *fleet.Registry, zone *time.Location, now func() time.Time) (err error) {
	if p.desk, err = newDesk(p.c, p.store, registry.Sites, now); err != nil {
		return err
	}
	p.archive = Reports(p.c, now)
	texts, err := Languages(p.c)
	if err != nil {
		return err
	}
	var in []*language.Text
	for i, code := range p.c.Report.Languages {
		t, err := texts.Text(code)
		if err != nil {
			return fmt.Errorf("report.languages[%d]: %w", i, err)
		}
		in = append(in, t)
	}
	if err = p.c.Report.checkReporting(p.alerts.Tells, p.log); err != nil {
		return err
	}
	p.reports = newReporting(reporting{ReportConfig: p.c.Report, zone: zone, board: p.c.Alert.BoardURL, make: monthly(p.desk, in), archive: p.archive, tell: p.alerts, record: Audit(p.c).Record, now: now, log: p.log})
	return nil
}

// monthly makes reports at a desk, and says in each language what they come to.
func monthly(d *report.Desk, in []*language.Text) reportMaker {
	return func(ctx context.Context, ask reportAsk) (made reportMade, err error) {
		a, err := d.Ask(report.Question{Period: ask.month, Sites: []string{ask.selection}})
		var r report.Report
		if err == nil {
			r, err = d.Make(ctx, a, nil)
		}
		switch {
		case errors.Is(err, report.ErrSites), errors.Is(err, report.ErrPeriod), errors.Is(err, report.ErrNoData):
			return made, fmt.Errorf("%w: %w", errNoReport, err)
		case err != nil:
			return made, err
		}
		if made.doc, err = r.Canonical(); err != nil {
			return made, err
		}
		made.id, made.title = r.ID(), prose.Listed(&r, archive.MaxText)
		var texts []string
		for i, t := range in {
			if i == 0 {
				made.subject = prose.Title(&r, t)
			}
			texts = append(texts, prose.Headline(&r, t))
		}
		made.text = strings.Join(texts, "\n\n")
		return made, nil
	}
}
