package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// cited is a programme whose ledger has one month of one site.
type cited struct {
	dir, config string
	store       *store.Store
}

func newCited(t *testing.T, server *influxd.Server) *cited {
	t.Helper()
	c := &cited{dir: t.TempDir()}
	c.config = filepath.Join(c.dir, "c.toml")
	detail, ledger := server.Database(t, "detail"), server.Database(t, "ledger")
	text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n[influx]\nurl = %q\ntoken = %q\norg = %q\ndetail_bucket = %q\nledger_bucket = %q\n[web]\ntime_zone = \"Asia/Karachi\"\n[report]\nbenchmarks = [\"giga\"]\n",
		filepath.Join(c.dir, "sites.toml"), filepath.Join(c.dir, "agents.toml"), filepath.Join(c.dir, "data"), server.URL, server.Token, server.Org, detail, ledger)
	sites := "[[site]]\nid = \"gokina\"\nname = \"Gokina\"\ntarget_down_mbps = 4.0\n"
	for name, text := range map[string]string{c.config: text, filepath.Join(c.dir, "sites.toml"): sites} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	c.store, err = store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.store.Close)
	if err := c.store.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	from := time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC)
	var lines strings.Builder
	for h := range 33 * 24 {
		state, at := "up", from.Add(time.Duration(h)*time.Hour).UnixMilli()
		if h%100 == 50 {
			state = "down,cause=backhaul"
		}
		fmt.Fprintf(&lines, "span,agent=main,site=gokina,state=%s ms=3600000i,err_ms=1000i %d\n", state, at)
		fmt.Fprintf(&lines, "hour,agent=main,site=gokina ms=3600000i,rtt_le_25=1i,rtt_le_50=3i,rtt_le_100=5i,rtt_le_150=5i,rtt_le_300=6i,rtt_le_600=6i,rtt_le_1200=6i,rtt_le_inf=6i,sent=6i,lost=1i,rx_bytes=1000i,tx_bytes=100i %d\n", at)
	}
	c.late(t, lines.String())
	return c
}

// late stores lines that an agent has told.
func (c *cited) late(t *testing.T, lines string) {
	t.Helper()
	if err := c.store.Write(t.Context(), telemetry.Ledger, []byte(lines)); err != nil {
		t.Fatal(err)
	}
}

// do runs the command as a person types it.
func (c *cited) do(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), append([]string{"report"}, append(args, "--config", c.config)...), &out, io.Discard)
	return out.String(), err
}

