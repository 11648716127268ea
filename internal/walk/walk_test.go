package walk

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// edge is a real nabz-agent process. It measures this machine, and asks nobody beyond it.
type edge struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
	bin string // folder of the programs of a release; "": those of this tree
}

const agentTOML = `
site = %q
agent = %q
brokers = [%q]
secret_file = %q
data_dir = %q
spool_flush_every = "0s"
detail_every = "1s"
report_every = "1s"
mark_every = "1s"
resume_wait = "1s"
[time]
servers = []
trust_system = true
[uplink]
keepalive = "10s"
ack_timeout = "2s"
max_backoff = "1s"
[probe]
every = "10s"
sample_every = "10s"
gateway = "127.0.0.1"
anchors = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
dns_name = ""
`

func newEdge(t *testing.T, c *centre, a telemetry.Address) *edge {
	t.Helper()
	e := &edge{t: t, dir: t.TempDir()}
	secret := filepath.Join(e.dir, "secret")
	if err := os.WriteFile(secret, []byte(c.secrets[a]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(agentTOML, a.Site, a.Agent, strings.Replace(c.broker, "tcp://", "mqtt://", 1), secret, e.data())
	if err := os.WriteFile(filepath.Join(e.dir, "agent.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.cmd != nil {
			e.stop()
		}
		if t.Failed() {
			t.Log(tail(filepath.Join(e.dir, "agent.log")))
		}
	})
	return e
}

func (e *edge) data() string { return filepath.Join(e.dir, "data") }

func (e *edge) start() {
	e.t.Helper()
	path := programOf(e.t, e.bin, "nabz-agent")
	log, err := os.OpenFile(filepath.Join(e.dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command(path, "run", "--config", filepath.Join(e.dir, "agent.toml"))
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.Env = clean(os.Environ(), "NABZ_")
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) stop() {
	e.t.Helper()
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	if err := e.cmd.Wait(); err != nil {
		e.t.Errorf("nabz-agent ended with %v", err)
	}
	e.cmd = nil
}

// kept is how many bytes the spool's folder holds.
func (e *edge) kept() (n int64) {
	_ = filepath.WalkDir(e.data(), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if i, err := d.Info(); err == nil {
				n += i.Size()
			}
		}
		return nil
	})
	return n
}

// waiting reads every batch that waits in the spool of an agent that is not running.
func (e *edge) waiting() (lines []telemetry.Parsed) {
	e.t.Helper()
	sp, err := spool.Open(e.data(), spool.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		e.t.Fatal(err)
	}
	defer sp.Close()
	codec, err := telemetry.NewCodec()
	if err != nil {
		e.t.Fatal(err)
	}
	defer codec.Close()
	seen := map[uint64]bool{}
	for {
		batches, err := sp.Peek(seen, 100)
		if err != nil {
			e.t.Fatal(err)
		}
		if len(batches) == 0 {
			return lines
		}
		for _, b := range batches {
			seen[b.Seq] = true
			text, _, err := codec.Open(nil, b.Payload)
			if err != nil {
				e.t.Fatal(err)
			}
			good, bad, err := telemetry.Parse(text)
			if err != nil || len(bad) > 0 {
				e.t.Fatalf("batch %d: %v %v", b.Seq, bad, err)
			}
			lines = append(lines, good...)
		}
	}
}

func TestWhatTheAgentMeasuredIsWhatInfluxDBReturns(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		detail, ledger := server.Database(t, "whole_detail"), server.Database(t, "whole_ledger")
		a := telemetry.Address{Site: "gokina", Agent: "main"}
		token := server.Token
		if server.Pid() > 0 { // ours: the collector gets no more rights than init gives it
			var err error
			if token, _, err = store.Prepare(t.Context(), store.Config{URL: server.URL, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, server.Token); err != nil {
				t.Fatal(err)
			}
		}
		c := newCentre(t, server.URL, token, server.Org, detail, ledger, a)
		e := newEdge(t, c, a)

		e.start() // nobody to report to: all that it measures stays in the spool
		waitFor(t, 60*time.Second, "the agent has measured for a while", func() bool { return e.kept() > 4<<10 })
		e.stop()
		measured := e.waiting()
		kinds := map[string]int{}
		for _, l := range measured {
			kinds[l.Measurement]++
		}
		t.Logf("measured without a collector: %v", kinds)
		for _, want := range []string{"batch", "span", "hour", "event", "link", "host"} {
			if kinds[want] == 0 {
				t.Errorf("the agent measured no %s line", want)
			}
		}

		c.start()
		c.ready()
		e.start()
		st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		stored := map[string]string{}
		waitFor(t, 60*time.Second, "all that was measured is stored", func() bool {
			stored = dump(t, st, a, kinds)
			return !slices.ContainsFunc(measured, func(l telemetry.Parsed) bool { return stored[identity(l.Line)] == "" })
		})
		last := slices.MaxFunc(measured, func(x, y telemetry.Parsed) int { return int(x.Time - y.Time) }).Time
		for _, l := range measured {
			id := identity(l.Line)
			if got, want := stored[id], fields(l.Line); got != want {
				t.Errorf("%s\n stored   %s\n measured %s", id, got, want)
			}
			delete(stored, id)
		}
		for id := range stored { // the agent runs on; what is older than its restart was told above
			var at int64
			if _, err := fmt.Sscan(id[strings.LastIndexByte(id, ' ')+1:], &at); err != nil || at <= last && !strings.HasPrefix(id, "span,cause=agent") {
				t.Errorf("stored but never measured: %s %s", id, stored[id])
			}
		}
		code, body := get(t, c.web+"/api/v1/sites/gokina")
		if code != 200 || !json.Valid([]byte(body)) || !strings.Contains(body, `"up"`) {
			t.Errorf("the API says %d %.400s", code, body)
		}
	})
}

// identity is measurement, tags and time; fields the rest, both in an order of their own.
func identity(l telemetry.Line) string {
	var b strings.Builder
	b.WriteString(l.Measurement)
	for _, tag := range l.Tags {
		fmt.Fprintf(&b, ",%s=%s", tag.Key, tag.Value)
	}
	fmt.Fprintf(&b, " %d", l.Time)
	return b.String()
}

func fields(l telemetry.Line) string {
	var out []string
	for _, f := range l.Fields {
		v := fmt.Sprint(f.Value.Interface())
		if f.Value.Kind() == lineprotocol.Float { // as JSON writes it
			j, _ := json.Marshal(f.Value.FloatV())
			v = string(j)
		}
		out = append(out, f.Key+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// dump reads every line that is stored of these measurements and this agent.
func dump(t *testing.T, st *store.Store, a telemetry.Address, measurements map[string]int) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range telemetry.Schema() {
		if measurements[m.Name] == 0 {
			continue
		}
		series, err := st.Query(context.Background(), m.Tier, fmt.Sprintf(`SELECT * FROM %q WHERE site='%s' AND agent='%s' GROUP BY *`, m.Name, a.Site, a.Agent))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range series {
			delete(s.Tags, "site")
			delete(s.Tags, "agent")
			for _, row := range s.Values {
				at, err := row[0].(json.Number).Int64()
				if err != nil {
					t.Fatal(err)
				}
				l := telemetry.NewLine(m.Name, time.UnixMilli(at))
				for k, v := range s.Tags {
					l.Tag(k, v)
				}
				var fs []string
				for i, col := range s.Columns {
					if i > 0 && row[i] != nil {
						fs = append(fs, fmt.Sprintf("%s=%v", col, row[i]))
					}
				}
				slices.Sort(fs)
				out[identity(*l)] = strings.Join(fs, " ")
			}
		}
	}
	return out
}
