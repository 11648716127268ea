package web

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// reporting is a closed world with a ledger of October 2026 for three of its villages.
type reporting struct {
	*closed
	ledger *store.Store
	kept   *archive.Archive
}

// languages are English and Urdu.
func languages(t testing.TB) []*language.Text {
	t.Helper()
	set, err := language.Load("")
	if err != nil {
		t.Fatal(err)
	}
	en, err1 := set.Text("en")
	ur, err2 := set.Text("ur")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return []*language.Text{en, ur}
}

// reportsOver is what the pages need, over a ledger.
func reportsOver(t testing.TB, w *world, q Querier, dir string) (*Reports, *archive.Archive) {
	t.Helper()
	set, err := benchmark.Load("")
	if err != nil {
		t.Fatal(err)
	}
	kept := archive.New(dir, w.now)
	return NewReports(ReportsConfig{
		Desk:      &report.Desk{Querier: q, Sites: w.reg.Sites, Benchmarks: set, Programme: "Smart Villages", Zone: w.zone, Now: w.now},
		Archive:   kept,
		Languages: languages(t),
	}), kept
}

func newReporting(t testing.TB, at time.Time) *reporting {
	t.Helper()
	s := realStore(t)
	p := &reporting{closed: closedOver(t, s, at), ledger: s}
	p.settle()
	october := time.Date(2026, 11, 1, 0, 0, 0, 0, p.zone)
	for i, id := range []string{"passu", "karimabad", "gokina"} {
		p.tellMonth(telemetry.Address{Site: id, Agent: "router"}, uint64(i), october)
	}
	p.made, p.kept = reportsOver(t, p.world, s, p.dir)
	p.build()
	return p
}

// tellMonth has an agent tell of the thirty days that end then.
func (p *reporting) tellMonth(a telemetry.Address, seed uint64, to time.Time) {
	p.t.Helper()
	spans, last := past(seed, 30*24, to)
	if last.Length > 0 {
		spans = append(spans, telemetry.Span{Start: to.Add(-last.Length), Length: last.Length, State: last.State, Cause: last.Cause}.Line())
	}
	put(p.t, p.ledger, telemetry.Ledger, a, spans...)
}

// questionAt is the address of a question, as the board writes it.
func (p *reporting) questionAt(query string) string {
	p.t.Helper()
	res, body := p.ask(http.MethodGet, "/reports/preview?"+query, nil, as(p.cookieOf("wall")))
	if res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("%s answers %d: %.1500s", query, res.StatusCode, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
	}
	return res.Header.Get("Location")
}

// looksAt reads a page that may have to be waited for.
func (p *reporting) looksAt(name, path string) string {
	p.t.Helper()
	for range 30 {
		res, body := p.ask(http.MethodGet, path, nil, as(p.cookieOf(name)))
		if res.StatusCode == http.StatusAccepted {
			continue
		}
		if res.StatusCode != 200 {
			p.t.Fatalf("%s answers %d: %.1500s", path, res.StatusCode, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
		}
		return body
	}
	p.t.Fatalf("%s is never made", path)
	return ""
}

// hidden are the fields of the form that publishes.
func hidden(t testing.TB, page string) url.Values {
	t.Helper()
	form := regexp.MustCompile(`(?s)<form method="post" action="/reports" class="publish">.*?</form>`).FindString(page)
	if form == "" {
		t.Fatalf("the page has no form to publish")
	}
	v := url.Values{}
	for _, m := range regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		v.Add(m[1], m[2])
	}
	return v
}

// publishes looks at a question and publishes it; it returns the path of the revision.
func (p *reporting) publishes(query string) string {
	p.t.Helper()
	page := p.looksAt("aisha", p.questionAt(query))
	res, body := p.ask(http.MethodPost, "/reports", hidden(p.t, page), as(p.cookieOf("aisha")))
	if res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("publishing answers %d: %.800s", res.StatusCode, body)
	}
	path, _, _ := strings.Cut(res.Header.Get("Location"), "?")
	return path
}

