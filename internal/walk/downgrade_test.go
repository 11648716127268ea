package walk

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/release"
	"github.com/smartvillage/nabz/telemetry"
)

// TestASpoolIsReadByTheNextReleaseAndAgainByTheOneBefore has agents of a release and of today take turns on one data folder while the collector is away.
func TestASpoolIsReadByTheNextReleaseAndAgainByTheOneBefore(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release, bin string) {
		m := newMixed(t, bin, "", true)
		m.edge.start()
		m.edge.acknowledged()
		m.edge.stop()
		m.centre.stop()
		kept := map[string]string{}
		turn := func(name, bin string) {
			t.Helper()
			m.edge.bin = bin
			before := m.edge.kept()
			m.edge.start()
			waitFor(t, 60*time.Second, name+" has measured for a while", func() bool { return m.edge.kept() > before+2<<10 })
			m.edge.stop()
			now := map[string]string{}
			for _, l := range m.copied() {
				now[identity(l.Line)] = fields(l.Line)
			}
			for id, was := range kept {
				if now[id] != was {
					t.Errorf("after %s the spool has %s %q, want %q", name, id, now[id], was)
				}
			}
			t.Logf("%s: %d lines wait, %d before", name, len(now), len(kept))
			if len(now) <= len(kept) {
				t.Errorf("%s has added nothing", name)
			}
			kept = now
		}
		turn("release "+r.Version, bin)
		turn("the agent of today", "")
		turn("release "+r.Version+" again", bin)

		m.centre.start()
		m.ready()
		m.edge.start()
		waitFor(t, 60*time.Second, "the release sends what both have measured", func() bool { return m.has(kept) })
		m.edge.stop()
		m.stored()
	})
}

// TestAFileOfANewerAgentIsSetAsideByTheOneBeforeAndTakenBack raises the format that a file of the spool says, as a later release would.
func TestAFileOfANewerAgentIsSetAsideByTheOneBeforeAndTakenBack(t *testing.T) {
	eachRelease(t, func(t *testing.T, _ release.Release, bin string) {
		m := newMixed(t, "", "", true)
		m.centre.stop()
		m.edge.start()
		waitFor(t, 60*time.Second, "the agent has measured for a while", func() bool { return m.edge.kept() > 4<<10 })
		m.edge.stop()
		lines := map[string]string{}
		for _, l := range m.copied() {
			lines[identity(l.Line)] = fields(l.Line)
		}
		segments, err := filepath.Glob(filepath.Join(m.edge.data(), "*.seg"))
		if err != nil || len(segments) == 0 {
			t.Fatalf("no segment is in the spool (%v)", err)
		}
		for _, file := range segments {
			format(t, file, 2)
		}
		m.edge.bin = bin
		m.edge.start()
		waitFor(t, 30*time.Second, "the agent before sets the newer files aside", func() bool {
			aside, _ := filepath.Glob(filepath.Join(m.edge.data(), "newer-*"))
			return len(aside) == len(segments)
		})
		m.edge.stop()
		if log := tail(filepath.Join(m.edge.dir, "agent.log")); !strings.Contains(log, "upgrade nabz-agent to have it sent") {
			t.Errorf("the agent before does not say what to do:\n%s", log)
		}
		for _, file := range segments { // the program that knows the format is back
			format(t, filepath.Join(filepath.Dir(file), "newer-"+filepath.Base(file)), 1)
		}
		m.edge.bin = ""
		m.centre.start()
		m.ready()
		m.edge.start()
		waitFor(t, 60*time.Second, "what was set aside is stored", func() bool { return m.has(lines) })
	})
}

