package depot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "embed"
)

// Path is where the packages are.
const Path = "/packages/"

// sums is the file that says what the others are.
const sums = "SHA256SUMS"

// atOnce is how many files are fetched at once. Each holds one of the connections that agents enrol over.
const atOnce = 32

// ofOne is how many of these one address may have. Villages behind one address of their operator share it.
const ofOne = 8

// breath is how long a file may stand still on its way. While bytes get through it may take as long as it takes.
const breath = time.Minute

// ErrAltered means that a file is not what SHA256SUMS says.
var ErrAltered = errors.New("differs from what " + sums + " says")

// given is what may leave the folder: packages, and the lists of what is in them.
var given = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]*(\.deb|\.ipk|\.cdx\.json)$`)

//go:embed list.html
var layout string

// Item is a package.
type Item struct {
	Name   string
	Bytes  int64
	SHA256 string // in hexadecimal
	Err    error  // ErrAltered, or why it cannot be read; it is not given away then
}

// Size is for people.
func (i Item) Size() string { return strconv.FormatFloat(float64(i.Bytes)/1e6, 'f', 1, 64) + " MB" }

// Depot answers Path and what is below. Safe for concurrent use.
type Depot struct {
	dir    string
	to     Pages
	log    *slog.Logger
	page   *template.Template
	places chan struct{}

	mu    sync.Mutex
	here  map[string]int    // how many fetch, by address
	known map[string]summed // by name
}

// summed is the sum of a file as it was.
type summed struct {
	bytes int64
	at    time.Time
	sum   string
}

// Pages is what the list leads to.
type Pages struct {
	Help  string // path of the page that says which package is for whom; "": none
	Style string // path of its style; "": none
	Icon  string // path of its icon; "": none
}

// Open looks into a folder. A folder that is not there holds nothing, until it is.
func Open(dir string, to Pages, log *slog.Logger) (*Depot, error) {
	t, err := template.New("list").Parse(layout)
	if err != nil {
		return nil, fmt.Errorf("read the embedded template of the packages: %w", err)
	}
	return &Depot{dir: dir, to: to, log: log, page: t, places: make(chan struct{}, atOnce), known: map[string]summed{}, here: map[string]int{}}, nil
}

// Items lists the packages, by name. The error is fs.ErrNotExist where there is no folder.
func (d *Depot) Items() ([]Item, error) {
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	told, err := toldSums(root)
	if err != nil {
		return nil, err
	}
	var all []Item
	for _, e := range entries {
		if !e.Type().IsRegular() || !given.MatchString(e.Name()) {
			continue
		}
		all = append(all, d.item(root, e.Name(), told))
	}
	return all, nil
}

// item is one package, which is summed once while it stays as it is.
func (d *Depot) item(root *os.Root, name string, told map[string]string) Item {
	i := Item{Name: name}
	info, err := root.Lstat(name)
	if err != nil {
		i.Err = err
		return i
	}
	i.Bytes = info.Size()
	d.mu.Lock()
	defer d.mu.Unlock() // who asks meanwhile waits for the same sum
	was, ok := d.known[name]
	if !ok || was.bytes != info.Size() || !was.at.Equal(info.ModTime()) {
		sum, err := sumOf(root, name)
		if err != nil {
			i.Err = err
			return i
		}
		was = summed{bytes: info.Size(), at: info.ModTime(), sum: sum}
		d.known[name] = was
	}
	i.SHA256 = was.sum
	if want, ok := told[name]; ok && want != was.sum {
		i.Err = ErrAltered
	}
	return i
}

func sumOf(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// toldSums reads SHA256SUMS as sha256sum writes it. None where there is no such file.
func toldSums(root *os.Root) (map[string]string, error) {
	f, err := root.Open(sums)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	told := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		sum, name, ok := strings.Cut(lines.Text(), " ")
		if ok {
			told[strings.TrimLeft(name, " *")] = strings.ToLower(sum)
		}
	}
	return told, lines.Err()
}

// ServeHTTP answers with the list, with the sums, or with a file.
func (d *Depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-cache")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "packages can be fetched here, nothing else", http.StatusMethodNotAllowed)
		return
	}
	leave, ok := d.enter(r)
	if !ok {
		h.Set("Retry-After", "30")
		http.Error(w, "too many fetch packages just now; try again in half a minute", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	items, err := d.Items()
	if errors.Is(err, fs.ErrNotExist) {
		http.Error(w, "no packages are given away here; the operations centre can put them into the folder packages of its data folder", http.StatusNotFound)
		return
	}
	if err != nil {
		d.log.Error("packages cannot be listed", "folder", d.dir, "error", err)
		http.Error(w, "the packages cannot be read; the collector's log says why", http.StatusInternalServerError)
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, Path); name {
	case "":
		d.list(w, items)
	case sums:
		d.sums(w, items)
	default:
		d.give(w, r, name, items)
	}
}

// enter takes a place for a visitor, as long as there is one for all and for this address.
func (d *Depot) enter(r *http.Request) (leave func(), ok bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.here[host] >= ofOne {
		return nil, false
	}
	select {
	case d.places <- struct{}{}:
	default:
		return nil, false
	}
	d.here[host]++
	return func() {
		<-d.places
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.here[host]--; d.here[host] == 0 {
			delete(d.here, host)
		}
	}, true
}

func (d *Depot) list(w http.ResponseWriter, items []Item) {
	var b bytes.Buffer
	if err := d.page.Execute(&b, map[string]any{"Items": items, "To": d.to, "Sums": sums}); err != nil {
		d.log.Error("the list of packages cannot be drawn", "error", err)
		http.Error(w, "the list could not be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // who is gone needs no list
}

// sums tells those of the files that are given away, for sha256sum -c.
func (d *Depot) sums(w http.ResponseWriter, items []Item) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, i := range items {
		if i.Err == nil {
			fmt.Fprintf(w, "%s  %s\n", i.SHA256, i.Name)
		}
	}
}

// give sends a file.
func (d *Depot) give(w http.ResponseWriter, r *http.Request, name string, items []Item) {
	for _, i := range items {
		if i.Name != name {
			continue
		}
		if i.Err != nil {
			d.log.Error("a package is not given away", "file", name, "folder", d.dir, "error", i.Err)
			http.Error(w, "this package is not what it should be; tell the operations centre: "+name+" differs from its "+sums, http.StatusInternalServerError)
			return
		}
		d.send(w, r, i)
		return
	}
	http.Error(w, "there is no such package; the list is at "+Path, http.StatusNotFound)
}

func (d *Depot) send(w http.ResponseWriter, r *http.Request, i Item) {
	root, err := os.OpenRoot(d.dir)
	if err == nil {
		defer root.Close()
		var f *os.File
		if f, err = root.Open(i.Name); err == nil {
			defer f.Close()
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("ETag", `"`+i.SHA256+`"`)
			http.ServeContent(&patient{ResponseWriter: w, control: http.NewResponseController(w)}, r, "", time.Time{}, f)
			return
		}
	}
	d.log.Error("a package cannot be read", "file", i.Name, "folder", d.dir, "error", err)
	http.Error(w, "the package cannot be read; the collector's log says why", http.StatusInternalServerError)
}

// patient gives each piece of a file its own time.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write sends a piece.
func (p *patient) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(breath)) // deadlines are in real time; a recorder has none
	return p.ResponseWriter.Write(b)
}