func (c *cited) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.do(t, args...)
	if err != nil {
		t.Fatalf("report %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestAReportIsMadeVerifiedPublishedRevisedAndShared(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		c := newCited(t, server)
		file := func(name string) string { return filepath.Join(c.dir, name) }
		for form, begin := range map[string]string{"json": `{"asked":`, "html": "<!DOCTYPE html>", "pdf": "%PDF-", "xlsx": "PK", "zip": "PK", "txt": "Connectivity report"} {
			c.must(t, "--period", "2026-01", "-o", file("r."+form))
			b, err := os.ReadFile(file("r." + form))
			if err != nil || !bytes.HasPrefix(bytes.ToLower(b), []byte(strings.ToLower(begin))) {
				t.Errorf("%s begins with %.30q (%v)", form, b, err)
			}
		}
		c.must(t, "--period", "2026-01", "--language", "ur", "-o", file("ur.html"))
		doc, _ := os.ReadFile(file("r.json"))
		if page, _ := os.ReadFile(file("ur.html")); !bytes.Contains(page, []byte(`dir="rtl"`)) || !bytes.Contains(page, []byte(hash(doc))) {
			t.Error("the Urdu page does not run from right to left, or does not bear the hash of the figures")
		}
		c.must(t, "--period", "2026-01", "-o", file("again.json"))
		if again, _ := os.ReadFile(file("again.json")); !bytes.Equal(doc, again) {
			t.Error("the same question gives other bytes")
		}

		if out := c.must(t, "verify", file("r.json")); !strings.Contains(out, "byte for byte") || !strings.Contains(out, hash(doc)) {
			t.Errorf("verify says\n%s", out)
		}
		forged := filepath.Join(c.dir, "forged.json")
		if err := os.WriteFile(forged, bytes.Replace(doc, []byte(`"citable":true`), []byte(`"citable":false`), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := c.do(t, "verify", forged); err == nil || !strings.Contains(out, "citable: false → true") {
			t.Errorf("a forged figure is not told (%v):\n%s", err, out)
		}

		first := c.must(t, "publish", "--period", "2026-01", "--as", "amina")
		if !strings.Contains(first, "SHA-256 "+hash(doc)) {
			t.Errorf("what is published has another hash:\n%s", first)
		}
		if out := c.must(t, "publish", "--period", "2026-01"); !strings.Contains(out, "is published already") {
			t.Errorf("publishing the same says\n%s", out)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(strings.Fields(first)[1], "published "), "/")
		c.late(t, fmt.Sprintf("speedtest,agent=main,site=gokina,server=noc down_bps=4500000i,used_bytes=1i %d\n", time.Date(2026, 1, 9, 9, 0, 0, 0, time.UTC).UnixMilli()))
		if out, err := c.do(t, "verify", id); err == nil || !strings.Contains(out, "programme.throughput.all.tests: 0 → 1") {
			t.Errorf("a line that came late is not told (%v):\n%s", err, out)
		}
		if out := c.must(t, "publish", "--period", "2026-01"); !strings.Contains(out, id+"/2") || !strings.Contains(out, "programme.throughput.all.tests: 0 → 1") {
			t.Errorf("the second revision says\n%s", out)
		}
		c.must(t, "show", id+"/1", "-o", file("one.json"))
		if one, _ := os.ReadFile(file("one.json")); !bytes.Equal(one, doc) {
			t.Error("the first revision has changed")
		}
		link := strings.TrimSpace(c.must(t, "share", id, "--label", "ministry", "--days", "30"))
		if !strings.HasPrefix(link, "/shared/") || strings.Contains(c.must(t, "shares"), strings.TrimPrefix(link, "/shared/")) {
			t.Errorf("the link %q is none, or is told again", link)
		}
		share := strings.Fields(strings.Split(c.must(t, "shares"), "\n")[1])[0]
		c.must(t, "revoke", share)
		if log := c.audit(t); strings.Count(log, `"what":"publish report"`) != 3 || !strings.Contains(log, `"on":"`+id+`/2"`) || !strings.Contains(log, "sha256 "+hash(doc)) {
			t.Errorf("who published is not in the audit log:\n%s", log)
		}
		if out := c.must(t, "shares"); !strings.Contains(out, "revoked") {
			t.Errorf("a link that was taken back is listed as\n%s", out)
		}

		if _, err := c.do(t, "--period", "2020-01", "-o", file("none.json")); err == nil || !strings.Contains(err.Error(), "the ledger has nothing of these sites in 2020-01") {
			t.Errorf("no data at all: %v", err)
		}
		if _, err := os.Stat(file("none.json")); err == nil {
			t.Error("a report of nothing was written")
		}
	})
}

func TestVerifyTellsOfAFileThatStandsOnLimitsOrSitesOfItsOwn(t *testing.T) {
	c := newCited(t, influxd.ForTest(t))
	name := filepath.Join(c.dir, "r.json")
	c.must(t, "--period", "2026-01", "-o", name)
	if out := c.must(t, "verify", name); strings.Contains(out, "today") {
		t.Errorf("what was asked as it would be today is told of:\n%s", out)
	}
	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.NewReplacer(`"at_most":21`, `"at_most":99`, `"limit":21`, `"limit":99`, `"target_down_bps":4000000`, `"target_down_bps":1000000`, `"limit":3200000`, `"limit":800000`).Replace(string(doc))
	if err := os.WriteFile(name, []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	out := c.must(t, "verify", name)
	for _, want := range []string{"byte for byte", "benchmarks[id=giga].criteria[id=live].at_most: 99 → 21", "roster[site=gokina].target_down_bps: 1000000 → 4000000"} {
		if !strings.Contains(out, want) {
			t.Errorf("verify does not say %q:\n%s", want, out)
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, "sites.toml"), []byte("[[site]]\nid = \"gokina\"\n[[site]]\nid = \"bad\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := c.must(t, "verify", name); !strings.Contains(out, "roster[site=bad]") {
		t.Errorf("a site of today that is not in the report is not told of:\n%s", out)
	}
	if out := c.must(t, "verify", "--json", name); !strings.Contains(out, `"asked":`) {
		t.Errorf("other programs are not told:\n%s", out)
	}
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