func TestAReportIsLookedAtPublishedAndFoundAgain(t *testing.T) {
	p := newReporting(t, noon)
	at := p.questionAt("period=last-month")
	if !strings.Contains(at, "period=2026-10&") {
		t.Errorf("last month leads to %s, which will mean another month later", at)
	}
	page := p.looksAt("wall", at)
	says(t, "the viewer's look", page, "Not published", "October 2026", "Passu school", "An operator can publish it", `/reports/preview/report.pdf?`)
	if strings.Contains(page, `action="/reports"`) {
		t.Error("a viewer is offered to publish")
	}
	page = p.looksAt("aisha", at)
	sum := hidden(t, page).Get("sha256")
	if len(sum) != 64 || strings.Count(page, sum) < 3 {
		t.Errorf("the page does not show its SHA-256 %q", sum)
	}
	link := p.publishes("period=2026-10")
	if !regexp.MustCompile(`^/reports/2026-10-all-[0-9a-f]{6}/1$`).MatchString(link) {
		t.Fatalf("it is published as %s", link)
	}
	id := strings.Split(link, "/")[2]
	for _, path := range []string{link, "/reports/" + id} {
		says(t, path, p.reads("wall", path), "October 2026", "Passu school", sum, "by aisha", "1 of 1", "Check against the ledger")
	}
	says(t, "the list", p.reads("wall", "/reports"), `href="/reports/`+id+`"`, "October 2026", "citable", "revision 1", "by aisha")
	if _, doc := p.ask("GET", link+"/report.json", nil, as(p.cookieOf("wall"))); report.Hash([]byte(doc)) != sum {
		t.Error("the JSON at the permanent link does not have that SHA-256")
	}
	says(t, "a look at what is published", p.looksAt("aisha", at), "The ledger says what is published, byte for byte")
	var done []string
	for _, e := range p.audited("done") {
		done = append(done, e.Who+" "+e.What+" "+e.On+" "+e.Detail)
	}
	if want := "aisha publish report " + id + "/1 sha256 " + sum; len(done) != 1 || done[0] != want {
		t.Errorf("recorded %q, want %q", done, want)
	}
}

func TestAChangedLedgerMakesANewRevisionThatSaysWhatChanged(t *testing.T) {
	p := newReporting(t, noon)
	link := p.publishes("period=2026-10&sites=passu")
	says(t, "a check at once", p.looksAt("wall", link+"/check"), "The ledger says the same today")
	res, body := p.ask("POST", "/reports", url.Values{"period": {"2026-10"}, "sites": {"passu"}, "sha256": {"0"}}, as(p.cookieOf("aisha")))
	if says(t, "publishing what nobody has looked at", body, "Nothing was published"); res.StatusCode != http.StatusConflict {
		t.Errorf("it answers %d", res.StatusCode)
	}
	put(t, p.ledger, telemetry.Ledger, telemetry.Address{Site: "passu", Agent: "second"}, // late data of another agent: the first days of the month
		telemetry.Span{Start: time.Date(2026, 9, 30, 19, 0, 0, 0, time.UTC), Length: time.Hour, State: telemetry.StateUp}.Line())
	p.made.shop = newWorkshop() // minutes later
	page := p.looksAt("wall", link+"/check")
	says(t, "a check afterwards", page, "The ledger says something else today", "<code>sites[site=passu]")
	if strings.Contains(page, "says the same today") {
		t.Error("it says both")
	}
	page = p.looksAt("aisha", p.questionAt("period=2026-10&sites=passu"))
	says(t, "the look at it", page, "to publish it makes a new revision", "What differs from revision 1")
	second := p.publishes("period=2026-10&sites=passu")
	if second != strings.TrimSuffix(link, "1")+"2" {
		t.Fatalf("it is published as %s after %s", second, link)
	}
	says(t, "the second revision", p.reads("wall", second), "What revision 2 changed against the one before", "programme.time.observed_ms", "2 of 2")
	says(t, "the first revision", p.reads("wall", link), "This is revision 1. There is a newer one", "1 of 2")
	says(t, "the link without a number", p.reads("wall", strings.TrimSuffix(link, "/1")), "2 of 2")
	form := hidden(t, strings.ReplaceAll(page, "nothing", "")) // sent twice, by two people
	if _, body := p.does("aisha", "/reports", form); !strings.Contains(body, "Nothing has changed") {
		t.Errorf("publishing it again says %.300s", body)
	}
}

