package store_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func inspect(t *testing.T, c store.Config) store.Condition {
	t.Helper()
	got, err := open(t, c).Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Since(got.Clock).Abs(); off > 5*time.Second {
		t.Errorf("its clock is %v off", off)
	}
	return got
}

func TestWhatACollectorHasMadeIsFoundInOrder(t *testing.T) {
	closed(t, func(t *testing.T, db *influxd.Server, two bool) {
		c := store.Config{URL: db.URL, Org: db.Org, DetailRetention: days90}
		c.Token, _ = prepare(t, c, db.Token)
		got := inspect(t, c)
		if wantMajor := map[bool]int{false: 1, true: 2}[two]; got.Major != wantMajor || len(got.Buckets) != 2 {
			t.Fatalf("got %+v", got)
		}
		for i, want := range []store.Bucket{{Tier: telemetry.Detail, Name: "nabz", Keep: days90, WantKeep: days90},
			{Tier: telemetry.Ledger, Name: "nabz_ledger", Shard: 13 * 7 * 24 * time.Hour, MinShard: 13 * 7 * 24 * time.Hour}} {
			b := got.Buckets[i]
			if i == 0 {
				b.Shard = 0 // a day, or a week: any does
			}
			if b != want {
				t.Errorf("got %+v\nwant %+v", b, want)
			}
		}
	})
}

func TestTheStatementThatIsToldMendsWhatABucketKeeps(t *testing.T) {
	t.Run("InfluxDB 1.8", func(t *testing.T) {
		db := influxd.ChildForTest(t)
		c := store.Config{URL: db.URL, DetailRetention: days90}
		ask := func(q string) {
			t.Helper()
			res, err := http.PostForm(db.URL+"/query", url.Values{"q": {q}})
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if said, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || bytes.Contains(said, []byte("error")) {
				t.Fatalf("%s: %s %s %v", q, res.Status, said, err)
			}
		}
		ask(`CREATE DATABASE "nabz"`)
		ask(`CREATE DATABASE "nabz_ledger" WITH DURATION 30d`)
		got := inspect(t, c)
		for i, want := range []string{`ALTER RETENTION POLICY "autogen" ON "nabz" DURATION 7776000s`, `ALTER RETENTION POLICY "autogen" ON "nabz_ledger" DURATION INF SHARD DURATION 13w`} {
			if got.Buckets[i].Mend != want {
				t.Errorf("got %q, want %q", got.Buckets[i].Mend, want)
			}
			ask(got.Buckets[i].Mend)
		}
		for _, b := range inspect(t, c).Buckets {
			if b.Mend != "" || b.Keep != b.WantKeep || b.Shard < b.MinShard {
				t.Errorf("mended, it is %+v", b)
			}
		}
	})
	t.Run("InfluxDB 2.7", func(t *testing.T) { // the command influx is not here: what it would ask for is asked for
		db := influxd.TwoForTest(t)
		a := newAdmin(t, db)
		for _, name := range []string{"nabz", "nabz_ledger"} {
			a.bucket(a.org(db.Org), name)
		}
		c := store.Config{URL: db.URL, Org: db.Org, Token: db.Token, DetailRetention: days90}
		ledger := inspect(t, c).Buckets[1]
		at, options, ok := strings.Cut(strings.TrimPrefix(ledger.Mend, "influx bucket update --id "), " ")
		if want := "--retention 0 --shard-group-duration 2184h"; !ok || options != want {
			t.Fatalf("got %q, want … %q", ledger.Mend, want)
		}
		shard := int64(2184 * 3600)
		if _, err := a.client.BucketsAPI().UpdateBucket(t.Context(), &domain.Bucket{Id: &at, Name: "nabz_ledger", RetentionRules: domain.RetentionRules{{EverySeconds: 0, ShardGroupDurationSeconds: &shard}}}); err != nil {
			t.Fatal(err)
		}
		if b := inspect(t, c).Buckets[1]; b.Mend != "" {
			t.Errorf("mended, it is %+v", b)
		}
	})
}

func TestWhatACredentialMayNotDoIsFound(t *testing.T) {
	closed(t, func(t *testing.T, db *influxd.Server, two bool) {
		c := store.Config{URL: db.URL, Org: db.Org, DetailRetention: days90}
		prepare(t, c, db.Token)
		c.Token = "nobody:guess"
		for _, b := range inspect(t, c).Buckets {
			if !errors.Is(b.Read, store.ErrUnauthorized) || !errors.Is(b.Write, store.ErrUnauthorized) {
				t.Errorf("%s: read %v, write %v", b.Name, b.Read, b.Write)
			}
		}
		c.Token, c.LedgerBucket = db.Token, "elsewhere"
		if b := inspect(t, c).Buckets[1]; !errors.Is(b.Read, store.ErrNoBucket) || !errors.Is(b.Write, store.ErrNoBucket) {
			t.Errorf("missing: read %v, write %v", b.Read, b.Write)
		}
	})
}
