package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is a time that no retention has passed yet.
var noon = time.Date(2025, 11, 3, 12, 0, 0, 0, time.UTC)

func logTo(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func open(t testing.TB, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(c, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// real opens a store with databases of its own.
func real(t testing.TB, db *influxd.Server, change func(*store.Config)) *store.Store {
	t.Helper()
	c := store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")}
	if change != nil {
		change(&c)
	}
	s := open(t, c)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIsWrittenComesBackInItsOwnTier(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		for _, gzip := range []bool{false, true} {
			t.Run(fmt.Sprint("gzip=", gzip), func(t *testing.T) {
				s := real(t, db, func(c *store.Config) { c.Gzip = gzip })
				if err := s.Ensure(t.Context()); err != nil {
					t.Fatalf("a second Ensure: %v", err)
				}
				line := fmt.Sprintf("host,agent=a,site=s cpu_pct=12.5,uptime_s=9007199254740993i %d\n", noon.UnixMilli())
				if err := s.Write(t.Context(), telemetry.Detail, []byte(line)); err != nil {
					t.Fatal(err)
				}
				got, err := s.Query(t.Context(), telemetry.Detail, `SELECT cpu_pct, uptime_s FROM host GROUP BY site, agent`)
				if err != nil {
					t.Fatal(err)
				}
				want := fmt.Sprintf(`[{"name":"host","tags":{"agent":"a","site":"s"},"columns":["time","cpu_pct","uptime_s"],"values":[[%d,12.5,9007199254740993]]}]`, noon.UnixMilli())
				if text, _ := json.Marshal(got); string(text) != want {
					t.Errorf("got  %s\nwant %s", text, want)
				}
				if got, err := s.Query(t.Context(), telemetry.Ledger, `SELECT * FROM host`); err != nil || len(got) != 0 {
					t.Errorf("the ledger has %v (%v), want nothing", got, err)
				}
			})
		}
	})
}

func TestARefusalIsToldApartFromTrouble(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		s := real(t, db, nil)
		at := noon.UnixMilli()
		if err := s.Write(t.Context(), telemetry.Detail, fmt.Appendf(nil, "m x=1i %d\n", at)); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"another type":        fmt.Sprintf("m x=1i %d\nm x=1.5 %d\n", at+1, at+2),
			"not a line":          "m x=abc 12\n",
			"beyond all times":    "m x=1i 9223372036854775807\n",
			"one of three broken": fmt.Sprintf("m x=1i %d\nm x= %d\nm x=3i %d\n", at+3, at+4, at+5),
		} {
			var refused *store.RefusedError
			if err := s.Write(t.Context(), telemetry.Detail, []byte(text)); !errors.As(err, &refused) || refused.Words == "" {
				t.Errorf("%s: got %v, want a RefusedError with words", name, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var refused *store.RefusedError
		if err := s.Write(ctx, telemetry.Detail, []byte("m x=1i 1\n")); err == nil || errors.As(err, &refused) {
			t.Errorf("cancelled: got %v, want an error that is not a refusal", err)
		}
	})
}

func TestADatabaseThatIsGoneIsMadeAgain(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		s := open(t, store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")})
		line := []byte("m x=1i 1762171200000\n")
		if err := s.Write(t.Context(), telemetry.Ledger, line); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Fatalf("write without a database: got %v, want one that says it was not found", err)
		}
		if err := s.Write(t.Context(), telemetry.Ledger, line); err != nil {
			t.Errorf("the second try: %v", err)
		}
	})
}

func TestOnlyTheDetailBucketForgets(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		s := real(t, db, func(c *store.Config) { c.DetailRetention = 90 * 24 * time.Hour })
		ago := func(days int) []byte {
			at := time.Now().AddDate(0, 0, -days).UnixMilli()
			return fmt.Appendf(nil, "m x=1i %d\nm x=2i %d\n", at, at+1)
		}
		for _, tt := range []struct {
			tier telemetry.Tier
			days int
			kept bool
		}{{telemetry.Detail, 88, true}, {telemetry.Detail, 92, false}, {telemetry.Ledger, 92, true}, {telemetry.Ledger, 4000, true}} {
			err := s.Write(t.Context(), tt.tier, ago(tt.days))
			var refused *store.RefusedError
			if tt.kept && err != nil || !tt.kept && (!errors.As(err, &refused) || refused.Dropped != 2) {
				t.Errorf("%s of %d days ago: got %v, want kept %v, else both lines counted as refused", tt.tier, tt.days, err, tt.kept)
			}
		}
	})
}

