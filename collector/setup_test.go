package collector

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/influxd"
)

// setUp runs it against an InfluxDB with the rights of an administrator.
func setUp(t *testing.T, file string, db *influxd.Server, admin string) (said string, c Config) {
	t.Helper()
	var out strings.Builder
	err := SetUp(t.Context(), Setup{File: file, Hosts: []string{"noc.example.org"}, DataDir: filepath.Dir(file), Influx: InfluxConfig{URL: db.URL, Token: admin, Org: db.Org},
		Now: time.Now, Out: &out})
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	c = Defaults()
	if _, err := conf.Load(file, &c); err != nil {
		t.Fatal(err)
	}
	return out.String(), c
}

func TestInitGivesTheCollectorACredentialForItsTwoBucketsAlone(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *influxd.Server{
		"InfluxDB 1.8 that asks for a password": influxd.SignInForTest,
		"InfluxDB 2.7":                          influxd.TwoForTest,
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			file := filepath.Join(t.TempDir(), "collector.toml")
			said, c := setUp(t, file, db, db.Token)
			if c.Influx.Token == "" || c.Influx.Token == db.Token {
				t.Fatalf("influx.token is %q, want one of its own; it said\n%s", c.Influx.Token, said)
			}
			if strings.Contains(said, c.Influx.Token) || strings.Contains(said, db.Token) {
				t.Errorf("it tells a credential:\n%s", said)
			}
			st, err := store.Open(store.Config{URL: c.Influx.URL, Token: c.Influx.Token, Org: c.Influx.Org, DetailBucket: c.Influx.DetailBucket, LedgerBucket: c.Influx.LedgerBucket}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			if err := st.Ensure(context.Background()); err != nil {
				t.Errorf("the collector cannot work with it: %v", err)
			}
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if said, _ = setUp(t, file, db, ""); !strings.Contains(said, "kept") {
				t.Errorf("again: it said\n%s", said)
			}
			if after, _ := os.ReadFile(file); string(after) != string(before) {
				t.Errorf("again: the configuration has changed")
			}
		})
	}
}
