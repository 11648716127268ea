package web

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

// tab is another tab of the same browser; it marks the page, so that a reload is noticed.
func (b *browser) tab(url string) *browser {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.Context, chromedp.WithListener(b.hear))
	b.t.Cleanup(cancel)
	other := &browser{Context: ctx, t: b.t, hosts: b.hosts}
	other.do(chromedp.Navigate(url))
	other.mark()
	return other
}

func (b *browser) mark() { shown[bool](b, `window.notReloaded = true`) }

func (b *browser) neverReloaded(what string) {
	b.t.Helper()
	if !shown[bool](b, `window.notReloaded === true`) {
		b.t.Errorf("%s was loaded anew", what)
	}
}

// key presses one that the page takes for itself. The browser's own way of typing would write it into a field, too, as no keyboard does.
func (b *browser) key(name string) {
	b.t.Helper()
	if shown[bool](b, fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: %q, bubbles: true, cancelable: true}))`, name)) {
		b.t.Errorf("the page does nothing with %s", name)
	}
}

// region is sixteen villages of one operator in one district, and six of another elsewhere.
func region() (all []fleet.Site) {
	for i := range 22 {
		s := fleet.Site{ID: fmt.Sprintf("hunza-%02d", i), Name: fmt.Sprintf("Hunza village %d", i), District: "Hunza", Operator: "Karakoram Link", Technology: "4G",
			Latitude: 36.2 + float64(i%4)/12, Longitude: 74.5 + float64(i/4)/9, TimeZone: "Asia/Karachi"}
		if i >= 16 {
			s.ID, s.Name, s.District, s.Operator, s.Technology = fmt.Sprintf("tharparkar-%02d", i), fmt.Sprintf("Thar village %d", i), "Tharparkar", "Indus Net", "VSAT"
			s.Latitude, s.Longitude = 24.7+float64(i%4)/12, 70.2+float64(i/4)/9
		}
		all = append(all, s)
	}
	return all
}

// withEngine has alerts raised at once, and over soon, by the real engine.
func withEngine(t *testing.T, stop context.Context, ended *chan struct{}) func(*world, *Config) {
	return func(w *world, c *Config) {
		settings := alert.Defaults()
		settings.DownAfter, settings.RecoverAfter, settings.Grace = time.Millisecond, time.Second, 0
		engine, err := alert.Open(alert.Config{Settings: settings, File: filepath.Join(t.TempDir(), "alerts.json"), Fleet: c.Live, Journal: c.Journal, Now: w.now, Log: c.Log,
			Checks: func() (out []alert.Check) {
				for _, ill := range w.checks() {
					out = append(out, alert.Check{Name: ill.Name, Err: ill.Err})
				}
				return out
			}})
		if err != nil {
			t.Fatal(err)
		}
		c.Alerts = engine
		done := make(chan struct{})
		*ended = done
		go func() { defer close(done); _ = engine.Run(stop) }()
	}
}

func TestCutsARegionalOutageFlappingAndMaintenanceShowWithoutReload(t *testing.T) {
	b := newBrowser(t)
	running, stop := context.WithCancel(context.Background())
	var ended chan struct{}
	w := openWorld(t, nothing{}, time.Time{}, t.TempDir(), withJournal(t), withEngine(t, running, &ended))
	t.Cleanup(func() { stop(); <-ended })
	all := region()
	at := func(i int) telemetry.Address { return telemetry.Address{Site: all[i].ID, Agent: "router"} }
	up := func(i int) { w.tell(at(i), w.now(), open(telemetry.StateUp, "", time.Second)) }
	cut := func(i int, c telemetry.Cause) { w.tell(at(i), w.now(), open(telemetry.StateDown, c, time.Second)) }
	for i, s := range all {
		w.site(s, "router")
		w.live.Presence(at(i), telemetry.Presence{Online: true, Session: 1})
		up(i)
	}
	server := w.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL + "/"))
	b.mark()
	maps, alerts := b.tab(server.URL+"/map"), b.tab(server.URL+"/alerts")
	state := func(i int) string { return fmt.Sprintf(`document.getElementById('site-%s').dataset.state`, all[i].ID) }
	text := func(i int) string { return fmt.Sprintf(`document.getElementById('site-%s').innerText`, all[i].ID) }
	signs := func(class string) string {
		return fmt.Sprintf(`document.querySelectorAll('#map .pin.s-%[1]s, #map .cluster.s-%[1]s').length`, class)
	}
	b.until("all up", `document.querySelectorAll('#rows tr.s-up').length === 22`)
	maps.until("nothing but what is up", signs("up")+` > 0 && `+signs("down")+` === 0`)
	alerts.until("no alert", `document.querySelectorAll('li.alert').length === 0 && document.getElementById('alert-count').textContent === '0'`)

	cut(18, telemetry.CauseLocal)
	b.until("one cut", state(18)+` === 'down' && `+text(18)+`.includes('local network')`)
	b.until("it on top, and counted", `document.querySelector('#rows tr').id.endsWith('18') && document.querySelector('.tile.s-down b').textContent === '1'`)
	maps.until("the cut", signs("down")+` === 1`)
	alerts.until("one alert", `document.querySelectorAll('li.alert').length === 1 && document.querySelector('li.alert').innerText.includes('Thar village 18')`)
	b.until("the alert in the head", `document.getElementById('alert-count').textContent === '1'`)
	up(18)
	b.until("its end", state(18)+` === 'up'`)
	maps.until("its end", signs("down")+` === 0`)
	alerts.until("its end", `document.querySelectorAll('li.alert').length === 0 && document.querySelectorAll('#alert-list tbody tr').length === 1`)

	for i := range 15 {
		cut(i, telemetry.CauseBackhaul)
	}
	b.until("fifteen cuts, and that neighbours are cut too", `document.querySelectorAll('#rows tr.s-down').length === 15 && `+text(3)+`.includes('14 of 15 other sites of this operator in this district too')`)
	maps.until("the region", signs("down")+` > 0`)
	alerts.until("one alert for the region", `document.querySelectorAll('li.alert').length === 1 && document.querySelectorAll('li.alert .sites a').length === 15`)
	b.picture("board-region", false)
	maps.picture("map-region", false)
	alerts.picture("alerts-region", false)
	for i := range 15 {
		up(i)
	}
	b.until("all up again", `document.querySelectorAll('#rows tr.s-up').length === 22`)
	alerts.until("its end", `document.querySelectorAll('li.alert').length === 0`)

	for n := range 4 {
		cut(20, telemetry.CauseBackhaul)
		b.until("the flap", state(20)+` === 'down'`)
		alerts.until("an alert", `document.querySelectorAll('li.alert').length === 1`)
		up(20)
		b.until("the flap's end", state(20)+` === 'up'`)
		if n < 3 {
			alerts.until("the alert's end", `document.querySelectorAll('li.alert').length === 0`)
		}
	}
	alerts.until("one alert for what flaps", `document.querySelectorAll('li.alert').length === 1 && document.querySelector('li.alert').innerText.includes('Thar village 20')`)
	flaps := shown[string](alerts, `document.querySelector('li.alert').innerText`)

	if _, err := w.notes.Plan("amina", journal.Window{Scope: journal.Scope{District: "Hunza"}, To: w.now().Add(time.Hour), Reason: "new antenna"}); err != nil {
		t.Fatal(err)
	}
	b.until("the maintenance", `document.querySelectorAll('#rows tr.s-maintenance').length === 16 && `+text(1)+`.includes('new antenna')`)
	maps.until("the maintenance", signs("maintenance")+` > 0`)
	cut(1, telemetry.CauseBackhaul)
	b.until("what it would be otherwise", state(1)+` === 'maintenance' && `+text(1)+`.includes('else down, backhaul')`)

	w.tell(at(17), w.now(), open(telemetry.StateUp, "", time.Second), telemetry.NewLine("power", w.now()).Float("battery_pct", 11).Bool("charging", false).Bool("mains", false))
	w.live.Presence(at(17), telemetry.Presence{Session: 1})
	b.until("the battery that was told last", state(17)+` === 'unreachable' && `+text(17)+`.includes('last told: battery 11 %')`)

	w.trouble(Check{Name: "InfluxDB", Err: fmt.Errorf("connection refused"), Next: "systemctl start influxdb"})
	b.until("the one banner", `document.querySelectorAll('#troubles .notice').length === 1 && document.getElementById('troubles').innerText.includes('systemctl start influxdb')`)
	b.until("that states are stale", `document.body.classList.contains('old') && getComputedStyle(document.querySelector('#site-`+all[19].ID+` .old-word')).display !== 'none'`)
	if n := shown[int](b, `document.querySelectorAll('#rows tr.s-unreachable').length`); n != 1 {
		t.Errorf("%d sites are unreachable, want the one that was", n)
	}
	w.trouble()
	b.until("its end", `document.getElementById('troubles').innerText === '' && !document.body.classList.contains('old')`)

	if now := shown[string](alerts, `document.getElementById('alert-list').innerText`); !strings.Contains(now, "Thar village 20") {
		t.Errorf("the alert %q has gone: %s", flaps, now)
	}
	b.neverReloaded("the board")
	maps.neverReloaded("the map")
	alerts.neverReloaded("the list of alerts")
	b.quiet(server.Listener.Addr().String())
}

func TestAViewIsChosenWithoutReloadAndStandsInTheAddress(t *testing.T) {
	b := newBrowser(t)
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL))
	b.mark()
	rows := `document.querySelectorAll('#rows tr').length`
	b.until("all", rows+` === 12`)
	shown[bool](b, `(() => { const s = document.querySelector('select[name=district]'); s.value = 'Hunza'; return s.dispatchEvent(new Event('change', {bubbles: true})); })()`)
	b.until("those of a district", rows+` === 2 && location.search === '?district=Hunza'`)
	b.until("how many each operator has there", `[...document.querySelectorAll('select[name=operator] option')].map(o => o.textContent).join() === 'All operators,Karakoram Link (2)'`)
	w.tell(telemetry.Address{Site: "misgar", Agent: "router"}, w.now(), open(telemetry.StateDown, telemetry.CauseDNS, time.Second))
	b.until("news of the new view", `document.getElementById('site-misgar').dataset.state === 'down'`)
	b.key("/")
	if !shown[bool](b, `document.activeElement.id === 'search'`) {
		t.Error("/ does not lead to the search")
	}
	b.do(chromedp.KeyEvent("misg"))
	b.until("what is searched for", rows+` === 1 && new URLSearchParams(location.search).get('q') === 'misg' && document.activeElement.id === 'search'`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.key("j")
	b.until("the first row under the keys", `document.activeElement.textContent === 'Misgar health post'`)
	shown[bool](b, `history.back() === undefined`)
	b.until("all again", rows+` === 12 && location.search === '' && document.querySelector('select[name=district]').value === ''`)
	b.key("?")
	b.until("the keys", `document.getElementById('help').open`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("the keys closed", `!document.getElementById('help').open`)
	shown[bool](b, `document.querySelector('.tile.s-down').click() === undefined`)
	b.until("those that are down", rows+` === 2 && location.search === '?state=down'`)
	if href := shown[string](b, `document.querySelector('.filters .other a').getAttribute('href')`); href != "/map?state=down" {
		t.Errorf("the map of the view is %s", href)
	}
	b.neverReloaded("the board")
	b.quiet(server.Listener.Addr().String())
}
