package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

// ReportsConfig is what pages of reports need. All fields but Board are required.
type ReportsConfig struct {
	Desk      *report.Desk
	Archive   *archive.Archive
	Languages []*language.Text // the first where nobody chooses
	Board     string           // address of the board, of which links to share are made; "": as the browser has it
}

// Reports makes, shows and keeps reports for the pages.
type Reports struct {
	ReportsConfig
	shop  *workshop
	draws chan struct{} // a place for each form that is being drawn
	reads chan struct{} // a place for each report that is being read for whoever has a link
	tries *limit.Limiter

	mu     sync.Mutex
	briefs map[string]brief // by SHA-256
}

// drawers is how many forms are drawn at once. Of a thousand sites an XLSX takes a second and 110 MiB, a PDF a quarter of a second, all others less than a tenth.
const drawers = 1

// readers is how many reports are read at once for those who have a link, of whom there may be many: one of a thousand sites takes some tens of megabytes until it is
// ready to be sent, and a tenth of a second.
const readers = 2

// sharedAllowed is how often links to share may be followed. A page with its forms is six requests, and an office of many readers may have one address.
func sharedAllowed() limit.Rates {
	return limit.Rates{Pair: limit.Rate{Burst: 120, Every: 500 * time.Millisecond}, All: limit.Rate{Burst: 2000, Every: 10 * time.Millisecond}, Most: 20_000}
}

// NewReports makes the part of the pages that reports need.
func NewReports(c ReportsConfig) *Reports {
	return &Reports{ReportsConfig: c, shop: newWorkshop(), draws: make(chan struct{}, drawers), reads: make(chan struct{}, readers), tries: limit.New(sharedAllowed()), briefs: map[string]brief{}}
}

// Run ends what is being made when ctx ends, and returns then.
func (p *Reports) Run(ctx context.Context) error { return p.shop.run(ctx) }

// text is a language by its code; the first where there is none of it.
func (p *Reports) text(code string) *language.Text {
	for _, t := range p.Languages {
		if t.Code() == code {
			return t
		}
	}
	return p.Languages[0]
}

// make has a question answered. See workshop.ask.
func (p *Reports) make(ctx context.Context, a report.Ask, atMost time.Duration) (*made, progress, error) {
	key, err := a.Key()
	if err != nil {
		return nil, progress{}, err
	}
	return p.shop.ask(ctx, "make "+key, atMost, func(ctx context.Context, tell func(float64)) (*made, error) {
		r, err := p.Desk.Make(ctx, a, tell)
		if err != nil {
			return nil, err
		}
		doc, err := r.Canonical()
		if err != nil {
			return nil, err
		}
		sum := report.Hash(doc)
		return &made{report: &r, doc: doc, sum: sum, as: prose.Header{SHA256: sum}}, nil
	})
}

// brief is what a list says of a report.
type brief struct {
	Sites        int
	Availability string
	Citable      bool
	Why          string // it is not citable
	Provisional  bool
	Fault        string // it cannot be read
}

func newBrief(r *report.Report) brief {
	f := r.Programme.Time
	return brief{Sites: r.Programme.Sites, Availability: share(f.Availability, 2), Citable: f.Citable, Why: f.Why, Provisional: r.Provisional}
}

// maxBriefs bounds what is remembered of published reports, which never change.
const maxBriefs = 2000

// brief reads a published revision, or remembers it.
func (p *Reports) brief(rev archive.Revision) brief {
	p.mu.Lock()
	b, ok := p.briefs[rev.SHA256]
	p.mu.Unlock()
	if ok {
		return b
	}
	_, doc, err := p.Archive.Get(rev.ID, rev.Number)
	if err != nil {
		return brief{Fault: err.Error()}
	}
	r, _, err := report.Parse(doc)
	if err != nil {
		return brief{Fault: err.Error()}
	}
	b = newBrief(&r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.briefs) >= maxBriefs {
		clear(p.briefs)
	}
	p.briefs[rev.SHA256] = b
	return b
}

// reportsPage lists what is published, and has the form to make one.
type reportsPage struct {
	head
	None      bool // there are no reports here
	May       bool
	Typed     typed
	Sent      bool // the form has been
	Published []publishedRow
	More      int
	Damage    []string
	Form      makeForm
	Periods   []choice
	Choices   []choice
}

// choice is one of a list.
type choice struct{ Value, Word string }

// Ticked tells whether a benchmark is chosen: as the form was sent, else as the programme has it.
func (p reportsPage) Ticked(b benchmarkChoice) bool {
	if p.Sent {
		return slices.Contains(p.Typed.Values["benchmarks"], b.ID)
	}
	return b.Chosen
}

// publishedRow is one published report in words.
type publishedRow struct {
	brief
	ID, Title, Period, At, Machine, Who string
	Revision                            int
	Older                               []revisionLink
}

type revisionLink struct {
	Number int
	At     string
	Here   bool
}

// mostListed bounds the list on the page; the API has all.
const mostListed = 60

func (s *server) reports(w http.ResponseWriter, r *http.Request) {
	t := typed{Form: "make", Values: url.Values{}}
	if s.Reports != nil && len(r.URL.Query()) > 0 { // a question to be changed
		t.Values = formOf(questionOf(r.URL.Query()))
	}
	s.showReports(w, r, http.StatusOK, t)
}

