package web

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/internal/npmpack"
	"github.com/smartvillage/nabz/internal/testneed"
)

// offline is how npm says that it did not reach its registry.
var offline = regexp.MustCompile(`\bE(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)\b`)

var axeOnce sync.Mutex

var axeText string // once fetched

// axe is the published script, whose hash is pinned.
func axe(t *testing.T) string {
	t.Helper()
	axeOnce.Lock()
	defer axeOnce.Unlock()
	if axeText != "" {
		return axeText
	}
	npm := testneed.Program(t, "npm", "apt-get install npm")
	packages, err := npmpack.Read("testdata/packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := packages[0].Fetch(t.Context(), npm)
	if err != nil && offline.MatchString(err.Error()) {
		testneed.Missing(t, "the npm registry", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	axeText = string(files["axe.min.js"])
	return axeText
}

// serious is what axe-core finds on the page that is serious or worse.
func (b *browser) serious(what string) (faults []string) {
	b.t.Helper()
	script := axe(b.t)
	if !shown[bool](b, `typeof axe === 'object'`) {
		b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool](script+"\n;true")(ctx, t)
			return err
		}))
	}
	type report struct {
		Faults []string
		Passes int
	}
	r, err := chromedp.Run(b, chromedp.Evaluate[report](`axe.run(document).then(r => ({Passes: r.passes.length,
		Faults: r.violations.filter(v => v.impact === 'serious' || v.impact === 'critical').map(v => v.impact + ': ' + v.help + ' (' + v.id + ')\n'
			+ v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + (n.failureSummary ?? '').slice(0, 300)).join('\n'))}))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: axe-core: %v", what, err)
	}
	if r.Passes < 8 {
		b.t.Errorf("%s: axe-core looked at next to nothing: %d rules passed", what, r.Passes)
	}
	return r.Faults
}

// accessible fails the test for what is serious.
func (b *browser) accessible(what string) {
	b.t.Helper()
	for _, f := range b.serious(what) {
		b.t.Errorf("%s: %s", what, f)
	}
}

// book is a list of alerts as somebody has written it.
type book struct {
	active, recent []alert.Alert
	told           []alert.Delivery
}

func (b book) Active() []alert.Alert                { return b.active }
func (b book) Calm() time.Time                      { return time.Time{} }
func (b book) Recent(most int) []alert.Alert        { return b.recent }
func (b book) Deliveries(most int) []alert.Delivery { return b.told }
func (b book) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

// someAlerts are one of each kind that the page knows.
func someAlerts(now time.Time) book {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	return book{
		active: []alert.Alert{
			{ID: "a-2", Rule: alert.Down, Severity: alert.Critical, Sites: []string{"passu", "saidpur", "keran"}, Over: []string{"keran"}, Group: "Margalla Net in Gojal",
				Cause: "backhaul of Margalla Net in Gojal", Title: "3 sites of Margalla Net in Gojal are down", Text: "All lost the way beyond their gateway within 40 s.", Began: ago(14 * time.Minute), Raised: ago(12 * time.Minute)},
			{ID: "a-1", Rule: alert.Battery, Severity: alert.Warning, Sites: []string{"dasu"}, Title: "Dasu school: battery 11 %", Began: ago(time.Hour), Raised: ago(time.Hour), Acknowledged: ago(50 * time.Minute), AcknowledgedBy: "amina"}},
		recent: []alert.Alert{{ID: "a-0", Rule: alert.Degraded, Severity: alert.Info, Sites: []string{"nagar"}, Title: "Nagar village centre is degraded", Began: ago(5 * time.Hour), Raised: ago(4 * time.Hour), Ended: ago(3 * time.Hour)}},
		told: []alert.Delivery{{At: ago(11 * time.Minute), Alert: "a-2", Channel: "telegram", What: alert.Raised, Attempt: 2},
			{At: ago(12 * time.Minute), Alert: "a-2", Channel: "telegram", What: alert.Raised, Attempt: 1, Err: "time-out", Next: ago(11 * time.Minute)}},
	}
}

func withAlerts(w *world, c *Config) { c.Alerts = someAlerts(w.now()) }

func withJournal(t testing.TB) func(*world, *Config) {
	return func(w *world, c *Config) {
		var err error
		if c.Journal, err = journal.Open(t.TempDir()+"/journal.jsonl", w.now, c.Log); err != nil {
			t.Fatal(err)
		}
		w.notes = c.Journal
	}
}

func TestNoPageHasASeriousFaultOfAccessibility(t *testing.T) {
	axe(t)
	b := newBrowser(t)
	w := openWorld(t, nothing{}, time.Time{}, t.TempDir(), withAlerts, withJournal(t))
	w.settle()
	if _, err := w.notes.Plan("amina", journal.Window{Scope: journal.Scope{Site: "rumbur"}, To: w.now().Add(time.Hour), Reason: "new antenna"}); err != nil {
		t.Fatal(err)
	}
	server := w.serve(t)
	empty := newWorld(t, nothing{}, time.Time{}).serve(t)
	silent := newWorld(t, nothing{}, time.Time{})
	silent.site(villages()[0], "router")
	nobody := silent.serve(t)
	closed := newClosed(t, time.Now())
	closed.build()
	door := httptest.NewServer(closed.handler)
	t.Cleanup(door.Close)
	look := func(scheme string) {
		for _, p := range []struct{ name, url, ready string }{
			{"board", server.URL + "/", `document.querySelectorAll('#rows tr').length === 12`},
			{"board, filtered", server.URL + "/?district=Hunza&q=health", `document.querySelectorAll('#rows tr').length > 0`},
			{"map", server.URL + "/map", `document.getElementById('map').dataset.drawn > 3`},
			{"alerts", server.URL + "/alerts", `document.querySelectorAll('li.alert').length === 2`},
			{"maintenance", server.URL + "/maintenance", `document.querySelector('main') !== null`},
			{"site", server.URL + "/sites/passu", `document.querySelector('.headline') !== null`},
			{"no such page", server.URL + "/nothing", `document.querySelector('.message') !== null`},
			{"no site yet", empty.URL + "/", `document.querySelector('.empty') !== null`},
			{"no data yet", nobody.URL + "/", `document.querySelector('.empty') !== null`},
			{"sign-in", door.URL + "/sign-in", `document.querySelector('form') !== null || document.querySelector('pre') !== null`},
		} {
			b.do(chromedp.Navigate(p.url))
			b.until(p.name, p.ready)
			b.accessible(fmt.Sprintf("%s, %s", p.name, scheme))
			if p.name == "map" {
				shown[bool](b, `document.querySelector('.pin.s-down').click() === undefined`)
				b.until("what is known of the site", `document.querySelector('.place')?.innerText.includes('Passu school') && getComputedStyle(document.querySelector('.leaflet-popup')).opacity === '1'`)
				b.accessible("a site on the map, " + scheme)
			}
			if p.name == "board" {
				shown[bool](b, `document.getElementById('help').showModal() === undefined`)
				b.accessible("keys, " + scheme)
			}
		}
		w.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused"), Next: "systemctl start influxdb"})
		b.do(chromedp.Navigate(server.URL))
		b.until("the trouble", `document.body.classList.contains('old')`)
		b.accessible("InfluxDB gone, " + scheme)
		w.trouble()
	}
	for _, scheme := range []string{"light", "dark"} {
		b.look(1280, 720, scheme)
		look(scheme)
	}
	b.look(390, 844, "dark")
	b.do(chromedp.Navigate(server.URL))
	b.until("the board", `document.querySelectorAll('#rows tr').length === 12`)
	b.accessible("board on a phone")
	shown[bool](b, `document.querySelector('main').append(document.createElement('button')) === undefined`)
	if found := b.serious("a button without a name"); len(found) != 1 || !strings.Contains(found[0], "button-name") {
		t.Errorf("of a button without a name it finds %q", found)
	}
}
