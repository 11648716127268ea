package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/telemetry"
)

// shares publishes a report of one village and makes a link to it; it returns the path of the link and that of the report.
func (p *reporting) shares(form url.Values) (shared, link string) {
	p.t.Helper()
	link = strings.TrimSuffix(p.publishes("period=2026-10&sites=passu"), "/1")
	res, body := p.ask(http.MethodPost, link+"/shares", form, as(p.cookieOf("aisha")))
	shared = regexp.MustCompile(`/shared/[A-Za-z0-9_-]{24}`).FindString(body)
	if res.StatusCode != 200 || shared == "" {
		p.t.Fatalf("sharing answers %d %.800s", res.StatusCode, regexp.MustCompile(`(<[^>]*>|\s)+`).ReplaceAllString(body, " "))
	}
	return shared, link
}

func TestASharedLinkShowsOneReportToAnybodyAndNothingElseOfTheBoard(t *testing.T) {
	p := newReporting(t, noon)
	shared, link := p.shares(url.Values{"label": {"Ministry of IT"}})
	other := p.publishes("period=2026-10&sites=gokina")
	res, body := p.ask("GET", shared, nil)
	says(t, "the page", body, "Smart Villages: connectivity report, October 2026", "Passu school", `<meta name="robots" content="noindex, nofollow">`, shared+"/report.pdf?lang=en", "اردو")
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "private, no-store", "X-Robots-Tag": "noindex, nofollow", "Content-Security-Policy": policy} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if res.StatusCode != 200 || len(res.Cookies()) > 0 {
		t.Errorf("answers %d with cookies %v", res.StatusCode, res.Cookies())
	}
	for _, address := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if a := address[1]; !strings.HasPrefix(a, shared) && !strings.HasPrefix(a, "/static/") {
			t.Errorf("the page leads to %s", a)
		}
	}
	for _, not := range []string{"Gokina", "aisha", "Ministry of IT", "pages-nav", "sign-out", "Publish it", "Check against", link} {
		if strings.Contains(body, not) {
			t.Errorf("the page tells of %q", not)
		}
	}
	for _, file := range []string{"report.pdf", "report.xlsx", "report.zip", "report.json", "report.html"} {
		res, body := p.ask("GET", shared+"/"+file+"?lang=ur", nil)
		if res.StatusCode != 200 || len(body) < 300 || res.Header.Get("Cache-Control") != "private, no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s answers %d with %d bytes, %v", file, res.StatusCode, len(body), res.Header)
		}
	}
	_, urdu := p.ask("GET", shared+"?lang=ur", nil)
	says(t, "in Urdu", urdu, `<html lang="ur" dir="rtl">`, `aria-current="true">اردو`)
	for _, path := range []string{"/", "/reports", link, other, link + "/1/report.pdf", "/api/v1/reports", "/sites/passu"} { // with what a browser would send along
		if res, _ := p.ask("GET", path, nil, header("Referer", "http://noc.example"+shared), header("Accept", "text/html")); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/sign-in") {
			t.Errorf("%s answers %d to who has a link only", path, res.StatusCode)
		}
	}
	page := p.reads("wall", link)
	if strings.Contains(page, "Ministry of IT") || strings.Contains(p.reads("aisha", link), shared) {
		t.Error("the list of links is told to a viewer, or tells a link again")
	}
	says(t, "the operator's list", p.reads("aisha", link), "Ministry of IT", "used last 15:30")
}

