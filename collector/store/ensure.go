package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/telemetry"
)

// ledgerShard is how much time one file of InfluxDB's holds of the ledger. Where lines are kept for ever it would be a week; three lines an hour of a site are
// little, and a report of a month then costs half as much, as InfluxDB opens each series in each file.
const ledgerShard = 13 * 7 * 24 * time.Hour

// tiers is the order in which buckets are made and told of.
func tiers() []telemetry.Tier { return []telemetry.Tier{telemetry.Detail, telemetry.Ledger} }

// Ensure makes the two databases (1.x) or buckets (2.x) where they are missing, with the mapping that InfluxQL needs, and
// leaves alone those that are there, with the retention that someone gave them. It may be called again at any time.
func (s *Store) Ensure(ctx context.Context) error {
	made, _, err := s.ensureAll(ctx)
	for _, m := range made {
		s.log.Info("made what was missing in InfluxDB", "what", m.what)
	}
	return err
}

// made is something that was missing.
type made struct {
	what   string // in words
	tier   telemetry.Tier
	bucket bool // the bucket itself
}

// ensureAll tells what it has made, until it failed, and the major version.
func (s *Store) ensureAll(ctx context.Context) (all []made, version int, err error) {
	s.ensure.Lock()
	defer s.ensure.Unlock()
	headers, err := s.ping(ctx)
	if err != nil {
		return nil, 0, err
	}
	version = major(headers)
	switch version {
	case 3: // makes a database at its first line
	case 2:
		all, err = s.ensureBuckets(ctx)
	default:
		all, err = s.ensureDatabases(ctx)
	}
	if err != nil {
		err = fmt.Errorf("make the buckets in InfluxDB at %s: %w", s.c.URL, err)
	}
	return all, version, err
}

// major is the major version. 1.8 says "1.8.10", or "unknown" when it was built from source; 2.x says "v2.7.1", or
// "dev"; the cloud names no version, but its build.
func major(h http.Header) int {
	version := strings.TrimPrefix(h.Get("X-Influxdb-Version"), "v")
	switch {
	case strings.HasPrefix(version, "2."), version == "dev", strings.EqualFold(h.Get("X-Influxdb-Build"), "cloud"):
		return 2
	case strings.HasPrefix(version, "3."):
		return 3
	}
	return 1
}

func (s *Store) ensureDatabases(ctx context.Context) (all []made, err error) {
	series, err := s.query(ctx, "", "SHOW DATABASES")
	if err != nil {
		return nil, err
	}
	there := names(series)
	for _, tier := range tiers() {
		name := s.buckets[tier]
		if there[name] {
			continue
		}
		q := "CREATE DATABASE " + quoteName(name)
		switch keep := s.retention(tier); {
		case keep > 0:
			q += fmt.Sprintf(" WITH DURATION %ds", int64(keep.Seconds()))
		case tier == telemetry.Ledger:
			q += fmt.Sprintf(" WITH SHARD DURATION %ds", int64(ledgerShard.Seconds()))
		}
		if _, err := s.query(ctx, "", q); err != nil {
			return all, fmt.Errorf("make database %q: %w", name, err)
		}
		all = append(all, made{fmt.Sprintf("database %q, which keeps lines %s", name, span(s.retention(tier))), tier, true})
	}
	return all, nil
}

// names is the first column.
func names(series []Series) map[string]bool {
	out := map[string]bool{}
	for _, one := range series {
		for _, row := range one.Values {
			if name, ok := row[0].(string); ok {
				out[name] = true
			}
		}
	}
	return out
}

// span is a retention as people say it.
func span(keep time.Duration) string {
	switch day := 24 * time.Hour; {
	case keep == 0:
		return "for ever"
	case keep%day == 0:
		return fmt.Sprintf("for %d days", keep/day)
	}
	return fmt.Sprintf("for %v", keep)
}

