package dashboards_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/dashboards"
)

func TestTheFilesAreWhatTheCodeMakes(t *testing.T) {
	var want []string
	for _, d := range dashboards.All("") {
		want = append(want, d.File())
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(d.File()); err != nil || string(got) != string(text) {
			t.Errorf("%s is not what the code makes (%v); make dashboards writes it anew", d.File(), err)
		}
	}
	got, err := filepath.Glob("*.json")
	if slices.Sort(want); err != nil || !slices.Equal(got, want) {
		t.Errorf("the folder holds %v (%v), want %v", got, err, want)
	}
}

func TestEveryPanelHasIdSourceUnitThresholdsAndDescriptionAndNeedsNoPlugIn(t *testing.T) {
	units := []string{"percent", "ms", "s", "bps", "Bps", "bytes", "celsius", "short", "string"}
	builtIn := []string{"stat", "table", "timeseries", "state-timeline", "geomap"}
	seen := map[string]bool{}
	for _, d := range dashboards.All("") {
		if d.UID == "" || seen[d.UID] || d.Title == "" || !strings.HasSuffix(d.Description, ".") {
			t.Errorf("%q: uid %q, title and description %q must be there, and the uid its own", d.Title, d.UID, d.Description)
		}
		seen[d.UID] = true
		ids, titles := map[int]bool{}, map[string]bool{}
		for _, p := range d.Panels {
			what := d.Title + ": " + p.Title
			if p.ID == 0 || ids[p.ID] {
				t.Errorf("%s has id %d, which is none or another panel's", what, p.ID)
			}
			ids[p.ID] = true
			if titles[p.Title] {
				t.Errorf("%s is there twice", what)
			}
			titles[p.Title] = true
			if p.Title == "" || !strings.HasSuffix(p.Description, ".") {
				t.Errorf("%s lacks a title, or a description in sentences: %q", what, p.Description)
			}
			if !slices.Contains(builtIn, p.Type) {
				t.Errorf("%s is a %q, which Grafana does not bring along", what, p.Type)
			}
			if u, _ := p.Defaults["unit"].(string); !slices.Contains(units, u) {
				t.Errorf("%s has unit %q, want one of %v", what, u, units)
			}
			if p.Defaults["noValue"] == nil {
				t.Errorf("%s does not say what is shown where there is nothing", what)
			}
			if p.Defaults["thresholds"] == nil {
				t.Errorf("%s has no thresholds", what)
			}
			if p.Source != dashboards.Detail && p.Source != dashboards.Ledger || len(p.Queries) == 0 {
				t.Errorf("%s asks nothing, or %q", what, p.Source)
			}
		}
	}
}

func TestPanelsDoNotOverlap(t *testing.T) {
	for _, d := range dashboards.All("") {
		for i, a := range d.Panels {
			if a.W < 1 || a.H < 1 || a.X < 0 || a.Y < 0 || a.X+a.W > 24 {
				t.Errorf("%s: %q lies outside the grid", d.Title, a.Title)
			}
			for _, b := range d.Panels[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%s: %q lies over %q", d.Title, a.Title, b.Title)
				}
			}
		}
	}
}

func TestNoDashboardLeadsElsewhereThanToGrafanaAndTheBoard(t *testing.T) {
	address := regexp.MustCompile(`[a-z]+://[^"]*`)
	for _, d := range dashboards.All("https://noc.example.org") {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range address.FindAllString(string(text), -1) {
			if a != "https://noc.example.org" {
				t.Errorf("%s names %s", d.Title, a)
			}
		}
		if !strings.Contains(string(text), `"query": "https://noc.example.org"`) {
			t.Errorf("%s does not know where the board is", d.Title)
		}
	}
}

// Unknown is neither up nor down, and is shown as such.
func TestAStateThatIsNotKnownIsNamedSo(t *testing.T) {
	for _, d := range dashboards.All("") {
		for _, p := range d.Panels {
			asks := ""
			for _, q := range p.Queries {
				asks += q.Text
			}
			if strings.Contains(asks, `last("code")`) && p.Type != "stat" && p.Type != "table" && p.Defaults["noValue"] != "not known" {
				t.Errorf("%s: %s shows a state, and %v where there is none", d.Title, p.Title, p.Defaults["noValue"])
			}
		}
	}
}
