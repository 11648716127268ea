package collector

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
)

// heard is an Alertmanager's end of the wire: what goes on as it was last told.
type heard struct {
	mu    sync.Mutex
	going map[string]time.Time // alertname to its end
	beats int                  // messages with a heartbeat
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var all []struct {
		Labels map[string]string `json:"labels"`
		EndsAt time.Time         `json:"endsAt"`
	}
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range all {
		h.going[a.Labels["alertname"]] = a.EndsAt
		if a.Labels["alertname"] == "NabzHeartbeat" {
			h.beats++
		}
	}
}

func (h *heard) goesOn(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.going[name].After(time.Now())
}

// The whole collector, a real InfluxDB that is killed: the NOC's fault is told, blames no site, stops the heartbeat, and is over when InfluxDB is back; a kill of the collector
// itself repeats nothing.
func TestAnInfluxDBThatIsGoneIsOneAlertAndTheHeartbeatStops(t *testing.T) {
	influxd.EachChild(t, goneIsOneAlert)
}

func goneIsOneAlert(t *testing.T, db *influxd.Server) {
	manager := &heard{going: map[string]time.Time{}}
	am := httptest.NewServer(manager)
	defer am.Close()
	var mu sync.Mutex
	beats := 0
	ping := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		beats++
	}))
	defer ping.Close()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return beats
	}
	bucket, ledger := db.Database(t, "nabz"), db.Database(t, "ledger")
	file := t.TempDir() + "/urls"
	if err := os.WriteFile(file, []byte("heartbeat "+ping.URL+"/1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startWith(t, 1, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = bucket, ledger
		c.Alert.Alertmanager, c.Alert.URLsFile = []string{am.URL}, file
		c.Alert.OwnAfter, c.Alert.HeartbeatEvery = conf.Duration(time.Second), conf.Duration(10*time.Second)
	})
	s.ready()
	waitFor(t, "the heartbeat is there", func() bool { return count() > 0 })
	if s.metric(`nabz_alerts_active{rule="influxdb"}`) != 0 {
		t.Error("an alert while all is well")
	}
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "Alertmanager is told that InfluxDB is gone", func() bool { return manager.goesOn("NabzInfluxdb") })
	before := count()
	waitFor(t, "the heartbeat has missed a time", func() bool {
		return slices.ContainsFunc(s.alerts.Deliveries(50), func(d alert.Delivery) bool {
			return d.Channel == alert.HeartbeatName && strings.Contains(d.Err, "not well: InfluxDB")
		})
	})
	if n := count(); n > before {
		t.Errorf("%d heartbeats while InfluxDB is gone", n-before)
	}
	active := s.alerts.Active()
	if len(active) != 1 || active[0].Rule != alert.InfluxDB || s.metric(`nabz_alerts_active{rule="influxdb"}`) != 1 {
		t.Errorf("active is %+v, want InfluxDB alone", active)
	}
	if code, body := s.get("/alerts"); code != http.StatusOK || !strings.Contains(body, "InfluxDB cannot be used") {
		t.Errorf("the page of alerts says %d %.300s", code, body)
	}
	kept, _, _, err := alert.Read(s.c.AlertFile())
	if err != nil || fmt.Sprint(len(kept)) != "1" {
		t.Errorf("the file beside it says %v, %v", kept, err)
	}
	db.Restart(t)
	waitFor(t, "Alertmanager is told that it is over", func() bool { return !manager.goesOn("NabzInfluxdb") })
	waitFor(t, "the heartbeat is back", func() bool { return count() > before })
	if got := s.metric(`nabz_alerts_raised_total{rule="influxdb"}`); got != 1 {
		t.Errorf("%v alerts were raised, want one", got)
	}
}

func TestAnIntakeBesideABoardRunsAndHasNoAlerts(t *testing.T) {
	s := startWith(t, 0, func(c *Config) {
		c.Role, c.MQTT.Broker, c.MQTT.Listen = roleIntake, "mqtt://127.0.0.1:1", ""
		c.Influx.URL = "http://127.0.0.1:1"
	})
	if s.alerts != nil {
		t.Error("it would tell people what the board tells them")
	}
	if code, _ := s.get("/healthz"); code != http.StatusOK {
		t.Errorf("healthz says %d", code)
	}
}
