package store_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

const days90 = 90 * 24 * time.Hour

// closed runs a test on each InfluxDB that asks who one is.
func closed(t *testing.T, test func(t *testing.T, db *influxd.Server, two bool)) {
	t.Helper()
	t.Run("InfluxDB 1.8 with sign-in", func(t *testing.T) { test(t, influxd.SignInForTest(t), false) })
	t.Run("InfluxDB 2.7", func(t *testing.T) { test(t, influxd.TwoForTest(t), true) })
}

func prepare(t *testing.T, c store.Config, admin string) (token string, done []string) {
	t.Helper()
	token, done, err := store.Prepare(t.Context(), c, admin)
	if err != nil {
		t.Fatalf("prepare: %v, done until then: %q", err, done)
	}
	return token, done
}

// rows counts the lines of measurement m.
func rows(t *testing.T, s *store.Store, tier telemetry.Tier) int {
	t.Helper()
	got, err := s.Query(t.Context(), tier, "SELECT x FROM m")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		return 0
	}
	return len(got[0].Values)
}

func TestPrepareOpensTwoBucketsAndNoOther(t *testing.T) {
	line := fmt.Appendf(nil, "m x=1i %d\n", time.Now().UnixMilli())
	closed(t, func(t *testing.T, db *influxd.Server, _ bool) {
		others := open(t, store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: "other", LedgerBucket: "other_ledger"})
		if err := others.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := others.Write(t.Context(), telemetry.Detail, line); err != nil {
			t.Fatal(err)
		}
		c := store.Config{URL: db.URL, Org: db.Org, DetailRetention: days90}
		token, done := prepare(t, c, db.Token)
		if token == "" || token == db.Token {
			t.Fatalf("got a credential of %d bytes, or the admin's own; want a new one", len(token))
		}
		all := strings.Join(done, "\n")
		for _, want := range []string{`"nabz"`, "for 90 days", `"nabz_ledger"`, "for ever"} {
			if !strings.Contains(all, want) {
				t.Errorf("done is\n%s\nwithout %s", all, want)
			}
		}
		if strings.Contains(all, token) || strings.Contains(all, strings.TrimPrefix(token, "nabz_collector:")) {
			t.Errorf("done tells the secret:\n%s", all)
		}
		c.Token = token
		s := open(t, c)
		if err := s.Ensure(t.Context()); err != nil {
			t.Errorf("ensure with the credential made: %v", err)
		}
		for _, tier := range []telemetry.Tier{telemetry.Detail, telemetry.Ledger} {
			if err := s.Write(t.Context(), tier, line); err != nil {
				t.Errorf("write to %s: %v", tier, err)
			}
			if n := rows(t, s, tier); n != 1 {
				t.Errorf("%s holds %d lines, want 1", tier, n)
			}
		}
		c.DetailBucket, c.LedgerBucket = "other", "other_ledger"
		s = open(t, c)
		err := s.Write(t.Context(), telemetry.Detail, line)
		if err == nil {
			t.Error("it may write to a third bucket")
		}
		t.Logf("writing to a third bucket: %v", err)
		if got, err := s.Query(t.Context(), telemetry.Detail, "SELECT x FROM m"); err == nil {
			t.Errorf("it may read a third bucket: %v", got)
		} else {
			t.Logf("reading a third bucket: %v", err)
		}
		if n := rows(t, others, telemetry.Detail); n != 1 {
			t.Errorf("the third bucket holds %d lines, want the 1 of its owner", n)
		}
		c.DetailBucket, c.LedgerBucket = "fourth", "fourth_ledger"
		if err := open(t, c).Ensure(t.Context()); err == nil {
			t.Error("it may make buckets")
		} else {
			t.Logf("making a bucket: %v", err)
		}
	})
}

func TestASecondPrepareChangesNothing(t *testing.T) {
	closed(t, func(t *testing.T, db *influxd.Server, two bool) {
		c := store.Config{URL: db.URL, Org: db.Org, DetailRetention: days90}
		first, _ := prepare(t, c, db.Token)
		c.Token = first
		for who, admin := range map[string]string{"the admin": db.Token, "nobody else": ""} {
			again, done := prepare(t, c, admin)
			if again != first {
				t.Errorf("with the credential in the configuration and the rights of %s: got another credential", who)
			}
			for _, what := range done {
				if !strings.HasPrefix(what, "found ") && !strings.HasPrefix(what, "kept ") {
					t.Errorf("a second time with the rights of %s it has done more than look: %q", who, what)
				}
			}
		}
		for why, had := range map[string]string{"lost": "", "that of the admin": db.Token} {
			c.Token = had
			again, done := prepare(t, c, db.Token)
			all := strings.Join(done, "\n")
			switch {
			case two && (again != first || !strings.Contains(all, "found API token")):
				t.Errorf("the credential in the configuration is %s: want the one made before, got another and\n%s", why, all)
			case !two && (again == first || !strings.Contains(all, "a new password")):
				t.Errorf("the credential in the configuration is %s: want a new password and a word on it, got\n%s", why, all)
			}
			c.Token = again
			if err := open(t, c).Write(t.Context(), telemetry.Ledger, []byte("m x=1i 1\n")); err != nil {
				t.Errorf("write with it: %v", err)
			}
		}
	})
}