func TestALinkThatIsRevokedOverOrUnknownAnswersTheSameWay(t *testing.T) {
	p := newReporting(t, noon)
	shared, link := p.shares(url.Values{"label": {"for ever"}})
	_, ends := p.does("aisha", link+"/shares", url.Values{"label": {"until tomorrow"}, "until": {"2026-11-21"}})
	says(t, "the page", ends, "until the end of 21 November 2026")
	ended := regexp.MustCompile(`/shared/[A-Za-z0-9_-]{24}`).FindString(ends)
	id := regexp.MustCompile(`/shares/([0-9a-f]{12})/revoke"><button>Revoke<span class="unseen"> the link for for ever`).FindStringSubmatch(p.reads("aisha", link))
	if id == nil {
		t.Fatal("the page does not offer to revoke the link")
	}
	for _, path := range []string{shared, ended} {
		if res, _ := p.ask("GET", path, nil); res.StatusCode != 200 {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
	if status, _ := p.does("wall", link+"/shares/"+id[1]+"/revoke", url.Values{}); status != 403 {
		t.Errorf("a viewer who revokes gets %d", status)
	}
	if status, _ := p.does("aisha", strings.TrimSuffix(p.publishes("period=2026-10&sites=gokina"), "/1")+"/shares/"+id[1]+"/revoke", url.Values{}); status != 404 {
		t.Errorf("at another report's address it answers %d", status)
	}
	status, body := p.does("aisha", link+"/shares/"+id[1]+"/revoke", url.Values{})
	if says(t, "the page after it", body, "The link is revoked", "revoked 15:30 by aisha"); status != 200 {
		t.Errorf("answers %d", status)
	}
	p.mu.Lock()
	p.at = noon.Add(48 * time.Hour)
	p.mu.Unlock()
	var first string
	for _, path := range []string{shared, ended, "/shared/" + strings.Repeat("A", 24), "/shared/x", "/shared/", shared + "/report.pdf", ended + "/report.json", "/shared/x/y", "/shared/x/y/z", shared + "?revision=9", "/shared/%2e%2e%2freports"} {
		res, body := p.ask("GET", path, nil)
		if first == "" {
			first = body
		}
		if res.StatusCode != 404 || body != first || res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s answers %d %v, not as the others:\n%.300s", path, res.StatusCode, res.Header, body)
		}
	}
	says(t, "the answer", first, "This link leads nowhere")
	if strings.Contains(first, "/sign-in") || strings.Contains(first, `href="/"`) {
		t.Error("it leads to the board")
	}
	var done []string
	for _, e := range p.audited("done") {
		done = append(done, e.What+" "+e.Detail)
	}
	if got := strings.Join(done, ", "); !strings.Contains(got, "share report link "+id[1]+" for for ever") || !strings.Contains(got, "revoke link link "+id[1]+" for for ever") {
		t.Errorf("recorded %s", got)
	}
}

func TestASharedReportShowsItsCorrection(t *testing.T) {
	p := newReporting(t, noon)
	shared, link := p.shares(url.Values{"label": {"donor"}})
	put(t, p.ledger, telemetry.Ledger, telemetry.Address{Site: "passu", Agent: "second"}, telemetry.Span{Start: time.Date(2026, 9, 30, 19, 0, 0, 0, time.UTC), Length: time.Hour, State: telemetry.StateUp}.Line())
	p.made.shop = newWorkshop()
	if again := p.publishes("period=2026-10&sites=passu"); again != link+"/2" {
		t.Fatalf("published as %s", again)
	}
	_, body := p.ask("GET", shared, nil)
	body = strings.ReplaceAll(body, "\u00a0", " ") // which no line breaks at
	says(t, "the link", body, "Revision 2, published 20 November 2026", shared+"?lang=en&amp;revision=1")
	_, body = p.ask("GET", shared+"?revision=1", nil)
	says(t, "its first revision", body, "There is a newer revision of this report.", shared+"/report.pdf?lang=en&amp;revision=1")
	res, _ := p.ask("GET", shared+"/report.json?revision=1", nil)
	if !strings.HasSuffix(res.Header.Get("Content-Disposition"), `-r1.json"`) {
		t.Errorf("its JSON is %v", res.Header)
	}
}

func TestNoLogHoldsALinkToShare(t *testing.T) {
	p := newReporting(t, noon)
	log := p.logged()
	shared, link := p.shares(url.Values{"label": {"donor"}})
	token := strings.TrimPrefix(shared, "/shared/")
	p.ask("GET", shared, nil)
	p.ask("GET", shared+"/report.pdf", nil)
	p.ask("GET", shared+"/nothing", nil)
	p.ask("POST", shared, url.Values{"x": {"y"}}, header("Origin", "https://evil.example"))
	p.ask("POST", "/"+shared, url.Values{"x": {"y"}}, header("Origin", "https://evil.example"))
	p.ask("POST", shared, url.Values{"x": {"y"}})
	p.ask("PUT", shared+"/report.pdf", nil, as(p.cookieOf("wall")))
	id := strings.TrimPrefix(link, "/reports/")
	p.breakRecord(id)
	if res, body := p.ask("GET", shared, nil); res.StatusCode != 503 || strings.Contains(body, "pages-nav") || strings.Contains(body, p.dir) {
		t.Errorf("a damaged report answers %d %s", res.StatusCode, body)
	}
	if !strings.Contains(log.String(), "shared report") || !strings.Contains(log.String(), "a page of another site") {
		t.Errorf("the log does not hold what this test looks at: %s", log)
	}
	if strings.Contains(log.String(), token) {
		t.Errorf("the log holds the token: %s", log)
	}
	for _, e := range append(p.audited("done"), p.audited("refused")...) {
		if strings.Contains(fmt.Sprint(e), token) {
			t.Errorf("the audit log holds the token: %v", e)
		}
	}
	if !strings.Contains(fmt.Sprint(p.audited("done")), "share report") {
		t.Error("the audit log does not tell of the link at all")
	}
}

func TestLinksToShareCanBeTriedSoOften(t *testing.T) {
	p := newReporting(t, noon)
	shared, _ := p.shares(url.Values{"label": {"donor"}})
	p.made.tries = limit.New(limit.Rates{Pair: limit.Rate{Burst: 3, Every: time.Minute}, All: limit.Rate{Burst: 100, Every: time.Second}, Most: 100})
	for i := range 5 {
		res, body := p.ask("GET", "/shared/"+strings.Repeat("B", 24), nil)
		if want := map[bool]int{true: 404, false: 429}[i < 3]; res.StatusCode != want {
			t.Errorf("try %d answers %d, want %d: %.200s", i+1, res.StatusCode, want, body)
		}
	}
	if res, _ := p.ask("GET", shared, nil); res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Errorf("the right one answers %d after so many tries", res.StatusCode)
	}
	if res, _ := p.ask("GET", shared, nil, from("198.51.100.7:999")); res.StatusCode != 200 {
		t.Errorf("another host is answered %d", res.StatusCode)
	}
}