func TestEachWrongQuestionIsAnsweredWithOneSentenceBesideItsField(t *testing.T) {
	p := newReporting(t, noon)
	for name, c := range map[string]struct {
		query  url.Values
		field  string
		words  string
		status int
	}{
		"future":           {url.Values{"period": {"2027-03"}}, "fault-period", "lies in the future", 422},
		"reversed":         {url.Values{"choose": {"all"}, "period": {"days"}, "from": {"2026-10-20"}, "to": {"2026-10-01"}}, "fault-period", "ends before it begins", 422},
		"no day":           {url.Values{"choose": {"all"}, "period": {"days"}, "from": {"2026-10-20"}}, "fault-period", "Choose the first and the last day.", 422},
		"no month":         {url.Values{"choose": {"all"}, "period": {"exactly"}}, "fault-period", "Write a month as 2026-10", 422},
		"no period":        {url.Values{"period": {"October"}}, "fault-period", "write a month as 2026-10", 422},
		"unknown site":     {url.Values{"period": {"2026-10"}, "choose": {"list"}, "list": {"passu, nowhere"}}, "fault-sites", "&#34;nowhere&#34; is not in the sites file", 422},
		"unknown district": {url.Values{"period": {"2026-10"}, "sites": {"district=Atlantis"}}, "fault-sites", "o site has district &#34;Atlantis&#34;", 422},
		"no district":      {url.Values{"period": {"2026-10"}, "choose": {"district"}}, "fault-sites", "Choose the district.", 422},
		"no zone":          {url.Values{"period": {"2026-10"}, "time_zone": {"Asia/Atlantis"}}, "fault-zone", "&#34;Asia/Atlantis&#34;", 422},
		"no hours":         {url.Values{"period": {"2026-10"}, "peak_hours": {"soon"}}, "fault-peak", "soon", 422},
		"no benchmark":     {url.Values{"period": {"2026-10"}, "benchmarks": {"iso-9000"}}, "fault-benchmarks", "iso-9000", 422},
		"no language":      {url.Values{"period": {"2026-10"}, "lang": {"xx"}}, "fault-lang", "There is no language &#34;xx&#34; here.", 422},
		"no data":          {url.Values{"period": {"2020-10"}}, "status", "The ledger has nothing of these sites in this period.", 422},
	} {
		path := "/reports/preview?" + c.query.Encode()
		res, body := p.ask("GET", path, nil, as(p.cookieOf("wall")))
		if res.StatusCode == http.StatusSeeOther {
			res, body = p.ask("GET", res.Header.Get("Location"), nil, as(p.cookieOf("wall")))
		}
		if res.StatusCode != c.status || !strings.Contains(body, c.field) || !strings.Contains(body, c.words) {
			t.Errorf("%s: answers %d and does not say %q at %s:\n%.2500s", name, res.StatusCode, c.words, c.field, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
		}
		if n := strings.Count(body, `class="fault" id="`); n > 1 || n == 0 && c.field != "status" {
			t.Errorf("%s: %d faults are said, want one", name, n)
		}
		if all := p.audited("done"); len(all) > 0 {
			t.Errorf("%s: something was recorded: %v", name, all)
		}
	}
	says(t, "an empty form", p.reads("wall", "/reports"), `name="time_zone" value="Asia/Karachi"`, `name="peak_hours" value="19:00-23:00"`, `<option value="last-month" selected>`, `<option value="all" selected>`)
	_, body := p.ask("GET", "/reports/preview?"+url.Values{"choose": {"list"}, "list": {"nowhere"}, "period": {"days"}, "from": {"2026-10-09"}, "to": {"2026-10-03"}, "time_zone": {"Asia/Gilgit"}, "peak_hours": {"18:00-22:00"}, "benchmarks": {"giga"}, "lang": {"ur"}}.Encode(), nil, as(p.cookieOf("wall")))
	says(t, "the form that comes back", body, `name="from" value="2026-10-09"`, `name="to" value="2026-10-03"`, `value="Asia/Gilgit"`, `value="18:00-22:00"`, ">nowhere</textarea>", `value="giga" checked`, `<option value="list" selected>`,
		`<option value="days" selected>`, `<option value="ur" lang="ur" selected>`, "fault-period", "fault-sites", "fault-zone")
}

// stalled is a ledger that answers when it is told to.
type stalled struct {
	Querier
	on chan struct{}
}

func (s stalled) Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error) {
	select {
	case <-s.on:
		return s.Querier.Query(ctx, tier, influxQL)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAPageSaysHowFarAReportIsAndShowsItWithoutScripts(t *testing.T) {
	p := newReporting(t, noon)
	on := make(chan struct{})
	p.made.Desk.Querier = stalled{p.ledger, on}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.made.Run(ctx) }()
	defer func() { stop(); <-ended }()
	at := p.questionAt("period=2026-10")
	res, body := p.ask("GET", at, nil, as(p.cookieOf("wall")))
	says(t, "the page", body, "It is being made: 0 % is done.", `<noscript><meta http-equiv="refresh" content="1"></noscript>`, "<progress max=", "Report 2026-10")
	if res.StatusCode != http.StatusAccepted || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("answers %d %v", res.StatusCode, res.Header)
	}
	close(on)
	if page := p.looksAt("wall", at); strings.Contains(page, "refresh") || !strings.Contains(page, "Passu school") {
		t.Error("the page is not shown, or loaded again and again")
	}
	on = make(chan struct{})
	p.made.Desk.Querier = stalled{p.ledger, on}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if res, _ := p.ask("GET", "/api/v1/reports/preview?period=2026-09", nil, basic("wall", secret), func(r *http.Request) { *r = *r.WithContext(gone) }); res.StatusCode == 202 {
		t.Error("a script is told to come back")
	}
	if jobs, kept := p.made.shop.counts(); jobs != kept {
		t.Errorf("of %d tasks %d are done: one goes on for a script that has gone", jobs, kept)
	}
}