// format writes another format into the head of a segment, and its checksum anew.
func format(t *testing.T, file string, version uint16) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint16(b[8:], version)
	binary.BigEndian.PutUint32(b[28:], crc32.Checksum(b[:28], crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// copied reads what waits in a copy of the spool, so that who looks changes nothing.
func (m *mixed) copied() []telemetry.Parsed {
	m.t.Helper()
	dir := m.t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(m.edge.data())); err != nil {
		m.t.Fatal(err)
	}
	return (&edge{t: m.t, dir: dir}).waiting()
}

// has tells whether InfluxDB has all these lines.
func (m *mixed) has(lines map[string]string) bool {
	m.t.Helper()
	kinds := map[string]int{}
	for id := range lines {
		name, _, _ := strings.Cut(id, " ")
		name, _, _ = strings.Cut(name, ",")
		kinds[name]++
	}
	got := dump(m.t, m.st, m.a, kinds)
	for id, is := range lines {
		if got[id] != is {
			return false
		}
	}
	return true
}

// TestTheDataOfACollectorIsReadByTheNextReleaseAndAgainByTheOneBefore has collectors of a release and of today take turns on one folder, in which each
// writes something of every kind.
func TestTheDataOfACollectorIsReadByTheNextReleaseAndAgainByTheOneBefore(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release, bin string) {
		m := newMixed(t, "", bin, true)
		m.centre.stop()
		m.rewrite("disk_above_pct = 90.0", "disk_above_pct = 1.0") // so that there is an alert
		m.rewrite(`grace = "5m"`, `grace = "90s"`)
		m.start()
		m.ready()
		m.edge.start()
		m.connected("gokina")
		waitFor(t, 3*time.Minute, "an alert of the disk", func() bool {
			_, body := m.request(http.MethodGet, "/api/v1/alerts", "aisha", nil)
			return strings.Contains(body, "gokina")
		})
		var before map[string]any
		for n, turn := range []struct{ name, bin string }{{"release " + r.Version, bin}, {"the collector of today", ""}, {"release " + r.Version + " again", bin}, {"today's again", ""}} {
			if n > 0 {
				m.centre.stop()
				m.bin = turn.bin
				m.start()
				m.ready()
				m.connected("gokina")
			}
			seen := m.everything()
			for what, was := range before {
				if why := lost(was, seen[what]); why != "" {
					t.Errorf("%s does not have of %s what was there before: %s", turn.name, what, why)
				}
			}
			m.add(n)
			before = m.everything()
			for what, part := range map[string]string{"site list --json": "village-0", "agent list --json": "revoked:20", "report list --json": "2026-01", "users": "user-0",
				"/api/v1/sites/gokina/commands": "diagnostics", "/api/v1/alerts": "rule:disk", "/api/v1/maintenance": "window 0", "comments": "comment 0"} {
				if !strings.Contains(fmt.Sprint(before[what]), part) {
					t.Errorf("%s has no %q, so nothing of it is tested: %v", what, part, before[what])
				}
			}
		}
	})
}

// add writes one more of each kind: a site, agents with a token and a secret, a revoked one, a user, a comment, a window, a command.
func (m *mixed) add(n int) {
	m.t.Helper()
	site := fmt.Sprintf("village-%d", n)
	m.office("site", "add", site, "--time-zone", "Asia/Karachi", "--name", "Village "+site)
	m.office("agent", "add", site+"/main")
	m.office("agent", "add", "--secret", site+"/spare")
	m.office("agent", "revoke", site+"/spare")
	m.user(operatorSecret+"\n", "add", fmt.Sprintf("user-%d", n))
	m.comment(fmt.Sprintf("comment %d", n))
	at := time.Date(2026, time.Month(n+1), 10, 12, 0, 0, 0, time.UTC) // a month to report of
	if err := m.st.Write(m.t.Context(), telemetry.Ledger, fmt.Appendf(nil, "span,agent=main,site=gokina,state=up ms=3600000i,err_ms=0i %d\n", at.UnixMilli())); err != nil {
		m.t.Fatal(err)
	}
	m.office("report", "publish", "--period", fmt.Sprintf("2026-0%d", n+1), "--as", "aisha")
	waitFor(m.t, 30*time.Second, "the collector to take in "+site, func() bool { // it looks at the file once a second
		code, _ := m.request(http.MethodGet, "/api/v1/sites/"+site, "aisha", nil)
		return code == http.StatusOK
	})
	m.post("/api/v1/maintenance", map[string]any{"scope": map[string]string{"site": site}, "weekly": "Su 02:00-04:00", "zone": "Asia/Karachi", "reason": fmt.Sprint("window ", n)})
	_, one := m.command("gokina", "diagnostics")
	if end := m.becomes("gokina", one.ID, "done", "failed", "refused", "expired"); end.State != "done" {
		m.t.Errorf("diagnostics became %+v", end)
	}
}

