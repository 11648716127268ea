package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/people"
)

const secret = "umbrella glacier ladder apricot"

// closed is a world in which one has to sign in: aisha is an operator, wall a viewer, both with the same password.
type closed struct {
	*world
	dir    string
	people *people.People
	server *server
	store  Querier
	notes  *journal.Journal
	asks   *command.Commander
	made   *Reports // nil: no reports
}

func newClosed(t testing.TB, at time.Time) *closed {
	t.Helper()
	return closedOver(t, nothing{}, at)
}

// closedOver is newClosed over a store.
func closedOver(t testing.TB, q Querier, at time.Time) *closed {
	t.Helper()
	c := &closed{world: newWorld(t, q, at), dir: t.TempDir(), store: q}
	var err error
	if c.people, err = people.Open(filepath.Join(c.dir, "users.toml")); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]people.Role{"aisha": people.Operator, "wall": people.Viewer} {
		if err := c.people.Add(name, role, secret); err != nil {
			t.Fatal(err)
		}
	}
	c.build()
	return c
}

// build makes the pages anew, as after a restart.
func (c *closed) build() {
	c.t.Helper()
	log := slog.New(slog.NewTextHandler(c.t.Output(), nil))
	limits := people.SessionLimits{Idle: 12 * time.Hour, Life: 7 * 24 * time.Hour}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "nabz_test", Help: "A gauge of this test."}))
	var err error
	if c.notes, err = journal.Open(filepath.Join(c.dir, "journal.jsonl"), c.now, log); err != nil {
		c.t.Fatal(err)
	}
	c.server, err = newServer(Config{Registry: c.reg, Live: c.live, Store: c.store, Journal: c.notes, Commands: c.asks, Metrics: metrics, Ready: c.checks, Now: c.now, Log: log, People: c.people,
		Sessions: people.OpenSessions(filepath.Join(c.dir, "sessions.jsonl"), c.people, limits, c.now, log), Audit: audit.New(filepath.Join(c.dir, "audit"), c.now), SessionLife: limits.Life, Reports: c.made, Help: help(c.t)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.handler = c.server.handler()
}

// ask asks as a program on another machine would, unless with changes that.
func (c *closed) ask(method, path string, form url.Values, with ...func(*http.Request)) (*http.Response, string) {
	c.t.Helper()
	r := httptest.NewRequest(method, "http://noc.example"+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, w := range with {
		w(r)
	}
	rec := httptest.NewRecorder()
	c.handler.ServeHTTP(rec, r)
	body, _ := io.ReadAll(rec.Result().Body)
	return rec.Result(), string(body)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}
func basic(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}
func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}
func as(cookie *http.Cookie) func(*http.Request) {
	return func(r *http.Request) {
		if cookie != nil {
			r.AddCookie(cookie)
		}
	}
}

// signIn signs in by the form and returns the cookie.
func (c *closed) signIn(name string, with ...func(*http.Request)) *http.Cookie {
	c.t.Helper()
	res, body := c.ask(http.MethodPost, "/sign-in", url.Values{"name": {name}, "password": {secret}, "next": {"/sites/passu"}}, with...)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/sites/passu" || len(res.Cookies()) != 1 {
		c.t.Fatalf("signing in answers %d %v %.300s", res.StatusCode, res.Header, body)
	}
	return res.Cookies()[0]
}

// audited reads one file of the audit log.
func (c *closed) audited(name string) (all []audit.Entry) {
	c.t.Helper()
	f, err := os.Open(filepath.Join(c.dir, "audit", name+".jsonl"))
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e audit.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// address is one that a pattern matches.
func address(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		method, path = http.MethodGet, pattern
	}
	return method, strings.NewReplacer("{$}", "", "{id}", "passu").Replace(path)
}

