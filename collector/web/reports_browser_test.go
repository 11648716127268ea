package web

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/telemetry"
)

// tellHours has an agent tell of what it measured in the thirty days that end then.
func (p *reporting) tellHours(a telemetry.Address, seed uint64, to time.Time) {
	p.t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 11))
	var lines []*telemetry.Line
	for h := 1; h <= 30*24; h++ {
		at := to.Add(-time.Duration(h) * time.Hour)
		busy := 0.3 + 0.7*float64((at.Hour()+20)%24)/24
		n := int64(200 + rnd.IntN(100))
		l := telemetry.NewLine("hour", at).Int("ms", 3600000)
		for _, edge := range []int64{25, 50, 100, 150, 300, 600, 1200} {
			l.Int(fmt.Sprintf("rtt_le_%d", edge), max(0, min(n, int64(float64(n)*(1.15-busy*50/float64(edge+10))))))
		}
		lines = append(lines, l.Int("rtt_le_inf", n).Int("sent", n+4).Int("lost", int64(rnd.IntN(8))).Int("rx_bytes", int64(4e7*busy)).Int("tx_bytes", int64(7e6*busy)).Int("clients_max", int64(20*busy)))
		if local := (at.Hour() + 5) % 24; local >= 8 && local < 16 {
			for _, name := range []string{"video-consultation", "e-learning"} {
				lines = append(lines, telemetry.NewLine("hour_service", at).Tag("service", name).Int("ready_ms", 3600000-rnd.Int64N(900000)).Int("window_ms", 3600000))
			}
		}
		if h%7 == 0 {
			lines = append(lines, telemetry.NewLine("speedtest", at.Add(time.Duration(rnd.IntN(3000))*time.Second)).Tag("server", "noc").Int("down_bps", int64(8e6+rnd.Float64()*9e6)).Int("up_bps", int64(1.5e6+rnd.Float64()*2e6)).
				Float("min_rtt_ms", 35+20*rnd.Float64()).Int("used_bytes", 9e6))
		}
	}
	put(p.t, p.ledger, telemetry.Ledger, a, lines...)
}

// programme is a reporting world in which most villages have told of October.
func programme(t *testing.T) *reporting {
	t.Helper()
	p := newReporting(t, time.Date(2026, 12, 3, 4, 30, 0, 0, time.UTC))
	october := time.Date(2026, 11, 1, 0, 0, 0, 0, p.zone)
	for i, v := range villages() {
		a := telemetry.Address{Site: v.ID, Agent: "router"}
		if i > 2 && i < 9 && v.ID != "gokina" {
			p.tellMonth(a, uint64(i+20), october)
		}
		if i < 8 {
			p.tellHours(a, uint64(i), october)
		}
	}
	return p
}

const inOctober = "period=2026-10&benchmarks=giga&benchmarks=pta-qos-2022"

// fits fails the test where the page is wider than the window.
func (b *browser) fits(what string, width int64) {
	b.t.Helper()
	if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > width {
		b.t.Errorf("%s is %d px wide in a window of %d; too wide is %s", what, wide, width, shown[string](b, fmt.Sprintf(`[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > %d + 1 || e.getBoundingClientRect().left < -1).slice(0, 4).map(e => e.outerHTML.slice(0, 90)).join(' | ')`, width)))
	}
}

// overlapping lists pairs of neighbours with text whose boxes lie over each other.
const overlapping = `(() => {
	const found = [];
	for (const parent of document.querySelectorAll('.press, .press ul, .press li, .press dl, .press dl > div, .press figure, .press tr, .press tbody, .press div')) {
		const all = [...parent.children].filter(e => e.innerText?.trim() && getComputedStyle(e).display !== 'none' && !e.closest('svg'));
		for (let i = 0; i < all.length; i++) for (let k = i + 1; k < all.length; k++) {
			const a = all[i].getBoundingClientRect(), b = all[k].getBoundingClientRect();
			if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1)
				found.push(all[i].outerHTML.slice(0, 80) + ' over ' + all[k].outerHTML.slice(0, 80));
		}
	}
	const labels = [...document.querySelectorAll('.press svg')].filter(s => s.getBoundingClientRect().width > 0);
	for (const svg of labels) {
		const texts = [...svg.querySelectorAll('text')];
		for (let i = 0; i < texts.length; i++) for (let k = i + 1; k < texts.length; k++) {
			const a = texts[i].getBoundingClientRect(), b = texts[k].getBoundingClientRect();
			if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
				found.push('text ' + texts[i].textContent + ' over ' + texts[k].textContent);
		}
	}
	return found.slice(0, 6).join('\n');
})()`

