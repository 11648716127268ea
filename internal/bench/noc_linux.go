package bench

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/bench/load"
	"github.com/smartvillage/nabz/internal/influxd"
)

// noc is a collector on this machine's loopback, with its InfluxDB or what stands for it.
type noc struct {
	c         Collect
	dir       string
	trust     trust
	influx    *influxd.Server
	mqtt, web string // addresses
	other     string // address of another broker; "": the embedded one
	plans     int
	collector *child
	placed    bool // sites have districts, operators and places
}

// openNOC starts InfluxDB.
func openNOC(ctx context.Context, c Collect, dir string) (n *noc, err error) {
	n = &noc{c: c, dir: dir}
	if n.trust, err = newTrust(dir, "localhost"); err != nil {
		return nil, err
	}
	n.influx, err = influxd.Start(ctx, influxd.Options{Path: c.Influxd, Dir: n.path("influxdb"), Log: c.Log})
	return n, err
}

func (n *noc) path(name string) string { return filepath.Join(n.dir, name) }

// free is an address that nobody listens on.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// enrol makes so many agents known, and no others.
func (n *noc) enrol(agents int) error {
	file, err := os.Create(n.path("agents.toml"))
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	for a := range agents {
		fmt.Fprintf(w, "[[agent]]\naddress = %q\nsecret_sha256 = \"%x\"\n", load.Address(a), sha256.Sum256([]byte(load.Secret(a))))
	}
	if err = w.Flush(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	var sites []byte
	for a := range agents {
		sites = fmt.Appendf(sites, "[[site]]\nid = %q\n", load.Address(a).Site)
		if n.placed {
			sites = fmt.Appendf(sites, "name = \"Village %d school\"\ndistrict = \"District %d\"\noperator = \"Operator %d\"\ntechnology = \"%s\"\nlatitude = %.3f\nlongitude = %.3f\n",
				a, a%40, a%3, []string{"4G", "VSAT", "fibre"}[a%3], 24+float64(a%113)/10, 62+float64(a%127)/9)
		}
	}
	return os.WriteFile(n.path("sites.toml"), sites, 0o600)
}

// open starts a collector that knows so many agents and stores at the URL, with or without TLS.
func (n *noc) open(ctx context.Context, influx string, agents int, secure bool) (err error) {
	if err := n.enrol(agents); err != nil {
		return err
	}
	if n.mqtt == "" {
		if n.mqtt, err = free(); err != nil {
			return err
		}
		if n.web, err = free(); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n[influx]\nurl = %q\n[web]\nlisten = %q\nopen = true\n[mqtt]\n",
		n.path("sites.toml"), n.path("agents.toml"), n.path("collector"), influx, n.web)
	if n.other != "" {
		text += fmt.Sprintf("listen = \"\"\nbroker = %q\n", "mqtt://"+n.other)
	} else {
		text += fmt.Sprintf("listen = %q\n", n.mqtt)
	}
	if secure {
		text += fmt.Sprintf("tls_cert = %q\ntls_key = %q\n", n.trust.cert, n.trust.key)
	}
	text += n.c.Extra
	if err := os.WriteFile(n.path("collector.toml"), []byte(text), 0o600); err != nil {
		return err
	}
	said, err := os.OpenFile(n.path("collector.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer said.Close()
	cmd := exec.Command(n.c.Collector, "run", "--config", n.path("collector.toml"))
	if n.c.Profile != "" {
		cmd = exec.Command(n.c.Self, "profiled", n.path("collector.toml"), n.c.Profile)
	}
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), said, said
	if n.collector, err = start("nabz-collector", cmd); err != nil {
		return err
	}
	return ready(ctx, n.collector, n.web, said.Name())
}

func (n *noc) shut() error {
	if n.collector == nil {
		return nil
	}
	err := n.collector.stop()
	n.collector = nil
	return err
}

func (n *noc) close() {
	_ = n.shut() // what it wrote is thrown away
	if n.influx != nil {
		_ = n.influx.Kill()
	}
}

// metric reads one number that the collector tells of itself.
func (n *noc) metric(name string) (float64, error) {
	r, err := http.Get("http://" + n.web + "/metrics")
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	for in := bufio.NewScanner(r.Body); in.Scan(); {
		if v, ok := strings.CutPrefix(in.Text(), name+" "); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("the collector tells no %s", name)
}

// query asks InfluxDB and returns the rows of all series, each behind the value of its one tag, "" without.
func (n *noc) query(database, q string) (rows map[string][]float64, err error) {
	client := &http.Client{Timeout: 2 * time.Minute}
	r, err := client.Get(n.influx.URL + "/query?" + url.Values{"db": {database}, "q": {q}, "epoch": {"ms"}}.Encode())
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	var answer struct {
		Results []struct {
			Error  string
			Series []struct {
				Tags   map[string]string
				Values [][]any
			}
		}
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("InfluxDB answers %.200q: %w", text, err)
	}
	rows = map[string][]float64{}
	for _, result := range answer.Results {
		if result.Error != "" {
			return nil, fmt.Errorf("InfluxDB: %s", result.Error)
		}
		for _, s := range result.Series {
			tag := ""
			for _, v := range s.Tags {
				tag = v
			}
			for _, row := range s.Values {
				for _, v := range row[1:] {
					f, _ := v.(float64)
					rows[tag] = append(rows[tag], f)
				}
			}
		}
	}
	return rows, nil
}
