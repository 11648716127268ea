package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
)

// admin does by hand what a test finds on a 2.x.
type admin struct {
	t      *testing.T
	client influxdb2.Client
}

func newAdmin(t *testing.T, db *influxd.Server) admin {
	client := influxdb2.NewClient(db.URL, db.Token)
	t.Cleanup(client.Close)
	return admin{t, client}
}

func (a admin) org(name string) *domain.Organization {
	a.t.Helper()
	org, err := a.client.OrganizationsAPI().FindOrganizationByName(a.t.Context(), name)
	if err != nil {
		org, err = a.client.OrganizationsAPI().CreateOrganizationWithName(a.t.Context(), name)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return org
}

func (a admin) bucket(org *domain.Organization, name string) *domain.Bucket {
	a.t.Helper()
	b, err := a.client.BucketsAPI().CreateBucketWithName(a.t.Context(), org, name)
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// token may do these things with buckets: with those given, or with all of the organisation scope, or of all where it is nil.
func (a admin) token(org, scope *domain.Organization, buckets []*domain.Bucket, actions ...domain.PermissionAction) string {
	a.t.Helper()
	var may []domain.Permission
	for _, action := range actions {
		for _, b := range buckets {
			may = append(may, domain.Permission{Action: action, Resource: domain.Resource{Type: domain.ResourceTypeBuckets, Id: b.Id, OrgID: b.OrgID}})
		}
		if len(buckets) == 0 {
			r := domain.Resource{Type: domain.ResourceTypeBuckets}
			if scope != nil {
				r.OrgID = scope.Id
			}
			may = append(may, domain.Permission{Action: action, Resource: r})
		}
	}
	made, err := a.client.AuthorizationsAPI().CreateAuthorizationWithOrgID(a.t.Context(), *org.Id, may)
	if err != nil {
		a.t.Fatal(err)
	}
	return *made.Token
}

func TestBucketsOfTwoAreMadeInTheirOrganisation(t *testing.T) {
	db := influxd.TwoForTest(t)
	a := newAdmin(t, db)
	village, town := a.org(db.Org), a.org("town")
	const read, write = domain.PermissionActionRead, domain.PermissionActionWrite
	for i, tt := range []struct {
		name   string
		org    string
		there  int    // how many of the two buckets are there: detail first
		token  string // what it may do, see below
		mapped bool   // InfluxQL leads the name of the detail bucket to another one
		words  string // of the error
	}{
		{name: "none there", org: "village", token: "all"},
		{name: "one there", org: "village", there: 1, token: "all"},
		{name: "both there", org: "village", there: 2, token: "all"},
		{name: "a token for two buckets", org: "village", there: 2, token: "buckets"},
		{name: "a token that may make none", org: "village", there: 1, token: "buckets", words: `make bucket "b4_ledger": find organisation "village": organization 'village' not found; make the bucket by hand or with nabz-collector init`},
		{name: "no organisation", token: "all", words: "set influx.org"},
		{name: "another organisation", org: "city", token: "all", words: `organization name "city" not found; check influx.org`},
		{name: "a token of another organisation", org: "village", there: 2, token: "town's", words: `check that the token may read it and was made in organisation "village"`},
		{name: "the name is taken in InfluxQL", org: "village", token: "all", mapped: true, words: `choose another name in influx.detail_bucket`},
		{name: "a token nobody knows", org: "village", token: "unknown", words: store.ErrUnauthorized.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			names := []string{fmt.Sprint("b", i), fmt.Sprint("b", i, "_ledger")}
			var there []*domain.Bucket
			for _, name := range names[:tt.there] {
				there = append(there, a.bucket(village, name))
			}
			if tt.mapped {
				yes := true
				if _, err := a.client.APIClient().PostDBRP(t.Context(), &domain.PostDBRPAllParams{Body: domain.PostDBRPJSONRequestBody{
					BucketID: *a.bucket(village, "elsewhere").Id, OrgID: village.Id, Database: names[0], RetentionPolicy: "autogen", Default: &yes}}); err != nil {
					t.Fatal(err)
				}
			}
			token := tt.token
			switch tt.token {
			case "all":
				token = db.Token
			case "buckets":
				token = a.token(village, nil, there, read, write)
			case "town's":
				token = a.token(town, nil, nil, read, write)
			}
			c := store.Config{URL: db.URL, Token: token, Org: tt.org, DetailBucket: names[0], LedgerBucket: names[1], DetailRetention: 90 * 24 * time.Hour}
			err := open(t, c).Ensure(t.Context())
			if (err == nil) != (tt.words == "") || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want one with %q", err, tt.words)
			}
			if errors.Is(err, store.ErrUnauthorized) != (tt.token == "unknown") {
				t.Errorf("got %v; want ErrUnauthorized for a token nobody knows, and only then", err)
			}
			for n, name := range names {
				b, err := a.client.BucketsAPI().FindBucketByName(t.Context(), name)
				if wanted := tt.words == "" || n < tt.there; (err == nil) != wanted {
					t.Errorf("bucket %s: got %v, want it there: %v", name, err, wanted)
				}
				if err != nil || n < tt.there {
					continue
				}
				want := []int64{90 * 24 * 3600, 0}[n]
				var keeps int64
				for _, r := range b.RetentionRules {
					keeps = r.EverySeconds
				}
				if keeps != want || *b.OrgID != *village.Id {
					t.Errorf("bucket %s keeps lines for %d s in organisation %s, want %d s in %s", name, keeps, *b.OrgID, want, *village.Id)
				}
			}
		})
	}
}
