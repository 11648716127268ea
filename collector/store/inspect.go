package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Condition is how an InfluxDB stands to a collector.
type Condition struct {
	Version string // such as "2.7.12"; "1.x" where it was built from source
	Major   int
	Clock   time.Time // its own, to the second; zero: it does not tell
	Buckets []Bucket  // detail, then ledger
}

// Bucket is how one tier's database or bucket stands. Where one of the errors is ErrNoBucket, it is missing.
type Bucket struct {
	Tier        telemetry.Tier
	Name        string
	Read, Write error // why the credential does not let us; nil: it does

	Kept            error         // why how long it keeps lines is not known; nil: it is
	Keep, WantKeep  time.Duration // 0: for ever
	Shard, MinShard time.Duration // what one file holds, and the least that does for the tier; 0: any does
	Mend            string        // the statement or command that puts right what it keeps; "" where it is right
}

// Inspect asks InfluxDB for all that a collector depends on, and changes nothing. The error is that it cannot be asked at all.
func (s *Store) Inspect(ctx context.Context) (Condition, error) {
	headers, err := s.ping(ctx)
	if err != nil {
		return Condition{}, err
	}
	c := Condition{Version: strings.TrimPrefix(headers.Get("X-Influxdb-Version"), "v"), Major: major(headers)}
	if c.Version == "" || c.Version == "unknown" || c.Version == "dev" {
		c.Version = fmt.Sprintf("%d.x", c.Major)
	}
	if at, err := http.ParseTime(headers.Get("Date")); err == nil {
		c.Clock = at
	}
	if c.Major == 2 && s.c.Org == "" {
		return c, ErrNoOrg
	}
	for _, tier := range tiers() {
		c.Buckets = append(c.Buckets, s.inspect(ctx, c.Major, tier))
	}
	return c, nil
}

func (s *Store) inspect(ctx context.Context, version int, tier telemetry.Tier) Bucket {
	b := Bucket{Tier: tier, Name: s.buckets[tier], WantKeep: s.retention(tier)}
	if tier == telemetry.Ledger {
		b.MinShard = ledgerShard
	}
	b.Read = s.answers(ctx, b.Name)
	// A comment is no line: what comes back is about the right to write alone.
	var refused *RefusedError
	if err := s.write(ctx, tier, []byte("# nabz\n")); err != nil && !errors.As(err, &refused) {
		b.Write = err
		if errors.Is(err, errGone) {
			b.Write = fmt.Errorf("%w (%w)", ErrNoBucket, err)
		}
	}
	if b.Kept = b.Read; b.Read == nil {
		s.kept(ctx, version, &b)
	}
	return b
}

// kept asks how long a bucket keeps lines.
func (s *Store) kept(ctx context.Context, version int, b *Bucket) {
	switch version {
	case 3:
		b.Kept = errors.New("InfluxDB 3 does not tell it")
	case 2:
		s.keptByBucket(ctx, b)
	default:
		s.keptByPolicy(ctx, b)
	}
}

// keptByPolicy asks a 1.x for its default policy, to which lines go.
func (s *Store) keptByPolicy(ctx context.Context, b *Bucket) {
	series, err := s.query(ctx, "", "SHOW RETENTION POLICIES ON "+quoteName(b.Name))
	if err != nil {
		b.Kept = err
		return
	}
	for _, one := range series {
		name, keep, shard, preset := slices.Index(one.Columns, "name"), slices.Index(one.Columns, "duration"), slices.Index(one.Columns, "shardGroupDuration"), slices.Index(one.Columns, "default")
		if min(name, keep, shard, preset) < 0 {
			continue
		}
		for _, row := range one.Values {
			if row[preset] != true {
				continue
			}
			var fault [2]error
			b.Keep, fault[0] = time.ParseDuration(fmt.Sprint(row[keep]))
			b.Shard, fault[1] = time.ParseDuration(fmt.Sprint(row[shard]))
			b.Kept = errors.Join(fault[:]...)
			if b.wrong() {
				b.Mend = "ALTER RETENTION POLICY " + quoteName(fmt.Sprint(row[name])) + " ON " + quoteName(b.Name) + " DURATION " + influxQLSpan(b.WantKeep)
				if b.MinShard > 0 {
					b.Mend += " SHARD DURATION " + influxQLSpan(b.MinShard)
				}
			}
			return
		}
	}
	b.Kept = errors.New("it names no default retention policy")
}

// keptByBucket asks a 2.x for the bucket's rules.
func (s *Store) keptByBucket(ctx context.Context, b *Bucket) {
	there, err := s.bucket(ctx, b.Name)
	if err != nil || there == nil || there.Id == nil {
		b.Kept = errors.Join(errors.New("the bucket is not shown to this token"), err)
		return
	}
	for _, r := range there.RetentionRules[:min(1, len(there.RetentionRules))] {
		b.Keep = time.Duration(r.EverySeconds) * time.Second
		b.Shard = time.Duration(deref(r.ShardGroupDurationSeconds)) * time.Second
	}
	if b.wrong() {
		b.Mend = fmt.Sprintf("influx bucket update --id %s --retention %s", *there.Id, hours(b.WantKeep))
		if b.MinShard > 0 {
			b.Mend += " --shard-group-duration " + hours(b.MinShard)
		}
	}
}

// wrong tells whether it keeps lines otherwise than it is meant to. A server that does not tell its shards is not blamed for them.
func (b *Bucket) wrong() bool {
	return b.Keep != b.WantKeep || b.Shard > 0 && b.Shard < b.MinShard
}

// Span is a retention as people say it: "for ever", "for 90 days".
func Span(keep time.Duration) string { return span(keep) }

// influxQLSpan is a length of time as InfluxQL writes it.
func influxQLSpan(d time.Duration) string {
	switch week := 7 * 24 * time.Hour; {
	case d == 0:
		return "INF"
	case d%week == 0:
		return fmt.Sprintf("%dw", d/week)
	}
	return fmt.Sprintf("%ds", int64(d.Seconds()))
}

// hours is a length of time as the command influx takes it.
func hours(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%ds", int64(d.Seconds()))
}
