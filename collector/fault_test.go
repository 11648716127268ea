package collector

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/mosquitto"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/mosquittod"
	"github.com/smartvillage/nabz/telemetry"
)

// patience is how long an agent of these tests may be silent: the shortest that the configuration takes.
const patience = 10 * time.Second

// stateOf is how the board shows the site.
func (s *centre) stateOf() string {
	s.t.Helper()
	_, body := s.get("/api/v1/sites")
	var answer struct{ Sites []struct{ State string } }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Sites) != 1 {
		s.t.Fatalf("the board says %.300s (%v)", body, err)
	}
	return answer.Sites[0].State
}

// stale checks that a board blames the NOC in one banner, with the command to type next, and nobody else.
func (s *centre) stale(name, next string) {
	s.t.Helper()
	_, page := s.get("/")
	if strings.Count(page, `class="notice trouble"`) != 1 || !strings.Contains(page, "<b>"+name+"</b>") || !strings.Contains(page, "<code>"+next+"</code>") {
		s.t.Errorf("the board has no banner for %s with %q: %.2000s", name, next, page)
	}
	if !strings.Contains(page, `<body class="board old`) || !strings.Contains(page, `<span class="old-word">stale, told `) {
		s.t.Error("the states are not marked as stale")
	}
	if !strings.Contains(page, `class="s-up"`) {
		s.t.Error("the village is not shown as it was")
	}
}

func TestAnInfluxDBThatIsKilledTurnsNoSiteUnreachable(t *testing.T) {
	influxd.EachChild(t, func(t *testing.T, db *influxd.Server) {
		s := startWith(t, 1, func(c *Config) {
			c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
			c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
			c.UnreachableAfter = conf.Duration(patience)
		})
		s.ready()
		v := s.join(0)
		v.sendUntil(1, batch(time.Now(), "00000001", 1))
		waitFor(t, "the site is up", func() bool { return s.stateOf() == "up" })
		if err := db.Kill(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the fault is noticed", func() bool { code, _ := s.get("/readyz"); return code == http.StatusServiceUnavailable })
		noticed := time.Now()
		waitFor(t, "an agent has been silent for longer than it may", func() bool { return time.Since(noticed) > patience+3*time.Second })
		if got := s.stateOf(); got != "up" {
			t.Errorf("while InfluxDB is gone the site is %s", got)
		}
		s.stale("InfluxDB", "systemctl status influxdb")
		db.Restart(t)
		s.ready()
		if got := s.stateOf(); got != "up" {
			t.Errorf("when InfluxDB is back the site is %s, before it had time to say anything", got)
		}
		if _, page := s.get("/"); strings.Contains(page, `class="notice trouble"`) || strings.Contains(page, "board old") {
			t.Error("the fault is still told")
		}
		if a := v.sendUntil(2, batch(time.Now(), "00000001", 2)); a.Verdict != telemetry.Stored {
			t.Errorf("got %+v, want stored", a)
		}
	})
}

func TestABoardThatStartsWithoutInfluxDBClaimsNothingOfAnySite(t *testing.T) {
	influxd.EachChild(t, func(t *testing.T, db *influxd.Server) {
		if err := db.Kill(); err != nil {
			t.Fatal(err)
		}
		s := start(t, db, 1)
		waitFor(t, "the fault is noticed", func() bool { _, page := s.get("/"); return strings.Contains(page, `class="notice trouble"`) })
		_, page := s.get("/")
		if !strings.Contains(page, "Not known yet") || !strings.Contains(page, "could not be read back yet") || strings.Contains(page, "agent has not called") {
			t.Errorf("the board claims to know the site: %.3000s", page)
		}
		db.Restart(t)
		s.ready()
		if _, page := s.get("/"); strings.Contains(page, "Not known yet") || !strings.Contains(page, "No data yet") {
			t.Errorf("with InfluxDB it does not say that no agent has called: %.3000s", page)
		}
	})
}

func TestABrokerThatIsKilledTurnsNoSiteUnreachable(t *testing.T) {
	db := influxd.ForTest(t)
	dir := t.TempDir()
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	m := mosquitto.Config{Dir: filepath.Join(dir, "m"), Path: filepath.Join(dir, "m"), Secret: filepath.Join(dir, "secret"), Agents: free(), Collectors: free()}
	if _, err := mosquitto.Export(m, nil); err != nil { // data reach it through the collector's own account alone
		t.Fatal(err)
	}
	server := mosquittod.ForTest(t, filepath.Join(m.Dir, mosquitto.ConfFile))
	s := startWith(t, 1, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
		c.UnreachableAfter = conf.Duration(patience)
		c.MQTT.Listen, c.MQTT.Broker, c.MQTT.User, c.MQTT.SecretFile = "", "mqtt://"+m.Collectors, mosquitto.User, m.Secret
	})
	s.ready()
	s.live.Stored(address(0), time.Now(), parsedBatch(t, batch(time.Now(), "00000001", 1)))
	waitFor(t, "the site is up", func() bool { return s.stateOf() == "up" })
	server.Kill()
	waitFor(t, "the fault is noticed", func() bool { code, _ := s.get("/readyz"); return code == http.StatusServiceUnavailable })
	noticed := time.Now()
	waitFor(t, "an agent has been silent for longer than it may", func() bool { return time.Since(noticed) > patience+3*time.Second })
	if got := s.stateOf(); got != "up" {
		t.Errorf("while the broker is gone the site is %s", got)
	}
	s.stale("MQTT broker", "systemctl status mosquitto")

	// Grafana is told of the sites meanwhile, and of no state: "up" would pass there for what is so now.
	r, err := fleet.OpenRegistry(s.c.SitesFile, s.c.AgentsFile)
	if err == nil {
		err = r.AddSite(fleet.Site{ID: "sela"})
	}
	if err != nil {
		t.Fatal(err)
	}
	told := func(tier telemetry.Tier, measurement string) bool {
		series, err := s.store.Query(t.Context(), tier, `SELECT * FROM "`+measurement+`" WHERE "site" = 'sela'`)
		return err == nil && len(series) > 0
	}
	waitFor(t, "a new site is told of", func() bool { return told(telemetry.Ledger, "site") })
	if err := s.scribe.Look(t.Context()); err != nil {
		t.Error(err)
	}
	if told(telemetry.Detail, "state") {
		t.Error("a state is told while nothing can be heard")
	}
}

func parsedBatch(t *testing.T, text []byte) []telemetry.Parsed {
	t.Helper()
	good, bad, err := telemetry.Parse(text)
	if err != nil || len(bad) > 0 {
		t.Fatalf("%v %v", bad, err)
	}
	return good
}