func TestEveryAddressHasARuleAndKeepsIt(t *testing.T) {
	c := newClosed(t, noon)
	c.made, _ = reportsOver(t, c.world, nothing{}, c.dir)
	c.build()
	c.settle()
	patterns := c.server.routes().patterns
	if len(patterns) < 16 {
		t.Errorf("only %d patterns were walked: %v", len(patterns), patterns)
	}
	for p := range rules {
		if !slices.Contains(patterns, p) {
			t.Errorf("rule %q is for an address that does not exist", p)
		}
	}
	cookies := map[people.Role]*http.Cookie{"": nil, people.Viewer: c.signIn("wall"), people.Operator: c.signIn("aisha")}
	for _, pattern := range patterns {
		rule, ok := rules[pattern]
		if !ok || rule.all == (rule.need != "") {
			t.Errorf("%q has no rule in rules.go that says who may use it", pattern)
			continue
		}
		if strings.HasSuffix(pattern, "/events") || pattern == "POST /sign-out" { // never ends; ends the session: both have tests of their own
			continue
		}
		method, path := address(pattern)
		for role, cookie := range cookies {
			res, body := c.ask(method, path, nil, as(cookie))
			refused := res.StatusCode == 401 || res.StatusCode == 403 && pattern != "POST /sign-in" || res.StatusCode == 303 && strings.HasPrefix(res.Header.Get("Location"), "/sign-in")
			if may := rule.all || role.Allows(rule.need); refused == may {
				t.Errorf("%s by role %q answers %d; the rule says %v", pattern, role, res.StatusCode, rule)
			}
			if refused && (strings.Contains(body, "Passu") || strings.Contains(body, "nabz_test")) {
				t.Errorf("%s by role %q is refused and yet tells:\n%.500s", pattern, role, body)
			}
		}
	}
}

func TestAnAddressWithoutARuleAnswersNobody(t *testing.T) {
	c := newClosed(t, noon)
	d := &doors{ServeMux: http.NewServeMux(), s: c.server}
	d.HandleFunc("GET /forgotten", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") })
	c.handler = d
	if res, body := c.ask(http.MethodGet, "/forgotten", nil, as(c.cookieOf("aisha"))); res.StatusCode != 500 || strings.Contains(body, "secret") {
		t.Errorf("answers %d %s", res.StatusCode, body)
	}
}

// cookieOf begins a session without the page.
func (c *closed) cookieOf(name string) *http.Cookie {
	u, _ := c.people.User(name)
	return &http.Cookie{Name: "nabz", Value: c.server.Sessions.Begin(u)}
}

func TestAnOperatorsAddressIsRefusedToAViewerAndThatIsRecorded(t *testing.T) {
	c := newClosed(t, noon)
	const pattern = "POST /api/v1/sites/{id}/speedtest" // does not exist, and so stands for those to come
	rules[pattern] = rule{need: people.Operator, script: true}
	t.Cleanup(func() { delete(rules, pattern) })
	d := &doors{ServeMux: http.NewServeMux(), s: c.server}
	d.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if c.server.record(r, visitorOf(r), audit.Entry{What: "test", On: r.PathValue("id"), Outcome: audit.Done}) == nil {
			w.WriteHeader(http.StatusAccepted)
		}
	})
	c.handler = c.server.sameOrigin(d)
	for _, tt := range []struct {
		name string
		with []func(*http.Request)
		want int
	}{
		{"nobody", nil, 401},
		{"viewer", []func(*http.Request){as(c.cookieOf("wall"))}, 403},
		{"viewer's script", []func(*http.Request){basic("wall", secret)}, 403},
		{"operator", []func(*http.Request){as(c.cookieOf("aisha"))}, 202},
		{"operator's script", []func(*http.Request){basic("aisha", secret)}, 202},
		{"operator, at the wish of another site", []func(*http.Request){as(c.cookieOf("aisha")), header("Sec-Fetch-Site", "cross-site")}, 403},
		{"the same in an old browser", []func(*http.Request){as(c.cookieOf("aisha")), header("Origin", "https://evil.example")}, 403},
		{"operator, on the board", []func(*http.Request){as(c.cookieOf("aisha")), header("Sec-Fetch-Site", "same-origin"), header("Origin", "http://noc.example")}, 202},
	} {
		if res, body := c.ask(http.MethodPost, "/api/v1/sites/gokina/speedtest", nil, tt.with...); res.StatusCode != tt.want {
			t.Errorf("%s: answers %d, want %d: %.200s", tt.name, res.StatusCode, tt.want, body)
		}
	}
	c.server.Open, c.server.Sessions = true, nil // without sign-in all are viewers
	if res, _ := c.ask(http.MethodPost, "/api/v1/sites/gokina/speedtest", nil, func(r *http.Request) { r.Host = "localhost" }); res.StatusCode != 403 {
		t.Errorf("nobody in particular, with web.open: answers %d, want 403", res.StatusCode)
	}
	var done, refused []string
	for _, e := range c.audited("done") {
		done = append(done, e.Who+" "+e.What+" "+e.On)
	}
	for _, e := range c.audited("refused") {
		refused = append(refused, e.Who+" "+e.What)
	}
	if got, want := strings.Join(done, ", "), "wall sign in , aisha test gokina, aisha sign in , aisha test gokina, aisha test gokina"; got != want {
		t.Errorf("done: got %s\nwant %s", got, want)
	}
	if got, want := strings.Join(refused, ", "), "wall POST /api/v1/sites/gokina/speedtest, wall POST /api/v1/sites/gokina/speedtest,  POST /api/v1/sites/gokina/speedtest"; got != want {
		t.Errorf("refused: got %s\nwant %s", got, want)
	}
}

