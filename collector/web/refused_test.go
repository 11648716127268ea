package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhoIsNotLetInHearsNothingOfTheCollectorsTroubles(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused at db.internal")})
	says(t, "the viewer's page", c.reads("wall", "/maintenance"), "connection refused at db.internal")
	for name, ask := range map[string]func() (*http.Response, string){
		"nobody writes": func() (*http.Response, string) {
			return c.ask("POST", "/sites/passu/comment", url.Values{"text": {"x"}})
		},
		"a form without end": func() (*http.Response, string) {
			return c.ask("POST", "/sign-in", url.Values{"name": {strings.Repeat("x", 9000)}})
		},
		"a page of another site": func() (*http.Response, string) {
			return c.ask("POST", "/sign-in", nil, header("Origin", "https://evil.example"))
		},
		"the page where one signs in": func() (*http.Response, string) { return c.ask("GET", "/sign-in", nil) },
	} {
		if res, body := ask(); strings.Contains(body, "db.internal") {
			t.Errorf("%s: answers %d and tells of the collector's troubles", name, res.StatusCode)
		}
	}
	w := newWorld(t, nothing{}, noon)
	w.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused at db.internal")})
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, httptest.NewRequest("GET", "http://rebound.example/", nil))
	if rec.Code != http.StatusMisdirectedRequest || strings.Contains(rec.Body.String(), "db.internal") {
		t.Errorf("under a stranger's name it answers %d and tells of the collector's troubles", rec.Code)
	}
}

func TestSitesAreSaidToBeStaleOnlyWhereTheyAre(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	if err := os.WriteFile(filepath.Join(c.dir, "users.toml"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	cookie := as(c.cookieOf("wall"))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		if c.people.Fault() != nil {
			break
		}
		<-tick.C
	}
	_, page := c.ask("GET", "/", nil, cookie)
	says(t, "the board", page, "Trouble at the operations centre", "users file")
	if strings.Contains(page, "Sites keep their last known state") {
		t.Error("a users file that cannot be read makes no state stale, and yet the banner says so")
	}
	c.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused")})
	_, page = c.ask("GET", "/", nil, cookie)
	says(t, "the board", page, "Sites keep their last known state, marked stale, until this is over.")
}

func TestAnAlertsTextThatCannotBeKeptIsNamed(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.server.Alerts = someAlerts(noon)
	if status, body := c.does("aisha", "/alerts/a-2/acknowledge", url.Values{"text": {strings.Repeat("x", 1001)}}); status != 422 || !strings.Contains(body, "<p>The text has 1001 characters, at most 1000 are allowed; shorten it.</p>") {
		t.Errorf("answers %d %.3000s", status, body)
	}
}
