package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/collector/press"
	libraries "github.com/smartvillage/nabz/third_party/web"
)

//go:embed templates
var templates embed.FS

//go:embed static
var static embed.FS

// Look is what all pages of the collector share: colours and letters (CSS), and the icon (SVG).
func Look() (style, icon []byte, err error) {
	if style, err = static.ReadFile("static/nabz.css"); err == nil {
		icon, err = static.ReadFile("static/icon.svg")
	}
	return style, icon, err
}

// assets are the files that pages load. They all stand in one folder named by the hash of their content, so
// that modules import each other by relative names and a browser may keep them for ever.
type assets struct {
	build string
	files map[string][]byte
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}}
	add := func(fsys fs.FS, name string) error {
		data, err := fs.ReadFile(fsys, name)
		a.files[path.Base(name)] = data
		return err
	}
	own, err := fs.Glob(static, "static/*")
	if err != nil {
		return nil, err
	}
	for _, name := range own {
		if err := add(static, name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"uplot/uPlot.esm.js", "uplot/uPlot.min.css", "leaflet/leaflet.js", "leaflet/leaflet.css",
		"supercluster/supercluster.min.js", "topojson-client/topojson-client.min.js", "world-atlas/countries-50m.json"} {
		if err := add(libraries.Files, name); err != nil {
			return nil, err
		}
	}
	fonts, err := press.WebFonts()
	if err != nil {
		return nil, err
	}
	maps.Copy(a.files, fonts)
	a.files["press.css"] = []byte(press.Style)
	sum := sha256.New()
	for _, name := range sortedKeys(a.files) {
		sum.Write([]byte(name + "\x00" + strconv.Itoa(len(a.files[name])) + "\x00"))
		sum.Write(a.files[name])
	}
	a.build = hex.EncodeToString(sum.Sum(nil))[:12]
	return a, nil
}

func (a *assets) url(name string) string { return "/static/" + a.build + "/" + name }

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	build, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/static/"), "/")
	data, ok := a.files[name]
	if !ok || build != a.build {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "no such file; reload the page, it names the files of this version", http.StatusNotFound)
		return
	}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json", ".woff": "font/woff", ".woff2": "font/woff2"}
	w.Header().Set("Content-Type", types[path.Ext(name)])
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data)
}
