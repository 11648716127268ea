package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// The API's words. A time is RFC 3339 in UTC, null where there is none; what was not measured is null.
type (
	apiTold struct {
		State telemetry.State `json:"state"`
		Cause telemetry.Cause `json:"cause"`
		Since time.Time       `json:"since"`
		At    time.Time       `json:"at"`
	}
	apiAgent struct {
		Agent        string          `json:"agent"`
		State        fleet.SiteState `json:"state"`
		Cause        telemetry.Cause `json:"cause"`
		Since        *time.Time      `json:"since"`
		LastTold     *apiTold        `json:"last_told"`
		LastHeard    *time.Time      `json:"last_heard"`
		Connected    bool            `json:"connected"`
		CatchingUp   bool            `json:"catching_up"`
		Clock        telemetry.Clock `json:"clock"`
		LatencyMs    *float64        `json:"latency_ms"`
		LossPct      *float64        `json:"loss_pct"`
		RxBps        *float64        `json:"rx_bps"`
		TxBps        *float64        `json:"tx_bps"`
		BacklogLines int64           `json:"backlog_lines"`
		BacklogBytes int64           `json:"backlog_bytes"`
		TwinsSince   *time.Time      `json:"twins_since"` // two machines work as this agent; null: none are known to
		Version      string          `json:"version"`     // what the agent said that it is; "" where it said nothing yet
		System       string          `json:"system"`      // such as linux/mipsle
		Contract     int             `json:"contract"`    // of the wire; 0 where it is not known
	}
	apiStatus struct {
		Site       string  `json:"site"`
		Name       string  `json:"name"`
		District   string  `json:"district"`
		Operator   string  `json:"operator"`
		Technology string  `json:"technology"`
		Latitude   float64 `json:"latitude"`
		Longitude  float64 `json:"longitude"`
		TimeZone   string  `json:"time_zone"`
		apiAgent
		Day         report.Figures  `json:"last_24h"`
		Known       string          `json:"known,omitempty"` // why, in the words of the board; of the list only
		Maintenance *apiMaintenance `json:"maintenance"`     // the window that it is in, of the list only; state is what it would be otherwise
	}
	apiMaintenance struct {
		From   time.Time  `json:"from"`
		To     *time.Time `json:"to"`
		Weekly string     `json:"weekly"`
		Zone   string     `json:"zone"`
		Who    string     `json:"who"`
		Reason string     `json:"reason"`
	}
	apiSegment struct {
		Start time.Time       `json:"start"`
		Ms    int64           `json:"ms"`
		State telemetry.State `json:"state"`
		Cause telemetry.Cause `json:"cause"`
	}
	apiDetail struct {
		At time.Time `json:"at"`
		apiStatus
		Agents       []apiAgent   `json:"agents"`
		Ribbon       []apiSegment `json:"ribbon"` // what it leaves out is unknown
		History      *history     `json:"history"`
		HistoryError string       `json:"history_error,omitempty"`
	}
	apiError struct {
		Error string `json:"error"`
		Do    string `json:"do"`
	}
)

func instantOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func newAPIAgent(a *fleet.AgentStatus) apiAgent {
	out := apiAgent{Agent: a.Agent, State: a.State, Cause: a.Cause, Since: instantOrNull(a.Since), LastHeard: instantOrNull(a.Heard), Connected: a.Connected,
		CatchingUp: a.CatchingUp, Clock: a.Clock, LatencyMs: a.LatencyMs, LossPct: a.LossPct, RxBps: a.RxBps, TxBps: a.TxBps,
		BacklogLines: a.BacklogLines, BacklogBytes: a.BacklogBytes, TwinsSince: instantOrNull(a.Twins.Since), Version: a.Program.Version, System: a.Program.System, Contract: a.Program.Contract}
	if !a.Told.At.IsZero() {
		out.LastTold = &apiTold{a.Told.State, a.Told.Cause, a.Told.Since.UTC(), a.Told.At.UTC()}
	}
	return out
}

func newAPIStatus(st *fleet.Status) apiStatus {
	site := st.Site
	return apiStatus{site.ID, site.Title(), site.District, site.Operator, site.Technology, site.Latitude, site.Longitude,
		siteZone(site).String(), newAPIAgent(&st.AgentStatus), day(st), "", nil}
}

