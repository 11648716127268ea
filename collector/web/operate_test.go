package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// does sends a form as that user and follows where it leads to.
func (c *closed) does(name, path string, form url.Values) (status int, body string) {
	c.t.Helper()
	cookie := as(c.cookieOf(name))
	res, body := c.ask(http.MethodPost, path, form, cookie)
	if res.StatusCode != http.StatusSeeOther {
		return res.StatusCode, body
	}
	res, body = c.ask(http.MethodGet, strings.Split(res.Header.Get("Location"), "#")[0], nil, cookie)
	return res.StatusCode, body
}

func (c *closed) reads(name, path string) string {
	c.t.Helper()
	res, body := c.ask(http.MethodGet, path, nil, as(c.cookieOf(name)))
	if res.StatusCode != 200 {
		c.t.Fatalf("%s answers %d: %.300s", path, res.StatusCode, body)
	}
	return body
}

func says(t *testing.T, what, body string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(body, p) {
			t.Errorf("%s does not say %q; it says:\n%.3000s", what, p, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
		}
	}
}

func TestAnOperatorAcknowledgesAndCommentsAndAViewerSeesIt(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	status, body := c.does("aisha", "/sites/passu/acknowledge?range=7d", url.Values{"text": {"crew is on the way"}})
	says(t, "the page after it", body, "It is acknowledged", "aisha takes care of it", "crew is on the way", `aria-current="page">7 days`)
	if status != 200 {
		t.Errorf("answers %d", status)
	}
	_, body = c.does("aisha", "/sites/passu/comment", url.Values{"text": {"<script>alert(1)</script> & \"more\"\r\nsecond line"}})
	says(t, "the page after a comment", body, "Your comment is kept.", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;more&#34;\nsecond line")
	if strings.Contains(body, "<script>alert") {
		t.Error("a comment is run")
	}
	seen := c.reads("wall", "/sites/passu")
	says(t, "the viewer's page", seen, "aisha takes care of it", "<b>aisha</b> wrote", "15:30")
	if strings.Contains(seen, "<form method=\"post\" action=\"/sites/passu") {
		t.Error("a viewer is offered what only operators may do")
	}
	says(t, "the viewer's board", c.reads("wall", "/"), "acknowledged by aisha")
	for _, path := range []string{"/sites/passu/acknowledge", "/sites/passu/comment", "/sites/passu/maintenance", "/sites/passu/commands", "/maintenance", "/maintenance/1/cancel"} {
		if status, body := c.does("wall", path, url.Values{"text": {"x"}}); status != 403 || !strings.Contains(body, "You may not do this") {
			t.Errorf("%s by a viewer answers %d", path, status)
		}
	}
	if n := len(c.notes.Of("passu")); n != 2 {
		t.Errorf("%d entries are kept, want 2", n)
	}
	var done []string
	for _, e := range c.audited("done") {
		if e.Outcome == audit.Done {
			done = append(done, e.Who+" "+e.What+" "+e.On+" "+e.From)
		}
	}
	if got, want := strings.Join(done, ", "), "aisha acknowledge passu 192.0.2.1, aisha comment passu 192.0.2.1"; got != want {
		t.Errorf("recorded %s\nwant %s", got, want)
	}
	if refused := c.audited("refused"); len(refused) != 6 {
		t.Errorf("%d refusals are recorded, want 6", len(refused))
	}
	c.tell(telemetry.Address{Site: "passu", Agent: "router"}, noon, open(telemetry.StateUp, "", time.Minute))
	if body := c.reads("wall", "/sites/passu"); strings.Contains(body, "takes care of it") {
		t.Error("it is acknowledged still, and up")
	}
}

func TestAnOperatorAcknowledgesAnAlertOnTheListOfAlerts(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	running, stop := context.WithCancel(context.Background())
	var ended chan struct{}
	withEngine(t, running, &ended)(c.world, &c.server.Config)
	t.Cleanup(func() { stop(); <-ended })
	news, cancel := c.server.Alerts.Subscribe()
	defer cancel()
	of := func(site string) *alert.Alert {
		for late := time.After(20 * time.Second); ; {
			for _, a := range c.server.Alerts.Active() {
				if slices.Contains(a.Sites, site) {
					return &a
				}
			}
			select {
			case <-news:
			case <-late:
				t.Fatalf("no alert about %s; active are %+v", site, c.server.Alerts.Active())
			}
		}
	}
	a := of("passu")
	form := `action="/alerts/` + a.ID + `/acknowledge"`
	says(t, "the operator's list", c.reads("aisha", "/alerts"), form)
	if strings.Contains(c.reads("wall", "/alerts"), form) {
		t.Error("a viewer is offered what only operators may do")
	}
	if status, _ := c.does("wall", "/alerts/"+a.ID+"/acknowledge", url.Values{"text": {"x"}}); status != 403 {
		t.Errorf("a viewer who acknowledges gets %d, want 403", status)
	}
	status, body := c.does("aisha", "/alerts/"+a.ID+"/acknowledge", url.Values{"text": {"crew is on the way"}})
	if says(t, "the list after it", body, "It is acknowledged"); status != 200 {
		t.Errorf("answers %d", status)
	}
	for late := time.After(20 * time.Second); of("passu").AcknowledgedBy != "aisha"; {
		select {
		case <-news:
		case <-late:
			t.Fatalf("the engine does not know of it: %+v", of("passu"))
		}
	}
	says(t, "the viewer's list", c.reads("wall", "/alerts"), "by aisha")
	if status, body := c.does("aisha", "/alerts/no-such-alert/acknowledge", url.Values{"text": {"x"}}); status != 409 || !strings.Contains(body, "This alert does not go on any more") {
		t.Errorf("an alert that is none answers %d: %.200s", status, body)
	}
}

func TestTheListOfAlertsSaysThatSitesMayStillComeBack(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	engine, err := alert.Open(alert.Config{Settings: alert.Defaults(), Fleet: c.live, Journal: c.notes, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	c.server.Alerts = engine
	says(t, "the list after a start", c.reads("wall", "/alerts"), "No outage is told before 15:35:00")
	c.mu.Lock()
	c.at = noon.Add(5 * time.Minute)
	c.mu.Unlock()
	if body := c.reads("wall", "/alerts"); strings.Contains(body, "No outage is told before") {
		t.Error("it still says so when the time is over")
	}
}

func TestAnAcknowledgementOutlivesAChangeOfCause(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.does("aisha", "/sites/passu/acknowledge", url.Values{"text": {"mine"}})
	c.mu.Lock()
	c.at = noon.Add(2 * time.Minute)
	c.mu.Unlock()
	c.tell(telemetry.Address{Site: "passu", Agent: "router"}, c.now(), open(telemetry.StateDown, telemetry.CauseDNS, time.Minute),
		telemetry.Span{Start: noon.Add(-4 * time.Second), Length: 64 * time.Second, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul}.Line())
	says(t, "the page", c.reads("wall", "/sites/passu"), "name resolution", "aisha takes care of it")
	says(t, "the board", c.reads("wall", "/"), "acknowledged by aisha")
}

func TestWhatWasTypedWronglyComesBackWithWhatIsWrong(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	plan := func(change ...string) url.Values {
		f := url.Values{"from": {"2026-11-20T16:00"}, "to": {"2026-11-20T18:00"}, "zone": {"Asia/Karachi"}, "reason": {"new <b>panel</b>"}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	for _, tt := range []struct {
		name, path string
		form       url.Values
		status     int
		parts      []string
	}{
		{"empty comment", "/sites/passu/comment", url.Values{"text": {" "}}, 422, []string{"The text is empty; write what others should know.", `aria-invalid="true"`}},
		{"long comment", "/sites/passu/comment", url.Values{"text": {strings.Repeat("😀", 1001)}}, 422, []string{"The text has 1001 characters, at most 1000 are allowed", "😀😀</textarea>"}},
		{"very long comment", "/sites/passu/comment", url.Values{"text": {strings.Repeat("x", 70000)}}, 400, []string{"The form could not be read", "Nothing has been done"}},
		{"not UTF-8", "/sites/passu/comment", url.Values{"text": {"caf\xe9"}}, 422, []string{"The text is not UTF-8 text"}},
		{"a bell", "/sites/passu/comment", url.Values{"text": {"ding\a"}}, 422, []string{"control character U&#43;0007"}},
		{"a site of nobody", "/sites/nowhere/comment", url.Values{"text": {"x"}}, 404, []string{"There is no site of this name"}},
		{"nothing to acknowledge", "/sites/karimabad/acknowledge", url.Values{"text": {"mine"}}, 409, []string{"There is nothing to acknowledge: the site is up."}},
		{"weekly nonsense", "/sites/passu/maintenance", plan("weekly", `"><script>`), 422, []string{"Each week: &#34;\\&#34;&gt;&lt;script&gt;&#34; is not ", `value="&#34;&gt;&lt;script&gt;"`, "new &lt;b&gt;panel&lt;/b&gt;</textarea>", `value="2026-11-20T16:00"`}},
		{"ends before it begins", "/sites/passu/maintenance", plan("to", "2026-11-20T15:45"), 422, []string{"Ends: is not after the beginning"}},
		{"in the past", "/sites/passu/maintenance", plan("from", "", "to", "2026-11-20T15:00"), 422, []string{"Ends: is in the past"}},
		{"no time", "/sites/passu/maintenance", plan("from", "tomorrow"), 422, []string{"Begins: is no date and time; write it as 2026-11-27 14:30", `value="tomorrow"`}},
		{"no zone", "/sites/passu/maintenance", plan("zone", "Mars/Olympus"), 422, []string{"Time zone: is no time zone; write an IANA name"}},
		{"no reason", "/sites/passu/maintenance", plan("reason", ""), 422, []string{"Reason: is empty; say what is done"}},
		{"for nobody", "/maintenance", plan(), 422, []string{"The choice of sites names no site, district or operator; name at least one.", `value="2026-11-20T18:00"`}},
		{"for a district of no site", "/maintenance", plan("district", "hunza"), 422, []string{"The choice of sites matches no site; choose from the lists.", `value="hunza"`}},
		{"cancel what is not there", "/maintenance/77/cancel", nil, 409, []string{"The window was not cancelled: it is not planned any more"}},
		{"cancel nonsense", "/maintenance/x/cancel", nil, 404, []string{"There is no such window"}},
	} {
		status, body := c.does("aisha", tt.path, tt.form)
		if status != tt.status {
			t.Errorf("%s: answers %d, want %d", tt.name, status, tt.status)
		}
		says(t, tt.name, body, tt.parts...)
		if strings.Contains(body, "<script>") {
			t.Errorf("%s: it is run", tt.name)
		}
	}
	if n := len(c.notes.Of("passu")) + len(c.notes.Windows()); n != 0 {
		t.Errorf("and yet %d entries were kept", n)
	}
}

func TestMaintenanceIsPlannedShownAndCancelled(t *testing.T) {
	c := newClosed(t, noon) // Friday, 15:30 in Karachi
	c.settle()
	_, body := c.does("aisha", "/sites/passu/maintenance", url.Values{"to": {"2026-11-20T18:00"}, "zone": {"Asia/Karachi"}, "reason": {"new panel"}})
	says(t, "the site's page", body, "The maintenance window is planned.", "Maintenance until 18:00", "new panel", "else down", `class="headline s-maintenance"`)
	_, body = c.does("aisha", "/maintenance", url.Values{"district": {"Hunza"}, "operator": {"Karakoram Link"}, "weekly": {"Su 02:00-04:00"}, "zone": {"Asia/Karachi"}, "reason": {"upgrades"}})
	says(t, "the page of all", body, "The maintenance window is planned.", "each week Su 02:00-04:00", "next 22 Nov 02:00 to 04:00", "operator Karakoram Link, district Hunza (2 sites)", "runs until 18:00", "Passu school (1 site)")
	viewer := c.reads("wall", "/maintenance")
	says(t, "the viewer's page", viewer, "each week Su 02:00-04:00", "Operators can. You may look.")
	if strings.Contains(viewer, "/cancel") {
		t.Error("a viewer may cancel")
	}
	says(t, "another site of the district", c.reads("wall", "/sites/karimabad"), "each week Su 02:00-04:00")
	if strings.Contains(c.reads("wall", "/sites/bunji"), "upgrades") {
		t.Error("a site of another district is told of it")
	}
	first := c.notes.Windows()[0].ID
	_, body = c.does("aisha", fmt.Sprintf("/maintenance/%d/cancel", first), url.Values{"site": {"passu"}})
	says(t, "the site's page", body, "The maintenance window is cancelled.", `class="headline s-down"`, "cancelled maintenance")
	says(t, "the page of all", c.reads("wall", "/maintenance"), "cancelled 15:30 by aisha", "No site is in maintenance.")
}

func TestAFullDiskIsToldAndNothingIsLost(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	if err := os.Remove(filepath.Join(c.dir, "journal.jsonl")); err != nil {
		t.Fatal(err)
	}
	status, body := c.does("aisha", "/sites/passu/comment", url.Values{"text": {"kept in the form"}})
	if status != 503 {
		t.Errorf("answers %d, want 503", status)
	}
	says(t, "the page", body, "It could not be kept", "see to the disk", "kept in the form</textarea>")
	if all := c.audited("done"); len(all) != 1 || all[0].Outcome != audit.Failed {
		t.Errorf("recorded is %+v", all)
	}
}

func TestAPageWithoutAJournalSaysSo(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.server.Journal = nil
	says(t, "the site's page", c.reads("aisha", "/sites/passu"), "This collector keeps no journal.")
	says(t, "the page of all", c.reads("aisha", "/maintenance"), "This collector keeps no journal")
	if status, body := c.does("aisha", "/sites/passu/comment", url.Values{"text": {"x"}}); status != 503 || !strings.Contains(body, "keeps no journal") {
		t.Errorf("answers %d %.200s", status, body)
	}
}

func TestTheSpeedTestButtonSaysWhyItCannot(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	says(t, "the page", c.reads("aisha", "/sites/passu"), "Not available: this collector sends no commands to agents.", "<button disabled")
}

// What an operator has planned holds for the site that it was planned for by the clock of its zone, whatever zone the board is in.
func TestTimesOfAFormAreOfItsZone(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.does("aisha", "/maintenance", url.Values{"site": {"passu"}, "from": {"2026-11-20 16:00"}, "to": {"2026-11-20T18:00"}, "zone": {"Africa/Kampala"}, "reason": {"x"}})
	all := c.notes.Windows()
	if len(all) != 1 || !all[0].From.Equal(time.Date(2026, 11, 20, 13, 0, 0, 0, time.UTC)) || !all[0].To.Equal(time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)) {
		t.Errorf("planned is %+v", all)
	}
	if _, ok := c.notes.Maintenance(fleet.Site{ID: "passu"}, time.Date(2026, 11, 20, 14, 0, 0, 0, time.UTC)); !ok {
		t.Error("it does not hold")
	}
}

func TestAProgramPlansListsAndCancelsMaintenance(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	ask := func(method, path, body, name string) (int, string) {
		res, text := c.ask(method, path, nil, basic(name, secret), func(r *http.Request) { r.Body = readCloser{strings.NewReader(body)} })
		return res.StatusCode, text
	}
	for _, tt := range []struct {
		name, method, path, body, who string
		status                        int
		want                          string
	}{
		{"a viewer plans", "POST", "/api/v1/maintenance", `{"scope":{"site":"passu"}}`, "wall", 403, "needs the role operator"},
		{"nonsense", "POST", "/api/v1/maintenance", `{"site":"passu"}`, "aisha", 400, `unknown field \"site\"`},
		{"no time", "POST", "/api/v1/maintenance", `{"from":"soon"}`, "aisha", 400, "the request cannot be read"},
		{"a district of no site", "POST", "/api/v1/maintenance", `{"scope":{"district":"Hunzaa"},"weekly":"Su 02:00-04:00","reason":"x"}`, "aisha", 422, "scope: matches no site"},
		{"several faults", "POST", "/api/v1/maintenance", `{"weekly":"Sundays","zone":"Mars"}`, "aisha", 422, "reason: is empty"},
		{"weekly", "POST", "/api/v1/maintenance", `{"scope":{"district":"Hunza"},"weekly":"Su 02:00-04:00","zone":"Asia/Karachi","reason":"upgrades"}`, "aisha", 201, `{"id":1,"at":"2026-11-20T10:30:00Z","who":"aisha","kind":"maintenance"`},
		{"once", "POST", "/api/v1/maintenance", `{"scope":{"site":"passu"},"to":"2026-11-20T18:00:00+05:00","reason":"panel"}`, "aisha", 201, `"to":"2026-11-20T13:00:00Z"`},
		{"the list, by a viewer", "GET", "/api/v1/maintenance", "", "wall", 200, `"weekly":"Su 02:00-04:00","zone":"Asia/Karachi","who":"aisha","reason":"upgrades","running":false,"next":"2026-11-21T21:00:00Z","until":"2026-11-21T23:00:00Z"`},
		{"a viewer cancels", "POST", "/api/v1/maintenance/1/cancel", "", "wall", 403, "needs the role operator"},
		{"cancel", "POST", "/api/v1/maintenance/1/cancel", "", "aisha", 200, `"kind":"cancel","of":1`},
		{"cancel again", "POST", "/api/v1/maintenance/1/cancel", "", "aisha", 422, "somebody has cancelled it"},
		{"cancel nonsense", "POST", "/api/v1/maintenance/-/cancel", "", "aisha", 404, "no such window"},
	} {
		if status, body := ask(tt.method, tt.path, tt.body, tt.who); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: answers %d %s, want %d with %s", tt.name, status, body, tt.status, tt.want)
		}
	}
}
