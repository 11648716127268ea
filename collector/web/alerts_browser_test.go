package web

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/alert"
)

// growing is a list of alerts that gets longer while somebody looks.
type growing struct {
	mu   sync.Mutex
	b    book
	news chan struct{}
}

func (g *growing) Active() []alert.Alert {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.b.active
}
func (g *growing) Calm() time.Time                      { return time.Time{} }
func (g *growing) Recent(int) []alert.Alert             { return g.b.recent }
func (g *growing) Deliveries(int) []alert.Delivery      { return g.b.told }
func (g *growing) Subscribe() (<-chan struct{}, func()) { return g.news, func() {} }

func (g *growing) grow(now time.Time) {
	g.mu.Lock()
	g.b.active = append([]alert.Alert{{ID: fmt.Sprint("n-", len(g.b.active)), Rule: alert.Down, Severity: alert.Critical, Title: "One more", Began: now, Raised: now}}, g.b.active...)
	g.mu.Unlock()
	g.news <- struct{}{}
}

func TestAListOfAlertsThatChangesLeavesAloneWhoReadsAndWrites(t *testing.T) {
	b := newBrowser(t)
	c := newClosed(t, time.Time{})
	c.settle()
	g := &growing{b: someAlerts(c.now()), news: make(chan struct{}, 1)}
	c.server.Alerts = g
	server := c.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("aisha", secret)
	b.until("the board", `location.pathname === '/'`)
	b.do(chromedp.Navigate(server.URL + "/alerts"))
	alerts := func(n int) string { return fmt.Sprintf(`document.querySelectorAll('li.alert').length === %d`, n) }
	b.until("the alerts, live", alerts(2)+` && performance.getEntriesByType('resource').some((e) => e.name.includes('live.js'))`)
	g.grow(c.now())
	b.until("news", alerts(3))

	const row = `document.getElementById('alert-a-2')`
	shown[bool](b, `(() => { `+row+`.querySelector('details').open = true; `+row+`.querySelector('input').value = 'crew on the way'; `+row+`.querySelector('button').focus(); return true; })()`)
	g.grow(c.now())
	b.until("more news", alerts(4))
	if kept := shown[string](b, row+`.querySelector('input').value + ' ' + `+row+`.querySelector('details').open + ' ' + (document.activeElement === `+row+`.querySelector('button'))`); kept != "crew on the way true true" {
		t.Errorf("what was typed, unfolded and focused is now %q", kept)
	}

	shown[bool](b, `(() => { const i = `+row+`.querySelector('input'); i.value = 'the operator looks'; i.focus(); window.heard = 0; new MutationObserver(() => window.heard++).observe(document.getElementById('alert-count'), {childList: true}); return true; })()`)
	g.grow(c.now())
	b.until("news under the hands of who writes", `window.heard > 0 && document.getElementById('alert-count').textContent === '5'`)
	x, y := shown[float64](b, `(() => { const r = `+row+`.querySelector('button').getBoundingClientRect(); return r.left + r.width / 2; })()`), shown[float64](b, `(() => { const r = `+row+`.querySelector('button').getBoundingClientRect(); return r.top + r.height / 2; })()`)
	b.mouse("mousePressed", x, y)
	shown[bool](b, `document.body.classList.contains('alerts')`) // a hand is slower than a script
	b.mouse("mouseReleased", x, y)
	b.until("that it is acknowledged", `document.body.innerText.includes('It is acknowledged')`)
	if e, ok := c.notes.AcknowledgedAlert("a-2"); !ok || e.Text != "the operator looks" {
		t.Errorf("kept is %+v", e)
	}
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}
