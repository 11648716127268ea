package web

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func TestABoardIsSortedOnAPhone(t *testing.T) {
	b := newBrowser(t)
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	b.look(390, 844, "light")
	b.do(chromedp.Navigate(server.URL + "/?q=health"))
	b.until("the sites", `document.querySelectorAll('#rows tr').length === 4`)
	if !shown[bool](b, `document.querySelector('select[name=sort]')?.offsetParent != null`) {
		t.Fatal("a phone shows no way to sort")
	}
	shown[bool](b, `(() => { const s = document.querySelector('select[name=sort]'); s.value = 'name'; return s.dispatchEvent(new Event('change', {bubbles: true})); })()`)
	b.until("them by name", `document.querySelector('#rows tr').id === 'site-karimabad' && location.search === '?sort=name&q=health' || location.search === '?q=health&sort=name' && document.querySelector('#rows tr').id === 'site-karimabad'`)
	b.look(1280, 720, "light")
	if shown[bool](b, `document.querySelector('select[name=sort]').offsetParent !== null`) {
		t.Error("a wide board has its columns to sort by, and a list beside them")
	}
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}