func TestABoardWithoutInfluxDBSaysSo(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	c.made, _ = reportsOver(t, c.world, gone{}, c.dir)
	c.build()
	p := &reporting{closed: c}
	res, body := c.ask("GET", p.questionAt("period=2026-10"), nil, as(c.cookieOf("wall")))
	says(t, "the page", body, "The ledger cannot be read", "connection refused")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("answers %d %v", res.StatusCode, res.Header)
	}
	if res, body := c.ask("GET", "/api/v1/reports/preview?period=2026-10", nil, basic("wall", secret)); res.StatusCode != 503 || !strings.Contains(body, `"error":"The ledger cannot be read"`) {
		t.Errorf("the API answers %d %s", res.StatusCode, body)
	}
	c.made = nil
	c.build()
	says(t, "a board without reports", c.reads("wall", "/reports"), "This collector makes no reports.")
	for _, path := range []string{"/reports/preview", "/reports/2026-10-all-abcdef", "/reports/2026-10-all-abcdef/1/report.pdf", "/api/v1/reports", "/shared/abc"} {
		if res, _ := c.ask("GET", path, nil, as(c.cookieOf("aisha"))); res.StatusCode != 404 {
			t.Errorf("%s answers %d without reports", path, res.StatusCode)
		}
	}
}

