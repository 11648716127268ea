package web

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// month stores a plausible month of a site, up to now: spans, hours, services, speed tests, and detail but for two gaps.
func month(t *testing.T, s *store.Store, a telemetry.Address, now time.Time) {
	t.Helper()
	spans, _ := past(1, 30*24, now)
	put(t, s, telemetry.Ledger, a, spans...)
	rnd := rand.New(rand.NewPCG(5, 1))
	var ledger, detail []*telemetry.Line
	hour := now.Truncate(time.Hour)
	for h := 1; h <= 30*24; h++ {
		at := hour.Add(-time.Duration(h) * time.Hour)
		busy := 0.3 + 0.7*float64((at.Hour()+20)%24)/24
		n := int64(200 + rnd.IntN(100))
		l := telemetry.NewLine("hour", at).Int("ms", 3600000)
		for _, edge := range []int64{25, 50, 100, 150, 300, 600, 1200} {
			l.Int(fmt.Sprintf("rtt_le_%d", edge), max(0, min(n, int64(float64(n)*(1.15-busy*50/float64(edge+10))))))
		}
		ledger = append(ledger, l.Int("rtt_le_inf", n).Int("sent", n+4).Int("lost", 4).Int("rx_bytes", int64(4e7*busy)).Int("tx_bytes", int64(7e6*busy)).Int("rx_peak_bps", int64(4e6*busy)).Int("tx_peak_bps", 900000).Int("clients_max", int64(20*busy)))
		if local := (at.Hour() + 5) % 24; local >= 8 && local < 16 {
			for _, name := range []string{"video-consultation", "e-learning"} {
				ready := int64(3600000)
				if rnd.IntN(6) == 0 {
					ready = rnd.Int64N(3600000)
				}
				ledger = append(ledger, telemetry.NewLine("hour_service", at).Tag("service", name).Int("ready_ms", ready).Int("window_ms", 3600000))
			}
		}
		if h%7 == 0 {
			ledger = append(ledger, telemetry.NewLine("speedtest", at.Add(13*time.Minute)).Tag("server", "noc").Int("down_bps", int64(4e6+6e6*rnd.Float64())).Int("up_bps", int64(1e6+2e6*rnd.Float64())).Float("min_rtt_ms", 48).Int("used_bytes", 9000000))
		}
	}
	ledger = append(ledger, telemetry.NewLine("event", now.Add(-3*time.Hour)).Tag("kind", "boot").Str("detail", "machine started after a power cut"),
		telemetry.NewLine("event", now.Add(-26*time.Hour)).Tag("kind", "clock").Str("detail", "clock stepped by 2.1 s"))
	for m := range 30 * 24 * 12 {
		at := now.Add(-time.Duration(m) * 5 * time.Minute)
		if m > 60 && m < 90 || m > 2000 && m < 2300 {
			continue
		}
		detail = append(detail, minute(rnd, at, 5*time.Minute)...)
		detail = append(detail, telemetry.NewLine("power", at).Float("battery_pct", 40+50*float64((at.Hour()+8)%24)/24).Float("volts", 12.1+rnd.Float64()).Bool("charging", at.Hour() < 12))
		detail[len(detail)-2].Float("disk_pct", 23).Float("temp_c", 41+6*rnd.Float64())
	}
	for some := range slices.Chunk(ledger, 5000) {
		put(t, s, telemetry.Ledger, a, some...)
	}
	for some := range slices.Chunk(detail, 5000) {
		put(t, s, telemetry.Detail, a, some...)
	}
}

// drag marks a stretch of a chart, as parts of its width.
func (b *browser) drag(chart string, from, to float64) {
	b.t.Helper()
	shown[bool](b, fmt.Sprintf(`document.querySelector('#chart-%s').scrollIntoView({block: 'center'}); true`, chart))
	left := shown[float64](b, fmt.Sprintf(`document.querySelector('#chart-%s .u-over').getBoundingClientRect().left`, chart))
	wide := shown[float64](b, fmt.Sprintf(`document.querySelector('#chart-%s .u-over').getBoundingClientRect().width`, chart))
	y := shown[float64](b, fmt.Sprintf(`document.querySelector('#chart-%s .u-over').getBoundingClientRect().top + 60`, chart))
	b.mouse("mouseMoved", left+from*wide, y)
	b.mouse("mousePressed", left+from*wide, y)
	for i := range 6 {
		b.mouse("mouseMoved", left+(from+(to-from)*float64(i)/5)*wide, y)
	}
	b.mouse("mouseReleased", left+to*wide, y)
}

