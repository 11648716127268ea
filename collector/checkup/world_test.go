package checkup

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noc is a machine that init has set up, with a site, an agent and an operator.
type noc struct {
	t    *testing.T
	dir  string
	c    collector.Config
	o    Options
	db   *influxd.Server
	stop func() // of the collector that runs
}

var gokina = telemetry.Address{Site: "gokina", Agent: "main"}

// port is one that nobody listens at.
func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// newNOC has init set a machine up, with an InfluxDB that asks for a password.
func newNOC(t *testing.T, db *influxd.Server) *noc {
	t.Helper()
	n := &noc{t: t, dir: t.TempDir(), db: db}
	file := filepath.Join(n.dir, "collector.toml")
	if err := collector.SetUp(t.Context(), collector.Setup{File: file, Programme: "Gokina", Hosts: []string{"localhost"}, DataDir: filepath.Join(n.dir, "data"), MQTTPort: port(t), HTTPSPort: port(t),
		Influx: collector.InfluxConfig{URL: db.URL, Token: db.Token, Org: db.Org}, Operator: "aisha", Typist: "test", Now: time.Now, Out: io.Discard}); err != nil {
		t.Fatal(err)
	}
	n.c = collector.Defaults()
	if _, err := conf.Load(file, &n.c); err != nil {
		t.Fatal(err)
	}
	n.c.Web.Listen = fmt.Sprintf("127.0.0.1:%d", port(t))
	n.write("channels", "oncall generic+https://127.0.0.1:9/hook\nheartbeat http://127.0.0.1:9/\n", 0o600)
	n.c.Alert.URLsFile = filepath.Join(n.dir, "channels")
	r, err := fleet.OpenRegistry(n.c.SitesFile, n.c.AgentsFile)
	if err == nil {
		err = r.AddSite(fleet.Site{ID: gokina.Site, Name: "Gokina"})
	}
	if err == nil {
		_, err = r.AddAgent(gokina)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.o = Options{File: file, GrafanaDir: filepath.Join(n.dir, "grafana"), Service: "no-such-user", Version: "test", Now: time.Now, Synced: func() (bool, bool) { return true, true }}
	return n
}

func (n *noc) write(name, text string, mode os.FileMode) {
	n.t.Helper()
	file := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := wholefile.Replace(file, []byte(text), mode); err != nil {
		n.t.Fatal(err)
	}
}

// run starts the collector and waits until it is ready.
func (n *noc) run() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	c := n.c
	c.Version = "test"
	go func() { ended <- collector.Run(ctx, c, slog.New(slog.NewTextHandler(n.t.Output(), nil))) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			n.t.Errorf("collector: %v", err)
		}
	})
	n.t.Cleanup(n.stop)
	client := local()
	waitFor(n.t, "the collector is ready", func() bool {
		res, err := client.Get("http://" + n.c.Web.Listen + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, end := time.NewTicker(20*time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// check gives what is found, the worst of each matter, and all of it as people read it.
func (n *noc) check() (map[string]Finding, Grade, string) {
	n.t.Helper()
	n.o.Config = n.c
	all, text := map[string]Finding{}, &strings.Builder{}
	worst := Run(n.t.Context(), n.o, func(f Finding) {
		if was, ok := all[f.Matter]; !ok || f.Grade > was.Grade {
			all[f.Matter] = f
		}
		if _, err := f.WriteTo(text); err != nil {
			n.t.Error(err)
		}
		if f.Grade == Fail && f.Next == "" {
			n.t.Errorf("%s fails, and what to do is not said: %s", f.Matter, f.Found)
		}
	})
	for _, secret := range []string{strings.TrimPrefix(n.c.Influx.Token, "nabz_collector:"), strings.TrimPrefix(n.db.Token, "admin:")} {
		if secret != "" && strings.Contains(text.String(), secret) {
			n.t.Errorf("a secret is told:\n%s", text)
		}
	}
	return all, worst, text.String()
}

// want holds one matter against what is expected.
func (n *noc) want(matter string, grade Grade, found, next string) {
	n.t.Helper()
	all, worst, text := n.check()
	f := all[matter]
	if f.Matter == "" || f.Grade != grade || !strings.Contains(f.Found, found) || !strings.Contains(f.Next, next) || worst < grade {
		n.t.Errorf("%s: got %s %q, next %q; want %s %q, next %q\n%s", matter, f.Grade, f.Found, f.Next, grade, found, next, text)
	}
}

// ask has an admin do something in InfluxDB.
func (n *noc) ask(q string) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, n.db.URL+"/query", strings.NewReader(url.Values{"q": {q}}.Encode()))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Token "+n.db.Token)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	if said, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || strings.Contains(string(said), "error") {
		n.t.Fatalf("%s: %s %s %v", q, res.Status, said, err)
	}
}

func (n *noc) must(errs ...error) {
	n.t.Helper()
	for _, err := range errs {
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// loopback is an address of this machine with that port.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
