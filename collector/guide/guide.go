package guide

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/docs"
)

// Path is where the pages are.
const Path = "/help"

//go:embed page.html
var layout string

//go:embed guide.css
var style []byte

// Config says whose pages they are. The zero Config shows them as they are in the repository.
type Config struct {
	Style    []byte // colours and letters (CSS) of the board, which the pages share
	Icon     []byte // of the board (SVG)
	URL      string // where agents enrol, such as https://noc.example.org:8443; "": as in the examples
	Broker   string // what agents connect to, such as mqtts://noc.example.org:8883; "": as in the examples
	BoardURL string // of the board, such as https://noc.example.org; "": as in the examples
	Board    bool   // the pages are shown by the board, and lead back to it
	Packages bool   // packages are to be had at the same address
	Now      func() time.Time
}

// rates bound how often one address may ask. All villages of an operator may come from one. What is answered lies ready, so this is about the line.
var rates = limit.Rates{Host: limit.Rate{Burst: 120, Every: 250 * time.Millisecond}, All: limit.Rate{Burst: 1000, Every: 5 * time.Millisecond}, Most: 8192}

// file is an answer that lies ready.
type file struct {
	kind string
	tag  string
	body []byte
	gz   []byte
	keep string // Cache-Control
}

// Guide answers Path and what is below. Safe for concurrent use.
type Guide struct {
	files map[string]file // by path
	look  string          // path of the style
	tries *limit.Limiter
	now   func() time.Time
}

// chapter is one group of pages in the list of all.
type chapter struct {
	Title string
	Pages []entry
}

// entry is a page in the list of all.
type entry struct{ URL, Title, About string }

// shelves groups the pages by who reads them. A page that stands in none is among the last.
var shelves = []struct {
	title string
	pages []string
}{
	{"In the village", []string{"field-engineer", "troubleshooting", "agent", "openwrt", "services"}},
	{"At the operations centre", []string{"noc", "operator", "debian", "packages", "upgrading", "configuration"}},
	{"For the programme", []string{"programme-lead", "figures", "languages"}},
}

// New draws all pages. The error is a mistake of this program.
func New(c Config) (*Guide, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	g := &Guide{files: map[string]file{}, tries: limit.New(rates), now: c.Now}
	css := slices.Concat(c.Style, style)
	sum := sha256.Sum256(css)
	look := Path + "/" + hex.EncodeToString(sum[:6]) + ".css"
	g.look = look
	g.add(Path+"/icon.svg", "image/svg+xml", "public, max-age=86400", c.Icon)
	g.add(look, "text/css; charset=utf-8", "public, max-age=31536000, immutable", css)
	t, err := template.New("page").Parse(layout)
	if err != nil {
		return nil, fmt.Errorf("read the embedded template of the help: %w", err)
	}
	files, err := names(docs.Pages)
	if err != nil {
		return nil, err
	}
	var all []drawn
	for _, name := range files {
		text, err := fs.ReadFile(docs.Pages, name)
		if err != nil {
			return nil, err
		}
		d, err := draw(docs.Pages, name, c.own().Replace(string(text)), Path)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	page := func(address string, d drawn, list []chapter) error {
		var b bytes.Buffer
		err := t.Execute(&b, map[string]any{"Style": look, "Title": d.title, "Parts": d.parts, "Body": template.HTML(d.body), "List": list,
			"Board": c.Board, "Packages": c.Packages, "Home": Path})
		g.add(address, "text/html; charset=utf-8", "no-cache", b.Bytes())
		return err
	}
	for _, d := range all {
		if err := page(Path+"/"+d.name, d, nil); err != nil {
			return nil, err
		}
	}
	if err := page(Path, drawn{title: "Help"}, list(all)); err != nil {
		return nil, err
	}
	return g, g.examples()
}

// examples adds the files that pages point at.
func (g *Guide) examples() error {
	return fs.WalkDir(docs.Pages, "examples", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(docs.Pages, name)
		g.add(path.Join(Path, name), "text/plain; charset=utf-8", "no-cache", text)
		return err
	})
}

// own puts the programme's addresses in the place of the examples.
func (c Config) own() *strings.Replacer {
	var pairs []string
	with := func(example, own string) {
		if own = strings.TrimSuffix(own, "/"); own != "" {
			pairs = append(pairs, example, own)
		}
	}
	with("https://noc.example.org:8443", c.URL)
	with("mqtts://noc.example.org:8883", c.Broker)
	with("https://noc.example.org", c.BoardURL)
	if c.BoardURL != "" {
		pairs = append(pairs, "https://noc.example/", strings.TrimSuffix(c.BoardURL, "/")+"/")
	}
	if u, err := url.Parse(c.URL); err == nil {
		with("noc.example.org", u.Hostname())
	}
	return strings.NewReplacer(pairs...)
}

// list orders the pages by who reads them.
func list(all []drawn) []chapter {
	pages := map[string]drawn{}
	for _, d := range all {
		pages[d.name] = d
	}
	take := func(title string, names []string) chapter {
		c := chapter{Title: title}
		for _, n := range names {
			if d, ok := pages[n]; ok {
				c.Pages = append(c.Pages, entry{URL: Path + "/" + n, Title: d.title})
				delete(pages, n)
			}
		}
		return c
	}
	var chapters []chapter
	for _, s := range shelves {
		chapters = append(chapters, take(s.title, s.pages))
	}
	var rest []string
	for _, d := range all {
		if _, left := pages[d.name]; left {
			rest = append(rest, d.name)
		}
	}
	return append(chapters, take("How it is built", rest))
}

// add lays an answer ready, packed too.
func (g *Guide) add(address, kind, keep string, body []byte) {
	sum := sha256.Sum256(body)
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level exists
	_, _ = w.Write(body)                                       // memory takes all
	_ = w.Close()
	g.files[address] = file{kind: kind, keep: keep, tag: `W/"` + hex.EncodeToString(sum[:8]) + `"`, body: body, gz: packed.Bytes()}
}

// Style is the path of the style of the pages.
func (g *Guide) Style() string { return g.look }

// policy lets a page load its style and nothing else.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP answers with a page.
func (g *Guide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	if wait := g.tries.Take(host(r), "", g.now()); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		http.Error(w, "too many have asked just now; wait a moment, then load the page again", http.StatusTooManyRequests)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "pages can be read here, nothing else", http.StatusMethodNotAllowed)
		return
	}
	f, ok := g.files[strings.TrimSuffix(r.URL.Path, "/")]
	if !ok {
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`<!doctype html><meta name="viewport" content="width=device-width"><title>No such page</title><p>There is no such page. <a href="` + Path + `">All pages of help</a></p>`))
		return
	}
	h.Set("Cache-Control", f.keep)
	h.Set("ETag", f.tag)
	if !slices.Contains(h.Values("Vary"), "Accept-Encoding") {
		h.Add("Vary", "Accept-Encoding")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	body := f.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.gz
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who is gone needs no page
	}
}

// host is who asks, as far as the connection tells.
func host(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