// hover puts the mouse over a chart, at a part of its width.
func (b *browser) hover(chart string, part float64) {
	b.t.Helper()
	shown[bool](b, fmt.Sprintf(`document.querySelector('#chart-%s').scrollIntoView({block: 'center'}); true`, chart))
	box := fmt.Sprintf(`document.querySelector('#chart-%s .u-over').getBoundingClientRect()`, chart)
	x, wide, y := shown[float64](b, box+`.left`), shown[float64](b, box+`.width`), shown[float64](b, box+`.top + 60`)
	b.mouse("mouseMoved", x+part*wide-2, y)
	b.mouse("mouseMoved", x+part*wide, y)
}

// press strikes a key.
func (b *browser) press(key string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{"keyDown", "keyUp"} {
		b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key})
			return err
		}))
	}
}

func (b *browser) mouse(kind input.DispatchMouseEventType, x, y float64) {
	b.t.Helper()
	p := input.DispatchMouseEventParams{Type: kind, X: x, Y: y}
	if kind != "mouseMoved" {
		p.Button, p.ClickCount = input.MouseButtonLeft, 1
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, input.DispatchMouseEvent, p)
		return err
	}))
}

func TestASitesPageFits(t *testing.T) {
	axe(t)
	b := newBrowser(t)
	s := realStore(t)
	c := closedOver(t, s, time.Time{})
	c.settle()
	site, _ := c.reg.Site("passu")
	site.TargetDownMbps, site.TargetUpMbps = 8, 2
	if err := c.reg.ChangeSites(func([]fleet.Site) (_, update []fleet.Site, _ error) { return nil, []fleet.Site{site}, nil }); err != nil {
		t.Fatal(err)
	}
	a := telemetry.Address{Site: "passu", Agent: "router"}
	now := c.now()
	month(t, s, a, now)
	write := func(_ journal.Entry, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write(c.notes.Comment("omar", "passu", "The mast on the ridge has a new battery.\nکیبل تبدیل ہو گئی ہے"))
	write(c.notes.Acknowledge("aisha", "passu", "", "operator called, crew on the way"))
	write(c.notes.Plan("aisha", journal.Window{Scope: journal.Scope{Operator: site.Operator, District: site.District}, Weekly: "Su 02:00-04:00", Zone: "Asia/Karachi", Reason: "the operator's weekly upgrades"}))
	write(c.notes.Plan("omar", journal.Window{Scope: journal.Scope{Site: "passu"}, From: now.Add(30 * time.Hour), To: now.Add(33 * time.Hour), Zone: "Asia/Karachi", Reason: "new solar panel"}))
	server := c.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("aisha", secret)
	b.until("the board", `location.pathname === '/'`)
	drawn := `document.getElementById('charts').dataset.drawn >= 8`
	for _, p := range []struct{ name, path, ready string }{
		{"operated", "/sites/passu", drawn}, {"operated-30d", "/sites/passu?range=30d", drawn}, {"maintenance", "/maintenance", `document.querySelector('#planned li') !== null`},
	} {
		for _, size := range []struct{ width, height int64 }{{1280, 720}, {390, 844}, {360, 740}} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(size.width, size.height, scheme)
				b.do(chromedp.Navigate(server.URL + p.path))
				b.until(p.name, p.ready)
				if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > size.width {
					t.Errorf("%s is %v px wide in a window of %d", p.name, wide, size.width)
				}
				if size.width == 1280 {
					b.accessible(p.name + ", " + scheme)
				}
				b.picture(fmt.Sprintf("%s-%dx%d-%s", p.name, size.width, size.height, scheme), true)
			}
		}
	}
	b.quiet(host)
}