func TestReportPagesFitAndAreAccessibleInBothLanguagesAndThemes(t *testing.T) {
	axe(t)
	b := newBrowser(t)
	p := programme(t)
	link := p.publishes(inOctober)
	_, page := p.does("aisha", strings.TrimSuffix(link, "/1")+"/shares", url.Values{"label": {"Ministry of IT"}, "until": {"2027-06-30"}})
	_, rest, _ := strings.Cut(page, "/shared/")
	shared := "/shared/" + rest[:24]
	server := p.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("aisha", secret)
	b.until("the board", `location.pathname === '/'`)
	english, urdu := `document.querySelector('article.press[dir=ltr]') !== null`, `document.querySelector('article.press[dir=rtl]') !== null && document.fonts.status === 'loaded'`
	for _, one := range []struct{ name, path, ready string }{
		{"reports", "/reports", `document.querySelector('#make') !== null`},
		{"reports-wrong", "/reports/preview?choose=list&list=nowhere&period=days&from=2026-10-09&to=2026-10-03&time_zone=Asia/Gilgit", `document.querySelectorAll('.fault[id]').length === 3`},
		{"preview", "/reports/preview?" + inOctober, english},
		{"report", link, english},
		{"report-ur", link + "?lang=ur", urdu},
		{"check", link + "/check", `document.querySelector('#checked .said') !== null`},
		{"shared", shared, english},
		{"shared-ur", shared + "?lang=ur", urdu},
		{"shared-gone", "/shared/nothing", `document.querySelector('.message') !== null`},
	} {
		for _, size := range []struct{ width, height int64 }{{1280, 720}, {390, 844}, {360, 740}} {
			for _, scheme := range []string{"light", "dark"} {
				if size.width == 360 && scheme == "dark" {
					continue
				}
				b.look(size.width, size.height, scheme)
				b.do(chromedp.Navigate(server.URL + one.path))
				b.until(one.name, one.ready)
				what := fmt.Sprintf("%s at %d, %s", one.name, size.width, scheme)
				b.fits(what, size.width)
				if over := shown[string](b, overlapping); over != "" {
					t.Errorf("%s: %s", what, over)
				}
				if size.width != 360 {
					b.accessible(what)
				}
				b.picture(fmt.Sprintf("%s-%dx%d-%s", one.name, size.width, size.height, scheme), os.Getenv("NABZ_WHOLE") != "")
			}
		}
	}
	b.expected("422 (Unprocessable Entity)")
	b.expected("404 (Not Found)")
	b.quiet(host)
}

func TestAnUrduReportReadsFromRightToLeft(t *testing.T) {
	b := newBrowser(t)
	p := programme(t)
	link := p.publishes(inOctober)
	server := p.serve(t)
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("wall", secret)
	b.until("the board", `location.pathname === '/'`)
	for _, width := range []int64{1280, 390} {
		b.look(width, 844, "light")
		b.do(chromedp.Navigate(server.URL + link + "?lang=ur"))
		b.until("the report", `document.querySelector('article.press[dir=rtl][lang=ur]') !== null && document.fonts.status === 'loaded'`)
		b.fits("the Urdu report", width)
		if over := shown[string](b, overlapping); over != "" {
			t.Errorf("at %d px: %s", width, over)
		}
		if !shown[bool](b, `(() => { const h = document.querySelector('.press h1'), r = document.createRange(); r.selectNodeContents(h); const text = r.getBoundingClientRect(), box = document.querySelector('.press').getBoundingClientRect();
			return box.right - text.right < text.left - box.left || text.width > box.width * .9; })()`) {
			t.Errorf("at %d px the title does not begin at the right", width)
		}
		if !shown[bool](b, `(() => { const [first, second] = document.querySelector('.press thead tr').children; return first.getBoundingClientRect().left > second.getBoundingClientRect().left; })()`) {
			t.Errorf("at %d px the first column of a table is not the rightmost", width)
		}
		if !shown[bool](b, `[...document.fonts].some(f => f.family.includes('naskh') && f.status === 'loaded')`) {
			t.Errorf("at %d px the font of the board's own is not used", width)
		}
	}
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}

