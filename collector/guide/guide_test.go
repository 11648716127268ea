package guide

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/gzip"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, c Config) *Guide {
	t.Helper()
	if c.Now == nil {
		c.Now = func() time.Time { return noon }
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ask(g http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestEveryLinkBetweenPagesOfHelpIsAnswered(t *testing.T) {
	g := open(t, Config{Style: []byte("body{}"), Icon: []byte("<svg/>"), Now: nil})
	g.now = time.Now
	link := regexp.MustCompile(`(?:href|src)="(/help[^"]*)"`)
	id := regexp.MustCompile(` id="([^"]+)"`)
	seen, next := map[string]string{}, []string{Path}
	for len(next) > 0 {
		path := next[0]
		next = next[1:]
		if _, ok := seen[path]; ok {
			continue
		}
		at := noon.Add(time.Duration(len(seen)) * time.Minute)
		g.now = func() time.Time { return at }
		w := ask(g, http.MethodGet, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s answers %d", path, w.Code)
		}
		seen[path] = w.Body.String()
		for _, l := range link.FindAllStringSubmatch(w.Body.String(), -1) {
			to, _, _ := strings.Cut(l[1], "#")
			next = append(next, to)
		}
	}
	parts := 0
	for path, body := range seen {
		for _, l := range link.FindAllStringSubmatch(body, -1) {
			to, part, ok := strings.Cut(l[1], "#")
			if !ok {
				continue
			}
			parts++
			found := false
			for _, i := range id.FindAllStringSubmatch(seen[to], -1) {
				found = found || i[1] == part
			}
			if !found {
				t.Errorf("%s leads to %s, and there is no such part", path, l[1])
			}
		}
	}
	if len(seen) < 12 || parts < 10 {
		t.Errorf("%d pages and %d links to parts are walked", len(seen), parts)
	}
}

func TestPagesShowTheProgrammesOwnAddresses(t *testing.T) {
	g := open(t, Config{URL: "https://noc.gokina.example:9443", Broker: "mqtts://mqtt.gokina.example:9883", BoardURL: "https://board.gokina.example/"})
	var all strings.Builder
	for _, f := range g.files {
		all.Write(f.body)
	}
	for _, want := range []string{"N=https://noc.gokina.example:9443/packages", "mqtts://mqtt.gokina.example:9883", "https://board.gokina.example/api/v1/"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no page has %q", want)
		}
	}
	for _, not := range []string{"noc.example.org", "https://noc.example/"} {
		if i := strings.Index(all.String(), not); i >= 0 {
			t.Errorf("a page still has an example's address: …%s…", all.String()[max(0, i-80):i+80])
		}
	}
}

func TestAPageIsFetchedOnce(t *testing.T) {
	g := open(t, Config{})
	first := ask(g, http.MethodGet, "/help/field-engineer", "Accept-Encoding", "gzip")
	z, err := gzip.NewReader(first.Body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(text, []byte("<h1")) {
		t.Errorf("got %.100q, %v", text, err)
	}
	if first.Header().Get("Cache-Control") != "no-cache" || first.Header().Get("Content-Security-Policy") != policy {
		t.Errorf("headers %v", first.Header())
	}
	again := ask(g, http.MethodGet, "/help/field-engineer", "If-None-Match", first.Header().Get("ETag"))
	if again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("asked again it answers %d with %d bytes", again.Code, again.Body.Len())
	}
	if head := ask(g, http.MethodHead, "/help"); head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD answers %d %v", head.Code, head.Header())
	}
	if w := ask(g, http.MethodPost, "/help"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answers %d", w.Code)
	}
	for _, path := range []string{"/help/nowhere", "/help/../secret", "/help/field-engineer.md", "/help/examples"} {
		if w := ask(g, http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestOneAddressCannotAskForEver(t *testing.T) {
	g := open(t, Config{})
	for range 120 {
		if w := ask(g, http.MethodGet, "/help"); w.Code != http.StatusOK {
			t.Fatalf("answers %d within the bound", w.Code)
		}
	}
	if w := ask(g, http.MethodGet, "/help"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
		t.Errorf("beyond the bound it answers %d, %v", w.Code, w.Header())
	}
}

func TestWhatIsNotHereIsNoLink(t *testing.T) {
	pages := fstest.MapFS{"a.md": {}, "b.md": {Data: []byte("# The other\n")}}
	d, err := draw(pages, "a.md", "# One\n\n![a picture](x.png)\n\n[b.md](b.md#part) [there](../README.md) <script>alert(1)</script> [x](javascript:alert)\n\n## Two `words`\n\n|a|b|c|\n|-|-|-|\n|1|2|3|\n\n```\n<pre>\n```\n", "/help")
	if err != nil {
		t.Fatal(err)
	}
	body := string(d.body)
	for _, want := range []string{`<a href="/help/b#part">The other</a> there `, `<td data-label="b">2</td>`, `class="columns-3"`, `<h2 id="two-words">`, `<pre tabindex="0"><code>&lt;pre&gt;`} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s:\n%s", want, body)
		}
	}
	for _, not := range []string{"<img", "<script", "javascript", "README"} {
		if strings.Contains(body, not) {
			t.Errorf("has %s:\n%s", not, body)
		}
	}
	if d.title != "One" || len(d.parts) != 1 || d.parts[0] != (heading{ID: "two-words", Text: "Two words"}) {
		t.Errorf("title %q, parts %+v", d.title, d.parts)
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	for heading, want := range map[string]string{"Hours and time zones": "hours-and-time-zones", "nabz-agent check": "nabz-agent-check",
		"What's up, doc?": "whats-up-doc", "A  B": "a--b", "نبض یہ": "نبض-یہ"} {
		if got := Anchor(heading); got != want {
			t.Errorf("%q is %q, want %q", heading, got, want)
		}
	}
	a := anchors{}
	if got := fmt.Sprintf("%s %s", a.Generate([]byte("Same"), 0), a.Generate([]byte("Same"), 0)); got != "same same-1" {
		t.Errorf("two of the same words are %s", got)
	}
}