// drawnChart is the page with its charts.
const drawnChart = `document.getElementById('charts').dataset.drawn >= 5`

func TestAChartIsZoomedWithTheOthersAndTheAddressTellsIt(t *testing.T) {
	b := newBrowser(t)
	s := realStore(t)
	w := newWorld(t, s, time.Time{})
	w.settle()
	a := telemetry.Address{Site: "passu", Agent: "router"}
	month(t, s, a, w.now())
	server := w.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.look(1280, 900, "light")
	b.do(chromedp.Navigate(server.URL + "/sites/passu?range=7d"))
	b.until("the charts", drawnChart)
	shown[bool](b, `window.notReloaded = true`)

	b.hover("latency", 0.4)
	at := func(chart string) string {
		return fmt.Sprintf(`document.querySelector('#chart-%s .u-legend .u-series .u-value').innerText`, chart)
	}
	b.until("the cursor in all charts", at("latency")+` !== '--' && [...document.querySelectorAll('#chart-loss, #chart-traffic, #chart-machine, #chart-battery')].every((c) => c.querySelector('.u-legend .u-value').innerText === `+at("latency")+`)`)
	if bands := shown[string](b, at("bands")); !strings.HasPrefix(bands, shown[string](b, at("latency"))[:6]) {
		t.Errorf("the cursor stands at %s in the chart of hours, want the day of %s", bands, shown[string](b, at("latency")))
	}

	span := `(Date.parse(document.getElementById('charts').dataset.to) - Date.parse(document.getElementById('charts').dataset.from)) / 3600000`
	before := shown[int64](b, `document.querySelectorAll('#outages tbody tr').length`)
	b.drag("traffic", 0.25, 0.5)
	b.until("a quarter of the week", span+` > 38 && `+span+` < 46`)
	b.until("it in the address", `/from=.*&to=/.test(location.search) && document.querySelector('.ranges [aria-current]') === null`)
	b.until("finer steps", `document.getElementById('steps').innerText.startsWith('Steps of 10 min')`)
	b.until("the outages of it alone", fmt.Sprintf(`document.querySelectorAll('#outages tbody tr').length < %d && !document.querySelector('#span h2').innerText.startsWith('Last')`, before))
	address := shown[string](b, `location.href`)
	b.picture("site-zoomed", true)

	b.drag("machine", 0.1, 0.3)
	b.until("a part of that", span+` < 10`)
	shown[bool](b, `history.back(); true`)
	b.until("the former view", span+` > 38 && location.href === `+fmt.Sprintf("%q", address))
	shown[bool](b, `document.querySelector('#chart-loss .canvas').focus(); true`)
	b.press("ArrowRight")
	b.press("ArrowRight")
	b.until("the cursor moved by keys, in another chart too", at("latency")+` !== '--' && `+at("latency")+` === `+at("loss"))
	b.press("-")
	b.until("a wider view", span+` > 100`)
	b.press("Escape")
	b.until("the view of before", `Math.round(`+span+`) === 168 && location.search === '?range=7d'`)
	if !shown[bool](b, `window.notReloaded === true`) {
		t.Error("the page was loaded anew")
	}

	b.do(chromedp.Navigate(address)) // what a colleague gets
	b.until("the very same view", drawnChart+` && `+span+` > 38 && `+span+` < 46`)
	b.until("its outages", `!document.querySelector('#span h2').innerText.startsWith('Last')`)
	shown[bool](b, `document.querySelector('#period input[name=from]').value = '2026-01-01T00:00'; document.querySelector('#period input[name=to]').value = '2020-01-01T00:00'; document.querySelector('#period form button').click(); true`)
	b.until("what is wrong with it", `document.querySelector('#period .fault')?.innerText.includes('choose a longer period')`)
	b.quiet(host)
}

