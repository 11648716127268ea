package checkup

import (
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/dashboards"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testca"
)

func TestAMachineThatInitHasSetUpPassesBesideACollectorAndWithoutOne(t *testing.T) {
	for name, db := range map[string]func(testing.TB) *influxd.Server{"InfluxDB 1.8": influxd.SignInForTest, "InfluxDB 2.7": influxd.TwoForTest} {
		t.Run(name, func(t *testing.T) {
			n := newNOC(t, db(t))
			n.c.MQTT.MaxConnections = 1000 // the test's own limit of open files is not the service's
			all, worst, text := n.check()
			for matter, f := range all {
				if f.Grade != Pass && matter != "collector" {
					t.Errorf("without a collector: %+v", f)
				}
			}
			if f := all["collector"]; f.Grade != Warn || worst != Warn || !strings.Contains(f.Next, "systemctl enable --now nabz-collector") {
				t.Errorf("collector: %+v, worst %s\n%s", f, worst, text)
			}
			n.run()
			all, worst, text = n.check()
			if worst != Pass || len(all) != 19 {
				t.Errorf("beside a collector: %s of %d matters\n%s", worst, len(all), text)
			}
			t.Logf("\n%s", text)
		})
	}
}

// anybody may do anything.
type anybody struct{ mqtt.HookBase }

func (anybody) ID() string { return "anybody" }
func (anybody) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (anybody) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (anybody) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// openBroker lets everybody in.
func openBroker(t *testing.T) (address string) {
	t.Helper()
	b := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	l := listeners.NewTCP(listeners.Config{ID: "test", Address: "127.0.0.1:0"})
	for _, err := range []error{b.AddHook(new(anybody), nil), b.AddListener(l), b.Serve()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = b.Close() })
	return l.Address()
}

// fault is something that is wrong on a machine.
type fault struct {
	runs        bool // beside a collector that was started before
	change      func(*noc)
	matter      string
	grade       Grade
	found, next string
}

func try(t *testing.T, db *influxd.Server, rows map[string]fault) {
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			n := newNOC(t, db)
			if row.runs {
				n.run()
			}
			row.change(n)
			n.want(row.matter, row.grade, row.found, row.next)
		})
	}
}

