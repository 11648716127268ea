package walk

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/mosquittod"
	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/telemetry"
)

// cluster is a real Mosquitto and collectors that share it, made from the files of a collector that never runs.
type cluster struct {
	*centre           // agents connect to its broker
	collectors string // URL of the broker's listener for collectors
	ca         string // file of the authority behind its certificate
	server     *mosquittod.Server
}

// newCluster takes the way that docs/noc.md shows: broker export, and Mosquitto with what that writes.
func newCluster(t *testing.T, base *centre) *cluster {
	t.Helper()
	c := &cluster{centre: base}
	agents, collectors := freePort(t), freePort(t)
	c.broker, c.collectors = fmt.Sprintf("tls://127.0.0.1:%d", agents), fmt.Sprintf("mqtts://127.0.0.1:%d", collectors)
	authority := testca.New(t)
	cert, key := authority.Files(net.IPv4(127, 0, 0, 1), 24*time.Hour)
	c.ca, c.tls = authority.File(), &tls.Config{RootCAs: authority.Pool()}
	dir := filepath.Join(base.dir, "mosquitto")
	export := exec.Command(program(t, "nabz-collector"), "broker", "export", "--format", "mosquitto", "--dir", dir, "--config", base.config(), "--cert", cert, "--key", key,
		"--agents-listen", fmt.Sprintf("127.0.0.1:%d", agents), "--collectors-listen", fmt.Sprintf("127.0.0.1:%d", collectors))
	export.Env = clean(os.Environ(), "INFLUX_", "NABZ_")
	if out, err := export.CombinedOutput(); err != nil {
		t.Fatalf("broker export: %v\n%s", err, out)
	}
	c.server = mosquittod.ForTest(t, filepath.Join(dir, "nabz.conf"))
	return c
}

// replica runs a collector with a role, in a folder of its own.
func (c *cluster) replica(role string) *centre {
	c.t.Helper()
	text, err := os.ReadFile(c.config())
	if err != nil {
		c.t.Fatal(err)
	}
	r := &centre{t: c.t, dir: c.t.TempDir(), secrets: c.secrets}
	web := freePort(c.t)
	r.web = fmt.Sprintf("http://127.0.0.1:%d", web)
	lines := strings.Split(string(text), "\n")
	section := ""
	for i, line := range lines {
		key, _, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "["):
			section = line
		case key == "data_dir":
			lines[i] = fmt.Sprintf("data_dir = %q\nrole = %q", r.dir, role)
		case key == "listen" && section == "[mqtt]":
			lines[i] = fmt.Sprintf("listen = \"\"\nbroker = %q\nuser = \"nabz-collector\"\nsecret_file = %q\nca_file = %q",
				c.collectors, filepath.Join(c.dir, "broker.secret"), c.ca)
		case key == "listen" && section == "[web]":
			lines[i] = fmt.Sprintf("listen = \"127.0.0.1:%d\"", web)
		}
	}
	if err := os.WriteFile(r.config(), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if r.cmd != nil {
			r.stop()
		}
		if c.t.Failed() {
			c.t.Log(tail(r.log()))
		}
	})
	r.start()
	r.ready()
	return r
}

// board is what a board says of each site.
func board(t *testing.T, c *centre) map[string]boardRow {
	t.Helper()
	code, body := get(t, c.web+"/api/v1/sites")
	var answer struct{ Sites []boardRow }
	if err := json.Unmarshal([]byte(body), &answer); code != http.StatusOK || err != nil {
		t.Fatalf("the board answers %d %v: %.200s", code, err, body)
	}
	rows := map[string]boardRow{}
	for _, r := range answer.Sites {
		rows[r.Site] = r
	}
	return rows
}

type boardRow struct {
	Site      string
	State     string
	Connected bool
	LastTold  *struct{ At time.Time } `json:"last_told"`
}

func (r boardRow) String() string { return fmt.Sprintf("%s connected=%t", r.State, r.Connected) }