func TestALabelWithManySpacesIsALabel(t *testing.T) {
	p := newReporting(t, noon)
	_, link := p.shares(url.Values{"label": {" Ministry  of IT "}})
	says(t, "the operator's list", p.reads("aisha", link), "Ministry of IT")
}

func TestADamagedReportIsNotShared(t *testing.T) {
	p := newReporting(t, noon)
	link := strings.TrimSuffix(p.publishes("period=2026-10&sites=passu"), "/1")
	p.breakRecord(strings.TrimPrefix(link, "/reports/"))
	if status, body := p.does("aisha", link+"/shares", url.Values{"label": {"donor"}}); status != 500 || !strings.Contains(body, "This report is damaged") {
		t.Errorf("answers %d %.300s", status, body)
	}
	if all, _ := p.kept.Shares(); len(all) > 0 {
		t.Errorf("there is a link that nobody was shown: %v", all)
	}
}

func TestAWrongShareIsSaidBesideItsField(t *testing.T) {
	p := newReporting(t, noon)
	link := strings.TrimSuffix(p.publishes("period=2026-10&sites=passu"), "/1")
	for name, c := range map[string]struct {
		form  url.Values
		words string
	}{
		"no label": {url.Values{"label": {"  "}}, "Say for whom the link is"},
		"long":     {url.Values{"label": {strings.Repeat("x", 400)}}, "It is too long: 400 bytes, and 300 are the most; a letter of Urdu takes two."},
		"Urdu":     {url.Values{"label": {strings.Repeat("ن", 151)}}, "It is too long: 302 bytes"},
		"no day":   {url.Values{"label": {"donor"}, "until": {"soon"}}, "This is no day; write it as 2026-12-31."},
		"over":     {url.Values{"label": {"donor"}, "until": {"2026-11-19"}}, "This day is over"},
	} {
		status, body := p.does("aisha", link+"/shares", c.form)
		if says(t, name, body, c.words, `value="`+c.form.Get("label")); status != 422 || strings.Contains(body, "/shared/") {
			t.Errorf("%s: answers %d", name, status)
		}
	}
	if status, _ := p.does("wall", link+"/shares", url.Values{"label": {"x"}}); status != 403 {
		t.Errorf("a viewer who shares gets %d", status)
	}
	if status, _ := p.does("aisha", "/reports/2026-10-none-000000/shares", url.Values{"label": {"x"}}); status != 404 {
		t.Errorf("sharing what is not there answers %d", status)
	}
	for _, path := range []string{"/reports", link + "/shares", link + "/shares/0123456789ab/revoke"} {
		if res, _ := p.ask("POST", path, url.Values{"label": {"x"}}, as(p.cookieOf("aisha")), header("Sec-Fetch-Site", "cross-site")); res.StatusCode != 403 {
			t.Errorf("%s from a page of another site answers %d", path, res.StatusCode)
		}
	}
	if all, _ := p.kept.Shares(); len(all) > 0 {
		t.Errorf("there are links: %v", all)
	}
}