func TestEachFaultOfFilesAndCertificatesIsNamedWithWhatToDo(t *testing.T) {
	stranger := testca.New(t)
	try(t, influxd.SignInForTest(t), map[string]fault{
		"no configuration":             {false, func(n *noc) { n.must(os.Remove(n.o.File)) }, "configuration", Warn, "there is no", "nabz-collector init"},
		"a configuration for all eyes": {false, func(n *noc) { n.must(os.Chmod(n.o.File, 0o644)) }, "configuration", Fail, "read by everybody", "chmod 640"},
		"a clock of 1970":              {false, func(n *noc) { n.o.Now = func() time.Time { return time.Unix(3600, 0) } }, "clock", Fail, "not set", "timedatectl"},
		"a clock that nobody keeps":    {false, func(n *noc) { n.o.Synced = func() (bool, bool) { return false, true } }, "clock", Warn, "nothing keeps it right", "set-ntp"},
		"no data folder":               {false, func(n *noc) { n.must(os.RemoveAll(n.c.DataDir)) }, "data folder", Fail, "is missing", "install -d"},
		"a file for a folder": {false, func(n *noc) { n.write("file", "x", 0o644); n.c.DataDir = filepath.Join(n.dir, "file") },
			"data folder", Fail, "is not a folder", "set data_dir"},
		"an authority's key for all eyes": {false, func(n *noc) { n.must(os.Chmod(filepath.Join(n.dir, "tls/ca.key"), 0o644)) }, "authority", Fail, "may be read by others", "chmod 600"},
		"an authority without its key":    {false, func(n *noc) { n.must(os.Remove(filepath.Join(n.dir, "tls/ca.key"))) }, "authority", Warn, "its key is not here", "bring the key back"},
		"an authority that is lost":       {false, func(n *noc) { n.must(os.Remove(n.c.Agents.CAFile)) }, "authority", Fail, "no such file", "from your copy"},
		"an authority that has ended": {false, func(n *noc) { n.o.Now = func() time.Time { return time.Now().AddDate(21, 0, 0) } },
			"authority", Fail, "has ended on", "enrol all agents anew"},
		"a certificate that ends": {false, func(n *noc) { n.o.Now = func() time.Time { return time.Now().AddDate(0, 0, 825-50) } },
			"certificate", Warn, "good until", "nabz-collector renew"},
		"a certificate that has ended": {false, func(n *noc) { n.o.Now = func() time.Time { return time.Now().AddDate(0, 0, 830) } },
			"certificate", Fail, "nobody can connect", "nabz-collector renew"},
		"a certificate of another authority": {false, func(n *noc) { n.c.MQTT.TLSCert, n.c.MQTT.TLSKey = stranger.Files(net.IPv4(127, 0, 0, 1), time.Hour) },
			"certificate", Fail, "no agent trusts it", "bring the right pair back"},
		"a key of another pair": {false, func(n *noc) {
			_, n.c.MQTT.TLSKey = stranger.Files(net.IPv4(127, 0, 0, 1), time.Hour)
		}, "certificate", Fail, "does not match", "both files"},
		"a certificate for another name": {false, func(n *noc) { n.c.Agents.Brokers = []string{"mqtts://noc.example.org:8883"} },
			"certificate", Fail, "noc.example.org, for which it is not", "--host noc.example.org"},
		"no certificate": {false, func(n *noc) { n.c.MQTT.TLSCert, n.c.MQTT.TLSKey = "", "" }, "certificate", Warn, "is not set", "init --host"},
		"a name that leads nowhere": {false, func(n *noc) { n.c.Agents.Brokers = []string{"mqtts://noc.invalid:8883"} },
			"names", Warn, "no address for noc.invalid", "DNS"},
		"no user":      {false, func(n *noc) { n.c.UsersFile = filepath.Join(n.dir, "nobody.toml") }, "users", Fail, "nobody can sign in", "--role operator"},
		"no operator":  {false, func(n *noc) { n.viewerOnly() }, "users", Warn, "1 may sign in, 0 of them", "--role operator"},
		"broken users": {false, func(n *noc) { n.write("users.toml", "x", 0o600); n.c.UsersFile = filepath.Join(n.dir, "users.toml") }, "users", Fail, "users.toml:1", "backup"},
		"no sites":     {false, func(n *noc) { n.write("sites.toml", "", 0o644) }, "sites", Warn, "lists 0 sites", "site import"},
		"broken sites": {false, func(n *noc) { n.write("sites.toml", "[[site]]\nidd = 3\n", 0o644) }, "sites", Fail, "sites.toml:2", "mend the line"},
		"no agents":    {false, func(n *noc) { n.c.AgentsFile = filepath.Join(n.dir, "none.toml") }, "agents", Warn, "0 may sign in", "agent add SITE/main"},
		"a site without an agent": {false, func(n *noc) { n.write("sites.toml", "[[site]]\nid = \"gokina\"\n[[site]]\nid = \"passu\"\n", 0o644) },
			"agents", Pass, "sites without one: 1", "--every-site"},
		"nobody to tell":          {false, func(n *noc) { n.c.Alert.URLsFile = "" }, "alerts", Warn, "nobody is told", "alert test"},
		"channels for all eyes":   {false, func(n *noc) { n.must(os.Chmod(n.c.Alert.URLsFile, 0o644)) }, "alerts", Fail, "read or written by everybody", "mend it"},
		"a channel misspelt":      {false, func(n *noc) { n.write("channels", "oncall smpt://x:geheim@y\n", 0o600) }, "alerts", Fail, "channels:1", "mend it"},
		"nobody waits for a sign": {false, func(n *noc) { n.write("channels", "oncall generic+https://127.0.0.1:9/\n", 0o600) }, "alerts", Pass, "nobody would notice", "heartbeat"},
	})
}

func (n *noc) viewerOnly() {
	n.t.Helper()
	n.c.UsersFile = filepath.Join(n.dir, "viewers.toml")
	p, err := people.Open(n.c.UsersFile)
	n.must(err)
	n.must(p.Add("wall", people.Viewer, people.Generate()))
}

