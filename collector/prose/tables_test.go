package prose_test

import (
	"bytes"
	"encoding/csv"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/prose"
)

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func TestEveryColumnOfTheTablesIsDescribed(t *testing.T) {
	ids := map[string]bool{}
	for _, table := range prose.Tables(october()) {
		if ids[table.ID] || table.Title == "" || table.Description == "" {
			t.Errorf("table %q is there twice, or says not what it is", table.ID)
		}
		ids[table.ID] = true
		names := map[string]bool{}
		for _, f := range table.Fields {
			if !fieldName.MatchString(f.Name) || f.Description == "" || names[f.Name] {
				t.Errorf("%s.%s: described as %q", table.ID, f.Name, f.Description)
			}
			names[f.Name] = true
		}
	}
	if len(ids) < 14 {
		t.Errorf("got %d tables, want 14 at least", len(ids))
	}
}

func TestTablesSayOfWhichRevisionTheyAreOrThatNobodyHasPublishedThem(t *testing.T) {
	if p := prose.Package(october(), prose.Header{SHA256: "x"}); !strings.Contains(p.Description, "Not published") {
		t.Errorf("tables that nobody can find again say %q", p.Description)
	}
	h := prose.Header{SHA256: "x", Revision: 2, Published: time.Date(2026, 11, 3, 1, 2, 3, 0, time.UTC), Link: "https://noc.example/reports/2026-10-all/2"}
	if p := prose.Package(october(), h); !strings.Contains(p.Description, "Revision 2, published 2026-11-03T01:02:03Z, https://noc.example/reports/2026-10-all/2.") {
		t.Errorf("tables of a revision say %q", p.Description)
	}
}

func TestEveryShapeOfReportIsWrittenAsTables(t *testing.T) {
	for name, r := range shapes() {
		p := prose.Package(r, header())
		var zip, book bytes.Buffer
		if err := p.Bundle(&zip); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.XLSX(&book); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// cell reads a value of a table as its CSV has it: that of the row in which key has a value.
func cell(t *testing.T, id, key, value, name string) string {
	t.Helper()
	for _, table := range prose.Tables(october()) {
		if table.ID != id {
			continue
		}
		var b bytes.Buffer
		if err := table.CSV(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		at := func(name string) int {
			for i, n := range rows[0] {
				if n == name {
					return i
				}
			}
			t.Fatalf("table %s has no column %s", id, name)
			return 0
		}
		for _, row := range rows[1:] {
			if row[at(key)] == value {
				return row[at(name)]
			}
		}
	}
	t.Fatalf("table %s has no row with %s = %s", id, key, value)
	return ""
}

func TestTheTablesHaveTheFiguresOfTheReportExactly(t *testing.T) {
	r := october()
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	part := func(v *float64) string { return strconv.FormatFloat(*v, 'f', -1, 64) }
	s := r.Sites[1]
	for _, c := range []struct{ table, key, value, column, want string }{
		{"programme", "which", "now", "availability", part(r.Programme.Time.Availability)},
		{"programme", "which", "now", "unknown_ms", whole(r.Programme.Time.UnknownMs)},
		{"programme", "which", "before", "completeness", part(r.Before.Time.Completeness)},
		{"programme", "which", "before", "up_median_bps", ""},
		{"sites", "site", "sihala-bhu", "availability_without_power", part(s.Time.WithoutPower)},
		{"sites", "site", "sihala-bhu", "mean_restore_ms", whole(*s.Outages.All.MeanMs)},
		{"sites", "site", "sihala-bhu", "agents", "kiosk router"},
		{"sites", "site", "rawat-post", "citable", "false"},
		{"sites", "site", "rawat-post", "mean_restore_ms", ""},
		{"outages", "cause", "backhaul", "longest_ms", whole(8 * hour)},
		{"longest-outages", "causes", "power backhaul", "began_before_period", "true"},
		{"days", "day", "2026-10-05", "off_power_ms", whole(15 * hour)},
		{"throughput", "direction", "up", "p5_bps", "205000"},
		{"latency", "le_ms", "100", "answers", "600"},
		{"latency", "le_ms", "100", "sites", "1"},
		{"throughput", "direction", "up", "sites", "1"},
		{"outages", "cause", "backhaul", "sites", "2"},
		{"use", "site", "", "lost", "31"},
		{"use", "site", "", "rtt_median_at_most_ms", "100"},
		{"use", "site", "", "rtt_p95_over_ms", "1200"},
		{"use", "site", "", "rtt_p95_at_most_ms", ""},
		{"use", "site", "sihala-bhu", "rx_bytes", whole(s.Volume.RxBytes)},
		{"use", "site", "sihala-bhu", "clients_mean_hour_peak", "12.25"},
		{"use", "site", "rawat-post", "rx_bytes", ""},
		{"sites", "site", "rawat-post", "rx_bytes", ""},
		{"services", "service", "clinic", "share", "0.75"},
		{"benchmarks", "criterion", "loss", "verdict", "not_enough_data"},
		{"benchmark-sites", "site", "rawat-post", "reason", "no_tests"},
		{"distribution", "figure", "availability", "median", part(r.Distribution.Availability.Median)},
		{"bands", "from", "0.95", "sites", "1"},
		{"left-out", "site", "nilore", "reason", "never_heard"},
		{"asked", "key", "sites", "value", "district=Islamabad, nilore"},
	} {
		if got := cell(t, c.table, c.key, c.value, c.column); got != c.want {
			t.Errorf("%s of %s %s in %s: got %q, want %q", c.column, c.key, c.value, c.table, got, c.want)
		}
	}
}
