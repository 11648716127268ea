package dashboards_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/dashboards"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
)

// frame is what a panel shows, as Grafana's own code makes it of the answers to its queries.
type frame struct {
	Names, Fields []string
	Rows          [][]cell
}

type cell struct {
	Text, Color string
	Links       []string
}

// of is a cell of the row whose first column has that link at its end.
func (f frame) of(t *testing.T, site, column string) cell {
	t.Helper()
	c := slices.Index(f.Names, column)
	if c < 0 {
		t.Fatalf("no column %q among %q", column, f.Names)
	}
	for _, row := range f.Rows {
		if row[0].Text == site {
			return row[c]
		}
	}
	t.Fatalf("no row of %s", site)
	return cell{}
}

// shown runs the panels through @grafana/data.
func shown(t *testing.T, p *programme) map[string][]frame {
	t.Helper()
	npm, node := testneed.Program(t, "npm", "apt-get install npm"), testneed.Program(t, "node", "apt-get install nodejs")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "panels.cjs"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ci := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--legacy-peer-deps", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
	ci.Dir = dir
	if out, err := ci.CombinedOutput(); err != nil {
		testneed.Missing(t, "@grafana/data", fmt.Sprintf("%v: %s", err, out))
	}
	in := struct {
		Boards  []json.RawMessage `json:"boards"`
		Answers map[string]any    `json:"answers"`
	}{Answers: map[string]any{}}
	all := dashboards.All("https://noc.example.org")
	for _, d := range all {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		in.Boards = append(in.Boards, text)
	}
	tried, err := dashboards.Check(t.Context(), p, all, p.from, p.to)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tried {
		in.Answers[x.Dashboard+": "+x.Panel+" "+x.Ref] = x.Series
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "panels.cjs")
	cmd.Dir, cmd.Stdin, cmd.Env = dir, bytes.NewReader(text), append(os.Environ(), "TZ=UTC")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	panels := map[string][]frame{}
	if err := json.Unmarshal(out, &panels); err != nil {
		t.Fatal(err)
	}
	return panels
}

func TestGrafanasOwnCodeJoinsNamesColoursAndLinksWhatPanelsShow(t *testing.T) {
	p := newProgramme(t, influxd.ForTest(t), 3)
	p.sites[2].TargetDownMbps = 0 // no target for it
	if err := p.scribe.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	panels := shown(t, p)
	one := func(panel string) frame {
		t.Helper()
		if f := panels["nabz: "+panel]; len(f) == 1 {
			return f[0]
		}
		t.Fatalf("%s shows %d frames, want one", panel, len(panels["nabz: "+panel]))
		return frame{}
	}
	words := map[fleet.SiteState]string{fleet.Up: "up", fleet.Degraded: "degraded", fleet.Down: "down", fleet.Off: "off", fleet.Unreachable: "unreachable", fleet.NeverSeen: "never seen"}
	colours := map[string]string{}
	for _, panel := range []string{"fleet: Sites", "fleet: Where"} {
		f := one(panel)
		if slices.Contains(f.Names, "Time") || slices.Contains(f.Names, "listed") {
			t.Errorf("%s shows %q", panel, f.Names)
		}
		for i, s := range p.sites {
			state := f.of(t, s.ID, "State")
			if want := words[p.states[i].State]; state.Text != want {
				t.Errorf("%s: %s is %q, want %q", panel, s.ID, state.Text, want)
			}
			if was, ok := colours[state.Text]; ok && was != state.Color || state.Color == "" {
				t.Errorf("%s: %q is %s here and %s elsewhere", panel, state.Text, state.Color, was)
			}
			colours[state.Text] = state.Color
			if got := f.of(t, s.ID, "Name").Text; got != s.Name {
				t.Errorf("%s: %s is called %q", panel, s.ID, got)
			}
			if links := f.of(t, s.ID, "Site").Links; len(links) != 2 || links[0] != "https://noc.example.org/sites/"+s.ID || !strings.HasPrefix(links[1], "/d/nabz-site?var-site="+s.ID) {
				t.Errorf("%s: %s leads to %q", panel, s.ID, links)
			}
		}
	}
	if len(colours) != len(words) || len(slices.Compact(slices.Sorted(maps.Values(colours)))) != len(words) {
		t.Errorf("the states do not have a colour each: %v", colours)
	}
	if got := one("fleet: Where").of(t, p.sites[0].ID, "latitude").Text; got != fmt.Sprint(p.sites[0].Latitude) {
		t.Errorf("the map has %s at %s degrees north", p.sites[0].ID, got)
	}

	var ids []string
	for _, s := range p.sites {
		ids = append(ids, s.ID)
	}
	_, want := reported(t, p, ids)
	for id, s := range want {
		for column, v := range map[string]*float64{"Availability": s.Availability, "Observed": s.Completeness, "At least": s.Lower} {
			if got := one("programme figures: Each site").of(t, id, column).Text; got != fmt.Sprintf("%.2f%%", 100**v) {
				t.Errorf("%s of %s is shown as %s, the report says %f", column, id, got, *v)
			}
		}
	}
	tests := one("programme figures: Throughput of each site against its target")
	if got := tests.of(t, p.sites[2].ID, "Down of target").Text; got != "no target" {
		t.Errorf("a site without a target reaches %s of it", got)
	}
	if got := tests.of(t, "arang-kel", "Down of target").Text; got != "125%" { // 5 of 4 Mbit/s
		t.Errorf("5 Mbit/s of 4 are shown as %s", got)
	}

	// What an override names is there to be changed.
	for _, d := range dashboards.All("") {
		for _, panel := range d.Panels {
			for _, o := range panel.Overrides {
				field := o.(map[string]any)["matcher"].(map[string]any)["options"].(string)
				if !slices.ContainsFunc(panels[d.Title+": "+panel.Title], func(f frame) bool { return slices.Contains(f.Fields, field) || slices.Contains(f.Names, field) }) {
					t.Errorf("%s: %s changes how %q is shown, which is not there", d.Title, panel.Title, field)
				}
			}
		}
	}
}
