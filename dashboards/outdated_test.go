package dashboards

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDashboardsOfAnotherVersionAreNamed(t *testing.T) {
	g := Grafana{Dir: t.TempDir(), Influx: "http://127.0.0.1:8086", DetailBucket: "nabz", LedgerBucket: "nabz_ledger", Board: "https://noc.example.org"}
	if err := g.Install(func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	if got, err := Outdated(g.Dir); err != nil || len(got) > 0 {
		t.Errorf("just installed: got %q, %v", got, err)
	}
	boards := filepath.Join(g.Dir, "provisioning", "dashboards", "nabz")
	if err := os.Remove(filepath.Join(boards, "nabz-fleet.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(boards, "nabz-site.json"), []byte(`{"title": "of last year"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Outdated(g.Dir)
	slices.Sort(got)
	if want := []string{"nabz-fleet.json", "nabz-site.json"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if err := os.WriteFile(filepath.Join(boards, "nabz-site.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Outdated(g.Dir); err == nil {
		t.Error("a file that is cut off is taken for a dashboard")
	}
}