func TestAnAnswerOverTheBoundIsAnErrorAndNotAPart(t *testing.T) {
	influxd.Each(t, func(t *testing.T, db *influxd.Server) {
		s := real(t, db, func(c *store.Config) { c.MaxResponse = 4 << 10 })
		var lines []byte
		for i := range int64(1000) {
			lines = fmt.Appendf(lines, "m x=%di %d\n", i, noon.UnixMilli()+i)
		}
		if err := s.Write(t.Context(), telemetry.Detail, lines); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Query(t.Context(), telemetry.Detail, "SELECT x FROM m"); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("got %v, want ErrTooLarge", err)
		}
		if got, err := s.Query(t.Context(), telemetry.Detail, "SELECT count(x) FROM m"); err != nil || got[0].Values[0][1] != json.Number("1000") {
			t.Errorf("got %v (%v), want 1000", got, err)
		}
		if _, err := s.Query(t.Context(), telemetry.Detail, "SELEC x"); err == nil || !strings.Contains(err.Error(), "found SELEC, expected SELECT") {
			t.Errorf("got %v, want the server's words on the query", err)
		}
	})
}

// answers makes a server that answers every request in one way.
func answers(t *testing.T, status int, body string) string {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(h.Close)
	return h.URL
}

func TestEachAnswerHasItsMeaning(t *testing.T) {
	tests := []struct {
		name         string
		status       int
		body         string
		unauthorized bool
		refused      bool
		words        string
	}{
		{"2.x partial write", 422, `{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict dropped=3"}`, false, true, "dropped=3"},
		{"2.x beyond the retention", 422, `{"code":"unprocessable entity","message":"failure writing points to database: partial write: dropped 3 points outside retention policy of duration 2160h0m0s - oldest point m at 2026-08-15T14:05:33Z dropped because it violates a Retention Policy Lower Bound dropped=3 for database: 8cea4cea2d7e02a7 for retention policy: autogen"}`, false, true, "dropped=3"},
		{"2.x without an organisation", 400, `{"code":"invalid","message":"Please provide either orgID or org"}`, false, false, "set influx.org"},
		{"no token", 401, `{"code":"unauthorized","message":"unauthorized access"}`, true, false, "check influx.token"},
		{"may not write", 403, `{"error":"\"nabz\" user is not authorized to write to database \"nabz\""}`, true, false, "check influx.token"},
		{"too many requests", 429, `{"code":"too many requests","message":"limit reached"}`, false, false, "429: limit reached"},
		{"server fault", 500, `{"error":"timeout"}`, false, false, "answers 500"},
		{"proxy without a server", 502, `<html>bad gateway</html>`, false, false, "answers 502"},
		{"endless words", 400, `{"message":"` + strings.Repeat("unable to parse ", 50_000) + `"}`, false, true, "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, store.Config{URL: answers(t, tt.status, tt.body)})
			err := s.Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n"))
			var refused *store.RefusedError
			if errors.Is(err, store.ErrUnauthorized) != tt.unauthorized || errors.As(err, &refused) != tt.refused || !strings.Contains(fmt.Sprint(err), tt.words) || len(fmt.Sprint(err)) > 1000 {
				t.Errorf("got %.300v; want unauthorized %v, refused %v, words %q", err, tt.unauthorized, tt.refused, tt.words)
			}
			if tt.words == "dropped=3" && (refused == nil || refused.Dropped != 3) {
				t.Errorf("got %+v, want 3 dropped", refused)
			}
		})
	}
	s := open(t, store.Config{URL: "http://127.0.0.1:1"})
	var refused *store.RefusedError
	if err := s.Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n")); err == nil || errors.As(err, &refused) || errors.Is(err, store.ErrUnauthorized) {
		t.Errorf("nobody there: got %v, want trouble", err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("ping of nobody succeeds")
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, c := range []store.Config{{}, {URL: "127.0.0.1:8086"}, {URL: "udp://127.0.0.1:1"}, {URL: "http://127.0.0.1:1", DetailBucket: "x", LedgerBucket: "x"}} {
		if _, err := store.Open(c, logTo(t)); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
