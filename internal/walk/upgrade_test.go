package walk

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/internal/release"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// each runs a test for each release of the table, with the folder of its programs, where tests may take minutes and git has its commit.
func eachRelease(t *testing.T, test func(t *testing.T, r release.Release, bin string)) {
	t.Helper()
	all, err := release.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		t.Run(r.Version, func(t *testing.T) {
			testneed.Long(t)
			bin, err := r.Build(t.Context())
			if errors.Is(err, release.ErrNoHistory) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			test(t, r, bin)
		})
	}
}

// mixed is a programme whose agent and collector may be of different releases, with a tap between them. Its agent has enrolled.
type mixed struct {
	*centre
	edge *edge
	tap  *tap
	st   *store.Store
	a    telemetry.Address

	session *http.Cookie // of an operator
}

// newMixed sets the programme up as people do: init, a site, a token. The agent's machine tells it no time unless clock says so.
func newMixed(t *testing.T, agentBin, collectorBin string, clock bool) *mixed {
	t.Helper()
	c, port := foundCentreOf(t, collectorBin)
	m := &mixed{centre: c, tap: newTap(t), a: telemetry.Address{Site: "gokina", Agent: "main"}}
	c.rewrite("at_once = 0", "at_once = 4")
	c.rewrite(fmt.Sprintf(`url = "https://127.0.0.1:%d"`, port+1), fmt.Sprintf(`url = "https://127.0.0.1:%d"`, m.tap.before(c, line(t, fmt.Sprintf("127.0.0.1:%d", port+1)), m.tap.enrolment)))
	c.rewrite(fmt.Sprintf(`brokers = ["mqtts://127.0.0.1:%d"]`, port), fmt.Sprintf(`brokers = ["mqtts://127.0.0.1:%d"]`, m.tap.before(c, fmt.Sprintf("127.0.0.1:%d", port), m.tap.mqtt)))
	m.template(func(text string) string {
		if !clock {
			text = strings.Replace(text, "trust_system = true", "trust_system = false", 1)
		}
		return text + "[speedtest]\nper_day = 0.0\nmonthly_mb = 400.0\ntest_mb = 40.0\nbusy_share = 1.0\n"
	})
	c.user(operatorSecret+"\n", "add", "aisha", "--role", "operator")
	c.user(operatorSecret+"\n", "add", "wall")
	c.office("site", "add", "gokina", "--time-zone", "Asia/Karachi")
	c.start()
	c.ready()
	m.edge = &edge{t: t, dir: t.TempDir(), bin: agentBin}
	t.Cleanup(func() {
		if m.edge.cmd != nil {
			m.edge.stop()
		}
		if t.Failed() {
			t.Log(tail(filepath.Join(m.edge.dir, "agent.log")))
		}
	})
	if out, status := m.edge.enroll(c.office("agent", "add", m.a.String())); status != 0 {
		t.Fatalf("enroll ended with %d and says\n%s", status, out)
	}
	m.open()
	return m
}

// template changes what the programme wants all agents to have.
func (m *mixed) template(change func(string) string) {
	m.t.Helper()
	file := filepath.Join(m.dir, "agents.toml.template")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(change(string(text))), 0o600)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// open makes a store of what the collector's configuration names.
func (m *mixed) open() {
	m.t.Helper()
	text, err := os.ReadFile(m.config())
	if err != nil {
		m.t.Fatal(err)
	}
	value := func(key string) string {
		_, rest, ok := strings.Cut(string(text), "\n"+key+" = \"")
		if !ok {
			m.t.Fatalf("the configuration has no %s", key)
		}
		v, _, _ := strings.Cut(rest, "\"")
		return v
	}
	env := map[string]string{}
	for _, e := range m.env {
		key, v, _ := strings.Cut(e, "=")
		env[key] = v
	}
	m.st, err = store.Open(store.Config{URL: env["INFLUX_URL"], Token: env["INFLUX_TOKEN"], Org: env["INFLUX_ORG"], DetailBucket: value("detail_bucket"), LedgerBucket: value("ledger_bucket")}, slog.New(slog.DiscardHandler))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(m.st.Close)
}

