package dashboards_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The parts of Grafana's files that matter here.
type (
	dashboard struct {
		UID, Title  string
		Description string
		Templating  struct{ List []variable }
		Panels      []panel
	}
	variable struct {
		Name, Type, Query string
		Datasource        source
	}
	panel struct {
		ID                       int
		Type, Title, Description string
		Datasource               source
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []target
	}
	target struct {
		RefID, Query, Alias, ResultFormat string
		RawQuery                          bool
		Datasource                        source
	}
	source struct{ Type, UID string }
)

func load(t *testing.T) map[string]dashboard {
	t.Helper()
	all := map[string]dashboard{}
	for _, file := range []string{"fleet.json", "site.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(d.Panels) == 0 {
			t.Fatalf("%s has no panel", file)
		}
		all[file] = d
	}
	return all
}

// provisioned lists the data sources by uid, with their database.
func provisioned(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("provisioning/datasources/nabz.yaml")
	if err != nil {
		t.Fatal(err)
	}
	databases := map[string]string{}
	for _, m := range regexp.MustCompile(`(?ms)^    uid: (\S+)$.*?^      dbName: (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		databases[m[1]] = m[2]
	}
	return databases
}

func TestTheDataSourcesAreTheTwoTiers(t *testing.T) {
	got := provisioned(t)
	if len(got) != 2 || got["nabz-detail"] != "nabz" || got["nabz-ledger"] != "nabz_ledger" {
		t.Errorf("got %v; want nabz-detail on nabz and nabz-ledger on nabz_ledger", got)
	}
}

func TestEveryPanelHasIdSourceUnitAndDescription(t *testing.T) {
	units := []string{"percent", "ms", "s", "dtdurationms", "bps", "bytes", "celsius", "short", "string"}
	databases := provisioned(t)
	uids := map[string]bool{}
	for file, d := range load(t) {
		if d.UID == "" || uids[d.UID] || d.Title == "" || d.Description == "" {
			t.Errorf("%s: uid %q, title %q and description %q must be there, and the uid its own", file, d.UID, d.Title, d.Description)
		}
		uids[d.UID] = true
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s: %q has id %d, which is none or another panel's", file, p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.Title == "" || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s: panel %d %q lacks a title, or a description in sentences: %q", file, p.ID, p.Title, p.Description)
			}
			if !slices.Contains(units, p.FieldConfig.Defaults.Unit) {
				t.Errorf("%s: %q has unit %q, want one of %v", file, p.Title, p.FieldConfig.Defaults.Unit, units)
			}
			if databases[p.Datasource.UID] == "" || p.Datasource.Type != "influxdb" {
				t.Errorf("%s: %q asks %+v, which is not provisioned", file, p.Title, p.Datasource)
			}
			if len(p.Targets) == 0 {
				t.Errorf("%s: %q asks nothing", file, p.Title)
			}
			for _, q := range p.Targets {
				if q.Datasource != p.Datasource || !q.RawQuery || q.Query == "" || q.ResultFormat == "" || q.RefID == "" {
					t.Errorf("%s: %q: query %+v is not a raw one to the panel's own source", file, p.Title, q)
				}
			}
		}
		for _, v := range d.Templating.List {
			if databases[v.Datasource.UID] == "" {
				t.Errorf("%s: $%s asks %+v, which is not provisioned", file, v.Name, v.Datasource)
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for file, d := range load(t) {
		for i, p := range d.Panels {
			if a := p.GridPos; a.W < 1 || a.H < 1 || a.X < 0 || a.Y < 0 || a.X+a.W > 24 {
				t.Errorf("%s: %q lies outside the grid: %+v", file, p.Title, a)
			}
			for _, q := range d.Panels[:i] {
				a, b := p.GridPos, q.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%s: %q lies over %q", file, p.Title, q.Title)
				}
			}
		}
	}
}
