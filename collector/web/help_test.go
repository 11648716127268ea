package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/depot"
	"github.com/smartvillage/nabz/collector/guide"
)

// help is the pages of a programme.
func help(t testing.TB) *guide.Guide {
	t.Helper()
	style, icon, err := Look()
	if err != nil {
		t.Fatal(err)
	}
	g, err := guide.New(guide.Config{Style: style, Icon: icon, URL: "https://noc.gokina.example:9443", Broker: "mqtts://noc.gokina.example:9883", Board: true})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestHelpIsForWhoIsNotSignedIn(t *testing.T) {
	c := newClosed(t, noon)
	for _, path := range []string{"/help", "/help/field-engineer", "/help/troubleshooting"} {
		res, body := c.ask(http.MethodGet, path, nil)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, "<h1") {
			t.Errorf("%s answers %d, want a page", path, res.StatusCode)
		}
	}
	if _, body := c.ask(http.MethodGet, "/sign-in", nil); !strings.Contains(body, `href="/help/field-engineer"`) {
		t.Error("who cannot sign in is not told of the help")
	}
}

// TestAPageOfHelpIsReadOnAPhone looks at every page as a field engineer and as somebody at a desk does, without scripts.
func TestAPageOfHelpIsReadOnAPhone(t *testing.T) {
	b := newBrowser(t)
	w := openWorld(t, nothing{}, time.Time{}, t.TempDir(), func(_ *world, c *Config) { c.Help = help(t) })
	server := w.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	b.do(chromedp.Navigate(server.URL + "/help"))
	pages := shown[[]string](b, `[...document.querySelectorAll('.leads a')].map(a => a.getAttribute('href'))`)
	if len(pages) < 10 {
		t.Fatalf("help lists %v", pages)
	}
	for _, path := range append([]string{"/help"}, pages...) {
		for _, size := range []struct{ width, height int64 }{{1280, 720}, {390, 844}, {360, 740}} {
			for _, scheme := range []string{"light", "dark"} {
				if scheme == "dark" && size.width == 360 {
					continue
				}
				b.look(size.width, size.height, scheme)
				b.do(chromedp.Navigate(server.URL + path))
				b.until(path, `document.querySelector('h1') !== null && document.styleSheets.length === 1`)
				if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > size.width {
					t.Errorf("%s is %d px wide in a window of %d", path, wide, size.width)
				}
				name := "help" + strings.ReplaceAll(strings.TrimPrefix(path, "/help"), "/", "-")
				b.picture(fmt.Sprintf("%s-%dx%d-%s", name, size.width, size.height, scheme), false)
			}
		}
		for _, gone := range shown[[]string](b, `[...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href').slice(1)).filter(id => document.getElementById(id) === null)`) {
			t.Errorf("%s leads to its own #%s, which is not there", path, gone)
		}
	}
	b.look(390, 844, "light")
	b.do(chromedp.Navigate(server.URL + "/help/field-engineer"))
	if !shown[bool](b, `document.body.innerText.includes('https://noc.gokina.example:9443')`) || shown[bool](b, `document.body.innerText.includes('noc.example.org')`) {
		t.Error("the page shows an example's address and not the programme's own")
	}
	if small := shown[float64](b, `Math.min(...[...document.querySelectorAll('article p, article li, article td')].map(e => parseFloat(getComputedStyle(e).fontSize)))`); small < 15 {
		t.Errorf("text of %.1f px on a phone, want 15 at least", small)
	}
	b.quiet(host)
}

func TestHelpHasNoSeriousFaultOfAccessibility(t *testing.T) {
	axe(t)
	b := newBrowser(t)
	w := openWorld(t, nothing{}, time.Time{}, t.TempDir(), func(_ *world, c *Config) { c.Help = help(t) })
	server := w.serve(t)
	for _, path := range []string{"/help", "/help/field-engineer", "/help/troubleshooting", "/help/noc"} {
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, 844, scheme)
				b.do(chromedp.Navigate(server.URL + path))
				b.until(path, `document.querySelector('h1') !== null`)
				b.accessible(fmt.Sprintf("%s, %d px, %s", path, width, scheme))
			}
		}
	}
}

func TestTheListOfPackagesFitsAPhone(t *testing.T) {
	b := newBrowser(t)
	dir := t.TempDir()
	for _, name := range []string{"nabz-agent_0.7.0_amd64.deb", "nabz-agent_0.7.0_mipsle.ipk", "nabz-agent_0.7.0_mipsle.ipk.cdx.json", "nabz-collector_0.7.0_amd64.deb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pages := help(t)
	packages, err := depot.Open(dir, depot.Pages{Help: "/help/field-engineer", Style: pages.Style(), Icon: "/help/icon.svg"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/help/", pages)
	mux.Handle(depot.Path, packages)
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, width := range []int64{1280, 390, 360} {
		b.look(width, 740, "light")
		b.do(chromedp.Navigate(server.URL + depot.Path))
		b.until("the packages", `document.querySelectorAll('.leads li').length === 4 && document.styleSheets.length === 1`)
		if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > width {
			t.Errorf("the list is %d px wide in a window of %d", wide, width)
		}
		b.picture(fmt.Sprintf("packages-%d", width), false)
	}
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}