// shows waits until the board shows the site in a state.
func (m *mixed) shows(state string) {
	m.t.Helper()
	waitFor(m.t, 60*time.Second, "the board shows gokina "+state, func() bool {
		_, body := m.request(http.MethodGet, "/api/v1/sites/gokina", "wall", nil)
		var st struct{ State string }
		return json.Unmarshal([]byte(body), &st) == nil && st.State == state
	})
}

// TestAgentsAndCollectorsOfDifferentReleasesWorkTogether is what docs/upgrading.md promises, with the programs of each release.
func TestAgentsAndCollectorsOfDifferentReleasesWorkTogether(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release, bin string) {
		t.Run("its agent at the collector of today", func(t *testing.T) { live(t, newMixed(t, bin, "", false)) })
		t.Run("the agent of today at its collector", func(t *testing.T) { live(t, newMixed(t, "", bin, false)) })
	})
}

// live has an agent report, be asked, be killed, outlive a kill of its collector, and stop.
func live(t *testing.T, m *mixed) {
	m.edge.start()
	m.connected("gokina")
	waitFor(t, 30*time.Second, "the agent has its clock from an acknowledgement", func() bool {
		out, _ := m.edge.ask("status", "--json")
		var s struct{ Clock string }
		return json.Unmarshal([]byte(out), &s) == nil && s.Clock == "synced"
	})

	for kind, want := range map[string]string{"speedtest": "down ", "diagnostics": "pass "} {
		_, one := m.command("gokina", kind)
		if end := m.becomes("gokina", one.ID, "done", "failed", "refused", "expired"); end.State != "done" || !strings.Contains(end.Text+end.Data, want) {
			t.Errorf("the %s became %+v", kind, end)
		}
	}
	waitFor(t, 60*time.Second, "the speed test is in InfluxDB", func() bool {
		return len(column(t, m.st, telemetry.Ledger, "speedtest", "used_bytes", m.a)) == 1
	})

	killed := time.Now()
	m.edge.kill()
	m.shows("unreachable")
	waitFor(m.t, time.Minute, "the agent has been away for a while", func() bool { return time.Since(killed) > 5*time.Second })
	m.edge.start()
	m.connected("gokina")
	back := time.Now()

	seqs := func() int { return len(column(t, m.st, telemetry.Detail, "batch", "seq", m.a)) }
	m.kill()
	before := seqs()
	m.start()
	m.ready()
	waitFor(t, 60*time.Second, "batches go on being stored", func() bool { return seqs() > before+2 })
	m.edge.stop()
	waitFor(t, 30*time.Second, "all that was measured is stored", func() bool { return len(m.edge.waiting()) == 0 || m.drain() })
	m.shows("unreachable")
	m.exact(killed, back)
}

// drain runs the agent for a moment, so that what its last minute left behind is sent.
func (m *mixed) drain() bool {
	m.edge.start()
	m.edge.acknowledged()
	m.edge.stop()
	return false
}

// exact holds the ledger against the truth: no span over another, no gap between them, and one that says that the agent was away while it was killed.
// Each line is stored once and none is missing.
func (m *mixed) exact(killed, back time.Time) {
	m.t.Helper()
	series, err := m.st.Query(m.t.Context(), telemetry.Ledger, `SELECT "ms" FROM "span" WHERE site='gokina' AND agent='main' GROUP BY "state", "cause"`)
	if err != nil {
		m.t.Fatal(err)
	}
	var spans []timeline.Segment
	for _, s := range series {
		for _, row := range s.Values {
			at, _ := row[0].(json.Number).Int64()
			ms, _ := row[1].(json.Number).Int64()
			spans = append(spans, timeline.Segment{Start: at, End: at + ms, State: telemetry.State(s.Tags["state"]), Cause: telemetry.Cause(s.Tags["cause"])})
		}
	}
	slices.SortFunc(spans, func(a, b timeline.Segment) int { return int(a.Start - b.Start) })
	away := int64(0)
	for i, s := range spans {
		if i > 0 && s.Start != spans[i-1].End {
			m.t.Errorf("%d ms lie between %+v and %+v", s.Start-spans[i-1].End, spans[i-1], s)
		}
		if s.State == telemetry.StateOff && s.Cause == telemetry.CauseAgent && s.Start < back.UnixMilli() && s.End > killed.UnixMilli() {
			away += s.End - s.Start
		}
	}
	if truth := back.Sub(killed).Milliseconds(); away < 3000 || away > truth+2000 { // it marks each second; back is when the board saw it
		m.t.Errorf("the ledger says that the agent was away for %d ms, and it was for at most %d: %+v", away, truth, spans)
	}
	n := m.stored()
	m.t.Logf("%d lines and %d spans, exact; away for %d ms", n, len(spans), away)
}

