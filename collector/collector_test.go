package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// centre is a running collector with the agents a/1 to a/n.
type centre struct {
	*parts
	t       *testing.T
	url     string
	secrets map[telemetry.Address]string
	stop    func()
}

func address(n int) telemetry.Address {
	return telemetry.Address{Site: "gokina", Agent: fmt.Sprint("n", n)}
}

func start(t *testing.T, db *influxd.Server, agents int) *centre {
	t.Helper()
	return startWith(t, agents, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
	})
}

func startWith(t *testing.T, agents int, change func(*Config)) *centre {
	t.Helper()
	dir := t.TempDir()
	c := Defaults()
	c.SitesFile, c.AgentsFile, c.DataDir = filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"), dir
	c.Web.Open = true
	c.MQTT.Listen, c.Web.Listen = "127.0.0.1:0", "127.0.0.1:0"
	change(&c)
	if err := c.Validate(nil); err != nil {
		t.Fatal(err)
	}
	r, err := fleet.OpenRegistry(c.SitesFile, c.AgentsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddSite(fleet.Site{ID: "gokina", Name: "Gokina"}); err != nil {
		t.Fatal(err)
	}
	s := &centre{t: t, secrets: map[telemetry.Address]string{}}
	for n := range agents {
		if s.secrets[address(n)], err = r.AddAgent(address(n)); err != nil {
			t.Fatal(err)
		}
	}
	if s.parts, err = build(c, slog.New(slog.NewTextHandler(t.Output(), nil))); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + s.web.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(s.stop)
	return s
}

func (s *centre) get(path string) (int, string) {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func (s *centre) metric(series string) float64 {
	s.t.Helper()
	_, body := s.get("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		s.t.Fatalf("no metric %s", series)
	}
	var v float64
	if _, err := fmt.Sscan(m[1], &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *centre) ready() {
	s.t.Helper()
	waitFor(s.t, "/readyz says yes", func() bool { code, _ := s.get("/readyz"); return code == http.StatusOK })
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

// village is an agent by hand: it sends a batch until it is acknowledged.
type village struct {
	t      *testing.T
	a      telemetry.Address
	client mqtt.Client
	acks   chan telemetry.Ack
}

func (s *centre) join(n int) *village {
	s.t.Helper()
	v := &village{t: s.t, a: address(n), acks: make(chan telemetry.Ack, 1000)}
	v.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.broker.Addr()).SetClientID(v.a.Site + "." + v.a.Agent).
		SetUsername(v.a.String()).SetPassword(s.secrets[v.a]).SetAutoReconnect(false))
	if token := v.client.Connect(); token.Wait() && token.Error() != nil {
		s.t.Fatal(token.Error())
	}
	s.t.Cleanup(func() { v.client.Disconnect(0) })
	if token := v.client.Subscribe(v.a.Topic(telemetry.KindAck), 0, func(_ mqtt.Client, m mqtt.Message) {
		if a, err := telemetry.ParseAck(m.Payload()); err != nil {
			s.t.Error(err)
		} else {
			v.acks <- a
		}
	}); token.Wait() && token.Error() != nil {
		s.t.Fatal(token.Error())
	}
	return v
}

func (v *village) send(payload []byte) {
	v.client.Publish(v.a.Topic(telemetry.KindData), 1, false, payload)
}

// sendUntil sends a batch again and again until its acknowledgement comes.
func (v *village) sendUntil(seq uint64, payload []byte) telemetry.Ack {
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	end := time.After(60 * time.Second)
	v.send(payload)
	for {
		select {
		case a := <-v.acks:
			if a.Seq == seq {
				return a
			}
		case <-again.C:
			v.send(payload)
		case <-end:
			v.t.Errorf("batch %d was never acknowledged", seq)
			return telemetry.Ack{}
		}
	}
}

// batch is what an agent sends in one minute: a header and a line of detail, or a span.
func batch(at time.Time, boot string, seq uint64, lines ...*telemetry.Line) []byte {
	b, err := telemetry.Header{At: at, Boot: boot, Seq: seq, Clock: telemetry.ClockSynced, Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}}.Line().Append(nil)
	for _, l := range lines {
		if err == nil {
			b, err = l.Append(b)
		}
	}
	if err != nil {
		panic(err)
	}
	return b
}

func TestWhatAnAgentSendsIsStoredShownAndAcknowledged(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) { storedShownAndAcknowledged(t, start(t, db, 1)) })
}

