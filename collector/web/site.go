package web

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

type sitePage struct {
	head
	ID, Name, Where string
	State           fleet.SiteState
	Word, Cause     string
	Since           *instant
	Facts           []fact
	Ribbon          template.HTML
	Ticks           []tick
	Live            []fact // latency, loss, traffic: now
	Cards           []card
	Ranges          []rangeLink
	Period          period
	PeriodFault     string        // why the period asked for is not the one shown
	PeriodRibbon    template.HTML // of the period; "" where the history cannot be read
	PeriodTicks     []tick
	PeriodFigures   []fact
	FromLocal       string // for the fields of a form
	ToLocal         string
	SiteZone        string // its name with the distance from UTC
	ZoneName        string // its IANA name
	Series          string // where the charts' data is
	API             string // where the history is
	Agents          []rangeLink
	Outages         []outageRow
	MoreOutages     int // that the page leaves out
	Services        []serviceRow
	ServiceTicks    []tick
	EventRows       []eventRow
	Fault           string // why there is no history
	Operate         operating
	Twins           []twinRow
}

// twinRow is an agent as which two machines work.
type twinRow struct{ Address, Since, Last string }

// maxOutages bounds the table of outages; the JSON has all.
const maxOutages = 50

type fact struct{ Word, Value, Note string }

type tick struct {
	X    string // percent
	Word string
}

type rangeLink struct {
	Word, URL string
	Here      bool
}

type card struct {
	Words, Availability, WithoutPower, Bounds, Known, Why string
	Citable                                               bool
}

type outageRow struct{ Start, Machine, Length, State, Word, Cause, Err, Note string }

type eventRow struct{ At, Machine, Agent, Kind, Detail string }

// serviceRow is one service's readiness, in words.
type serviceRow struct {
	Name, Agent, Ready, Of string
	Ribbon                 template.HTML
}

// site is the page of one site, in the site's own time zone.
func (s *server) site(w http.ResponseWriter, r *http.Request) {
	s.showSite(w, r, http.StatusOK, typed{})
}

func (s *server) noSite(w http.ResponseWriter, id string) {
	s.failed(w, http.StatusNotFound, "There is no site of this name", "Look for it on the board. A new site is added with: nabz-collector site add "+shellSafe(id))
}

// showSite draws the page, with a form that could not be taken.
func (s *server) showSite(w http.ResponseWriter, r *http.Request, status int, t typed) {
	id := r.PathValue("id")
	st, ok := s.Live.Site(id)
	if !ok {
		s.noSite(w, id)
		return
	}
	zone, word := siteZone(st.Site), s.wordOf(id) // before the rest is looked at: what changes meanwhile is told by the stream
	st.From, st.Now = st.From.In(zone), st.Now.In(zone)
	as := s.seenAs(&st)
	p := sitePage{head: s.head(st.Site.Title()+" – nabz", "site", st.Now), ID: id, Name: st.Site.Title(), Where: where(st.Site), State: as.Shown,
		Word: stateWord(string(as.Shown)), Cause: as.known(), Since: newInstant(as.since(), st.Now), Facts: facts(&st), Live: readings(&st),
		Ribbon: ribbon(st.Ribbon, st.From, st.Now), Ticks: ticks(st.From, st.Now), SiteZone: zoneName(st.Now), ZoneName: zone.String(), Operate: s.operatingOf(r, &st, as.Ack, t)}
	p.Who, p.Events, p.Order = visitorOf(r), "/sites/"+id+"/events", word
	var err error
	if p.Period, err = periodOf(r.URL.Query(), st.Now, zone); err != nil {
		p.PeriodFault = err.Error()
		p.Period, _ = periodOf(nil, st.Now, zone)
	}
	for _, a := range st.Agents {
		if a.Twins.Seen() {
			p.Twins = append(p.Twins, twinRow{id + "/" + a.Agent, moment(a.Twins.Since.In(zone), st.Now), moment(a.Twins.Last.In(zone), st.Now)})
		}
	}
	p.choices(&st, r.URL.Query().Get("agent"), zone)
	h, err := s.history(r.Context(), &st, p.Period)
	if err != nil {
		s.Log.Warn("a site's history cannot be read", "site", id, "error", err)
		p.Fault = err.Error()
	} else {
		p.fill(h, &st)
		p.fillPeriod(h, &st)
	}
	s.page(w, r, status, "site", p)
}

