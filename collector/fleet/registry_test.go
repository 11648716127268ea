package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

var clinic = telemetry.Address{Site: "mbarara", Agent: "clinic"}

func open(t *testing.T) (*Registry, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	r.now = func() time.Time { clock = clock.Add(2 * lookEvery); return clock }
	return r, dir
}

func TestOnlyTheRightSecretSignsIn(t *testing.T) {
	r, dir := open(t)
	secret, err := r.AddAgent(clinic)
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.AddAgent(telemetry.Address{Site: "mbarara", Agent: "school"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		address telemetry.Address
		secret  string
		want    bool
	}{
		{"right", clinic, secret, true},
		{"another agent's secret", clinic, other, false},
		{"empty", clinic, "", false},
		{"one letter more", clinic, secret + "a", false},
		{"unknown agent", telemetry.Address{Site: "mbarara", Agent: "nobody"}, secret, false},
		{"unknown agent, empty secret", telemetry.Address{}, "", false},
	}
	for _, tt := range tests {
		if got := r.Authenticate(tt.address, tt.secret); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "agents.toml"))
	if err != nil || bytes.Contains(data, []byte(secret)) {
		t.Errorf("the file holds the secret itself, or cannot be read (%v):\n%s", err, data)
	}
	if info, _ := os.Stat(filepath.Join(dir, "agents.toml")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
	if len(secret) != 52 || strings.Trim(secret, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("secret %q is not 52 letters and digits", secret)
	}
}

func TestAnEntryIsAddedBehindWhatPeopleWrote(t *testing.T) {
	r, dir := open(t)
	file := filepath.Join(dir, "sites.toml")
	text := "# our sites, reviewed each spring\n[[site]]\nid = \"zombo\" # far north\nlatitude = 2.5\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	site := Site{ID: "kisoro", Name: "Kisoro \"hill\"\tnorth", District: "Kisoro", Operator: "Bwindi Net", Technology: "VSAT",
		Latitude: -1.285, Longitude: 29.685, Population: 1200, TimeZone: "Africa/Kampala"}
	if err := r.AddSite(site); err != nil {
		t.Fatal(err)
	}
	again, err := OpenRegistry(file, filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Site{site, {ID: "zombo", Latitude: 2.5}}
	for _, r := range []*Registry{r, again} {
		if got := r.Sites(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	if data, _ := os.ReadFile(file); !strings.HasPrefix(string(data), text) {
		t.Errorf("what was written before has changed:\n%s", data)
	}
	if got, ok := r.Site("kisoro"); !ok || got != site {
		t.Errorf("got %v %v, want %v", got, ok, site)
	}
	if err := r.AddSite(Site{ID: "zombo"}); !errors.Is(err, ErrExists) {
		t.Errorf("adding a site twice: got %v, want ErrExists", err)
	}
	for _, nowhere := range []float64{91, math.NaN()} {
		if err := r.AddSite(Site{ID: "moon", Latitude: nowhere}); err == nil {
			t.Errorf("a site at %v degrees north was added", nowhere)
		}
		if err := r.AddSite(Site{ID: "moon", Longitude: 2 * nowhere}); err == nil {
			t.Errorf("a site at %v degrees east was added", 2*nowhere)
		}
	}
}

func TestFaultsNameFileAndLine(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	tests := []struct{ name, sites, agents, want string }{
		{"misspelt key", "[[site]]\nid = \"a\"\nlatitud = 1", "",
			`sites.toml:3: unknown key "latitud" in [site[0]]; did you mean "latitude"?`},
		{"values out of range", "[[site]]\nid = \"A\"\nlatitude = 100\nlongitude = -181\npopulation = -1\nstudents = 1000001\ntime_zone = \"Mars\"", "",
			`sites.toml:2: site[0].id: site id "A": use a-z, 0-9 and "-", beginning with a letter or a digit, at most 63 characters
sites.toml:3: site[0].latitude: got 100, want -90 to 90 degrees
sites.toml:4: site[0].longitude: got -181, want -180 to 180 degrees
sites.toml:5: site[0].population: got -1, want 0 or more
sites.toml:6: site[0].students: got 1000001, want 0 to 1000000
sites.toml:7: site[0].time_zone: got "Mars", want an IANA name such as "Africa/Kampala"`},
		{"site twice", "[[site]]\nid = \"a\"\n[[site]]\nid = \"a\"", "", `sites.toml:4: site[1].id: site "a" is there twice`},
		{"agent twice, bad hash", "", "[[agent]]\naddress = \"a/b\"\nsecret_sha256 = \"" + hash + "\"\n[[agent]]\naddress = \"a/b\"\nsecret_sha256 = \"12\"",
			`agents.toml:5: agent[1].address: agent a/b is there twice
agents.toml:6: agent[1].secret_sha256: want the SHA-256 of the secret as 64 hex digits; "nabz-collector agent add" writes it`},
		{"both files", "x = 1", "[[agent]]\naddress = \"ab\"",
			`sites.toml:1: unknown key "x"; known here: site
agents.toml:2: agent[0].address: address "ab": write it as site/agent`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for file, text := range map[string]string{"sites.toml": tt.sites, "agents.toml": tt.agents} {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := OpenRegistry("sites.toml", "agents.toml")
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestAChangedFileIsTakenInAndABrokenOneIsNot(t *testing.T) {
	r, dir := open(t)
	var logged bytes.Buffer
	r.LogTo(slog.New(slog.NewTextHandler(&logged, nil)))
	file := filepath.Join(dir, "agents.toml")
	outside, err := OpenRegistry(filepath.Join(dir, "sites.toml"), file) // as another process would
	if err != nil {
		t.Fatal(err)
	}
	secret, err := outside.AddAgent(clinic)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Authenticate(clinic, secret) {
		t.Fatal("an agent that was added from outside cannot sign in")
	}
	good, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(good, "[[agnet]]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if !r.Authenticate(clinic, secret) {
			t.Fatal("a broken file took an agent's credentials away")
		}
	}
	if n := strings.Count(logged.String(), "is not taken in"); n != 1 {
		t.Errorf("the fault was logged %d times, want once:\n%s", n, logged.String())
	}
	if err := r.Fault(); err == nil || !strings.Contains(err.Error(), ":6: ") {
		t.Errorf("fault is %v, want one with its line", err)
	}
	if _, err := r.AddAgent(telemetry.Address{Site: "a", Agent: "b"}); err == nil {
		t.Error("an entry was added to a broken file")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if r.Authenticate(clinic, secret) || r.Fault() != nil {
		t.Error("an agent of a file that was removed can still sign in")
	}
}

func TestTwoProcessesThatAddAtOnceLoseNothing(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			r, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 10 {
				if _, err := r.AddAgent(telemetry.Address{Site: fmt.Sprint("p", p), Agent: fmt.Sprint("n", i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	r, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Agents()); n != 40 {
		t.Errorf("%d agents are in the file, want 40", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
