package dashboards

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// Grafana says where Grafana is, and what it is to show.
type Grafana struct {
	Dir          string // its configuration, such as /etc/grafana
	Influx       string // address of InfluxDB, as Grafana reaches it
	Token        string // that may read both buckets; 1.8: "user:password"; "" where InfluxDB asks for none
	DetailBucket string
	LedgerBucket string
	Board        string // address of nabz's board, as people reach it; "" is DefaultBoard
}

const (
	group     = "grafana"           // that of Grafana's own user, where there is one
	tokenFile = "nabz-influx-token" // beside grafana.ini
	maxSeries = 20000               // that Grafana shows of one query; its own limit is 1000
)

// Install writes data sources, provider and dashboards, and tells of each file what was done with it. Files are replaced whole; those that are right
// already are left alone. Dashboards of an older program that are no more are taken away.
func (g Grafana) Install(tell func(format string, a ...any)) error {
	if err := g.check(); err != nil {
		return err
	}
	dir, err := filepath.Abs(g.Dir)
	if err != nil {
		return err
	}
	g.Dir = dir
	boards := filepath.Join(dir, "provisioning", "dashboards", "nabz")
	for _, d := range []string{filepath.Join(dir, "provisioning", "datasources"), boards} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make a folder for Grafana: %w; run this as root, or name a folder that you may write to with --grafana-dir", err)
		}
	}
	token := filepath.Join(dir, tokenFile)
	if g.Token != "" {
		if err := replace(token, []byte(g.Token+"\n"), 0o640, tell); err != nil {
			return err
		}
		if err := wholefile.Share(token, group, 0o640); err != nil {
			return err
		}
	} else if err := remove(token, tell); err != nil {
		return err
	}
	files := map[string][]byte{
		filepath.Join(dir, "provisioning", "datasources", "nabz.yaml"): []byte(g.sources(token)),
		filepath.Join(dir, "provisioning", "dashboards", "nabz.yaml"):  []byte(provider(boards)),
	}
	var names []string
	for _, d := range All(g.Board) {
		text, err := d.JSON()
		if err != nil {
			return err
		}
		names = append(names, d.File())
		files[filepath.Join(boards, d.File())] = text
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := replace(file, files[file], 0o644, tell); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(boards)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !slices.Contains(names, e.Name()) {
			if err := remove(filepath.Join(boards, e.Name()), tell); err != nil {
				return err
			}
		}
	}
	return nil
}

// check tells what cannot be.
func (g Grafana) check() error {
	var faults []error
	if g.Dir == "" {
		faults = append(faults, errors.New("where is Grafana's configuration? name its folder: --grafana-dir /etc/grafana"))
	}
	for _, a := range []struct{ flag, url string }{{"--influx-url", g.Influx}, {"--board-url", cmp.Or(g.Board, DefaultBoard)}} {
		u, err := url.Parse(a.url)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			faults = append(faults, fmt.Errorf("%s: %q is not an address; write it as \"https://host\" or \"http://host:port\"", a.flag, a.url))
		} else if strings.HasSuffix(a.url, "/") {
			faults = append(faults, fmt.Errorf("%s: %q ends with a slash; leave it out", a.flag, a.url))
		}
	}
	if strings.Contains(g.Token, "$") {
		faults = append(faults, errors.New("the credential for InfluxDB holds a \"$\", which Grafana takes for a variable; make one without it that may read both buckets, and name it with --token-file"))
	}
	if strings.ContainsAny(g.Dir, "$}") {
		faults = append(faults, fmt.Errorf("--grafana-dir: %q holds a \"$\" or a \"}\", which Grafana takes for a variable", g.Dir))
	}
	return errors.Join(faults...)
}

// sources are the two data sources. The token is in a file of its own, which Grafana reads.
func (g Grafana) sources(token string) string {
	var b strings.Builder
	b.WriteString("# Written by nabz-collector dashboards install; run that again instead of changing this file. Two data sources on one InfluxDB, both asked in InfluxQL.\napiVersion: 1\ndatasources:\n")
	for _, s := range []struct {
		uid        Source
		name, data string
	}{{Detail, "nabz detail", g.DetailBucket}, {Ledger, "nabz ledger", g.LedgerBucket}} {
		fmt.Fprintf(&b, "  - name: %s\n    uid: %s\n    type: influxdb\n    access: proxy\n    url: %s\n    editable: false\n    jsonData:\n      version: InfluxQL\n      dbName: %s\n      httpMode: POST\n      timeInterval: 1m\n      maxSeries: %d\n",
			s.name, s.uid, yaml(g.Influx), yaml(s.data), maxSeries)
		if g.Token != "" {
			fmt.Fprintf(&b, "      httpHeaderName1: Authorization\n    secureJsonData:\n      httpHeaderValue1: %s\n", yaml("Token $__file{"+token+"}"))
		}
	}
	return b.String()
}

// yaml is a text in quotation marks; a dollar that begins no name of Grafana's stays one. JSON's strings are YAML's too.
func yaml(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	return strconv.Quote(strings.ReplaceAll(s, "$$__file{", "$__file{"))
}

// provider tells Grafana where the dashboards are.
func provider(boards string) string {
	return "# Written by nabz-collector dashboards install; run that again instead of changing this file.\napiVersion: 1\nproviders:\n  - name: nabz\n    folder: nabz\n    type: file\n" +
		"    disableDeletion: false\n    allowUiUpdates: false\n    updateIntervalSeconds: 60\n    options:\n      path: " + yaml(boards) + "\n"
}

// replace writes a file unless it is right already.
func replace(file string, text []byte, mode os.FileMode, tell func(string, ...any)) error {
	was, err := os.ReadFile(file)
	info, statErr := os.Stat(file)
	if err == nil && statErr == nil && bytes.Equal(was, text) && info.Mode().Perm() == mode {
		tell("kept  %s", file)
		return nil
	}
	if err := wholefile.Replace(file, text, mode); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		tell("made  %s", file)
	} else {
		tell("wrote %s anew", file)
	}
	return nil
}

// remove takes away a file that is no longer right.
func remove(file string, tell func(string, ...any)) error {
	err := os.Remove(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take away %s: %w", file, err)
	}
	tell("took away %s", file)
	return nil
}