// seenAs is the site as a board shows it, with how its neighbours fare.
func (s *server) seenAs(st *fleet.Status) seen {
	all := s.look().sites
	i, ok := slices.BinarySearchFunc(all, st.Site.ID, func(one seen, id string) int { return strings.Compare(one.Site.ID, id) })
	if !ok { // it was taken out meanwhile
		return seen{Status: *st, Shown: st.State}
	}
	one := all[i]
	one.Status = *st
	return one
}

// choices are the periods and agents that the page can show.
func (p *sitePage) choices(st *fleet.Status, agent string, zone *time.Location) {
	if telemetry.CheckID("agent", agent) != nil {
		agent = ""
	}
	of := ""
	if agent != "" {
		of = "&agent=" + agent
	}
	page := "/sites/" + p.ID
	p.API = "/api/v1" + page + "?" + p.Period.query()
	p.Series = "/api/v1" + page + "/series?" + p.Period.query() + of
	p.FromLocal, p.ToLocal = p.Period.From.In(zone).Format("2006-01-02T15:04"), p.Period.To.In(zone).Format("2006-01-02T15:04")
	for _, one := range chartRanges() {
		p.Ranges = append(p.Ranges, rangeLink{one.Words, page + "?range=" + one.Name + of, one.Name == p.Period.Name})
	}
	if len(st.Agents) < 2 {
		return
	}
	p.Agents = append(p.Agents, rangeLink{"the one with most to tell", page + "?" + p.Period.query(), agent == ""})
	for _, a := range st.Agents {
		p.Agents = append(p.Agents, rangeLink{a.Agent, page + "?" + p.Period.query() + "&agent=" + a.Agent, a.Agent == agent})
	}
}

// fillPeriod puts what is known of the period into words.
func (p *sitePage) fillPeriod(h history, st *fleet.Status) {
	zone := st.Now.Location()
	from, to := h.Period.From.In(zone), h.Period.To.In(zone)
	form := "15:04"
	if to.Sub(from) > 20*time.Hour {
		form = "2 Jan 15:04"
	}
	name := "From " + between(from, to, st.Now)
	if p.Period.Name != "" {
		name = "Last " + p.Period.Words
	}
	if p.Period.Name != "24h" { // that one stands above
		p.PeriodRibbon, p.PeriodTicks = ribbonOf(name, form, h.segs, from, to), ticks(from, to)
	}
	f := h.Period.Figures
	down, count := time.Duration(f.Times.DownMs()+f.Times.OffPowerMs)*time.Millisecond, 0
	for _, o := range h.Outages {
		if o.Cause != telemetry.CauseShutdown && o.Cause != telemetry.CauseAgent {
			count++
		}
	}
	note := share(f.Completeness, 1) + " of the time is known"
	if !f.Citable {
		note += ": not citable"
	}
	p.PeriodFigures = []fact{{"Availability", share(f.Availability, 2), note}, {"Without power cuts", share(f.WithoutPower, 2), ""}, {"Outages", strconv.Itoa(count), span(down) + " in all"}}
	if len(h.Services) > 0 {
		p.ServiceTicks = ticks(h.Services[0].From.In(zone), h.Services[0].To.In(zone))
	}
	for i := range h.Services {
		one := &h.Services[i]
		row := serviceRow{Name: one.Service, Ready: share(one.Ready, 1), Of: span(time.Duration(one.WindowMs)*time.Millisecond) + " open, as far as told", Ribbon: one.ribbon(zone)}
		if len(st.Agents) > 1 {
			row.Agent = one.Agent
		}
		p.Services = append(p.Services, row)
	}
}

// fill puts the history into words.
func (p *sitePage) fill(h history, st *fleet.Status) {
	for _, f := range h.Figures {
		p.Cards = append(p.Cards, card{Words: f.words, Availability: share(f.Availability, 2), WithoutPower: share(f.WithoutPower, 2),
			Bounds: share(f.Lower, 2) + " to " + share(f.Upper, 2), Known: share(f.Completeness, 1), Citable: f.Citable, Why: f.Why})
	}
	p.MoreOutages = max(0, len(h.Outages)-maxOutages)
	for i, o := range h.Outages[:min(len(h.Outages), maxOutages)] {
		row := outageRow{Start: moment(o.Start, st.Now), Machine: o.Start.Format(time.RFC3339), State: string(o.State), Word: stateWord(string(o.State)),
			Length: length(time.Duration(o.Ms) * time.Millisecond), Cause: causeWord(o.Cause), Err: "± " + length(time.Duration(o.ErrMs+999)*time.Millisecond)}
		if o.ErrMs == 0 {
			row.Err = "–"
		}
		switch {
		case i == 0 && st.State == fleet.Down && o.Start.UnixMilli()+o.Ms >= st.Told.At.UnixMilli():
			row.Note = "goes on"
		case o.BeganEarly:
			row.Note = "began before this period"
		}
		switch o.Cause {
		case telemetry.CauseShutdown:
			row.Note = "by choice: not counted"
		case telemetry.CauseAgent:
			row.Note = "counts as unknown"
		}
		p.Outages = append(p.Outages, row)
	}
	for _, e := range h.Events {
		p.EventRows = append(p.EventRows, eventRow{moment(e.At, st.Now), e.At.Format(time.RFC3339), e.Agent, e.Kind, e.Detail})
	}
}