func TestEachFaultOfInfluxDBIsNamedWithWhatToDo(t *testing.T) {
	try(t, influxd.SignInForTest(t), map[string]fault{
		"nobody listens":      {false, func(n *noc) { n.c.Influx.URL = "http://" + loopback(port(n.t)) }, "InfluxDB", Fail, "connection refused", "systemctl status influxdb"},
		"and no line is sent": {false, func(n *noc) { n.c.Influx.URL = "http://" + loopback(port(n.t)) }, "test line", Fail, "not tried", "mend what is above"},
		"a wrong password":    {false, func(n *noc) { n.c.Influx.Token = "nabz_collector:guess" }, "ledger", Fail, "may not be read", "INFLUX_TOKEN"},
		"no right to write": {false, func(n *noc) {
			n.ask(`CREATE USER reader WITH PASSWORD 'r'; GRANT READ ON nabz TO reader; GRANT READ ON nabz_ledger TO reader`)
			n.c.Influx.Token = "reader:r"
		}, "detail", Fail, "may not be written", "INFLUX_TOKEN"},
		"no such database": {false, func(n *noc) { n.c.Influx.LedgerBucket = "elsewhere"; n.c.Influx.Token = n.db.Token }, "ledger", Fail, "there is no \"elsewhere\"", "nabz-collector init"},
		"a ledger that forgets": {false, func(n *noc) {
			n.ask(`CREATE DATABASE "forgets" WITH DURATION 52w`)
			n.c.Influx.LedgerBucket, n.c.Influx.Token = "forgets", n.db.Token
		}, "ledger", Fail, "for 364 days: after that no figure", `ALTER RETENTION POLICY "autogen" ON "forgets" DURATION INF SHARD DURATION 13w`},
		"a ledger in small files": {false, func(n *noc) {
			n.ask(`CREATE DATABASE "small"`)
			n.c.Influx.LedgerBucket, n.c.Influx.Token = "small", n.db.Token
		}, "ledger", Warn, "holds 7 days, with which reports take twice as long as with 13 weeks", `SHARD DURATION 13w`},
		"detail for ever": {false, func(n *noc) {
			n.ask(`CREATE DATABASE "ever"`)
			n.c.Influx.DetailBucket, n.c.Influx.Token = "ever", n.db.Token
		}, "detail", Warn, "influx.detail_retention says for 90 days", `ON "ever" DURATION 7776000s`},
		"a clock that is off": {false, func(n *noc) { n.o.Now = func() time.Time { return time.Now().Add(time.Minute) } }, "InfluxDB", Warn, "off from this machine's", "NTP"},
		"another program answers": {false, func(n *noc) {
			s := httptest.NewServer(http.NotFoundHandler())
			n.t.Cleanup(s.Close)
			n.c.Influx.URL = s.URL
		}, "InfluxDB", Fail, "404", "systemctl status influxdb"},
	})
}

func TestEachFaultOfTheCollectorIsNamedWithWhatToDo(t *testing.T) {
	listen := func(n *noc) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		n.must(err)
		n.t.Cleanup(func() { l.Close() })
		return l.Addr().String()
	}
	try(t, influxd.SignInForTest(t), map[string]fault{
		"the broker's port is taken":    {false, func(n *noc) { n.c.MQTT.Listen = listen(n) }, "broker", Fail, "address already in use", "mqtt.listen"},
		"the enrolment's port is taken": {false, func(n *noc) { n.c.Agents.Listen = listen(n) }, "enrolment", Fail, "address already in use", "agents.listen"},
		"another program has the board's port": {false, func(n *noc) {
			s := httptest.NewServer(http.NotFoundHandler())
			n.t.Cleanup(s.Close)
			n.c.Web.Listen = strings.TrimPrefix(s.URL, "http://")
		}, "collector", Fail, "another program", "ss -ltnp"},
		"no broker behind the port": {true, func(n *noc) { n.c.MQTT.Listen = loopback(port(n.t)) }, "broker", Fail, "connection refused", "systemctl restart nabz-collector"},
		"a broker that lets all in": {true, func(n *noc) {
			n.c.MQTT.Listen, n.c.MQTT.TLSCert, n.c.MQTT.TLSKey = openBroker(n.t), "", ""
		}, "broker", Fail, "lets everybody in", "allow_anonymous false"},
		"a broker with the certificate of another": {true, func(n *noc) { n.c.Agents.CAFile = testca.New(n.t).File() }, "broker", Fail, "not trusted", "within ten seconds"},
		"routers would not trust it":               {true, func(n *noc) { n.c.Agents.CAFile = testca.New(n.t).File() }, "enrolment", Fail, "does not answer", "a router would not enrol here"},
		"no enrolment":                             {true, func(n *noc) { n.c.Agents.URL = "" }, "enrolment", Warn, "no router can enrol", "nabz-collector init"},
		"enrolment is another program's": {true, func(n *noc) {
			pair, err := tls.LoadX509KeyPair(n.c.MQTT.TLSCert, n.c.MQTT.TLSKey)
			n.must(err)
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			s.StartTLS()
			n.t.Cleanup(s.Close)
			n.c.Agents.Listen = strings.TrimPrefix(s.URL, "https://")
		}, "enrolment", Fail, "404", "agents.listen"},
		"an old collector runs":   {true, func(n *noc) { n.o.Version = "0.8.0" }, "collector", Warn, "version test; this program is 0.8.0", "systemctl restart"},
		"Grafana has old boards":  {true, func(n *noc) { n.grafana(); n.write("grafana/provisioning/dashboards/nabz/nabz-site.json", "{}", 0o644) }, "Grafana", Warn, "nabz-site.json are not those of this program", "dashboards install"},
		"Grafana has no InfluxDB": {false, func(n *noc) { n.grafana(); n.c.Influx.Token = "x:y" }, "Grafana", Fail, "not tried", "mend what is above"},
		"Grafana is well":         {true, func(n *noc) { n.grafana() }, "Grafana", Pass, "queries of its dashboards", ""},
	})
}

