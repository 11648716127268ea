package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
)

// alertmanager runs the real one on loopback and returns its address.
func alertmanager(t *testing.T) string {
	t.Helper()
	program := testneed.Program(t, "prometheus-alertmanager", "apt-get install prometheus-alertmanager")
	dir := t.TempDir()
	conf := filepath.Join(dir, "alertmanager.yml")
	if err := os.WriteFile(conf, []byte("route:\n  receiver: none\nreceivers:\n- name: none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	log := &bytes.Buffer{}
	cmd := exec.Command(program, "--config.file="+conf, "--storage.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("alertmanager:\n%s", log)
		}
	})
	until(t, "Alertmanager is ready", func() bool {
		_, err := get("http://" + address + "/-/ready")
		return err == nil
	})
	return "http://" + address
}

func get(address string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// shown is an alert as Alertmanager's API gives it.
type shown struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
}

func shownBy(t *testing.T, address string) map[string]shown {
	t.Helper()
	text, err := get(address + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	var all []shown
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	by := map[string]shown{}
	for _, s := range all {
		if _, twice := by[s.Labels["alert"]]; twice {
			t.Errorf("Alertmanager shows %v twice", s.Labels)
		}
		by[s.Labels["alert"]] = s
	}
	return by
}

func TestARealAlertmanagerShowsWhatGoesOnOnceAndNoMoreWhenItIsOver(t *testing.T) {
	address := alertmanager(t)
	ch, err := NewAlertmanager("alertmanager", address, Info)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Defaults(), ch)
	w.now = time.Now().Add(-time.Hour) // Alertmanager goes by the clock on the wall
	w.begin()
	w.add("passu", "misgar", "sost", "gulmit")
	w.pass(w.Grace)
	w.out("passu", "misgar", "sost")
	w.pass(6 * time.Minute)
	active := w.engine.Active()
	if len(active) != 1 {
		t.Fatalf("%d alerts, want one: %+v", len(active), active)
	}
	a := active[0]
	w.deliver()
	w.deliver() // again, as each minute
	all := shownBy(t, address)
	s, ok := all[a.ID]
	if len(all) != 1 || !ok || s.Labels["alertname"] != "NabzUnreachable" || s.Labels["severity"] != "critical" || s.Labels["district"] != "Hunza" || s.Labels["operator"] != "Karakoram Link" ||
		s.Annotations["summary"] != "3 of 4 sites of Karakoram Link in Hunza are unreachable" || s.Annotations["sites"] != "passu misgar sost" && s.Annotations["sites"] != "misgar passu sost" {
		t.Errorf("Alertmanager shows %+v, want %s once", all, a.ID)
	}
	// A collector that is killed, and comes back within the hour, changes nothing there.
	w.restart()
	w.engine.deliver(t.Context(), ch, new(time.Time))
	if all := shownBy(t, address); len(all) != 1 {
		t.Errorf("Alertmanager shows %+v after a restart, want the same one", all)
	}
	w.pass(w.Grace)
	w.up("passu", "misgar", "sost")
	w.pass(3 * time.Minute)
	w.deliver()
	until(t, "Alertmanager takes it for over", func() bool { return len(shownBy(t, address)) == 0 })
	if sent, answer, err := Test(t.Context(), ch, "", time.Now()); err != nil || answer != "200 OK" || !strings.Contains(sent, "test") {
		t.Errorf("test gives %q %q %v", sent, answer, err)
	}
	until(t, "the test is shown", func() bool {
		for _, s := range shownBy(t, address) {
			if s.Labels["alertname"] == "NabzTest" {
				return true
			}
		}
		return false
	})
}

func TestTheHeartbeatGoesOutWhileAllIsWellAndNotOtherwise(t *testing.T) {
	beats := make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { beats <- r.URL.Path }))
	defer s.Close()
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink)
	var fault error
	w.heartbeat = Heartbeat{URL: s.URL + "/ping/0123-4567", Every: time.Minute, Well: func(context.Context) error { return fault }}
	w.begin()
	w.add("passu")
	beat := func() bool {
		w.engine.beatOnce(t.Context())
		select {
		case <-beats:
			return true
		default:
			return false
		}
	}
	w.pass(w.Grace)
	if !beat() {
		t.Error("no heartbeat while all is well")
	}
	if fault = errors.New("InfluxDB does not take a point"); beat() {
		t.Error("a heartbeat while nothing can be stored")
	}
	if d := w.engine.Deliveries(1); len(d) != 1 || d[0].Channel != HeartbeatName || !strings.Contains(d[0].Err, "does not take") {
		t.Errorf("deliveries say %+v", d)
	}
	fault = nil
	if !beat() {
		t.Error("no heartbeat after the fault")
	}
	sink.fail = errors.New("mail server is gone")
	w.out("passu")
	w.pass(6 * time.Minute)
	w.deliver()
	if !beat() {
		t.Error("no heartbeat while news wait for some minutes")
	}
	w.pass(undelivered)
	if beat() {
		t.Error("a heartbeat while nobody can be told of anything")
	}
	sink.fail = nil
	w.deliver()
	if !beat() {
		t.Error("no heartbeat after people could be told again")
	}
	w.now = w.now.Add(2 * time.Minute) // and nobody looks
	if beat() {
		t.Error("a heartbeat while alerts are not looked at")
	}
}

func TestAlertmanagerHasAnAlertThatIsAlwaysThereWhileTheCollectorIsWell(t *testing.T) {
	var mu sync.Mutex
	var posted []map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		posted = nil
		if err := json.NewDecoder(r.Body).Decode(&posted); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	ch, err := NewAlertmanager("alertmanager", s.URL, Info)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Defaults(), ch)
	w.heartbeat = Heartbeat{Every: time.Minute, Well: func(context.Context) error { return nil }}
	w.begin()
	w.add("passu")
	w.pass(time.Minute)
	w.engine.beatOnce(t.Context())
	w.engine.deliver(t.Context(), ch, new(time.Time))
	mu.Lock()
	defer mu.Unlock()
	if len(posted) != 1 || fmt.Sprint(posted[0]["labels"]) != "map[alertname:NabzHeartbeat severity:info]" || posted[0]["endsAt"] != w.now.Add(3*time.Minute).Format(time.RFC3339Nano) {
		t.Errorf("posted %v, want a heartbeat that ends in three minutes", posted)
	}
}
