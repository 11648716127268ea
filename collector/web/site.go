package web

import (
	"fmt"
	"html/template"
	"net/http"
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
	Range           chartRange
	RangeZone       string
	Series          string // where the charts' data is
	Outages         []outageRow
	MoreOutages     int // that the page leaves out
	Events          []eventRow
	Fault           string // why there is no history
}

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

// site is the page of one site, in the site's own time zone.
func (s *server) site(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	st, ok := s.Live.Site(id)
	if !ok {
		s.failed(w, http.StatusNotFound, "There is no site of this name", "Look for it on the board. A new site is added with: nabz-collector site add "+shellSafe(id))
		return
	}
	chosen, ok := rangeOf(r.URL.Query().Get("range"))
	if !ok {
		chosen, _ = rangeOf("")
	}
	zone := siteZone(st.Site)
	st.From, st.Now = st.From.In(zone), st.Now.In(zone)
	p := sitePage{head: s.head(st.Site.Title()+" – nabz", "site", st.Now), ID: id, Name: st.Site.Title(), Where: where(st.Site), State: st.State,
		Word: stateWord(string(st.State)), Cause: causeLine(&st), Since: newInstant(st.Since, st.Now), Facts: facts(&st), Live: readings(&st),
		Ribbon: ribbon(st.Ribbon, st.From, st.Now), Ticks: ticks(st.From, st.Now), Range: chosen, Series: "/api/v1/sites/" + id + "/series?range=" + chosen.Name}
	p.Who, p.RangeZone = visitorOf(r), zone.String()
	for _, one := range chartRanges() {
		p.Ranges = append(p.Ranges, rangeLink{one.Words, "/sites/" + id + "?range=" + one.Name, one.Name == chosen.Name})
	}
	h, err := s.history(r.Context(), &st, chosen)
	if err != nil {
		s.Log.Warn("a site's history cannot be read", "site", id, "error", err)
		p.Fault = err.Error()
	} else {
		p.fill(h, &st)
	}
	text, err := s.render("site", p)
	if err != nil {
		s.fault(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text))
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
		p.Events = append(p.Events, eventRow{moment(e.At, st.Now), e.At.Format(time.RFC3339), e.Agent, e.Kind, e.Detail})
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

// ticks are the clock hours under a ribbon, every fourth.
func ticks(from, to time.Time) []tick {
	var out []tick
	at := time.Date(from.Year(), from.Month(), from.Day(), from.Hour(), 0, 0, 0, from.Location())
	for ; at.Before(to); at = at.Add(time.Hour) {
		if at.Before(from) || at.Hour()%4 != 0 {
			continue
		}
		x := 100 * float64(at.Sub(from)) / float64(to.Sub(from))
		if x > 2 && x < 98 {
			out = append(out, tick{strconv.FormatFloat(x, 'f', 2, 64) + "%", at.Format("15:04")})
		}
	}
	return out
}

// shellSafe is the id when it is one, so that a command on a page can be copied without harm.
func shellSafe(id string) string {
	if telemetry.CheckID("site", id) != nil {
		return "SITE"
	}
	return id
}
