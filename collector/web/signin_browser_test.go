package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// fill types into the form of the sign-in page and sends it, as a person would.
func (b *browser) fill(name, password string) {
	b.t.Helper()
	b.do(chromedp.Navigate(shown[string](b, `location.href`)))
	b.until("the form", `document.querySelector('input[name=password]') !== null`)
	shown[bool](b, fmt.Sprintf(`document.querySelector('input[name=name]').value = %q; document.querySelector('input[name=password]').value = %q; document.querySelector('button').click(); true`, name, password))
}

// expected takes complaints away that hold the words; it fails where there is none.
func (b *browser) expected(words string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []string
	for _, c := range b.complaints {
		if !strings.Contains(c, words) {
			left = append(left, c)
		}
	}
	if len(left) == len(b.complaints) {
		b.t.Errorf("the browser does not complain of %q; it says %q", words, b.complaints)
	}
	b.complaints = left
}

func TestAPersonSignsInLooksAndSignsOut(t *testing.T) {
	b := newBrowser(t)
	c := newClosed(t, time.Time{})
	c.settle()
	server := c.serve(t)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, size := range []struct{ width, height int64 }{{1280, 720}, {390, 844}, {360, 740}} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(size.width, size.height, scheme)
			b.do(chromedp.Navigate(server.URL + "/sites/passu"))
			b.until("the sign-in page", `location.pathname === '/sign-in' && document.activeElement.name === 'name'`)
			if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > size.width {
				t.Errorf("it is %v px wide in a window of %d", wide, size.width)
			}
			b.picture(fmt.Sprintf("sign-in-%dx%d-%s", size.width, size.height, scheme), false)
		}
	}
	b.quiet(host)
	b.fill("Aisha", "magenta cactus teapot river")
	b.until("the fault", `document.querySelector('[role=alert]')?.innerText === 'Name or password is wrong.' && document.activeElement.name === 'password'`)
	b.picture("sign-in-wrong", false)
	b.expected("403 (Forbidden)") // that is how it was answered
	b.do(chromedp.Navigate(server.URL + "/sites/passu"))
	b.until("the sign-in page", `location.pathname === '/sign-in'`)
	b.fill("Aisha", secret)
	b.until("the page that was asked for", `location.pathname === '/sites/passu' && document.querySelector('.who span').innerText === 'aisha'`)
	if shown[string](b, `document.cookie`) != "" {
		t.Error("a script can read the cookie")
	}
	for _, size := range []struct{ width, height int64 }{{1280, 720}, {360, 740}} {
		b.look(size.width, size.height, "light")
		for _, path := range []string{"/", "/sites/passu"} {
			b.do(chromedp.Navigate(server.URL + path))
			b.until("who is signed in", `document.querySelector('.who button') !== null`)
			if wide := shown[int64](b, `document.documentElement.scrollWidth`); wide > size.width {
				t.Errorf("%s is %v px wide in a window of %d", path, wide, size.width)
			}
			b.picture(fmt.Sprintf("signed-in-%d%s", size.width, strings.ReplaceAll(path, "/", "-")), false)
		}
	}
	shown[bool](b, `document.querySelector('.who button').click(); true`)
	b.until("the sign-in page again", `location.pathname === '/sign-in'`)
	b.do(chromedp.Navigate(server.URL + "/"))
	b.until("that the board is closed", `location.pathname === '/sign-in'`)
	b.quiet(host)
}

func TestABoardWhoseSessionHasEndedLeadsToTheSignIn(t *testing.T) {
	b := newBrowser(t)
	c := newClosed(t, time.Time{})
	c.settle()
	server := c.serve(t)
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("wall", secret)
	b.until("the board, up to date", `location.pathname === '/' && document.querySelectorAll('#rows tr').length === 12 && document.getElementById('lost').hidden`)
	if err := c.people.SetPassword("wall", "magenta cactus teapot river"); err != nil {
		t.Fatal(err)
	}
	b.until("the sign-in page", `location.pathname === '/sign-in'`)
	b.fill("wall", "magenta cactus teapot river")
	b.until("the board again", `location.pathname === '/' && document.querySelectorAll('#rows tr').length === 12`)
	b.do(chromedp.Navigate(server.URL + "/sites/passu"))
	b.until("the page of a site", `document.querySelector('.who') !== null && document.getElementById('charts').dataset.drawn >= 5`)
	if err := c.people.Remove("wall"); err != nil {
		t.Fatal(err)
	}
	b.until("the sign-in page, when the page renews itself", `document.dispatchEvent(new Event('visibilitychange')) && location.pathname === '/sign-in'`)
	b.expected("401 (Unauthorized)") // the stream and the question who is asking
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}

func TestABrowserTakesTheCookieOverTLS(t *testing.T) {
	b := newBrowser(t, "ignore-certificate-errors") // the test server's own is signed by nobody
	c := newClosed(t, time.Time{})
	c.settle()
	ctx, stop := context.WithCancel(context.Background())
	server := httptest.NewUnstartedServer(c.handler)
	server.EnableHTTP2 = true
	server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	server.StartTLS()
	t.Cleanup(func() { stop(); server.CloseClientConnections(); server.Close() })
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.fill("wall", secret)
	b.until("the board", `location.pathname === '/' && document.querySelectorAll('#rows tr').length === 12`)
	if got := shown[string](b, `performance.getEntriesByType('navigation')[0].nextHopProtocol`); got != "h2" {
		t.Errorf("the browser speaks %s, want h2", got)
	}
	c.trouble(Check{Name: "InfluxDB", Err: errors.New("connection refused; start influxd")})
	b.until("an event", `document.getElementById('troubles').innerText.includes('start influxd')`)
	b.quiet(strings.TrimPrefix(server.URL, "https://"))
}

// What the other tests rely on: a page that asked elsewhere or broke the policy would be noticed, and held back by the browser.
func TestTheBrowserHoldsPagesToThePolicy(t *testing.T) {
	b := newBrowser(t)
	c := newClosed(t, noon)
	server := c.serve(t)
	b.do(chromedp.Navigate(server.URL + "/sign-in"))
	b.until("the form", `document.querySelector('form') !== null`)
	for what, do := range map[string]string{
		"img-src":     `document.body.append(Object.assign(new Image(), {src: 'http://elsewhere.invalid/pixel'})); true`,
		"style-src":   `document.body.setAttribute('style', 'color: red'); true`,
		"script-src":  `document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'})); true`,
		"connect-src": `fetch('http://elsewhere.invalid/').catch(() => {}); true`,
		"form-action": `(() => { const f = Object.assign(document.createElement('form'), {method: 'post', action: 'http://elsewhere.invalid/'}); document.body.append(f); f.submit(); })(); true`,
	} {
		b.mu.Lock()
		b.complaints = nil
		b.mu.Unlock()
		shown[bool](b, do)
		b.hears(what)
	}
	if shown[bool](b, `window.ran === true`) || shown[string](b, `location.host`) != strings.TrimPrefix(server.URL, "http://") {
		t.Error("the browser did it all the same")
	}
}

// hears waits for a complaint that holds the words.
func (b *browser) hears(words string) {
	b.t.Helper()
	again, end := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for {
		b.mu.Lock()
		complaints := strings.Join(b.complaints, "\n")
		b.mu.Unlock()
		if strings.Contains(complaints, words) {
			return
		}
		select {
		case <-again.C:
		case <-end:
			b.t.Fatalf("the browser never complained of %s; it says %q", words, complaints)
		}
	}
}
