package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// telegraf is the configuration that docs/noc.md shows, for a Telegraf that measures each second.
const telegraf = `
[agent]
  interval = "1s"
  flush_interval = "1s"
[[inputs.mem]]
[[inputs.cpu]]
[[outputs.mqtt]]
  servers = ["tcp://%[1]s"]
  topic = "nabz/v1/gokina/n0/data"
  username = "gokina/n0"
  password = "%[2]s"
  client_id = "gokina.n0"
  qos = 1
  layout = "batch"
  data_format = "influx"
`

// admitting starts a collector that takes a Telegraf's cpu and mem in.
func admitting(t *testing.T) *centre {
	t.Helper()
	db := influxd.ForTest(t)
	s := startWith(t, 1, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
		c.Intake.Extra = []string{"cpu", "mem"}
	})
	s.ready()
	return s
}

// stored counts what is there of an agent's measurement, in detail and in the ledger.
func (s *centre) stored(tier telemetry.Tier, field, measurement string) string {
	s.t.Helper()
	got, err := s.store.Query(s.t.Context(), tier, fmt.Sprintf(`SELECT count(%q) FROM %q WHERE site='gokina' AND agent='n0'`, field, measurement))
	if err != nil {
		s.t.Fatal(err)
	}
	if len(got) == 0 {
		return "0"
	}
	return fmt.Sprint(got[0].Values[0][1])
}

func TestAStockTelegrafIsAnAgentForItsOwnData(t *testing.T) {
	path, err := exec.LookPath("telegraf")
	if err != nil {
		t.Skip("needs telegraf, which this machine lacks (docs/testing.md says how it is built); the test beside this one sends its messages without it")
	}
	s := admitting(t)
	file := filepath.Join(t.TempDir(), "telegraf.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, telegraf, s.broker.Addr(), s.secrets[address(0)]), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "--config", file)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	waitFor(t, "its lines are in the detail bucket", func() bool {
		return s.stored(telemetry.Detail, "used_percent", "mem") > "1" && s.stored(telemetry.Detail, "usage_idle", "cpu") != "0"
	})
	if n := s.metric("nabz_intake_dead_letters_total"); n != 0 {
		t.Errorf("%v dead letters of a stock Telegraf", n)
	}
}

// What a Telegraf 1.37.2 sends, as it was taken off the wire, through a real broker.
func TestMessagesOfATelegrafAreStoredWithoutAHeader(t *testing.T) {
	s := admitting(t)
	v := s.join(0)
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	v.send(fmt.Appendf(nil, "cpu,cpu=cpu0,host=village\\ kiosk usage_idle=4.081632653057555,usage_user=89.79591836723141 %[1]d\nmem,host=village\\ kiosk used_percent=9.976514428807024,total=25276510208i,used=2521714688i %[1]d\n", at.UnixNano()))
	v.send(fmt.Appendf(nil, "mem,host=kiosk used_percent=10,total=25276510208i %d\n", at.Add(time.Second).UnixMicro()))
	v.send(fmt.Appendf(nil, "mem,host=kiosk used_percent=11 %d\n", at.Add(2*time.Second).UnixMilli()))
	v.send(fmt.Appendf(nil, "mem,host=kiosk used_percent=12 %d\n", at.Add(3*time.Second).Unix()))
	waitFor(t, "all are stored", func() bool { return s.stored(telemetry.Detail, "used_percent", "mem") == "4" })
	got, err := s.store.Query(t.Context(), telemetry.Detail, `SELECT used_percent, host FROM mem WHERE site='gokina' AND agent='n0'`)
	if err != nil {
		t.Fatal(err)
	}
	for n, row := range got[0].Values {
		if fmt.Sprint(row[0]) != fmt.Sprint(at.Add(time.Duration(n)*time.Second).UnixMilli()) {
			t.Errorf("line %d lies at %v, want %v s after the first whatever the unit of its timestamp", n, row[0], n)
		}
	}
	if fmt.Sprint(got[0].Values[0][2]) != "village kiosk" {
		t.Errorf("its own tag became %v", got[0].Values[0][2])
	}
	// What is not admitted, or takes the names of others, is refused line by line.
	ns := at.UnixNano()
	v.send(fmt.Appendf(nil, "mem,host=x used_percent=1 %[1]d\nswap free=1i %[1]d\nhost cpu_pct=1 %[1]d\nmem,site=other used_percent=1 %[1]d\nspan,state=up ms=1i,err_ms=0i %[1]d\nmem used=1u %[1]d\nmem used=1\n", ns+1e9))
	waitFor(t, "six dead letters", func() bool { return s.metric("nabz_intake_dead_letters_total") == 6 })
	if n := s.stored(telemetry.Detail, "used_percent", "mem"); n != "5" {
		t.Errorf("%s lines of mem, want 5", n)
	}
	if a, b := s.stored(telemetry.Ledger, "ms", "span"), s.stored(telemetry.Detail, "cpu_pct", "host"); a != "0" || b != "0" {
		t.Errorf("%s spans and %s lines of host are stored of one who is no agent of nabz", a, b)
	}
	if len(v.acks) > 0 {
		t.Errorf("acknowledged: %+v; nobody waits for that", <-v.acks)
	}
	_, body := s.get("/api/v1/sites/gokina")
	if strings.Contains(body, `"up"`) {
		t.Errorf("a Telegraf proves that a site is up: %.300s", body)
	}
}
