package collector

import (
	"net/http"
	"os"
	"path/filepath"

	"github.com/smartvillage/nabz/collector/depot"
	"github.com/smartvillage/nabz/collector/guide"
	"github.com/smartvillage/nabz/collector/web"
)

// guide is the pages of help with the programme's own addresses in them, for the board or for where agents enrol.
func (p *parts) guide(board bool) (*guide.Guide, error) {
	style, icon, err := web.Look()
	if err != nil {
		return nil, err
	}
	shown := guide.Config{Style: style, Icon: icon, URL: p.c.Agents.URL, BoardURL: p.c.Alert.BoardURL, Board: board}
	if len(p.c.Agents.Brokers) > 0 {
		shown.Broker = p.c.Agents.Brokers[0]
	}
	if info, err := os.Stat(Packages(p.c)); err == nil && info.IsDir() && !board {
		shown.Packages = true
	}
	return guide.New(shown)
}

// openHelp shows the pages of help and gives packages to whoever reaches the address where agents enrol: a village often has no other.
func (p *parts) openHelp(mux *http.ServeMux) error {
	pages, err := p.guide(false)
	if err != nil {
		return err
	}
	packages, err := depot.Open(Packages(p.c), depot.Pages{Help: guide.Path + "/field-engineer", Style: pages.Style(), Icon: guide.Path + "/icon.svg"}, p.log)
	if err != nil {
		return err
	}
	mux.Handle(guide.Path, pages)
	mux.Handle(guide.Path+"/", pages)
	mux.Handle(depot.Path, packages)
	return nil
}

// Packages is the folder of the packages that are given away.
func Packages(c Config) string { return filepath.Join(c.DataDir, "packages") }

// HelpURL is where a field engineer reads how to set up an agent. "" where nothing is served to them.
func HelpURL(c Config) string { return below(c, guide.Path+"/field-engineer") }

// PackagesURL is where packages are given away; "" where nothing is served.
func PackagesURL(c Config) string { return below(c, depot.Path) }

func below(c Config, path string) string {
	if c.Agents.Listen == "" || c.Agents.URL == "" || c.Role == roleIntake {
		return ""
	}
	return c.Agents.URL + path
}