func (s *Store) ensureBuckets(ctx context.Context) (all []made, err error) {
	if s.c.Org == "" { // 2.x would take the first that the token sees, and then refuse every line
		return nil, ErrNoOrg
	}
	for _, tier := range tiers() {
		name := s.buckets[tier]
		if strings.Contains(name, "/") {
			return all, fmt.Errorf("bucket %q: to InfluxQL the name of a database ends at the slash; choose another name in influx.%s_bucket", name, tier)
		}
		there, err := s.bucket(ctx, name)
		if err != nil {
			return all, fmt.Errorf("find bucket %q of organisation %q: %w", name, s.c.Org, denied(err))
		}
		if there == nil {
			if there, err = s.makeBucket(ctx, tier, name); err != nil {
				return all, fmt.Errorf("make bucket %q: %w", name, denied(err))
			}
			all = append(all, made{fmt.Sprintf("bucket %q in organisation %q, which keeps lines %s", name, s.c.Org, span(s.retention(tier))), tier, true})
		}
		err = s.answers(ctx, name)
		if errors.Is(err, ErrNoBucket) && s.makeMapping(ctx, there) == nil {
			all = append(all, made{fmt.Sprintf("the mapping through which InfluxQL finds bucket %q", name), tier, false})
			err = s.answers(ctx, name)
		}
		if err != nil { // InfluxQL looks in the token's own organisation, whatever influx.org says
			return all, fmt.Errorf("ask bucket %q in InfluxQL: %w; check that the token may read it and was made in organisation %q", name, err, s.c.Org)
		}
	}
	return all, nil
}

// makeMapping leads InfluxQL to a bucket. A later 2.x does so itself, the first of them did not.
func (s *Store) makeMapping(ctx context.Context, b *domain.Bucket) error {
	if b.Id == nil || b.OrgID == nil {
		return errors.New("the bucket has no id")
	}
	got, err := s.client.APIClient().GetDBRPs(ctx, &domain.GetDBRPsParams{OrgID: b.OrgID, Db: &b.Name})
	if err != nil {
		return err
	}
	if got.Content != nil && len(*got.Content) > 0 {
		return errors.New("there is one, of which this token knows nothing")
	}
	yes := true
	_, err = s.client.APIClient().PostDBRP(ctx, &domain.PostDBRPAllParams{Body: domain.PostDBRPJSONRequestBody{
		BucketID: *b.Id, OrgID: b.OrgID, Database: b.Name, RetentionPolicy: "autogen", Default: &yes}})
	return err
}

// bucket looks in our organisation only: a token of an operator sees those of the others too. It needs no more rights
// than to read the bucket. Nil is that there is none.
func (s *Store) bucket(ctx context.Context, name string) (*domain.Bucket, error) {
	got, err := s.client.APIClient().GetBuckets(ctx, &domain.GetBucketsParams{Org: &s.c.Org, Name: &name})
	if err != nil {
		switch said := err.Error(); {
		case strings.HasPrefix(said, "not found: bucket"):
			return nil, nil
		case strings.HasPrefix(said, "not found: organization"):
			return nil, fmt.Errorf("%w; check influx.org", err)
		}
		return nil, err
	}
	if got.Buckets == nil || len(*got.Buckets) == 0 {
		return nil, nil
	}
	return &(*got.Buckets)[0], nil
}

func (s *Store) makeBucket(ctx context.Context, tier telemetry.Tier, name string) (*domain.Bucket, error) {
	if s.answers(ctx, name) == nil { // lines would go to one bucket, and queries to the other
		return nil, fmt.Errorf("in InfluxQL the name already leads to another bucket: after an upgrade from 1.x choose another name in influx.%s_bucket, else check that the token was made in organisation %q", tier, s.c.Org)
	}
	org, err := s.client.OrganizationsAPI().FindOrganizationByName(ctx, s.c.Org)
	if err != nil {
		return nil, fmt.Errorf("find organisation %q: %w; make the bucket by hand or with nabz-collector init, or give the token the right to read the organisation", s.c.Org, err)
	}
	var rules []domain.RetentionRule
	switch keep := s.retention(tier); {
	case keep > 0:
		rules = append(rules, domain.RetentionRule{EverySeconds: int64(keep.Seconds())})
	case tier == telemetry.Ledger:
		shard := int64(ledgerShard.Seconds())
		rules = append(rules, domain.RetentionRule{ShardGroupDurationSeconds: &shard})
	}
	return s.client.BucketsAPI().CreateBucketWithName(ctx, org, name, rules...)
}

// answers asks for nothing much.
func (s *Store) answers(ctx context.Context, name string) error {
	_, err := s.query(ctx, name, "SELECT seq FROM batch WHERE time > now() - 1m LIMIT 1")
	return err
}

func (s *Store) retention(tier telemetry.Tier) time.Duration {
	if tier == telemetry.Ledger {
		return 0
	}
	return s.c.DetailRetention
}

// denied puts ErrUnauthorized into an error of the library where the server said so. The library keeps only the
// text of such an answer, which begins with the server's code or the status.
func denied(err error) error {
	for _, code := range []string{"unauthorized", "forbidden", "401", "403"} {
		if strings.HasPrefix(err.Error(), code) {
			return fmt.Errorf("%w (%w)", ErrUnauthorized, err)
		}
	}
	return err
}

func quoteName(name string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(name) + `"`
}