func TestWhoIsNotSignedInIsToldInTheirOwnWay(t *testing.T) {
	c := newClosed(t, noon)
	for _, tt := range []struct {
		name, method, path string
		with               func(*http.Request)
		status             int
		location, basic    string
	}{
		{"a person", "GET", "/sites/passu?range=7d", header("Accept", "text/html"), 303, "/sign-in?next=%2Fsites%2Fpassu%3Frange%3D7d", ""},
		{"a person at the board", "GET", "/", header("Accept", "text/html"), 303, "/sign-in", ""},
		{"a person at the JSON", "GET", "/api/v1/sites", header("Accept", "text/html,*/*"), 303, "/sign-in?next=%2Fapi%2Fv1%2Fsites", ""},
		{"a program", "GET", "/api/v1/sites", header("Accept", "*/*"), 401, "", `Basic realm="nabz", charset="UTF-8"`},
		{"a page's script", "GET", "/api/v1/me", header("Sec-Fetch-Mode", "cors"), 401, "", ""}, // no window of the browser's own
		{"a board", "GET", "/events", header("Sec-Fetch-Mode", "cors"), 401, "", ""},
		{"a form", "POST", "/", header("Accept", "text/html"), 401, "", ""},
	} {
		res, body := c.ask(tt.method, tt.path, nil, tt.with)
		if res.StatusCode != tt.status || res.Header.Get("Location") != tt.location || res.Header.Get("WWW-Authenticate") != tt.basic || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: answers %d %v %.200s", tt.name, res.StatusCode, res.Header, body)
		}
	}
}

func TestScriptsSignInByHTTPBasic(t *testing.T) {
	c := newClosed(t, noon)
	for range 3 {
		if res, body := c.ask("GET", "/api/v1/me", nil, basic("Wall", secret)); res.StatusCode != 200 || body != `{"user":"wall","role":"viewer"}`+"\n" || len(res.Cookies()) > 0 {
			t.Errorf("answers %d %v %s", res.StatusCode, res.Header, body)
		}
	}
	if res, _ := c.ask("GET", "/", nil, basic("wall", secret)); res.StatusCode != 303 {
		t.Errorf("a page lets HTTP basic in: %d", res.StatusCode)
	}
	for i := range 6 {
		want := 401
		if i == 5 {
			want = 429
		}
		if res, body := c.ask("GET", "/metrics", nil, basic("omar", secret), from("[2001:db8:1:2::"+fmt.Sprint(i+1)+"]:1000")); res.StatusCode != want || want == 429 && res.Header.Get("Retry-After") == "" {
			t.Errorf("try %d answers %d, want %d: %s", i+1, res.StatusCode, want, body)
		}
	}
	if done := c.audited("done"); len(done) != 1 || done[0].Detail != "HTTP basic" || done[0].Who != "wall" || done[0].From != "192.0.2.1" {
		t.Errorf("recorded: %+v, want one sign-in for three requests", done)
	}
	if refused := c.audited("refused"); len(refused) != 5 || refused[0].Who != "" || refused[0].From != "2001:db8:1:2::1" || refused[0].Detail != "HTTP basic, a name that nobody has" {
		t.Errorf("recorded: %+v", refused)
	}
}

