package fleet

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/telemetry"
)

// written is a sites file as people keep it.
const written = `# our sites, reviewed each spring
[[site]]
id = "zombo" # far north
latitude = 2.5
longitude = 30.9   # by phone

# moved in May
[[site]]
  "name" = 'Kisoro # hill'
  id = 'kisoro'
# the next line is wrong since the dish was moved
  operator = "Bwindi \"Net\"" # until 2027

# nothing below
`

func withSites(t *testing.T, text string) (*Registry, string) {
	t.Helper()
	r, dir := open(t)
	file := filepath.Join(dir, "sites.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return r, file
}

func TestAChangeKeepsCommentsAndOrder(t *testing.T) {
	r, file := withSites(t, written)
	err := r.ChangeSites(func(now []Site) (add, update []Site, err error) {
		k, z := now[0], now[1]
		k.Operator, k.TargetDownMbps = "Karakoram", 10
		z.Latitude, z.ServiceHours = 2.625, "Mo-Fr 08:00-16:00"
		return []Site{{ID: "new", Name: "New"}}, []Site{z, k}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("2.5\n", "2.625\n", "# by phone\n", "# by phone\nservice_hours = \"Mo-Fr 08:00-16:00\"\n",
		`"Bwindi \"Net\"" # until 2027`, "\"Karakoram\" # until 2027\n  target_down_mbps = 10.0").Replace(written) + "\n[[site]]\nid = \"new\"\nname = \"New\"\n"
	if got, _ := os.ReadFile(file); string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if s, _ := r.Site("kisoro"); s.Operator != "Karakoram" || s.Name != "Kisoro # hill" {
		t.Errorf("got %+v", s)
	}
}

func TestASiteIsRemovedOnlyWithoutAgents(t *testing.T) {
	r, file := withSites(t, written)
	if _, err := r.AddAgent(telemetry.Address{Site: "kisoro", Agent: "main"}); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSite("kisoro"); err == nil || !strings.Contains(err.Error(), "has agents; first: nabz-collector agent revoke kisoro/main") {
		t.Errorf("got %v", err)
	}
	if err := r.RemoveSite("nowhere"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	if got, _ := os.ReadFile(file); string(got) != written {
		t.Errorf("a refusal changed the file:\n%s", got)
	}
	if err := r.RemoveSite("zombo"); err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(written, "[[site]]"), strings.Index(written, "\n# moved in May")
	if got, _ := os.ReadFile(file); string(got) != written[:from]+written[to:] {
		t.Errorf("got:\n%s", got)
	}
	if err := os.WriteFile(file, []byte(written), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(file), "agents.toml")); err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSite("kisoro"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != written[:strings.Index(written, "# moved")]+"# nothing below\n" {
		t.Errorf("got:\n%s", got)
	}
}

func TestAFileThatCannotBeChangedByItselfStaysAsItIs(t *testing.T) {
	for name, text := range map[string]string{
		"inline":        `site = [{ id = "zombo", name = "Z" }]` + "\n",
		"several lines": "[[site]]\nid = \"zombo\"\nname = \"\"\"Zom\nbo\"\"\"\n",
		"dotted":        "[[site]]\n\"i\\u0064\" = \"zombo\"\nname = \"Z\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			r, file := withSites(t, text)
			err := r.ChangeSites(func(now []Site) (add, update []Site, err error) {
				now[0].Name = "other"
				return nil, now, nil
			})
			if err == nil || !strings.Contains(err.Error(), "by hand") {
				t.Errorf("got %v, want an error that says to change it by hand", err)
			}
			if got, _ := os.ReadFile(file); string(got) != text {
				t.Errorf("the file is now:\n%s", got)
			}
		})
	}
	r, file := withSites(t, `site = [{ id = "zombo", name = "Z" }]`+"\n")
	err := r.ChangeSites(func([]Site) (add, update []Site, err error) { return []Site{{ID: "new"}}, nil, nil })
	if got, _ := os.ReadFile(file); err == nil || !strings.HasPrefix(string(got), "site = ") || strings.Contains(string(got), "new") {
		t.Errorf("got %v and\n%s", err, got)
	}
}

func TestWhateverIsChangedTheFileSaysItAndNothingElse(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "x", "\"", "'", "#", "\\", "a\tb", "\"\"\"", "é # ''' \"", "[[site]]", "id = \"z\"", "line\nbreak", "\r\n"})
	site := func(id string) *rapid.Generator[Site] {
		return rapid.Custom(func(t *rapid.T) Site {
			return Site{ID: id, Name: text.Draw(t, "name"), District: text.Draw(t, "district"), Operator: text.Draw(t, "operator"),
				Latitude: rapid.Float64Range(-90, 90).Draw(t, "latitude"), Population: rapid.IntRange(0, 9).Draw(t, "population"), Students: rapid.IntRange(0, 9).Draw(t, "students"),
				TargetUpMbps: rapid.SampledFrom([]float64{0, 0.5, 10}).Draw(t, "up"), TimeZone: rapid.SampledFrom([]string{"", "Asia/Karachi"}).Draw(t, "zone")}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "sites")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		r, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]Site{}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			var add, update []Site
			for _, id := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "ids") {
				s := site(id).Draw(t, "site")
				if _, there := want[id]; there {
					update = append(update, s)
				} else {
					add = append(add, s)
				}
				want[id] = s
			}
			if err := r.ChangeSites(func([]Site) ([]Site, []Site, error) { return add, update, nil }); err != nil {
				t.Fatal(err)
			}
			got := map[string]Site{}
			for _, s := range r.Sites() {
				got[s.ID] = s
			}
			if !maps.Equal(got, want) {
				t.Fatalf("got  %+v\nwant %+v", got, want)
			}
		}
	})
}

func TestSiteFieldsAreAllOfASite(t *testing.T) {
	text, err := sitesTOML(Site{"a", "b", "c", "d", "u", "e", 1, 2, 3, 7, "Mo 08:00-09:00", 4, 5, 6, "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[1:] {
		keys = append(keys, strings.Fields(line)[0])
	}
	var got []string
	for _, f := range (Site{}).Fields() {
		got = append(got, f.Key)
	}
	if !slices.Equal(got, keys) {
		t.Errorf("Fields has %v, the file %v", got, keys)
	}
}