// The rights that "influx auth create --all-access" gives, as far as they matter here.
func TestAnAllAccessTokenOfTheOrganisationIsEnoughToPrepare(t *testing.T) {
	db := influxd.TwoForTest(t)
	a := newAdmin(t, db)
	org := a.org(db.Org)
	me, err := a.client.UsersAPI().FindUserByName(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	var may []domain.Permission
	for _, action := range []domain.PermissionAction{domain.PermissionActionRead, domain.PermissionActionWrite} {
		for _, r := range []domain.Resource{{Type: domain.ResourceTypeAuthorizations, OrgID: org.Id}, {Type: domain.ResourceTypeBuckets, OrgID: org.Id},
			{Type: domain.ResourceTypeOrgs, Id: org.Id}, {Type: domain.ResourceTypeUsers, Id: me.Id}} {
			may = append(may, domain.Permission{Action: action, Resource: r})
		}
	}
	made, err := a.client.AuthorizationsAPI().CreateAuthorizationWithOrgID(t.Context(), *org.Id, may)
	if err != nil {
		t.Fatal(err)
	}
	c := store.Config{URL: db.URL, Org: db.Org, DetailRetention: days90}
	token, done := prepare(t, c, *made.Token)
	if again, more := prepare(t, c, *made.Token); token == "" || again != token {
		t.Errorf("twice: %q, %q", done, more)
	}
}

func TestTroubleIsNoReasonToReplaceACredential(t *testing.T) {
	closed(t, func(t *testing.T, db *influxd.Server, _ bool) {
		c := store.Config{URL: db.URL, Org: db.Org}
		token, _ := prepare(t, c, db.Token)
		to, err := url.Parse(db.URL)
		if err != nil {
			t.Fatal(err)
		}
		next := httputil.NewSingleHostReverseProxy(to)
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Token "+token {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		}))
		defer proxy.Close()
		c.URL, c.Token = proxy.URL, token
		if got, done, err := store.Prepare(t.Context(), c, db.Token); err == nil || got != "" {
			t.Errorf("got a credential of %d bytes, %q; want the trouble told", len(got), done)
		}
		c.URL = db.URL
		if err := open(t, c).Write(t.Context(), telemetry.Ledger, []byte("m x=1i 1\n")); err != nil {
			t.Errorf("the credential of before: %v", err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() // of the proxy
	})
}

func TestPrepareOnAnInfluxDBThatAsksForNothingMakesNoUser(t *testing.T) {
	db := influxd.ChildForTest(t)
	token, done := prepare(t, store.Config{URL: db.URL, DetailRetention: days90}, "")
	if token != "" || !strings.Contains(strings.Join(done, "\n"), "asks nobody for a password") {
		t.Errorf("got a credential of %d bytes and %q", len(token), done)
	}
	_, done = prepare(t, store.Config{URL: db.URL, DetailRetention: days90}, "")
	if want := []string{`found "nabz", which keeps lines for 90 days`, `found "nabz_ledger", which keeps lines for ever`}; !slices.Equal(done[:2], want) {
		t.Errorf("a second time: got %q, want %q", done, want)
	}
}

func TestARetentionThatSomeoneGaveStaysAndIsTold(t *testing.T) {
	influxd.EachChild(t, func(t *testing.T, db *influxd.Server) {
		// The ledger's name is the detail bucket of another configuration, which keeps a month.
		c := store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: "pulse", LedgerBucket: "unused", DetailRetention: 30 * 24 * time.Hour}
		if err := open(t, c).Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.DetailBucket, c.LedgerBucket, c.Token = "unused", "pulse", ""
		for range 2 {
			_, done := prepare(t, c, db.Token)
			if all := strings.Join(done, "\n"); !strings.Contains(all, `found "pulse", which keeps lines for 30 days and was left so; the ledger is meant to be kept for ever`) ||
				!strings.Contains(all, `found "unused", which keeps lines for ever and was left so; influx.detail_retention says for 30 days`) {
				t.Errorf("got\n%s", all)
			}
		}
	})
}

func TestPrepareSaysWhatItLacks(t *testing.T) {
	fails := func(t *testing.T, c store.Config, admin string, want ...string) {
		t.Helper()
		token, _, err := store.Prepare(t.Context(), c, admin)
		for _, w := range want {
			if token != "" || !strings.Contains(fmt.Sprint(err), w) {
				t.Errorf("got %v, want %q", err, w)
			}
		}
	}
	closed(t, func(t *testing.T, db *influxd.Server, two bool) {
		c := store.Config{URL: db.URL, Org: db.Org}
		fails(t, c, "", store.ErrUnauthorized.Error(), "give one that may do so")
		fails(t, c, "wrong:wrong", store.ErrUnauthorized.Error(), "this was with the admin's credential")
		if two {
			c.Org = ""
			fails(t, c, db.Token, store.ErrNoOrg.Error())
			c.Org = "town"
			fails(t, c, db.Token, `"town" not found`, "check influx.org")
			c.Org, c.DetailBucket = db.Org, "gokina/detail"
			fails(t, c, db.Token, `choose another name in influx.detail_bucket`)
		}
	})
	t.Run("InfluxDB 1.8 with sign-in and no admin", func(t *testing.T) {
		path, err := influxd.Find(t.Context(), t.Output())
		if err != nil {
			testneed.Missing(t, "InfluxDB", err.Error())
		}
		db, err := influxd.Start(t.Context(), influxd.Options{Path: path, SignIn: true, Dir: t.TempDir(), Log: t.Output()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Stop() })
		fails(t, store.Config{URL: db.URL}, "", "create admin user first or disable authentication", "give one that may do so")
		fails(t, store.Config{URL: db.URL}, "admin:any thing", "holds a blank")
	})
	t.Run("InfluxDB 2.7 that nobody has set up", func(t *testing.T) {
		path, err := influxd.FindTwo(t.Context())
		if err != nil {
			t.Skipf("needs InfluxDB %s, which this machine lacks (%v)", influxd.VersionTwo, err)
		}
		dir := t.TempDir() // a server with a token in its folder is taken for one that was set up
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := influxd.Start(t.Context(), influxd.Options{Path: path, Two: true, Dir: dir, Log: t.Output()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Stop() })
		fails(t, store.Config{URL: db.URL, Org: db.Org}, "anything", "has no user yet: set it up first")
	})
	t.Run("nobody there", func(t *testing.T) {
		fails(t, store.Config{URL: "http://127.0.0.1:1"}, "", "check influx.url, and that InfluxDB runs")
	})
}

// What each version answers to a wrong credential, a bucket that is gone, and rights that are too few.
func TestEachFaultOfARealInfluxDBSaysWhatToDo(t *testing.T) {
	closed(t, func(t *testing.T, db *influxd.Server, two bool) {
		c := store.Config{URL: db.URL, Org: db.Org}
		token, _ := prepare(t, c, db.Token)
		c.Token = "nobody:nothing"
		s := open(t, c)
		_, asked := s.Query(t.Context(), telemetry.Detail, "SELECT x FROM m")
		for did, err := range map[string]error{"ensure": s.Ensure(t.Context()), "write": s.Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n")), "query": asked} {
			if !errors.Is(err, store.ErrUnauthorized) {
				t.Errorf("%s with a wrong credential: got %v, want ErrUnauthorized", did, err)
			}
		}
		c.Token, c.DetailBucket = token, "never_made"
		s = open(t, c)
		if err := s.Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n")); err == nil || !strings.Contains(err.Error(), "never_made") && !errors.Is(err, store.ErrUnauthorized) {
			t.Errorf("write to a bucket that is not there, without the right to make it: got %v, want its name, or ErrUnauthorized", err)
		} else {
			t.Log(err)
		}
		c.Token = db.Token
		_, err := open(t, c).Query(t.Context(), telemetry.Detail, "SELECT x FROM m")
		if !errors.Is(err, store.ErrNoBucket) || !strings.Contains(err.Error(), "never_made") {
			t.Errorf("query of a bucket that is not there: got %v, want ErrNoBucket and its name", err)
		}
		if two { // a right to read and none to write
			c.DetailBucket = ""
			a := newAdmin(t, db)
			c.Token = a.token(a.org(db.Org), a.org(db.Org), nil, domain.PermissionActionRead)
			if err := open(t, c).Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n")); !errors.Is(err, store.ErrUnauthorized) {
				t.Errorf("write with a right to read: got %v, want ErrUnauthorized", err)
			}
		}
	})
}

func TestPrepareMakesTheFirstAdminOfAServerThatHasNobody(t *testing.T) {
	path, err := influxd.Find(t.Context(), os.Stderr)
	if err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	db, err := influxd.Start(t.Context(), influxd.Options{Path: path, Dir: t.TempDir(), SignIn: true, NoFlux: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop() })
	const admin = `chief:it's\"hard"\to,guess:é`
	c := store.Config{URL: db.URL}
	token, done := prepare(t, c, admin)
	if len(done) == 0 || done[0] != `made user "chief", InfluxDB's admin, with the password that was given` || strings.Contains(fmt.Sprint(done), "guess") {
		t.Errorf("done: %q", done)
	}
	if c.Token = token; token == "" || token == admin {
		t.Errorf("the collector's own credential is %q", token)
	}
	if again, done := prepare(t, c, admin); again != token || strings.Contains(fmt.Sprint(done), "chief") {
		t.Errorf("again: %q, %q", again, done)
	}
	if _, _, err := store.Prepare(t.Context(), store.Config{URL: db.URL}, "other:guess"); !errors.Is(err, store.ErrUnauthorized) {
		t.Errorf("where there is an admin, another was taken: %v", err)
	}
}
