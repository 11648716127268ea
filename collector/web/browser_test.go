package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// picturesTo names the folder that screenshots are written into; without it none are.
const picturesTo = "NABZ_SCREENSHOTS"

// browser is a headless Chromium that remembers complaints and where it asked.
type browser struct {
	context.Context
	t          *testing.T
	mu         sync.Mutex
	complaints []string
	hosts      map[string]bool
}

func newBrowser(t *testing.T, flags ...string) *browser {
	t.Helper()
	path := testneed.Program(t, "chromium", "apt-get install chromium")
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck}
	for _, flag := range append(flags, "headless", "no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars", "disable-dev-shm-usage") {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	allocator, cancel2 := chromedp.NewExecAllocator(ctx, options...)
	b := &browser{t: t, hosts: map[string]bool{}}
	tab, cancel3 := chromedp.NewContext(allocator, chromedp.WithListener(b.hear))
	b.Context = tab
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab) // waits for the browser to end
		cancel3()
		cancel2()
		cancel()
	})
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err1 := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		_, err2 := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		_, err3 := cdp.Call(ctx, t, runtime.Enable, cdp.Empty{})
		return errors.Join(err1, err2, err3)
	}))
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && u.Host != "" {
			b.hosts[u.Host] = true
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			b.complaints = append(b.complaints, fmt.Sprintf("%s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// shown is what an expression is in the page.
func shown[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to hold in the page. It asks from outside: the page's policy forbids eval.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	again, end := time.NewTicker(50*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for {
		v, err := chromedp.Run(b, chromedp.Evaluate[bool](expression))
		if err == nil && v {
			return
		}
		select {
		case <-again.C:
		case <-end:
			b.mu.Lock()
			complaints := b.complaints
			b.mu.Unlock()
			b.t.Fatalf("the page never showed %s (%v); complaints %q; it shows:\n%s", what, err, complaints, shown[string](b, `document.body.innerText.slice(0, 1500)`))
		}
	}
}

// quiet fails the test when the page complained or asked another host.
func (b *browser) quiet(host string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		b.t.Errorf("the browser complains: %s", strings.Join(b.complaints, "\n"))
	}
	if len(b.hosts) != 1 || !b.hosts[host] {
		b.t.Errorf("the pages asked %v, want only %s", b.hosts, host)
	}
}

// look sets the size of the window and light or dark.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err1 := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600})
		_, err2 := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return errors.Join(err1, err2)
	}))
}