// comment writes one on the site's page.
func (m *mixed) comment(text string) {
	m.t.Helper()
	code, to, _ := m.browse(http.MethodPost, "/sites/gokina/comment", url.Values{"text": {text}})
	if code != http.StatusSeeOther || !strings.Contains(to, "gokina") {
		m.t.Fatalf("a comment is answered %d and leads to %q", code, to)
	}
}

// browse asks for a page with the session of the first time: sessions last from one release to the other, too.
func (m *mixed) browse(method, path string, form url.Values) (code int, to, page string) {
	m.t.Helper()
	browser := &http.Client{Transport: client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, form url.Values) (*http.Response, string) {
		q, err := http.NewRequest(method, m.web+path, strings.NewReader(form.Encode()))
		if err != nil {
			m.t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if m.session != nil {
			q.AddCookie(m.session)
		}
		a, err := browser.Do(q)
		if err != nil {
			m.t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			m.t.Fatal(err)
		}
		return a, string(body)
	}
	if m.session == nil {
		a, _ := ask(http.MethodPost, "/sign-in", url.Values{"name": {"aisha"}, "password": {operatorSecret}})
		if cookies := a.Cookies(); len(cookies) == 1 {
			m.session = cookies[0]
		}
	}
	a, body := ask(method, path, form)
	return a.StatusCode, a.Header.Get("Location"), body
}

// post sends JSON to the board as the operator.
func (m *mixed) post(path string, body any) {
	m.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		m.t.Fatal(err)
	}
	q, err := http.NewRequest(http.MethodPost, m.web+path, strings.NewReader(string(b)))
	if err != nil {
		m.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.SetBasicAuth("aisha", operatorSecret)
	a, err := client.Do(q)
	if err != nil {
		m.t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		m.t.Fatalf("POST %s is answered %s", path, a.Status)
	}
}

// everything is what the collector has of what its folder keeps, by its commands and by the board.
func (m *mixed) everything() map[string]any {
	m.t.Helper()
	all := map[string]any{}
	for _, c := range [][]string{{"site", "list", "--json"}, {"agent", "list", "--json"}, {"report", "list", "--json"}} {
		var v any
		if err := json.Unmarshal([]byte(m.office(c...)), &v); err != nil {
			m.t.Fatal(err)
		}
		all[strings.Join(c, " ")] = v
	}
	users := []any{}
	for line := range strings.Lines(m.user("", "list")) {
		users = append(users, strings.TrimSpace(line))
	}
	all["users"] = users
	for _, path := range []string{"/api/v1/sites/gokina/commands", "/api/v1/alerts", "/api/v1/maintenance"} {
		code, body := m.request(http.MethodGet, path, "aisha", nil)
		var v map[string]any
		if err := json.Unmarshal([]byte(body), &v); code != http.StatusOK || err != nil {
			m.t.Fatalf("%s is answered %d %s", path, code, body)
		}
		delete(v, "at")
		all[path] = v
	}
	_, _, page := m.browse(http.MethodGet, "/sites/gokina", nil)
	comments := []any{}
	for _, c := range regexp.MustCompile(`comment \d`).FindAllString(page, -1) {
		comments = append(comments, c)
	}
	all["comments"] = comments
	return all
}

// lost tells what of a value is not in another, of which it may be a part.
func lost(was, now any) string {
	switch w := was.(type) {
	case map[string]any:
		n, _ := now.(map[string]any)
		for key, v := range w {
			if why := lost(v, n[key]); why != "" {
				return key + ": " + why
			}
		}
		return ""
	case []any:
		n, _ := now.([]any)
		for _, v := range w {
			found := false
			for _, x := range n {
				found = found || lost(v, x) == ""
			}
			if !found {
				return fmt.Sprintf("%v is not among %v", v, now)
			}
		}
		return ""
	}
	if !reflect.DeepEqual(was, now) {
		return fmt.Sprintf("%v became %v", was, now)
	}
	return ""
}