func siteZone(site fleet.Site) *time.Location {
	zone, err := time.LoadLocation(site.TimeZone)
	if err != nil { // the registry has checked it; a zone that vanished is no reason to show nothing
		return time.UTC
	}
	return zone
}

func facts(st *fleet.Status) []fact {
	var fs []fact
	add := func(word, value, note string) {
		if value != "" {
			fs = append(fs, fact{word, value, note})
		}
	}
	site := st.Site
	add("Site", site.ID, "")
	add("District", site.District, "")
	add("Operator", site.Operator, "")
	add("Technology", site.Technology, "")
	if site.Population > 0 {
		add("People served", strconv.Itoa(site.Population), "")
	}
	if site.Students > 0 {
		add("Students", strconv.Itoa(site.Students), "")
	}
	if site.Latitude != 0 || site.Longitude != 0 {
		add("Place", fmt.Sprintf("%.4f, %.4f", site.Latitude, site.Longitude), "")
	}
	for _, a := range st.Agents {
		note := ""
		if a.State == fleet.NeverSeen {
			note = "has never called"
		} else {
			note = "last word " + moment(a.Told.At, st.Now)
		}
		if v := a.Program.Version; v != "" {
			note += ", version " + v
		}
		add("Agent", a.Agent, strings.ToLower(stateWord(string(a.State)))+", "+note)
	}
	if st.Clock != "" {
		add("Clock", string(st.Clock), "")
		add("Waiting to be sent", fmt.Sprintf("%d lines", st.BacklogLines), fmt.Sprintf("%.1f KiB", float64(st.BacklogBytes)/1024))
	}
	return fs
}

func readings(st *fleet.Status) []fact {
	var fs []fact
	for _, one := range []struct {
		word string
		q    *quantity
	}{{"Latency", millis(st.LatencyMs)}, {"Loss", percent(st.LossPct)}, {"Download", bitrate(st.RxBps)}, {"Upload", bitrate(st.TxBps)}} {
		if one.q == nil {
			fs = append(fs, fact{one.word, "–", ""})
			continue
		}
		fs = append(fs, fact{one.word, one.q.Value, one.q.Unit})
	}
	return fs
}

// ticks are the times under a ribbon: about eight, at whole hours or days of the site's clock.
func ticks(from, to time.Time) []tick {
	var out []tick
	length := to.Sub(from)
	minutes, days := 0, 1
	for _, m := range []int{10, 15, 30, 60, 120, 240, 720} {
		if length <= 8*time.Duration(m)*time.Minute {
			minutes = m
			break
		}
	}
	for minutes == 0 && length > 10*time.Duration(days)*24*time.Hour {
		days = map[int]int{1: 2, 2: 5, 5: 10, 10: 30}[days]
		if days == 0 {
			days = 61
			break
		}
	}
	next := func(i int) time.Time {
		if minutes > 0 { // from midnight, so that the clock's change moves no tick off its hour for long
			return time.Date(from.Year(), from.Month(), from.Day(), 0, i*minutes, 0, 0, from.Location())
		}
		return time.Date(from.Year(), from.Month(), from.Day()+i*days, 0, 0, 0, 0, from.Location())
	}
	for i := 0; ; i++ {
		at := next(i)
		if !at.Before(to) {
			return out
		}
		x := 100 * float64(at.Sub(from)) / float64(length)
		if x <= 2 || x >= 98 {
			continue
		}
		form := "15:04"
		if minutes == 0 || at.Hour() == 0 && at.Minute() == 0 {
			form = "2 Jan"
		}
		out = append(out, tick{strconv.FormatFloat(x, 'f', 2, 64) + "%", at.Format(form)})
	}
}

// shellSafe is the id when it is one, so that a command on a page can be copied without harm.
func shellSafe(id string) string {
	if telemetry.CheckID("site", id) != nil {
		return "SITE"
	}
	return id
}