func (s *server) showReports(w http.ResponseWriter, r *http.Request, status int, t typed) {
	now := s.Now()
	p := reportsPage{head: s.head("Reports – nabz", "reports", now), None: s.Reports == nil, May: mayOperate(r), Typed: t,
		Periods: []choice{{report.LastMonth, "last month"}, {"this-month", "this month, provisional"}, {"last-quarter", "last quarter"}, {"this-quarter", "this quarter, provisional"},
			{"last-year", "last year"}, {"this-year", "this year, provisional"}, {exactly, "one by name"}, {days, "days"}},
		Choices: []choice{{"all", "all"}, {"district", "of a district"}, {"operator", "of an operator"}, {"list", "a list"}}}
	p.Who = visitorOf(r)
	if !p.None {
		p.Form, p.Sent = s.makeForm(), t.Values.Has("choose") || t.Values.Has("benchmarks")
		for name, usual := range map[string]string{"choose": "all", "time_zone": p.Form.Zone, "peak_hours": p.Form.PeakHours, "period": report.LastMonth} { // what is left empty is as the programme has it
			if t.Values.Get(name) == "" {
				t.Values.Set(name, usual)
			}
		}
		all, err := s.Reports.Archive.List()
		if err != nil {
			s.Log.Error("the published reports cannot be listed", "error", err)
			p.Damage = append(p.Damage, err.Error())
		}
		p.More = max(0, len(all)-mostListed)
		for _, one := range all[:min(len(all), mostListed)] {
			for _, d := range one.Damage {
				p.Damage = append(p.Damage, d.Error())
			}
			if len(one.Revisions) > 0 {
				p.Published = append(p.Published, s.publishedRow(one, now))
			}
		}
	}
	s.page(w, r, status, "reports", p)
}

func (s *server) publishedRow(one archive.Report, now time.Time) publishedRow {
	n := one.Newest()
	row := publishedRow{brief: s.Reports.brief(n), ID: n.ID, Title: n.Title, At: moment(n.At, now), Machine: n.At.Format(time.RFC3339), Who: n.Who, Revision: n.Number}
	for _, o := range one.Revisions[1:] {
		row.Older = append(row.Older, revisionLink{Number: o.Number, At: moment(o.At, now)})
	}
	return row
}

// makeForm is what the form to make a report offers.
type makeForm struct {
	Zone, PeakHours string
	Zones           []string
	Districts       []string
	Operators       []string
	Benchmarks      []benchmarkChoice
	Languages       []*language.Text
}

// HasDistrict tells whether it is one of those to choose from.
func (f makeForm) HasDistrict(name string) bool { return slices.Contains(f.Districts, name) }

// HasOperator tells whether it is one of those to choose from.
func (f makeForm) HasOperator(name string) bool { return slices.Contains(f.Operators, name) }

type benchmarkChoice struct {
	benchmark.Benchmark
	Chosen bool
}

func (s *server) makeForm() makeForm {
	d := s.Reports.Desk
	f := makeForm{Zone: "UTC", PeakHours: d.PeakHours, Languages: s.Reports.Languages}
	if d.Zone != nil && d.Zone.String() != "Local" {
		f.Zone = d.Zone.String()
	}
	if f.PeakHours == "" {
		f.PeakHours = report.PeakHours
	}
	f.Zones = []string{f.Zone, "UTC"}
	for _, site := range d.Sites() {
		f.Districts, f.Operators, f.Zones = append(f.Districts, site.District), append(f.Operators, site.Operator), append(f.Zones, site.TimeZone)
	}
	f.Districts, f.Operators, f.Zones = distinct(f.Districts), distinct(f.Operators), distinct(f.Zones)
	chosen := map[string]bool{}
	for _, id := range d.Chosen {
		chosen[id] = true
	}
	if d.Benchmarks != nil {
		for _, b := range d.Benchmarks.All() {
			f.Benchmarks = append(f.Benchmarks, benchmarkChoice{b, chosen[b.ID]})
		}
	}
	return f
}

// noReports answers where this collector makes none.
func (s *server) noReports(w http.ResponseWriter) bool {
	if s.Reports == nil {
		s.failed(w, http.StatusNotFound, "There are no reports here", "This collector makes none.")
	}
	return s.Reports == nil
}

// cannot says why a report was not made, and what to do, with the status of an answer.
func cannot(err error) (status int, what, do string) {
	switch {
	case errors.Is(err, report.ErrNoData):
		return http.StatusUnprocessableEntity, "There is nothing to report", "The ledger has nothing of these sites in this period. Choose another period or other sites."
	case errors.Is(err, report.ErrPeriod), errors.Is(err, report.ErrSites), errors.Is(err, report.ErrZone), errors.Is(err, report.ErrPeakHours), errors.Is(err, benchmark.ErrUnknown):
		return http.StatusUnprocessableEntity, "This report cannot be made", sentence(err.Error())
	case errors.Is(err, report.ErrNotReport):
		return http.StatusUnprocessableEntity, "This report cannot be read", sentence(err.Error())
	case errors.Is(err, errBusy):
		return http.StatusServiceUnavailable, "Too many reports are being made just now", "Ask again in a minute."
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "The report was not finished", "The collector is stopping, or InfluxDB did not answer in time. Ask again."
	default:
		return http.StatusServiceUnavailable, "The ledger cannot be read", sentence(err.Error()) + " The report is made when InfluxDB answers again; /readyz says how it is."
	}
}

// cannotMake answers a page.
func (s *server) cannotMake(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil { // nobody reads it
		return
	}
	status, what, do := cannot(err)
	if status == http.StatusServiceUnavailable {
		s.Log.Warn("a report cannot be made", "error", err)
		w.Header().Set("Retry-After", "30")
	}
	s.failed(w, status, what, do)
}

// number reads a revision of an address; "" is 0, the newest.
func number(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("%q is no revision: %w", text, archive.ErrNone)
	}
	return n, nil
}