func (n *noc) grafana() {
	n.t.Helper()
	g := dashboards.Grafana{Dir: n.o.GrafanaDir, Influx: n.db.URL, Token: n.c.Influx.Token, DetailBucket: n.c.Influx.DetailBucket, LedgerBucket: n.c.Influx.LedgerBucket}
	n.must(g.Install(func(string, ...any) {}))
}

func TestAnOpenBoardIsWarnedOf(t *testing.T) {
	n := newNOC(t, influxd.SignInForTest(t))
	n.c.Web.Open = true
	n.run()
	n.want("board", Warn, "lets in everybody who is on this machine", "web.open = false")
	n.c.Web.Open = false
	n.want("board", Fail, "runs with another configuration", "systemctl restart")
}

func TestACollectorWhoseInfluxDBIsGoneSaysSo(t *testing.T) {
	db := influxd.SignInForTest(t)
	n := newNOC(t, db)
	n.run()
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the collector has noticed", func() bool {
		all, _, _ := n.check()
		return all["collector"].Grade == Fail
	})
	n.want("collector", Fail, "runs, version test, and says: InfluxDB", "mend what is above first")
}

func TestFewerFilesThanAgentsIsAFault(t *testing.T) {
	for limit, want := range map[string]Grade{"1024": Fail, "3000": Warn, "65536": Pass} {
		var got Finding
		k := &checkup{c: collector.Defaults(), tell: func(f Finding) { got = f }, runs: &running{metrics: "process_max_fds " + limit + "\nprocess_open_fds 30\n"}}
		k.files(t.Context())
		if got.Grade != want || got.Grade > Pass && !strings.Contains(got.Next, "LimitNOFILE") {
			t.Errorf("%s: got %+v, want %s", limit, got, want)
		}
	}
}

func TestTheTestLineIsOnePointADayThatNoFigureCounts(t *testing.T) {
	n := newNOC(t, influxd.SignInForTest(t))
	for range 3 {
		n.want("test line", Pass, "read back", "")
	}
	n.c.Influx.Token = n.db.Token
	s, err := collector.OpenStore(n.c)
	n.must(err)
	defer s.Close()
	for _, tier := range []string{"nabz", "nabz_ledger"} {
		series, err := s.Query(t.Context(), 0, `SELECT count(mark) FROM "`+tier+`".autogen.`+testLine)
		n.must(err)
		if len(series) != 1 || len(series[0].Values) != 1 || slices.Index(series[0].Columns, "count") < 0 {
			t.Fatalf("%s: %+v", tier, series)
		}
		if got := series[0].Values[0][1]; got != json.Number("1") {
			t.Errorf("%s has %v points of three test lines, want 1", tier, got)
		}
	}
	if _, err := conf.Load(n.o.File, &n.c); err != nil { // what was looked at is whole
		t.Error(err)
	}
}