func TestEveryFormIsMadeFromTheBytesThatAreKept(t *testing.T) {
	p := newReporting(t, noon)
	link := p.publishes("period=2026-10&sites=passu,gokina")
	p.made.Desk.Querier = gone{} // nothing is asked of the ledger any more
	id := strings.Split(link, "/")[2]
	for file, c := range map[string]struct{ mime, begins, name string }{
		"report.pdf":  {"application/pdf", "%PDF-", id + "-r1-ur.pdf"},
		"report.xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK", id + "-r1.xlsx"},
		"report.zip":  {"application/zip", "PK", id + "-r1.zip"},
		"report.json": {"application/json", `{"asked"`, id + "-r1.json"},
		"report.html": {"text/html; charset=utf-8", "<!DOCTYPE html>\n<html lang=\"ur\" dir=\"rtl\">", id + "-r1-ur.html"},
	} {
		res, body := p.ask("GET", link+"/"+file+"?lang=ur", nil, basic("wall", secret), header("Accept-Encoding", ""))
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != c.mime || !strings.HasPrefix(body, c.begins) || res.Header.Get("Content-Disposition") != `attachment; filename="`+c.name+`"` {
			t.Errorf("%s answers %d %v %.60q", file, res.StatusCode, res.Header, body)
		}
		if again, same := p.ask("GET", link+"/"+file+"?lang=ur", nil, basic("wall", secret)); again.StatusCode != 200 || same != body {
			t.Errorf("%s has other bytes the second time", file)
		}
		if res.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s has length %s, not %d", file, res.Header.Get("Content-Length"), len(body))
		}
	}
	for file, packed := range map[string]string{"report.pdf": "", "report.xlsx": "", "report.zip": "", "report.json": "gzip"} {
		if res, _ := p.ask("GET", link+"/"+file, nil, basic("wall", secret), header("Accept-Encoding", "gzip")); res.Header.Get("Content-Encoding") != packed {
			t.Errorf("%s is sent with the encoding %q, want %q", file, res.Header.Get("Content-Encoding"), packed)
		}
	}
	_, body := p.ask("GET", link+"/report.zip", nil, basic("wall", secret))
	z, err := zip.NewReader(bytes.NewReader([]byte(body)), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range z.File {
		names[f.Name] = true
	}
	if !names["datapackage.json"] || !names["sites.csv"] {
		t.Errorf("the zip holds %v", names)
	}
	for _, path := range []string{link + "/report.exe", strings.TrimSuffix(link, "1") + "2", strings.TrimSuffix(link, "1") + "01", strings.TrimSuffix(link, "1") + "x", "/reports/2026-09-all-abcdef", "/reports/..", "/reports/%2e%2e%2fusers"} {
		if res, body := p.ask("GET", path, nil, as(p.cookieOf("wall"))); res.StatusCode != 404 && res.StatusCode/100 != 3 {
			t.Errorf("%s answers %d %.200s", path, res.StatusCode, body)
		}
	}
	p.breakRecord(id)
	if res, body := p.ask("GET", link, nil, as(p.cookieOf("wall"))); res.StatusCode != 500 || !strings.Contains(body, "This report is damaged") || strings.Contains(body, "Passu school") {
		t.Errorf("a damaged report answers %d", res.StatusCode)
	}
}

func TestANameThatHoldsMarkupIsTextOnEveryPageOfReports(t *testing.T) {
	p := newReporting(t, noon)
	evil := `<script>alert(1)</script><img src=x onerror=alert(2)>`
	p.site(fleet.Site{ID: "evil", Name: evil, District: `"><script>alert(3)</script>`, Operator: `'><b onmouseover=alert(4)>`}, "router")
	p.tellMonth(telemetry.Address{Site: "evil", Agent: "router"}, 9, time.Date(2026, 11, 1, 0, 0, 0, 0, p.zone))
	p.made.Desk.Programme = evil
	query := "period=2026-10&sites=evil"
	pages := map[string]string{"form": p.reads("aisha", "/reports?"+url.Values{"sites": {evil}, "period": {evil}, "time_zone": {evil}}.Encode()), "look": p.looksAt("aisha", p.questionAt(query))}
	link := p.publishes(query)
	p.does("aisha", strings.TrimSuffix(link, "/1")+"/shares", url.Values{"label": {evil}})
	pages["published"], pages["list"] = p.reads("aisha", link), p.reads("aisha", "/reports")
	_, pages["fault"] = p.ask("GET", "/reports/preview?"+url.Values{"sites": {evil}, "period": {evil}, "time_zone": {evil}, "lang": {evil}, "peak_hours": {evil}, "benchmarks": {evil}}.Encode(), nil, as(p.cookieOf("wall")))
	for name, page := range pages {
		for _, bad := range []string{"<script>alert", "<img src=x", "<b onmouseover"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page holds %s", name, bad)
			}
		}
		if !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: the page does not hold the name, so the test tests nothing", name)
		}
	}
}