func TestAReportGoesFromTheFormToAStrangerAndBack(t *testing.T) {
	b := newBrowser(t)
	p := programme(t)
	server := p.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("aisha", secret)
	b.until("the board", `location.pathname === '/' && document.body.classList.contains('scripted')`)
	b.key("r")
	b.until("the page of reports", `location.pathname === '/reports' && document.querySelector('#published').innerText.includes('None yet')`)
	shown[bool](b, `(() => { const f = document.querySelector('#make form'); f.elements.period.value = 'exactly'; f.elements.exact.value = '2026-10'; f.elements.choose.value = 'district'; f.elements.district.value = 'Hunza'; f.querySelector('button').click(); return true; })()`)
	b.until("the report", `location.pathname === '/reports/preview' && document.querySelector('article.press') !== null`)
	b.until("that it is not published", `document.querySelector('#about').innerText === 'Not published' && !document.querySelector('#print').hidden`)
	sum := shown[string](b, `document.querySelector('.hash').innerText`)
	shown[bool](b, `document.querySelector('form.publish button').click(); true`)
	b.until("it published", `document.querySelector('.said')?.innerText.startsWith('It is published.')`)
	if got := shown[string](b, `document.querySelector('.hash').innerText`); got != sum || len(sum) != 64 {
		t.Errorf("looked at %s, published %s", sum, got)
	}
	shown[bool](b, `(() => { document.querySelector('#shares').open = true; const f = document.querySelector('#shares form.plan'); f.elements.label.value = 'Ministry of IT'; f.querySelector('button').click(); return true; })()`)
	b.until("the link", `document.querySelector('input.link')?.value.includes('/shared/')`)
	shared := shown[string](b, `document.querySelector('input.link').value`)

	stranger := newBrowser(t) // who has no cookie
	stranger.look(390, 844, "light")
	stranger.do(chromedp.Navigate(shared))
	stranger.until("the report", `document.querySelector('article.press') !== null && document.body.innerText.includes('Karimabad')`)
	if shown[string](stranger, `document.cookie`) != "" || shown[bool](stranger, `[...document.querySelectorAll('a, form, link, script, img')].some(e => { const u = new URL(e.href?.baseVal ?? e.href ?? e.action ?? e.src, location); return u.host !== location.host || !u.pathname.startsWith('/static/') && !u.pathname.startsWith(location.pathname); })`) {
		t.Error("the shared page leads to something else than its report")
	}
	shown[bool](stranger, `document.querySelector('a[hreflang=ur]').click() === undefined`)
	stranger.until("it in Urdu", `document.documentElement.dir === 'rtl' && document.querySelector('article.press').lang === 'ur'`)
	if font := shown[string](stranger, `getComputedStyle(document.querySelector('.shared-bar .sub')).fontFamily`); !strings.HasPrefix(font, `"nabz naskh"`) {
		t.Errorf("what stands above the report is written in %s, which may have no Urdu", font)
	}
	size, err := chromedp.Run(stranger, chromedp.Evaluate[int64](`fetch(document.querySelector('a[href*="report.pdf"]').href).then(r => r.ok ? r.blob() : new Blob()).then(b => b.size)`, chromedp.EvalAwaitPromise))
	if err != nil || size < 5000 {
		t.Errorf("the PDF has %d bytes, %v", size, err)
	}
	for _, path := range []string{"/", "/reports", "/sites/karimabad"} {
		stranger.do(chromedp.Navigate(server.URL + path))
		stranger.until("the sign-in page", `location.pathname === '/sign-in'`)
	}
	stranger.quiet(strings.TrimPrefix(server.URL, "http://"))

	b.do(chromedp.Navigate(shown[string](b, `location.href.replace(/\/shares$/, '')`)))
	b.until("the list of links", `document.querySelector('#shares')?.innerText.includes('Ministry of IT')`)
	shown[bool](b, `document.querySelector('#shares li form button').click(); true`)
	b.until("that it is revoked", `document.querySelector('.said')?.innerText.startsWith('The link is revoked') && document.querySelector('#shares').innerText.includes('revoked')`)
	stranger.do(chromedp.Navigate(shared))
	stranger.until("nothing", `document.querySelector('h1').innerText === 'This link leads nowhere'`)
	b.do(chromedp.Navigate(server.URL + "/reports"))
	b.until("it in the list", `document.querySelector('#published').innerText.includes('aisha')`)
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}

func TestABrowserShowsHowFarAReportIsAndThenTheReportWithAndWithoutScripts(t *testing.T) {
	axe(t)
	b := newBrowser(t)
	p := programme(t)
	server := p.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("wall", secret)
	b.until("the board", `location.pathname === '/'`)
	for _, without := range []bool{false, true} {
		on := make(chan struct{})
		p.made.Desk.Querier = stalled{p.ledger, on}
		b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: without})
			return err
		}), chromedp.Navigate(server.URL+"/reports/preview?period=2026-10&sites="+map[bool]string{false: "passu", true: "gokina"}[without]))
		b.until("how far it is", `document.querySelector('progress')?.value === 0 && document.querySelector('#how-far').innerText === 'It is being made: 0 % is done.'`)
		if !without {
			b.fits("the page", 1280)
			b.accessible("a report that is being made")
			b.picture("making", false)
		}
		close(on)
		b.until("the report", `document.querySelector('article.press') !== null`)
		if !without { // the script runs when the page is there
			b.until("the button that prints", `!document.querySelector('#print').hidden`)
		}
		if visible := shown[bool](b, `!document.querySelector('#print').hidden`); visible == without {
			t.Errorf("without scripts %v: the button that prints, which needs one, is shown: %v", without, visible)
		}
	}
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}
