package dashboards_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/dashboards"
)

// install returns what was told, with the folder left out.
func install(t *testing.T, g dashboards.Grafana) string {
	t.Helper()
	var b strings.Builder
	if err := g.Install(func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), g.Dir+"/", "")
}

func read(t *testing.T, file ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(file...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestInstallWritesTheTreeAndNoSecretThatOthersMayRead(t *testing.T) {
	g := dashboards.Grafana{Dir: t.TempDir(), Influx: "http://influx.example.org:8086", Token: "nabz_collector:secretsecret", DetailBucket: "nabz", LedgerBucket: `led"ger`, Board: "https://noc.example.org"}
	said := install(t, g)
	for _, want := range []string{"made  nabz-influx-token\n", "made  provisioning/datasources/nabz.yaml\n", "made  provisioning/dashboards/nabz.yaml\n", "made  provisioning/dashboards/nabz/nabz-fleet.json\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not tell %q in\n%s", want, said)
		}
	}
	sources := read(t, g.Dir, "provisioning/datasources/nabz.yaml")
	for _, want := range []string{"uid: nabz-detail\n", "uid: nabz-ledger\n", `dbName: "nabz"`, `dbName: "led\"ger"`, `url: "http://influx.example.org:8086"`, "version: InfluxQL\n",
		`httpHeaderValue1: "Token $__file{` + g.Dir + `/nabz-influx-token}"`} {
		if !strings.Contains(sources, want) {
			t.Errorf("the data sources lack %s:\n%s", want, sources)
		}
	}
	if want := `path: "` + g.Dir + `/provisioning/dashboards/nabz"`; !strings.Contains(read(t, g.Dir, "provisioning/dashboards/nabz.yaml"), want) {
		t.Errorf("the provider lacks %s", want)
	}
	err := filepath.Walk(g.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		others := info.Mode().Perm()&0o004 != 0
		if secret := strings.Contains(read(t, path), "secretsecret"); secret && others || !secret && !others {
			t.Errorf("%s has mode %v, and a secret: %t", path, info.Mode(), secret)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dashboards.All("") {
		var board map[string]any
		if err := json.Unmarshal([]byte(read(t, g.Dir, "provisioning/dashboards/nabz", d.File())), &board); err != nil || board["uid"] != d.UID {
			t.Errorf("%s: %v %v", d.File(), board["uid"], err)
		}
	}
}

func TestInstallAgainChangesOnlyWhatHasToChange(t *testing.T) {
	g := dashboards.Grafana{Dir: t.TempDir(), Influx: "http://127.0.0.1:8086", Token: "a:b", DetailBucket: "nabz", LedgerBucket: "nabz_ledger"}
	install(t, g)
	if said := install(t, g); strings.Count(said, "kept  ") != strings.Count(said, "\n") {
		t.Errorf("the same again wrote\n%s", said)
	}
	old, own := filepath.Join(g.Dir, "provisioning/dashboards/nabz/nabz-old.json"), filepath.Join(g.Dir, "provisioning/datasources/other.yaml")
	for _, f := range []string{old, own} {
		if err := os.WriteFile(f, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g.Token = "" // InfluxDB asks for none any more
	said := install(t, g)
	for _, want := range []string{"took away nabz-influx-token\n", "took away provisioning/dashboards/nabz/nabz-old.json\n", "wrote provisioning/datasources/nabz.yaml anew\n", "kept  provisioning/dashboards/nabz/nabz-fleet.json\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not tell %q in\n%s", want, said)
		}
	}
	if sources := read(t, g.Dir, "provisioning/datasources/nabz.yaml"); strings.Contains(sources, "Authorization") || read(t, own) != "{}" {
		t.Errorf("the data sources still sign in, or another's are gone:\n%s", sources)
	}
}

func TestInstallSaysWhatCannotBe(t *testing.T) {
	good := dashboards.Grafana{Dir: "x", Influx: "http://127.0.0.1:8086", DetailBucket: "nabz", LedgerBucket: "nabz_ledger"}
	for _, tt := range []struct {
		name   string
		change func(g *dashboards.Grafana)
		want   string
	}{
		{"no folder", func(g *dashboards.Grafana) { g.Dir = "" }, "where is Grafana's configuration? name its folder: --grafana-dir /etc/grafana"},
		{"no address", func(g *dashboards.Grafana) { g.Board = "noc.example.org" }, `--board-url: "noc.example.org" is not an address; write it as "https://host" or "http://host:port"`},
		{"a slash", func(g *dashboards.Grafana) { g.Board = "https://noc.example.org/" }, `--board-url: "https://noc.example.org/" ends with a slash; leave it out`},
		{"a user in the address", func(g *dashboards.Grafana) { g.Influx = "http://a:b@h:1" }, `--influx-url: "http://a:b@h:1" is not an address; write it as "https://host" or "http://host:port"`},
		{"a dollar", func(g *dashboards.Grafana) { g.Token = "a:$b" }, `the credential for InfluxDB holds a "$", which Grafana takes for a variable; make one without it that may read both buckets, and name it with --token-file`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := good
			tt.change(&g)
			if err := g.Install(func(string, ...any) {}); err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	good.Dir = file
	if err := good.Install(func(string, ...any) {}); err == nil || !strings.HasPrefix(err.Error(), "make a folder for Grafana: ") || !strings.Contains(err.Error(), "--grafana-dir") {
		t.Errorf("a file for a folder: %v", err)
	}
}