func TestTheAPIListsMakesPublishesAndChecksReports(t *testing.T) {
	p := newReporting(t, noon)
	wall, aisha := basic("wall", secret), basic("aisha", secret)
	api := func(method, path, body string, with func(*http.Request), status int) map[string]any {
		t.Helper()
		res, got := p.ask(method, path, nil, with, func(r *http.Request) {
			if body != "" {
				r.Body = io.NopCloser(strings.NewReader(body))
			}
		})
		var v map[string]any
		if err := json.Unmarshal([]byte(got), &v); err != nil || res.StatusCode != status {
			t.Fatalf("%s %s answers %d, want %d: %v %.400s", method, path, res.StatusCode, status, err, got)
		}
		return v
	}
	if v := api("GET", "/api/v1/reports", "", wall, 200); len(v["reports"].([]any)) != 0 {
		t.Errorf("there are %v", v)
	}
	made := api("GET", "/api/v1/reports/preview?period=2026-10&sites=passu", "", wall, 200)
	if made["definition"] != report.Definition {
		t.Errorf("a look has %v", made["definition"])
	}
	const ask = `{"period":"2026-10","sites":["passu"]}`
	api("POST", "/api/v1/reports", ask, wall, 403)
	v := api("POST", "/api/v1/reports", ask, aisha, 201)
	if v["fresh"] != true || v["revision"] != 1.0 {
		t.Errorf("publishing says %v", v)
	}
	if v := api("POST", "/api/v1/reports", ask, aisha, 200); v["fresh"] != false || v["revision"] != 1.0 {
		t.Errorf("publishing again says %v", v)
	}
	link, id := v["link"].(string), v["id"].(string)
	res, doc := p.ask("GET", link, nil, wall)
	if res.StatusCode != 200 || report.Hash([]byte(doc)) != v["sha256"] {
		t.Errorf("%s answers %d, and its bytes have another SHA-256 than was told", link, res.StatusCode)
	}
	if v := api("GET", "/api/v1/reports/"+id, "", wall, 200); len(v["revisions"].([]any)) != 1 || !strings.HasPrefix(v["title"].(string), "Smart Villages: connectivity report, October 2026 · passu") {
		t.Errorf("the report is %v", v)
	}
	if v := api("GET", link+"/check", "", wall, 200); v["same"] != true {
		t.Errorf("the check says %v", v)
	}
	api("GET", "/api/v1/reports/none-such", "", wall, 404)
	api("GET", "/api/v1/reports/"+id+"/7", "", wall, 404)
	if v := api("GET", "/api/v1/reports/preview?period=2031-01&sites=nowhere", "", wall, 422); !strings.Contains(v["error"].(string), "lies in the future") || !strings.Contains(v["error"].(string), "nowhere") {
		t.Errorf("of what is wrong it says %v", v)
	}
	api("POST", "/api/v1/reports", `{"periode":"2026-10"}`, aisha, 400)
}

// breakRecord damages the documents of a report.
func (p *reporting) breakRecord(id string) {
	p.t.Helper()
	files, _ := filepath.Glob(filepath.Join(p.dir, "reports", id, "*.json"))
	if len(files) == 0 {
		p.t.Fatal("there is no document")
	}
	for _, f := range files {
		if err := errors.Join(os.Chmod(f, 0o600), os.WriteFile(f, []byte("     "), 0o600)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// logged is a world whose log can be read.
func (p *reporting) logged() *bytes.Buffer {
	var b bytes.Buffer
	p.server.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.handler = p.server.handler()
	return &b
}
