package collector

import (
	"testing"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

// TestARunningCollectorTellsInfluxDBOfItsSitesAndStates looks at what Grafana's variables and map live on.
func TestARunningCollectorTellsInfluxDBOfItsSitesAndStates(t *testing.T) {
	s := start(t, influxd.ForTest(t), 1)
	s.ready()
	told := func(tier telemetry.Tier, query string) bool {
		series, err := s.store.Query(t.Context(), tier, query)
		return err == nil && len(series) > 0
	}
	for _, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
		waitFor(t, "the site in the "+tier.String()+" tier", func() bool {
			return told(tier, `SELECT "label" FROM "site" WHERE "site" = 'gokina' AND "label" = 'Gokina (gokina)'`)
		})
	}
	waitFor(t, "the site's state", func() bool {
		return told(telemetry.Detail, `SELECT "code" FROM "state" WHERE "site" = 'gokina' AND "state" = 'never'`)
	})
	r, err := fleet.OpenRegistry(s.c.SitesFile, s.c.AgentsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddSite(fleet.Site{ID: "sela", District: "Hunza"}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a site that another process has added", func() bool {
		return told(telemetry.Ledger, `SELECT "district" FROM "site" WHERE "site" = 'sela' AND "district" = 'Hunza'`)
	})
	// What it has of itself it tells each minute; the figures that it needs are there now.
	if err := s.scribe.Note(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !told(telemetry.Detail, `SELECT "lines", "connections", "queue_messages", "writes", "rss_bytes", "cpu_pct" FROM "collector" WHERE "role" = 'all' AND "influx_fault" = 0 AND "rss_bytes" > 0`) {
		t.Error("the collector does not tell of itself")
	}
}