// picture writes a screenshot, where pictures are wanted.
func (b *browser) picture(name string, whole bool) {
	b.t.Helper()
	dir := os.Getenv(picturesTo)
	if dir == "" {
		return
	}
	shot := chromedp.CaptureScreenshot()
	if whole {
		shot = chromedp.FullScreenshot(100)
	}
	shown, err := chromedp.Run(b, shot)
	if err != nil {
		b.t.Fatal(err)
	}
	if shown, err = smaller(shown); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shown, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// smaller is a picture with the 256 colours that it has most of, which is enough for a page.
func smaller(in []byte) ([]byte, error) {
	img, err := png.Decode(bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	box, count := img.Bounds(), map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var colours color.Palette
	for _, c := range most[:min(256, len(most))] {
		colours = append(colours, c)
	}
	nearest := make(map[color.RGBA]uint8, len(most))
	for _, c := range most {
		nearest[c] = uint8(colours.Index(c))
	}
	out := image.NewPaletted(box, colours)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			out.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var b bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out)
	return b.Bytes(), err
}

// serve runs the world's Live and pages until the end of the test.
func (w *world) serve(t *testing.T) *httptest.Server {
	ctx, stop := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(w.handler)
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.Start()
	done := make(chan struct{})
	go func() { defer close(done); _ = w.live.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-done
		server.CloseClientConnections()
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return server
}

func TestASiteThatGoesDownTurnsRedWithoutReload(t *testing.T) {
	b := newBrowser(t)
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.look(1280, 720, "light")
	b.do(chromedp.Navigate(server.URL))
	shown[bool](b, `window.notReloaded = true`)
	b.until("the village up", `document.getElementById('site-dasu').dataset.state === 'up'`)
	background := `getComputedStyle(document.getElementById('site-dasu')).backgroundColor`
	before := shown[string](b, background)
	w.tell(telemetry.Address{Site: "dasu", Agent: "router"}, w.now(), open(telemetry.StateDown, telemetry.CauseBackhaul, time.Second))
	b.until("the village down", `document.getElementById('site-dasu').dataset.state === 'down'`)
	after := shown[string](b, background)
	if before == after || after != "rgb(253, 236, 234)" {
		t.Errorf("the row's colour went from %s to %s, want the tint of red", before, after)
	}
	b.until("the newest outage on top", `document.querySelector('#rows tr').id === 'site-dasu'`)
	b.until("two sites down in the summary", `document.querySelector('.tile.s-down b').textContent === '2'`)
	b.until("it in the tab", `document.title.startsWith('(3)')`) // one is unreachable
	if !shown[bool](b, `window.notReloaded === true`) {
		t.Error("the page was loaded anew")
	}
	w.trouble(Check{Name: "InfluxDB", Err: fmt.Errorf("connection refused; start influxd")})
	b.until("the collector's own trouble", `document.getElementById('troubles').innerText.includes('start influxd')`)
	b.picture("board-trouble", false)
	w.trouble()
	b.until("the end of the trouble", `document.getElementById('troubles').innerText === ''`)
	b.quiet(host)

	server.CloseClientConnections()
	server.Listener.Close()
	b.until("that the connection is lost", `!document.getElementById('lost').hidden && document.body.classList.contains('stale')`)
	b.picture("board-lost", false)
}

func TestPagesFitAndAskNobodyElse(t *testing.T) {
	b := newBrowser(t)
	s := realStore(t)
	w := openWorld(t, s, time.Time{}, t.TempDir(), withAlerts, withJournal(t))
	w.settle()
	if _, err := w.notes.Plan("amina", journal.Window{Scope: journal.Scope{Site: "rumbur"}, To: w.now().Add(2 * time.Hour), Reason: "new antenna"}); err != nil {
		t.Fatal(err)
	}
	a := telemetry.Address{Site: "passu", Agent: "router"}
	now := w.now()
	month(t, s, a, now)
	server := w.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	pages := []struct{ name, path, ready string }{
		{"board", "/", `document.querySelectorAll('#rows tr').length === 12`},
		{"map", "/map", `document.getElementById('map').dataset.outlined === 'yes' && document.getElementById('map').dataset.drawn > 3`},
		{"alerts", "/alerts", `document.querySelectorAll('li.alert').length === 2`},
		{"nothing-found", "/?q=nowhere", `document.querySelector('.empty') !== null`},
		{"site", "/sites/passu?range=24h", `document.getElementById('charts').dataset.drawn >= 5`},
		{"site-30d", "/sites/passu?range=30d", `document.getElementById('charts').dataset.drawn >= 5`},
	}
	for _, p := range pages {
		for _, size := range []struct{ width, height int64 }{{1280, 720}, {390, 844}, {360, 740}} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(size.width, size.height, scheme)
				b.do(chromedp.Navigate(server.URL + p.path))
				b.until(p.name, p.ready)
				if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > size.width {
					t.Errorf("%s is %v px wide in a window of %d", p.name, wide, size.width)
				}
				b.picture(fmt.Sprintf("%s-%dx%d-%s", p.name, size.width, size.height, scheme), p.name != "board" && p.name != "map" || size.width < 600)
			}
		}
	}
	w.tell(a, w.now(), open(telemetry.StateUp, "", time.Minute))
	if shown[bool](b, `document.querySelector('.headline').classList.contains('s-up')`) {
		t.Fatal("the page was up before it could know")
	}
	shown[bool](b, `document.dispatchEvent(new Event('visibilitychange'))`)
	b.until("the site up again, with its charts still drawn", `document.querySelector('.headline').classList.contains('s-up') && document.querySelectorAll('.uplot').length >= 5`)
	b.quiet(host)
}
