package store

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/telemetry"
)

// Ensure makes the two databases (1.x) or buckets (2.x) where they are missing, and leaves alone those that are
// there, with the retention that someone gave them. It may be called again at any time.
func (s *Store) Ensure(ctx context.Context) error {
	s.ensure.Lock()
	defer s.ensure.Unlock()
	headers, err := s.ping(ctx)
	if err != nil {
		return err
	}
	switch major(headers) {
	case 3:
		return nil // makes a database at its first line
	case 2:
		err = s.ensureBuckets(ctx)
	default:
		err = s.ensureDatabases(ctx)
	}
	if err != nil {
		return fmt.Errorf("make the buckets in InfluxDB at %s: %w", s.c.URL, err)
	}
	return nil
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

func (s *Store) ensureDatabases(ctx context.Context) error {
	series, err := s.query(ctx, "", "SHOW DATABASES")
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, one := range series {
		for _, row := range one.Values {
			if name, ok := row[0].(string); ok {
				there[name] = true
			}
		}
	}
	for tier, name := range s.buckets {
		if there[name] {
			continue
		}
		q := "CREATE DATABASE " + quoteName(name)
		if keep := s.retention(tier); keep > 0 {
			q += fmt.Sprintf(" WITH DURATION %ds", int64(keep.Seconds()))
		}
		if _, err := s.query(ctx, "", q); err != nil {
			return err
		}
		s.log.Info("made a database in InfluxDB", "database", name, "tier", tier.String())
	}
	return nil
}

func (s *Store) ensureBuckets(ctx context.Context) error {
	if s.c.Org == "" { // 2.x would take the first that the token sees, and then refuse every line
		return ErrNoOrg
	}
	for tier, name := range s.buckets {
		there, err := s.bucketThere(ctx, name)
		if err != nil {
			return fmt.Errorf("find bucket %q of organisation %q: %w", name, s.c.Org, denied(err))
		}
		if !there {
			if err := s.makeBucket(ctx, tier, name); err != nil {
				return fmt.Errorf("make bucket %q: %w", name, denied(err))
			}
		}
		if err := s.answers(ctx, name); err != nil { // InfluxQL looks in the token's own organisation, whatever influx.org says
			return fmt.Errorf("ask bucket %q in InfluxQL: %w; check that the token may read it and was made in organisation %q", name, err, s.c.Org)
		}
	}
	return nil
}

// bucketThere looks in our organisation only: a token of an operator sees those of the others too. It needs no
// more rights than to read the bucket.
func (s *Store) bucketThere(ctx context.Context, name string) (bool, error) {
	got, err := s.client.APIClient().GetBuckets(ctx, &domain.GetBucketsParams{Org: &s.c.Org, Name: &name})
	if err != nil {
		switch said := err.Error(); {
		case strings.HasPrefix(said, "not found: bucket"):
			return false, nil
		case strings.HasPrefix(said, "not found: organization"):
			return false, fmt.Errorf("%w; check influx.org", err)
		}
		return false, err
	}
	return got.Buckets != nil && len(*got.Buckets) > 0, nil
}

func (s *Store) makeBucket(ctx context.Context, tier telemetry.Tier, name string) error {
	if s.answers(ctx, name) == nil { // lines would go to one bucket, and queries to the other
		return fmt.Errorf("in InfluxQL the name already leads to another bucket: after an upgrade from 1.x choose another name in influx.%s_bucket, else check that the token was made in organisation %q", tier, s.c.Org)
	}
	org, err := s.client.OrganizationsAPI().FindOrganizationByName(ctx, s.c.Org)
	if err != nil {
		return fmt.Errorf("find organisation %q: %w; make the bucket by hand, or give the token the right to read the organisation", s.c.Org, err)
	}
	var rules []domain.RetentionRule
	if keep := s.retention(tier); keep > 0 {
		rules = append(rules, domain.RetentionRule{EverySeconds: int64(keep.Seconds())})
	}
	if _, err := s.client.BucketsAPI().CreateBucketWithName(ctx, org, name, rules...); err != nil {
		return err
	}
	s.log.Info("made a bucket in InfluxDB", "bucket", name, "tier", tier.String())
	return nil
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