func TestABacklogThatComesLateAppearsWithoutReload(t *testing.T) {
	b := newBrowser(t)
	s := realStore(t)
	w := newWorld(t, s, time.Time{})
	w.settle()
	a := telemetry.Address{Site: "astore", Agent: "router"} // of which nobody has heard
	now := w.now()
	server := w.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.do(chromedp.Navigate(server.URL + "/sites/astore?range=24h"))
	b.until("the charts, empty", drawnChart+` && document.querySelector('#chart-latency').classList.contains('none')`)
	shown[bool](b, `window.notReloaded = true`)
	b.until("nothing known", `document.querySelector('#outages').innerText.includes('None was told')`)
	rnd := rand.New(rand.NewPCG(5, 1))
	var detail []*telemetry.Line
	for m := range 60 { // an hour of five hours ago
		detail = append(detail, minute(rnd, now.Add(-5*time.Hour-time.Duration(m)*time.Minute), time.Minute)...)
	}
	hour := now.Add(-6 * time.Hour).Truncate(time.Hour)
	spans := []*telemetry.Line{telemetry.Span{Start: hour, Length: 20 * time.Minute, State: telemetry.StateUp}.Line(),
		telemetry.Span{Start: hour.Add(20 * time.Minute), Length: 40 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Err: time.Second}.Line()}
	put(t, s, telemetry.Detail, a, detail...)
	put(t, s, telemetry.Ledger, a, spans...)
	w.heard(a, w.now(), now.Add(-5*time.Hour), open(telemetry.StateUp, "", 0), append(spans, detail...)...) // as intake tells once it is stored
	b.until("its outage", `document.querySelector('#outages tbody')?.innerText.includes('backhaul')`)
	b.until("its measurements", `!document.querySelector('#chart-latency').classList.contains('none') && !document.querySelector('#chart-traffic').classList.contains('none')`)
	b.until("its day", `document.querySelector('#day .r-down') !== null`)
	b.until("that it is back", `document.querySelector('.headline').innerText.includes('back, sending what it kept')`)
	if !shown[bool](b, `window.notReloaded === true`) {
		t.Error("the page was loaded anew")
	}
	b.quiet(host)
}

func TestAnOperatorWorksOnASitesPageInABrowser(t *testing.T) {
	b := newBrowser(t)
	c := newClosed(t, time.Time{})
	c.settle()
	server := c.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.look(390, 844, "light")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("aisha", secret)
	b.until("the board", `location.pathname === '/'`)
	b.do(chromedp.Navigate(server.URL + "/sites/passu"))
	b.until("the form", `document.querySelector('#deed-acknowledge textarea') !== null`)
	shown[bool](b, `document.querySelector('#deed-acknowledge textarea').value = 'calling <i>them</i>'; document.querySelector('#deed-acknowledge button').click(); true`)
	b.until("what was done", `document.querySelector('#said')?.innerText.includes('It is acknowledged') && document.querySelector('.headline').innerText.includes('aisha takes care of it')`)
	b.until("a link without it", `location.search === ''`)
	if !strings.Contains(shown[string](b, `document.querySelector('.headline').innerText`), "calling <i>them</i>") {
		t.Error("the text is not shown as it was typed")
	}
	shown[bool](b, `document.querySelector('details.deed').open = true; const f = document.querySelector('details.deed form'); f.to.value = '2001-01-01T10:00'; f.reason.value = 'panel'; f.querySelector('button').click(); true`)
	b.until("what is wrong", `document.querySelector('#fault-to')?.innerText.includes('is in the past') && document.querySelector('details.deed').open && document.querySelector('details.deed form').reason.value === 'panel'`)
	b.expected("422")
	b.picture("operate-wrong", true)
	typing := `document.querySelector('form[action$="/comment"] textarea')`
	shown[bool](b, typing+`.value = 'half a word'; `+typing+`.focus(); true`)
	if _, err := c.notes.Comment("omar", "passu", "written by somebody else meanwhile"); err != nil {
		t.Fatal(err)
	}
	b.until("what another writes, with what is being typed", `document.querySelector('#written').innerText.includes('written by somebody else meanwhile') && `+typing+`.value === 'half a word'`)
	b.quiet(host)
}