func TestTheCredentialThatPrepareMakesIsAllThatACollectorNeeds(t *testing.T) {
	for name, server := range map[string]func(testing.TB) *influxd.Server{"InfluxDB 1.8 with sign-in": influxd.SignInForTest, "InfluxDB 2.7": influxd.TwoForTest} {
		t.Run(name, func(t *testing.T) {
			db := *server(t)
			token, done, err := store.Prepare(t.Context(), store.Config{URL: db.URL, Org: db.Org, DetailBucket: "pulse", LedgerBucket: "pulse_ledger"}, db.Token)
			if err != nil || token == "" || token == db.Token {
				t.Fatalf("got a credential of %d bytes, %q, %v; want one that is not the admin's", len(token), done, err)
			}
			storedShownAndAcknowledged(t, startWith(t, 1, func(c *Config) {
				c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, token, db.Org
				c.Influx.DetailBucket, c.Influx.LedgerBucket = "pulse", "pulse_ledger"
			}))
		})
	}
}

// storedShownAndAcknowledged goes through with one agent.
func storedShownAndAcknowledged(t *testing.T, s *centre) {
	s.ready()
	v := s.join(0)
	v.client.Publish(v.a.Topic(telemetry.KindPresence), 1, true, "online 1")
	at := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Second)
	if a := v.sendUntil(1, batch(at, "00000001", 1, telemetry.NewLine("host", at).Float("cpu_pct", 13))); a.Verdict != telemetry.Stored || a.Refused != 0 || a.Last != nil {
		t.Errorf("got %+v, want stored", a)
	}
	// Ledger lines, after a reboot: the acknowledgement tells what the boot before said last.
	span := telemetry.Span{Start: at.Truncate(time.Hour).Add(-time.Hour), Length: time.Hour, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul, Err: time.Second}
	want := telemetry.LastBatch{At: at, Open: telemetry.OpenSpan{State: telemetry.StateUp, Length: time.Minute}}
	if a := v.sendUntil(2, batch(at.Add(time.Millisecond), "00000002", 2, span.Line())); a.Verdict != telemetry.Stored || a.Last == nil || *a.Last != want {
		t.Errorf("got %+v with %+v, want stored with %+v", a, a.Last, want)
	}
	for _, q := range []struct {
		tier telemetry.Tier
		q    string
		want string
	}{
		{telemetry.Detail, `SELECT cpu_pct FROM host WHERE site='gokina' AND agent='n0'`, fmt.Sprintf(`[[%d,13]]`, at.UnixMilli())},
		{telemetry.Detail, `SELECT seq FROM batch WHERE site='gokina' AND agent='n0'`, fmt.Sprintf(`[[%d,1],[%d,2]]`, at.UnixMilli(), at.UnixMilli()+1)},
		{telemetry.Ledger, `SELECT ms, err_ms FROM span WHERE site='gokina' AND state='down' AND cause='backhaul'`, fmt.Sprintf(`[[%d,3600000,1000]]`, span.Start.UnixMilli())},
	} {
		got, err := s.store.Query(t.Context(), q.tier, q.q)
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v (%v)", q.q, got, err)
			continue
		}
		if text, _ := json.Marshal(got[0].Values); string(text) != q.want {
			t.Errorf("%s: got %s, want %s", q.q, text, q.want)
		}
	}
	if code, body := s.get("/api/v1/sites/gokina"); code != http.StatusOK || !strings.Contains(body, `"up"`) {
		t.Errorf("the site is shown as %d %s", code, body)
	}
}

func TestEveryBatchIsStoredOnceThoughInfluxDBIsKilledInMidStream(t *testing.T) {
	influxd.EachChild(t, killedInMidStream)
}

func killedInMidStream(t *testing.T, db *influxd.Server) {
	const agents, batches = 4, 60
	s := start(t, db, agents)
	s.ready()
	first := time.Now().Add(-24 * time.Hour).UTC().Truncate(time.Millisecond)
	half := make(chan struct{}, agents)
	var wg sync.WaitGroup
	for n := range agents {
		v := s.join(n)
		wg.Go(func() {
			for seq := range uint64(batches) {
				at := first.Add(time.Duration(seq) * time.Second)
				if a := v.sendUntil(seq, batch(at, "00000001", seq, telemetry.NewLine("host", at).Int("uptime_s", int64(seq)))); a.Verdict != telemetry.Stored || a.Refused != 0 {
					t.Errorf("batch %d of %s: %+v", seq, v.a, a)
				}
				if seq == batches/2 {
					half <- struct{}{}
				}
			}
		})
	}
	<-half
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "/readyz says no", func() bool {
		code, body := s.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "fault InfluxDB")
	})
	if code, _ := s.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz says %d while InfluxDB is gone", code)
	}
	db.Restart(t)
	wg.Wait()
	for n := range agents {
		got, err := s.store.Query(t.Context(), telemetry.Detail, fmt.Sprintf("SELECT uptime_s FROM host WHERE agent='n%d'", n))
		if err != nil || len(got) != 1 {
			t.Fatalf("agent %d: %v (%v)", n, got, err)
		}
		var seqs, want []string
		for _, row := range got[0].Values {
			seqs = append(seqs, fmt.Sprint(row[1]))
		}
		for seq := range batches {
			want = append(want, fmt.Sprint(seq))
		}
		if !slices.Equal(seqs, want) {
			t.Errorf("agent %d has stored %v", n, seqs)
		}
	}
	s.ready()
}

