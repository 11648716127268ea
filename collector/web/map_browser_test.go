package web

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func TestAMapThatIsMovedWhileItsViewChangesGoesOn(t *testing.T) {
	b := newBrowser(t)
	w := newWorld(t, nothing{}, time.Time{})
	w.settle()
	server := w.serve(t)
	b.look(1280, 720, "light")
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error { // so that a step closer is made at once
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}))
	b.do(chromedp.Navigate(server.URL + "/map"))
	b.until("the sites", `document.querySelector('#map .pin.s-down') !== null && document.getElementById('map').dataset.outlined === 'yes'`)
	shown[bool](b, `(() => { window.moved = 0; new MutationObserver(() => { window.moved++; document.querySelector('.leaflet-control-zoom-in').click(); })
		.observe(document.body, {attributes: true, attributeFilter: ['data-at']}); document.querySelector('.tile.s-up').click(); return true; })()`)
	b.until("the other view", `window.moved > 0 && location.search === '?state=up' && document.querySelector('#map .s-down') === null && document.querySelector('#map .pin.s-up') !== null`)
	b.quiet(strings.TrimPrefix(server.URL, "http://"))
}
