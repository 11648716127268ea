package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// two plays the part of InfluxDB 2.7.12 that Ensure uses, with the answers that a real one gave. It has one
// organisation, village. The token "all" may do all; "buckets" may read and write the buckets there are, no more;
// "other" belongs to another organisation but may do all in this one too, as that of an operator.
type two struct {
	t       *testing.T
	version string
	buckets []string // of village
	mapped  []string // names that InfluxQL knows beside those of the buckets
	made    []string // name and retention
}

func (f *two) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Influxdb-Build", "OSS")
	w.Header().Set("X-Influxdb-Version", f.version)
	if r.URL.Path == "/ping" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reply := func(status int, body string, args ...any) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, body, args...)
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Token ")
	if !slices.Contains([]string{"all", "buckets", "other"}, token) {
		reply(401, `{"code":"unauthorized","message":"unauthorized access"}`)
		return
	}
	switch name := r.FormValue("name"); r.Method + " " + r.URL.Path {
	case "GET /api/v2/orgs":
		switch org := r.FormValue("org"); {
		case token == "buckets":
			reply(200, `{"links":{"self":"/api/v2/orgs"},"orgs":[]}`)
		case org == "" || org == "village":
			reply(200, `{"orgs":[{"id":"0123456789abcdef","name":"village"}]}`)
		default:
			reply(404, `{"code":"not found","message":"organization name \"%s\" not found"}`, org)
		}
	case "GET /api/v2/buckets":
		switch org := r.FormValue("org"); {
		case org == "": // of all organisations: the other one has these two
			reply(200, `{"buckets":[{"id":"f4e23d07ffec58ae","orgID":"be3cdc8565de76f1","name":%q,"retentionRules":[]}]}`, name)
		case org != "village":
			reply(404, `{"code":"not found","message":"organization name \"%s\" not found"}`, org)
		case slices.Contains(f.buckets, name):
			reply(200, `{"buckets":[{"id":"fbe01905782fbb32","orgID":"0123456789abcdef","name":%q,"retentionRules":[]}]}`, name)
		default:
			reply(404, `{"code":"not found","message":"bucket \"%s\" not found"}`, name)
		}
	case "POST /api/v2/buckets":
		var b struct {
			Name, OrgID    string
			RetentionRules []struct{ EverySeconds int64 }
		}
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			f.t.Error(err)
		}
		f.buckets = append(f.buckets, b.Name)
		f.made = append(f.made, fmt.Sprint(b.OrgID, "/", b.Name, b.RetentionRules))
		reply(201, `{"id":"6b3c49b18ebbc21c","name":%q,"retentionRules":[]}`, b.Name)
	case "POST /query":
		if db := r.FormValue("db"); token == "other" || !slices.Contains(f.buckets, db) && !slices.Contains(f.mapped, db) {
			reply(200, `{"results":[{"statement_id":0,"error":"database not found: %s"}]}`, db)
			return
		}
		reply(200, `{"results":[{"statement_id":0}]}`)
	default:
		f.t.Errorf("%s %s is not expected", r.Method, r.URL)
	}
}

func TestBucketsOfTwoAreMadeInTheirOrganisation(t *testing.T) {
	const village = "0123456789abcdef/"
	both := []string{"nabz", "nabz_ledger"}
	for _, tt := range []struct {
		name, version, token, org string
		buckets, mapped, made     []string
		words                     string // of the error
	}{
		{name: "none there", token: "all", org: "village", made: []string{village + "nabz[{7776000}]", village + "nabz_ledger[]"}},
		{name: "one there", token: "all", org: "village", buckets: both[:1], made: []string{village + "nabz_ledger[]"}},
		{name: "built from source", version: "dev", token: "all", org: "village", buckets: both[:1], made: []string{village + "nabz_ledger[]"}},
		{name: "a token for two buckets", token: "buckets", org: "village", buckets: both},
		{name: "a token that may make none", token: "buckets", org: "village", buckets: both[:1], words: `make bucket "nabz_ledger": find organisation "village": organization 'village' not found; make the bucket by hand`},
		{name: "no organisation", token: "all", words: "set influx.org"},
		{name: "another organisation", token: "all", org: "town", words: `organization name "town" not found; check influx.org`},
		{name: "a token of another organisation", token: "other", org: "village", buckets: both, words: `database not found: nabz`},
		{name: "the name is taken in InfluxQL", token: "all", org: "village", buckets: both[1:], mapped: both[:1], words: `choose another name in influx.detail_bucket`},
		{name: "a token nobody knows", token: "wrong", org: "village", words: store.ErrUnauthorized.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &two{t: t, version: tt.version, buckets: slices.Clone(tt.buckets), mapped: tt.mapped}
			if f.version == "" {
				f.version = "v2.7.12"
			}
			h := httptest.NewServer(f)
			defer h.Close()
			err := open(t, store.Config{URL: h.URL, Token: tt.token, Org: tt.org, DetailRetention: 90 * 24 * time.Hour}).Ensure(t.Context())
			if (err == nil) != (tt.words == "") || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want one with %q", err, tt.words)
			}
			if errors.Is(err, store.ErrUnauthorized) != (tt.token == "wrong") {
				t.Errorf("got %v; want ErrUnauthorized for a wrong token, and only then", err)
			}
			slices.Sort(f.made)
			if tt.words == "" && !slices.Equal(f.made, tt.made) || tt.words != "" && len(f.made) > 0 && tt.token == "buckets" {
				t.Errorf("made %v, want %v", f.made, tt.made)
			}
		})
	}
}

// The InfluxDB that the environment names is asked where it wants a token, else the one above.
func TestAWrongTokenIsToldFromTrouble(t *testing.T) {
	c := store.Config{URL: os.Getenv("INFLUX_URL"), Token: "wrong", Org: os.Getenv("INFLUX_ORG")}
	if c.URL == "" || os.Getenv("INFLUX_TOKEN") == "" {
		h := httptest.NewServer(&two{t: t, version: "v2.7.12"})
		defer h.Close()
		c.URL, c.Org = h.URL, "village"
	}
	s := open(t, c)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping needs no token: %v", err)
	}
	_, asked := s.Query(t.Context(), telemetry.Detail, "SELECT x FROM m")
	for did, err := range map[string]error{"ensure": s.Ensure(t.Context()), "write": s.Write(t.Context(), telemetry.Detail, []byte("m x=1i 1\n")), "query": asked} {
		if !errors.Is(err, store.ErrUnauthorized) {
			t.Errorf("%s: got %v, want ErrUnauthorized", did, err)
		}
	}
}
