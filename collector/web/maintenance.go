package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
)

// maintenancePage lists what is planned, runs and is over.
type maintenancePage struct {
	head
	May, Journal        bool
	Said                string
	Typed               typed
	Running, Planned    []windowRow
	Past                []windowRow
	Sites               []fleet.Site
	Districts           []string
	Operators           []string
	Site, District      string // filled in
	Operator, ZoneGiven string
}

// windowRow is a window in words, in its own time zone.
type windowRow struct {
	ID          uint64
	Scope       string
	Sites       string // how many it covers; "" where nobody has counted
	When, Zone  string
	Who, Reason string
	Running     bool
	Weekly      bool
	Until       string // that it runs
	Next        string // when it begins
	How         string // it ended
	sort        time.Time
}

// maxPast bounds the windows that are over.
const maxPast = 30

// windowZone is the zone in which a window was planned.
func windowZone(w journal.Window) *time.Location {
	zone, err := time.LoadLocation(w.Zone)
	if err != nil { // the journal has checked it
		return time.UTC
	}
	return zone
}

func newWindowRow(w journal.Window, now time.Time) windowRow {
	zone := windowZone(w)
	local := now.In(zone)
	row := windowRow{ID: w.ID, Scope: scopeWords(w.Scope), Who: w.Who, Reason: w.Reason, Weekly: w.Weekly != "", Zone: zoneName(w.From.In(zone)), sort: w.From}
	if row.Weekly {
		row.When = "each week " + w.Weekly
		if w.From.After(now) {
			row.When += ", from " + moment(w.From, local)
		}
		if !w.To.IsZero() {
			row.When += ", until " + moment(w.To, local)
		}
	} else {
		row.When = between(w.From, w.To, local)
	}
	if until, ok := w.Running(now); ok {
		row.Running, row.Until = true, moment(until, local)
		row.sort = until
	} else if from, to, ok := w.Next(now); ok {
		row.Next, row.sort = between(from, to, local), from
	}
	return row
}

// between is a stretch of time; the day is said once where it is the same.
func between(from, to, now time.Time) string {
	from, to = from.In(now.Location()), to.In(now.Location())
	end := moment(to, now)
	if y, m, d := from.Date(); y == to.Year() && m == to.Month() && d == to.Day() {
		end = to.Format("15:04")
	}
	return moment(from, now) + " to " + end
}

func scopeWords(s journal.Scope) string {
	var parts []string
	if s.Site != "" {
		parts = append(parts, "site "+s.Site)
	}
	if s.Operator != "" {
		parts = append(parts, "operator "+s.Operator)
	}
	if s.District != "" {
		parts = append(parts, "district "+s.District)
	}
	return strings.Join(parts, ", ")
}

// sortWindows puts those that run first, then by when they begin.
func sortWindows(rows []windowRow) {
	slices.SortStableFunc(rows, func(a, b windowRow) int {
		if a.Running != b.Running {
			if a.Running {
				return -1
			}
			return 1
		}
		return a.sort.Compare(b.sort)
	})
}

// maintenance is the page of all windows.
func (s *server) maintenance(w http.ResponseWriter, r *http.Request) {
	s.showMaintenance(w, r, http.StatusOK, typed{})
}

func (s *server) showMaintenance(w http.ResponseWriter, r *http.Request, status int, t typed) {
	now := s.Now()
	p := maintenancePage{head: s.head("Maintenance – nabz", "maintenance", now), May: mayOperate(r), Journal: s.Journal != nil, Said: deeds[r.URL.Query().Get("said")], Typed: t,
		Site: r.URL.Query().Get("site"), District: r.URL.Query().Get("district"), Operator: r.URL.Query().Get("operator"), ZoneGiven: now.Location().String()}
	p.Who = visitorOf(r)
	all := s.Live.Overview()
	if p.ZoneGiven == "Local" {
		p.ZoneGiven = "UTC"
	}
	for i := range all {
		site := all[i].Site
		p.Sites = append(p.Sites, site)
		p.Districts, p.Operators = append(p.Districts, site.District), append(p.Operators, site.Operator)
		if site.ID == p.Site {
			p.ZoneGiven = siteZone(site).String()
		}
	}
	p.Districts, p.Operators = distinct(p.Districts), distinct(p.Operators)
	if s.Journal != nil {
		s.windowRows(&p, now)
	}
	s.page(w, r, status, "maintenance", p)
}