// apiSites lists all sites, or those of a view, as the board does.
func (s *server) apiSites(w http.ResponseWriter, r *http.Request) {
	v, n := parseView(r), s.look()
	c := n.choose(&v)
	out := struct {
		At     time.Time               `json:"at"`
		Counts map[fleet.SiteState]int `json:"counts"` // of all sites
		Sites  []apiStatus             `json:"sites"`
	}{s.Now().UTC(), n.counts, make([]apiStatus, len(c.all))}
	n.mu.Lock()
	for _, st := range c.all {
		n.ribbon(st)
	}
	n.mu.Unlock()
	for i, st := range c.all {
		out.Sites[i] = newAPIStatus(&st.Status)
		out.Sites[i].Maintenance, out.Sites[i].Known = newAPIMaintenance(st.Window), st.known()
	}
	s.json(w, http.StatusOK, out)
}

func newAPIMaintenance(w *journal.Window) *apiMaintenance {
	if w == nil {
		return nil
	}
	return &apiMaintenance{w.From.UTC(), instantOrNull(w.To), w.Weekly, w.Zone, w.Who, w.Reason}
}

// apiSite is one site with its agents, its last day, and what the ledger says. The live part stands even when
// InfluxDB cannot be read.
func (s *server) apiSite(w http.ResponseWriter, r *http.Request) {
	st, chosen, ok := s.apiTarget(w, r)
	if !ok {
		return
	}
	out := apiDetail{At: st.Now.UTC(), apiStatus: newAPIStatus(&st), Agents: []apiAgent{}, Ribbon: apiSegments(st.Ribbon)}
	for i := range st.Agents {
		out.Agents = append(out.Agents, newAPIAgent(&st.Agents[i]))
	}
	if h, err := s.history(r.Context(), &st, chosen); err != nil {
		out.HistoryError = err.Error()
	} else {
		out.History = &h
	}
	s.json(w, http.StatusOK, out)
}

func apiSegments(segs []timeline.Segment) []apiSegment {
	out := make([]apiSegment, len(segs))
	for i, seg := range segs {
		out[i] = apiSegment{seg.From(), seg.Ms(), seg.State, seg.Cause}
	}
	return out
}

// apiSeries is the data of a site's charts.
func (s *server) apiSeries(w http.ResponseWriter, r *http.Request) {
	st, chosen, ok := s.apiTarget(w, r)
	if !ok {
		return
	}
	agent := r.URL.Query().Get("agent")
	if agent != "" && telemetry.CheckID("agent", agent) != nil {
		s.json(w, http.StatusBadRequest, apiError{"agent is no id", "name one of those that /api/v1/sites/{id} lists, or leave it out for the one with most to tell"})
		return
	}
	doc, err := s.chart(r.Context(), chartAsk{site: st.Site, period: chosen, agent: agent})
	if err != nil {
		s.Log.Warn("a site's series cannot be read", "site", st.Site.ID, "error", err)
		s.json(w, http.StatusServiceUnavailable, apiError{err.Error(), "see /readyz for what is wrong, and ask again"})
		return
	}
	s.unlessKnown(w, r, doc)
}

// unlessKnown answers 304 where the asker has the very same already: a page asks for its charts whenever something of its site has changed.
func (s *server) unlessKnown(w http.ResponseWriter, r *http.Request, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.json(w, http.StatusOK, v) // says what is wrong
		return
	}
	sum := sha256.Sum256(data)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.json(w, http.StatusOK, json.RawMessage(data))
}

// apiTarget reads site and range of a request, and answers itself when one of them is wrong.
func (s *server) apiTarget(w http.ResponseWriter, r *http.Request) (st fleet.Status, chosen period, ok bool) {
	if st, ok = s.Live.Site(r.PathValue("id")); !ok {
		s.json(w, http.StatusNotFound, apiError{"no site of that id", "list the sites with /api/v1/sites"})
		return st, chosen, false
	}
	chosen, err := periodOf(r.URL.Query(), st.Now, siteZone(st.Site))
	if err != nil {
		s.json(w, http.StatusBadRequest, apiError{err.Error(), "ask for one of these, for from and to, or leave all out for 24h"})
	}
	return st, chosen, err == nil
}

func (s *server) apiUnknown(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.json(w, http.StatusMethodNotAllowed, apiError{"this address only answers questions", "use GET"})
		return
	}
	s.json(w, http.StatusNotFound, apiError{"no such address", "there are /api/v1/sites, /api/v1/alerts, /api/v1/maintenance, /api/v1/reports, /api/v1/sites/{id}, /api/v1/sites/{id}/series?range=1h|24h|7d|30d|90d|1y or ?from=…&to=… and, for operators, /api/v1/sites/{id}/commands"})
}

func (s *server) json(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.Log.Error("an answer cannot be written as JSON", "error", err)
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written","do":"see the collector's log"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