func TestTheCollectorWaitsForAnInfluxDBThatIsNotThere(t *testing.T) {
	influxd.EachChild(t, notThereAtFirst)
}

func notThereAtFirst(t *testing.T, db *influxd.Server) {
	if err := db.Kill(); err != nil {
		t.Fatal(err)
	}
	s := start(t, db, 1)
	if code, body := s.get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d %s without InfluxDB", code, body)
	}
	v := s.join(0)
	v.send(batch(time.Now(), "00000001", 1))
	waitFor(t, "the batch is counted as not stored", func() bool { return s.metric("nabz_intake_unstored_total") > 0 })
	db.Restart(t)
	s.ready()
	if a := v.sendUntil(1, batch(time.Now(), "00000001", 1)); a.Verdict != telemetry.Stored {
		t.Errorf("got %+v, want stored", a)
	}
}

func TestHostileMessagesAreRefusedCountedAndHarmNobody(t *testing.T) {
	s := start(t, influxd.ForTest(t), 2)
	s.ready()
	codec, err := telemetry.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	defer codec.Close()
	bomb, err := codec.Seal(nil, bytes.Repeat([]byte("a"), telemetry.MaxExpanded+1), telemetry.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	honest, rogue := s.join(0), s.join(1)
	at := time.Now().UTC().Truncate(time.Millisecond)
	seq := uint64(0)
	for _, tt := range []struct {
		name, reason string
		payload      []byte
	}{
		{"zip bomb", "too_large", bomb},
		{"garbage", "malformed", []byte{0, 1, 2, 3}},
		{"largest message of noise", "malformed", bytes.Repeat([]byte{0xff}, telemetry.MaxMessage)},
		{"a line without a header, which names another site", "header", []byte("host,site=other uptime_s=1i 1762171200000\n")},
	} {
		series := fmt.Sprintf(`nabz_intake_refused_total{reason=%q}`, tt.reason)
		before := s.metric(series)
		rogue.send(tt.payload)
		select {
		case a := <-rogue.acks:
			if a.Verdict != telemetry.Rejected || a.Digest != telemetry.Digest(tt.payload) {
				t.Errorf("%s: got %+v, want rejected by digest", tt.name, a)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s: no answer", tt.name)
		}
		if n := s.metric(series); n != before+1 {
			t.Errorf("%s: %v counted, want %v", tt.name, n, before+1)
		}
		seq++
		if a := honest.sendUntil(seq, batch(at.Add(time.Duration(seq)*time.Millisecond), "00000001", seq)); a.Verdict != telemetry.Stored {
			t.Errorf("%s: the honest agent hears %+v", tt.name, a)
		}
	}
	if letters, _ := filepath.Glob(filepath.Join(s.c.deadLetters(), "*.jsonl")); len(letters) == 0 {
		t.Error("there are no dead letters")
	}
}

func TestATakenAddressNamesItsSetting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, setting := range []string{"mqtt.listen", "web.listen"} {
		c := Defaults()
		dir := t.TempDir()
		c.SitesFile, c.AgentsFile, c.DataDir, c.MQTT.Listen, c.Web.Listen = filepath.Join(dir, "s"), filepath.Join(dir, "a"), dir, "127.0.0.1:0", "127.0.0.1:0"
		if setting == "mqtt.listen" {
			c.MQTT.Listen = taken.Addr().String()
		} else {
			c.Web.Listen = taken.Addr().String()
		}
		err := Run(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "address already in use; "+setting+" changes the address") || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line that names %s", err, setting)
		}
	}
	if _, err := os.Stat("dead-letters"); err == nil {
		t.Error("wrote into the working folder")
	}
}
