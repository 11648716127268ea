package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
)

func TestDashboardsCheckTriesEveryQueryAndFailsWhereOneFails(t *testing.T) {
	influxd.Each(t, func(t *testing.T, server *influxd.Server) {
		detail, ledger := server.Database(t, "detail"), server.Database(t, "ledger")
		file := filepath.Join(t.TempDir(), "c.toml")
		text := "[influx]\nurl = \"" + server.URL + "\"\ntoken = \"" + server.Token + "\"\norg = \"" + server.Org + "\"\ndetail_bucket = \"" + detail + "\"\nledger_bucket = \"" + ledger + "\"\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var shown strings.Builder
		check := func() (string, error) {
			shown.Reset()
			var out strings.Builder
			err := (&dashboardsCheck{Range: time.Hour, fileFlag: fileFlag{ConfigFile: file}}).do(t.Context(), &out, &shown)
			return out.String(), err
		}
		said, err := check()
		if err == nil || !regexp.MustCompile(`^(\d+) of (\d+) queries failed; what each says is in the last column$`).MatchString(err.Error()) {
			t.Errorf("without buckets: %v\n%s", err, said)
		}
		st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if err := st.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		said, err = check()
		if err != nil || !regexp.MustCompile(`(?m)^(\d+) queries, (\d+) without rows, 0 failed$`).MatchString(said) {
			t.Errorf("with empty buckets: %v\n%s", err, said)
		}
		if n := regexp.MustCompile(`(?m)^(\d+) queries,`).FindStringSubmatch(said); n == nil || !strings.HasPrefix(shown.String(), "dashboards 100 %  "+n[1]+" queries ") {
			t.Errorf("the progress was %q", shown.String())
		}
		if !regexp.MustCompile(`(?m)^DASHBOARD +PANEL +QUERY +ROWS +MS +ERROR$`).MatchString(said) || !regexp.MustCompile(`(?m)^programme figures +Each site +B +0 +\d+ *$`).MatchString(said) {
			t.Errorf("the table is\n%s", said)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := (&dashboardsCheck{Range: time.Hour, fileFlag: fileFlag{ConfigFile: file}}).do(ctx, &strings.Builder{}, &strings.Builder{}); err == nil {
			t.Error("a check that was stopped says that all is well")
		}
	})
}