// stored holds every line that went over the wire, once however often it was sent, against what InfluxDB has, and gives their number.
func (m *mixed) stored() int {
	m.t.Helper()
	codec, err := telemetry.NewCodec()
	if err != nil {
		m.t.Fatal(err)
	}
	defer codec.Close()
	want, kinds := map[string]string{}, map[string]int{}
	for i, payload := range m.tap.heard("data") {
		text, _, err := codec.Open(nil, payload)
		if err != nil {
			m.t.Fatalf("batch %d: %v", i, err)
		}
		good, bad, err := telemetry.Parse(text)
		if err != nil || len(bad) > 0 {
			m.t.Fatalf("batch %d: %v %v", i, bad, err)
		}
		for _, l := range good {
			if l.Tier == telemetry.Ledger || time.Since(time.UnixMilli(l.Time)) < 80*24*time.Hour { // detail of a guessed time is not kept
				want[identity(l.Line)] = fields(l.Line)
				kinds[l.Measurement]++
			}
		}
	}
	got := dump(m.t, m.st, m.a, kinds)
	for id, is := range want {
		if got[id] != is {
			m.t.Errorf("%s\n stored   %s\n sent     %s", id, got[id], is)
		}
		delete(got, id)
	}
	for id, is := range got {
		m.t.Errorf("stored but never sent: %s %s", id, is)
	}
	return len(want)
}

// TestTheNOCSeesWhichVersionEachAgentRuns asks in each of the ways that docs/upgrading.md names.
func TestTheNOCSeesWhichVersionEachAgentRuns(t *testing.T) {
	m := newMixed(t, "", "", true)
	m.office("agent", "add", "--secret", "gokina/spare")
	m.edge.start()
	m.connected("gokina")
	var s struct {
		Version  string
		Contract int
	}
	text, _ := m.edge.ask("status", "--json")
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.Version == "" || s.Contract != telemetry.Contract {
		t.Fatalf("status says %+v (%v)", s, err)
	}
	waitFor(t, 60*time.Second, "the collector has the agent's version in its metrics", func() bool {
		return m.metric(fmt.Sprintf("nabz_agents{version=%q}", s.Version)) == 1
	})
	waitFor(t, 30*time.Second, "the agent that never called is of an unknown version", func() bool { return m.metric(`nabz_agents{version="unknown"}`) == 1 })
	var site struct {
		Agents []struct {
			Agent, Version, System string
			Contract               int
		}
	}
	_, body := m.request(http.MethodGet, "/api/v1/sites/gokina", "wall", nil)
	if err := json.Unmarshal([]byte(body), &site); err != nil || len(site.Agents) != 2 || site.Agents[0].Version != s.Version || site.Agents[0].Contract != telemetry.Contract || site.Agents[0].System == "" || site.Agents[1].Version != "" {
		t.Errorf("the API says %+v (%v)", site, err)
	}
	if _, _, page := m.browse(http.MethodGet, "/sites/gokina", nil); !strings.Contains(page, "version "+html.EscapeString(s.Version)) {
		t.Errorf("the site's page does not say the version:\n%s", page)
	}
	if list := m.office("agent", "list", "--versions"); !regexp.MustCompile(`(?m)^gokina/main +enrolled.* `+regexp.QuoteMeta(s.Version)+` .*started \d{4}-`).MatchString(list) || !regexp.MustCompile(`(?m)^gokina/spare .* unknown `).MatchString(list) {
		t.Errorf("agent list --versions says\n%s", list)
	}
	var rows []struct {
		Address, Version string
		Contract         int
		Started          time.Time
	}
	if err := json.Unmarshal([]byte(m.office("agent", "list", "--versions", "--json")), &rows); err != nil || len(rows) != 2 || rows[0].Version != s.Version || rows[0].Started.IsZero() || rows[1].Version != "" {
		t.Errorf("agent list --versions --json says %+v (%v)", rows, err)
	}
}