func TestIntakesThatShareABrokerLoseNothingAndTheBoardLivesOnWhatTheyStored(t *testing.T) {
	influx := influxd.ChildForTest(t)
	agents := []telemetry.Address{{Site: "gokina", Agent: "main"}, {Site: "mbarara", Agent: "main"}, {Site: "shah-allah-ditta", Agent: "main"}}
	c := newCluster(t, newCentre(t, influx.URL, "", "", "nabz", "nabz_ledger", agents...))
	first, second, shown := c.replica("intake"), c.replica("intake"), c.replica("board")

	log := slog.New(slog.DiscardHandler)
	run, stopUplinks := context.WithCancel(context.Background())
	feed, stopFeed := context.WithCancel(run)
	defer stopUplinks()
	var g, feeders errgroup.Group
	var streams []*stream
	leave := map[string]context.CancelFunc{} // ends the uplink of a site
	for _, a := range agents {
		s := newStream(t, c.centre, a, log)
		s.begun = time.Now().Add(-20 * time.Second) // the board looks at how old the news is
		streams = append(streams, s)
		alone, cancel := context.WithCancel(run)
		defer cancel()
		leave[a.Site] = cancel
		g.Go(func() error { return s.uplink.Run(alone) })
		feeders.Go(func() error { return s.feed(feed, 10*time.Millisecond) }) // as its stamps go
	}
	total := func() int64 { return acknowledged(streams) }
	on := func(what string) {
		t.Helper()
		goal := total() + 150
		waitFor(t, 90*time.Second, what+", batches go on being acknowledged", func() bool { return total() >= goal })
	}
	isShown := func(what string, want map[string]string) {
		t.Helper()
		var rows map[string]boardRow
		defer func() {
			if t.Failed() {
				t.Logf("%s the board shows %v, want %v", what, rows, want)
			}
		}()
		waitFor(t, 60*time.Second, what+", the board is right", func() bool {
			rows = board(t, shown)
			for site, state := range want {
				if rows[site].String() != state {
					return false
				}
			}
			return true
		})
	}
	allUp := map[string]string{"gokina": "up connected=true", "mbarara": "up connected=true", "shah-allah-ditta": "up connected=true"}

	on("with two intakes")
	for name, i := range map[string]*centre{"first": first, "second": second} {
		if i.metric(`nabz_intake_messages_total`) == 0 {
			t.Errorf("the %s intake got no share of the batches", name)
		}
	}
	isShown("with two intakes", allUp)
	first.kill()
	on("with one intake killed")
	told := board(t, shown)["gokina"].LastTold
	shown.kill()
	on("with the board killed")
	shown.start()
	shown.ready()
	isShown("after its restart", allUp)
	waitFor(t, 60*time.Second, "the board that came back hears of newer batches", func() bool { return board(t, shown)["gokina"].LastTold.At.After(told.At) })
	first.start()
	first.ready()
	second.kill()
	on("with the other intake killed")
	second.start()
	second.ready()
	c.server.Kill()
	c.server.Start()
	on("with the broker killed and back")
	isShown("with the broker killed and back", allUp)
	if err := influx.Kill(); err != nil {
		t.Fatal(err)
	}
	influx = influx.Restart(t)
	on("with InfluxDB killed and back")
	isShown("with InfluxDB killed and back", allUp)

	stopFeed()
	if err := feeders.Wait(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 120*time.Second, "every batch is acknowledged", func() bool {
		return !slices.ContainsFunc(streams, func(s *stream) bool { return s.spool.Stats().Batches > 0 })
	})
	leave["mbarara"]()
	lost := map[string]string{"gokina": "up connected=true", "mbarara": "unreachable connected=false", "shah-allah-ditta": "up connected=true"}
	isShown("when an agent has left", lost)
	shown.kill()
	shown.start()
	shown.ready()
	isShown("after another restart", lost)
	stopUplinks()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}

	st, err := store.Open(store.Config{URL: influx.URL}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for _, s := range streams {
		compare(t, s.address.String()+" seq", column(t, st, telemetry.Detail, "batch", "seq", s.address), s.seqs)
		compare(t, s.address.String()+" host", column(t, st, telemetry.Detail, "host", "uptime_s", s.address), s.hosts)
		compare(t, s.address.String()+" event", texts(t, st, telemetry.Ledger, "event", "detail", s.address), s.events)
		t.Logf("%v: %d batches, each stored once", s.address, len(s.seqs))
	}
}

func TestACollectorAloneOnAnExternalBrokerDoesAllAndNobodyTakesItsShare(t *testing.T) {
	influx := influxd.ForTest(t)
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	detail, ledger := influx.Database(t, "alone_detail"), influx.Database(t, "alone_ledger")
	c := newCluster(t, newCentre(t, influx.URL, influx.Token, influx.Org, detail, ledger, a))
	alone := c.replica("all")
	c.replica("intake") // a replica that somebody forgot
	s := newStream(t, c.centre, a, slog.New(slog.DiscardHandler))
	s.begun = time.Now().Add(-20 * time.Second)
	for n := int64(1); n <= 100; n++ {
		if err := s.seal(n); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.uplink.Run(ctx) }()
	waitFor(t, 60*time.Second, "all is acknowledged", func() bool { return s.spool.Stats().Batches == 0 })
	waitFor(t, 60*time.Second, "the board shows it", func() bool { return board(t, alone)["gokina"].String() == "up connected=true" })
	waitFor(t, 20*time.Second, "it gets every batch, and not a share", func() bool { return alone.metric("nabz_intake_messages_total") >= 100 })
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(store.Config{URL: influx.URL, Token: influx.Token, Org: influx.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	compare(t, "seq", column(t, st, telemetry.Detail, "batch", "seq", a), s.seqs)
	compare(t, "event", texts(t, st, telemetry.Ledger, "event", "detail", a), s.events)
}
