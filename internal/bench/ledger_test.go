package bench

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

func TestTheLedgerOfABenchIsOneThatAgentsWouldHaveTold(t *testing.T) {
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	l := ledger{sites: 3, from: from, to: from.AddDate(0, 0, 40)}
	kinds := map[string]int{}
	for n := range l.sites {
		for at := l.from; at.Before(l.to); at = at.AddDate(0, 0, 1) {
			text := l.day(nil, n, at.UnixMilli())
			if string(text) != string(l.day(nil, n, at.UnixMilli())) {
				t.Fatal("the same day comes out in two ways")
			}
			// An agent sends neither site nor agent: the collector adds them.
			plain := strings.NewReplacer("agent=router,", "", ",agent=router", "", "site="+l.site(n)+",", "", ",site="+l.site(n), "").Replace(string(text))
			good, bad, err := telemetry.Parse([]byte(plain))
			if err != nil || len(bad) > 0 {
				t.Fatal(err, bad)
			}
			covered := int64(0)
			for _, p := range good {
				kinds[p.Measurement]++
				if p.Tier != telemetry.Ledger {
					t.Errorf("%s is not of the ledger", p.Raw)
				}
				if p.Measurement == "span" {
					ms, _ := p.GetInt("ms")
					covered += ms
				}
			}
			if covered > 24*3600_000 || covered < 20*3600_000 {
				t.Errorf("spans of a day cover %d ms", covered)
			}
		}
	}
	if kinds["hour"] != 3*40*24 || kinds["span"] < kinds["hour"] || kinds["hour_service"] != 3*40*16 || kinds["speedtest"] < 10 {
		t.Errorf("lines by kind: %v", kinds)
	}
	file := filepath.Join(t.TempDir(), "sites.toml")
	if err := l.writeSites(file); err != nil {
		t.Fatal(err)
	}
	reg, err := fleet.OpenRegistry(file, filepath.Join(filepath.Dir(file), "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	sites := reg.Sites()
	if len(sites) != 3 || !slices.ContainsFunc(sites, func(s fleet.Site) bool { return s.ID == l.site(2) }) {
		t.Errorf("sites: %+v", sites)
	}
}