func (s *server) windowRows(p *maintenancePage, now time.Time) {
	row := func(w journal.Window) windowRow {
		out := newWindowRow(w, now)
		n := 0
		for _, site := range p.Sites {
			if w.Scope.Has(site) {
				n++
				if w.Scope.Site == site.ID {
					out.Scope = site.Title()
				}
			}
		}
		out.Sites = plural(n, "site", "sites")
		return out
	}
	for _, w := range s.Journal.Windows() {
		if one := row(w); one.Running {
			p.Running = append(p.Running, one)
		} else {
			p.Planned = append(p.Planned, one)
		}
	}
	sortWindows(p.Running)
	sortWindows(p.Planned)
	for _, one := range s.Journal.Past(maxPast) {
		out := row(one.Window)
		out.Running, out.Next = false, "" // of one that was cancelled, its own times tell otherwise
		ended := moment(one.Ended, now.In(windowZone(one.Window)))
		out.How = "ended " + ended
		if one.CancelledBy != "" {
			out.How = "cancelled " + ended + " by " + one.CancelledBy
		}
		p.Past = append(p.Past, out)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// distinct sorts and leaves out what is empty or there twice.
func distinct(all []string) []string {
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// plan takes the form of a window, from the page of a site or of all windows.
func (s *server) plan(w http.ResponseWriter, r *http.Request) {
	if !s.posted(w, r) {
		return
	}
	f := r.PostForm
	ofSite := r.PathValue("id") // "" on the page of all
	again := func(status int, faults map[string]string) {
		if ofSite != "" {
			s.showSite(w, r, status, typed{"plan", f, faults})
			return
		}
		s.showMaintenance(w, r, status, typed{"plan", f, faults})
	}
	to := "/maintenance?said=plan"
	if ofSite != "" {
		if _, ok := s.Live.Site(ofSite); !ok {
			s.noSite(w, ofSite)
			return
		}
		f.Set("site", ofSite)
		to = backTo(r, ofSite, "plan")
	}
	win, faults := s.windowOf(f)
	if len(faults) > 0 {
		again(http.StatusUnprocessableEntity, faults)
		return
	}
	s.write(w, r, "plan maintenance", scopeWords(win.Scope), to, func(who string) (journal.Entry, error) { return s.Journal.Plan(who, win) }, again)
}

// windowOf reads the form. What the journal itself would refuse is left to it.
func (s *server) windowOf(f url.Values) (win journal.Window, faults map[string]string) {
	faults = map[string]string{}
	get := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	win = journal.Window{Scope: journal.Scope{Site: get("site"), District: get("district"), Operator: get("operator")}, Weekly: get("weekly"), Zone: get("zone"), Reason: f.Get("reason")}
	zone, err := time.LoadLocation(win.Zone)
	if err != nil || win.Zone == "Local" {
		faults["zone"] = "is no time zone; write an IANA name such as \"Africa/Kampala\""
		zone = time.UTC
	}
	for name, into := range map[string]*time.Time{"from": &win.From, "to": &win.To} {
		text := get(name)
		if text == "" {
			continue
		}
		if *into, err = localTime(text, zone); err != nil {
			faults[name] = "is no date and time; write it as 2026-11-27 14:30"
		}
	}
	if (win.Scope != journal.Scope{}) && !s.anySite(win.Scope) {
		faults["scope"] = "matches no site; choose from the lists"
	}
	return win, faults
}

// anySite tells whether there is one: a name that is misspelt would be a window for nobody.
func (s *server) anySite(scope journal.Scope) bool {
	return slices.ContainsFunc(s.Live.Overview(), func(st fleet.Status) bool { return scope.Has(st.Site) })
}

// localTime reads what a browser's field for date and time sends, and what a person types.
func localTime(text string, zone *time.Location) (t time.Time, err error) {
	text = strings.Replace(text, " ", "T", 1)
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err = time.ParseInLocation(form, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}

// cancel ends a window.
func (s *server) cancel(w http.ResponseWriter, r *http.Request) {
	if !s.posted(w, r) {
		return
	}
	id, err := strconv.ParseUint(r.PathValue("window"), 10, 64)
	if err != nil {
		s.failed(w, http.StatusNotFound, "There is no such window", "Look for it on the page of maintenance windows.")
		return
	}
	to := "/maintenance?said=cancel"
	if site := r.PostForm.Get("site"); site != "" {
		if _, ok := s.Live.Site(site); ok {
			to = backTo(r, site, "cancel")
		}
	}
	s.write(w, r, "cancel maintenance", "window "+strconv.FormatUint(id, 10), to, func(who string) (journal.Entry, error) { return s.Journal.Cancel(who, id) },
		func(status int, faults map[string]string) {
			what := cmp.Or(faults["window"], faults[""])
			if status == http.StatusUnprocessableEntity {
				status = http.StatusConflict
			}
			s.showMaintenance(w, r, status, typed{"cancel", r.PostForm, map[string]string{"": "The window was not cancelled: " + what + "."}})
		})
}
