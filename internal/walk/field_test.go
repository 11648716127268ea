package walk

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// ask runs a command of the agent's as a field engineer would.
func (e *edge) ask(args ...string) (text string, status int) {
	e.t.Helper()
	cmd := exec.Command(programOf(e.t, e.bin, "nabz-agent"), append(args, "--config", filepath.Join(e.dir, "agent.toml"))...)
	cmd.Env = clean(os.Environ(), "NABZ_")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	return out.String(), cmd.ProcessState.ExitCode()
}

func TestAFieldEngineerSeesThatAllIsWell(t *testing.T) {
	server := influxd.ForTest(t)
	detail, ledger := server.Database(t, "field_detail"), server.Database(t, "field_ledger")
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	c := newCentre(t, server.URL, server.Token, server.Org, detail, ledger, a)
	ca := c.secure("127.0.0.1", twoFreePorts(t))
	e := newEdge(t, c, a)
	file := filepath.Join(e.dir, "agent.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	now := "ca_file = \"" + ca + "\"\n" + strings.Replace(string(text), "tls://", "mqtts://", 1)
	if err := os.WriteFile(file, []byte(now), 0o600); err != nil {
		t.Fatal(err)
	}

	if out, status := e.ask("status"); status != 1 || !strings.Contains(out, "no agent is running") {
		t.Errorf("status without an agent ended with %d and says\n%s", status, out)
	}
	c.start()
	c.ready()
	e.start()
	var s agent.Status
	waitFor(t, 60*time.Second, "the agent's word that the collector has stored something", func() bool {
		out, _ := e.ask("status", "--json")
		return json.Unmarshal([]byte(out), &s) == nil && s.Broker.LastAckS != nil && s.Link.State != ""
	})
	if s.Site != "gokina" || !s.Broker.Connected || s.Clock != "synced" || s.Boot == "" {
		t.Errorf("status %+v", s)
	}
	out, status := e.ask("check")
	if status != 0 || strings.Contains(out, "FAIL") || !strings.Contains(out, "sent by the running agent") || !strings.Contains(out, "TLS 1.3") {
		t.Errorf("check ended with %d and says\n%s", status, out)
	}
	t.Logf("check says\n%s", out)
	if out, status = e.ask("speedtest"); status != 1 || !strings.Contains(out, "set speedtest.server") {
		t.Errorf("speedtest without a server ended with %d and says\n%s", status, out)
	}

	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	waitFor(t, 30*time.Second, "the test line in InfluxDB", func() bool {
		return strings.Contains(strings.Join(texts(t, st, telemetry.Ledger, "event", "detail", a), "\n"), "test line of nabz-agent check")
	})
}
