package press_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/internal/testneed"
)

// board serves a document as the board does: under a policy that runs nothing and loads nothing that another host has.
func board(t *testing.T, d press.Document) *httptest.Server {
	t.Helper()
	fonts, err := press.WebFonts()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		name := filepath.Base(r.URL.Path)
		switch {
		case fonts[name] != nil:
			w.Header().Set("Content-Type", "font/woff2")
			_, _ = w.Write(fonts[name])
		case name == "press.css":
			w.Header().Set("Content-Type", "text/css")
			_, _ = io.WriteString(w, press.Style)
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="/static/icon.svg"><title>x</title><link rel="stylesheet" href="/static/press.css"><body class="p-alone"><main>`)
			if err := press.HTML(w, d); err != nil {
				t.Error(err)
			}
		case name == "icon.svg":
			w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = io.WriteString(w, `<svg xmlns="http://www.w3.org/2000/svg"/>`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// tab is a tab of a Chromium, with what it complained of.
type tab struct {
	context.Context
	mu         sync.Mutex
	complaints []string
}

func open(t *testing.T) *tab {
	t.Helper()
	path := testneed.Program(t, "chromium", "apt-get install chromium")
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "hide-scrollbars", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	allocator, cancel2 := chromedp.NewExecAllocator(ctx, options...)
	b := &tab{}
	inner, cancel3 := chromedp.NewContext(allocator, chromedp.WithListener(func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			b.mu.Lock()
			b.complaints = append(b.complaints, e.Entry.Text+" "+e.Entry.URL)
			b.mu.Unlock()
		}
	}))
	b.Context = inner
	t.Cleanup(func() {
		_ = chromedp.Cancel(inner)
		cancel3()
		cancel2()
		cancel()
	})
	b.do(t, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	}))
	return b
}

func (b *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		t.Fatal(err)
	}
}

// faults is what stands wrong in a page: boxes that overlap, text that its box cuts off, a page wider than its window. It waits for the fonts.
const faults = `(async () => {
  await document.fonts.ready
  const out = [], shown = e => e.getClientRects().length > 0
  const name = e => e.tagName + '.' + (e.getAttribute('class') ?? '') + ' "' + e.textContent.slice(0, 30) + '"'
  const wide = document.documentElement.scrollWidth - innerWidth
  if (wide > 0) out.push('the page is ' + wide + ' px wider than its window')
  const meet = (a, b) => Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top))
  const apart = (list, slack) => list.forEach((a, i) => list.slice(i + 1).forEach(b => {
    if (meet(a.getBoundingClientRect(), b.getBoundingClientRect()) > slack) out.push(name(a) + ' overlaps ' + name(b))
  }))
  apart([...document.querySelectorAll('.p-body > *')].filter(shown), 0.5)
  apart([...document.querySelectorAll('.p-cards li')], 0.5)
  document.querySelectorAll('.p-cards li, .p-facts div, tr').forEach(e => apart([...e.children], 0.5))
  document.querySelectorAll('h1, h2, h3, h4, p, dt, dd, .p-cards li, .p-note, th, td, caption, figcaption').forEach(e => {
    if (shown(e) && e.scrollWidth > e.clientWidth + 1) out.push(name(e) + ' is cut off by ' + (e.scrollWidth - e.clientWidth) + ' px')
  })
  document.querySelectorAll('.p-chart svg').forEach(svg => {
    if (!shown(svg)) return
    const box = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll('text')]
    apart(texts, 1.5)
    texts.forEach(e => { const r = e.getBoundingClientRect(); if (r.left < box.left - 2 || r.right > box.right + 2 || r.top < box.top - 2 || r.bottom > box.bottom + 4) out.push(name(e) + ' leaves its chart') })
  })
  return out
})()`

// order tells where things stand that are read first and last.
const order = `(() => {
  const first = s => document.querySelector(s).getBoundingClientRect()
  const cards = [...document.querySelectorAll('.p-cards li')].map(e => e.getBoundingClientRect()), heads = [...document.querySelectorAll('thead tr')][0].children
  return {
    direction: getComputedStyle(document.querySelector('.press')).direction,
    cards: cards[0].left > cards[1].left, columns: heads[0].getBoundingClientRect().left > heads[1].getBoundingClientRect().left,
    bar: first('.p-bar .t-a').right > first('.p-bar .t-line').right - 1, edge: getComputedStyle(document.querySelector('.p-note')).borderRightWidth === '4px',
    heading: getComputedStyle(document.querySelector('h1')).fontFamily.startsWith('"nabz nastaliq"'),
    fonts: [...document.fonts].filter(f => f.status === 'loaded').length,
  }
})()`

func TestAnUrduPageReadsFromRightToLeftAndNothingOverlaps(t *testing.T) {
	b := open(t)
	for _, w := range []words{english(), urdu()} {
		server := board(t, sample(w, 12))
		for _, size := range [][2]int64{{1280, 900}, {390, 844}, {320, 640}} {
			t.Run(fmt.Sprintf("%s-%d", w.language, size[0]), func(t *testing.T) {
				b.do(t, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
					_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: size[0], Height: size[1], DeviceScaleFactor: 1, Mobile: size[0] < 600})
					return err
				}), chromedp.Navigate(server.URL))
				wrong, err := chromedp.Run(b, chromedp.Evaluate[[]string](faults, chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatal(err)
				}
				for _, fault := range wrong {
					t.Error(fault)
				}
				type stand struct {
					Direction                          string
					Cards, Columns, Bar, Edge, Heading bool
					Fonts                              int
				}
				got, err := chromedp.Run(b, chromedp.Evaluate[stand](order))
				want := stand{Direction: "ltr"}
				if w.rtl {
					want = stand{"rtl", true, true, true, true, true, 3}
				}
				if err != nil || got != want {
					t.Errorf("got %+v (%v)\nwant %+v", got, err, want)
				}
				if dir := os.Getenv("NABZ_SCREENSHOTS"); dir != "" {
					picture, err := chromedp.Run(b, chromedp.FullScreenshot(100))
					if err := errors.Join(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("press-%s-%d.png", w.language, size[0])), picture, 0o600)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

func TestEachPrintedSheetHasTheHashAndItsTableTheHead(t *testing.T) {
	b := open(t)
	b.do(t, chromedp.Navigate(board(t, sample(english(), 60)).URL))
	data, err := chromedp.Run(b, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize()))
	if err != nil {
		t.Fatal(err)
	}
	sheets := texts(t, data)
	for i, text := range sheets {
		if !strings.Contains(text, sha) {
			t.Errorf("sheet %d of %d says nothing of the hash:\n%s", i+1, len(sheets), text)
		}
		if strings.Contains(text, "site-00") && !strings.Contains(text, "Outages") {
			t.Errorf("sheet %d has rows and no head", i+1)
		}
	}
	if len(sheets) < 5 || len(sheets) > 8 {
		t.Errorf("%d sheets, want 5 to 8", len(sheets))
	}
}