func TestMetricsAreForThisMachineOrWhoSignsIn(t *testing.T) {
	c := newClosed(t, noon)
	here := func(r *http.Request) { r.RemoteAddr, r.Host = "127.0.0.1:4000", "127.0.0.1:8080" }
	for _, tt := range []struct {
		name string
		with []func(*http.Request)
		want int
	}{
		{"this machine", []func(*http.Request){here}, 200},
		{"this machine by IPv6", []func(*http.Request){func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:4000", "[::1]:8080" }}, 200},
		{"a proxy on this machine", []func(*http.Request){here, header("X-Forwarded-For", "198.51.100.1")}, 401},
		{"a name that was made to lead here", []func(*http.Request){here, func(r *http.Request) { r.Host = "evil.example:8080" }}, 401},
		{"another machine", nil, 401},
		{"another machine, signed in", []func(*http.Request){basic("wall", secret)}, 200},
	} {
		if res, _ := c.ask("GET", "/metrics", nil, tt.with...); res.StatusCode != tt.want {
			t.Errorf("%s: answers %d, want %d", tt.name, res.StatusCode, tt.want)
		}
	}
}

func TestBehindAProxyEachOfItsGuestsIsOneHost(t *testing.T) {
	c := newClosed(t, noon)
	c.server.Proxy = true
	c.handler = c.server.handler()
	wrong := url.Values{"name": {"aisha"}, "password": {"magenta cactus teapot river"}}
	proxy := from("127.0.0.1:4000")
	for i, tt := range []struct {
		name string
		with []func(*http.Request)
		from string
	}{
		{"a guest", []func(*http.Request){proxy, header("X-Forwarded-For", "203.0.113.9")}, "203.0.113.9"},
		{"a guest who says to be another", []func(*http.Request){proxy, header("X-Forwarded-For", "127.0.0.1, 2001:db8::7")}, "2001:db8::7"},
		{"this machine", []func(*http.Request){proxy}, "127.0.0.1"},
		{"nonsense", []func(*http.Request){proxy, header("X-Forwarded-For", "unknown")}, "127.0.0.1"},
		{"no proxy of this machine", []func(*http.Request){header("X-Forwarded-For", "203.0.113.9")}, "192.0.2.1"},
	} {
		c.ask("POST", "/sign-in", wrong, tt.with...)
		if refused := c.audited("refused"); len(refused) != i+1 || refused[i].From != tt.from {
			t.Errorf("%s: recorded is %+v, want one from %s", tt.name, refused, tt.from)
		}
	}
	if res, _ := c.ask("GET", "/metrics", nil, proxy, header("X-Forwarded-For", "127.0.0.1"), func(r *http.Request) { r.Host = "localhost" }); res.StatusCode != 401 {
		t.Errorf("a guest of the proxy gets metrics: %d", res.StatusCode)
	}
}

func TestABoardWithoutSignInAnswersThisMachineAlone(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	for host, want := range map[string]int{"localhost:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200, "[::1]": 200, "evil.example": 421, "localhost.evil.example": 421, "10.0.0.1:8080": 421, "": 421} {
		for _, path := range []string{"/", "/api/v1/sites", "/metrics"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			rec := httptest.NewRecorder()
			w.handler.ServeHTTP(rec, r)
			if rec.Code != want || want != 200 && strings.Contains(rec.Body.String(), "assu") {
				t.Errorf("%s at %q answers %d, want %d", path, host, rec.Code, want)
			}
		}
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	rec := httptest.NewRecorder()
	if w.handler.ServeHTTP(rec, r); rec.Code != 421 {
		t.Errorf("a proxy is answered %d, want 421", rec.Code)
	}
	if _, err := New(Config{Live: w.live, Store: nothing{}, Now: w.now}); err == nil {
		t.Error("a board that is neither open nor has users was made")
	}
}
