package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"github.com/influxdata/influxdb-client-go/v2/domain"

	"github.com/smartvillage/nabz/telemetry"
)

// Prepare makes what a collector needs of InfluxDB: both buckets with their retention, the way to them in InfluxQL, and a
// credential that may read and write these two and do nothing else. Admin is the right to make them: on 2.x an API
// token of an operator or for all of c.Org, on 1.8 "user:password" of an admin; "" where InfluxDB asks for none, or
// where c.Token may do it. C.Token is what the collector has now, "" for nothing.
//
// It returns the credential for the configuration, "" where none is asked for, and tells in words what it made and
// found. A second call changes nothing: while c.Token opens both buckets it is kept. Without it 2.x shows the
// token that was made before, where it still shows any; 1.8 shows no password, so the user gets a new one. After an
// error, done says what was made until then, and another call goes on from there.
func Prepare(ctx context.Context, c Config, admin string) (token string, done []string, err error) {
	p := &preparation{c: c, admin: admin}
	err = p.run(ctx)
	return p.token, p.done, err
}

type preparation struct {
	c     Config // with the collector's own token
	admin string
	as    *Store // with the rights of admin
	token string
	done  []string
}

func (p *preparation) tell(format string, args ...any) {
	p.done = append(p.done, fmt.Sprintf(format, args...))
}

func (p *preparation) open(token string) (*Store, error) {
	c := p.c
	c.Token = token
	return Open(c, slog.New(slog.DiscardHandler))
}

func (p *preparation) run(ctx context.Context) (err error) {
	rights := p.admin
	if rights == "" {
		rights = p.c.Token
	}
	if p.as, err = p.open(rights); err != nil {
		return err
	}
	defer p.as.Close()
	if err := p.firstAdmin(ctx); err != nil {
		return err
	}
	all, version, err := p.as.ensureAll(ctx)
	fresh := map[telemetry.Tier]bool{}
	for _, m := range all {
		p.tell("made %s", m.what)
		fresh[m.tier] = fresh[m.tier] || m.bucket
	}
	if err != nil {
		return p.hint(ctx, version, err)
	}
	if version == 3 {
		p.token = p.c.Token
		p.tell("InfluxDB 3 makes a database at its first line; make its token by hand, and put it into influx.token")
		return nil
	}
	if err := p.tellRetention(ctx, version, fresh); err != nil {
		return err
	}
	if version == 1 && p.asksNobody(ctx) {
		p.token = p.c.Token
		p.tell("InfluxDB asks nobody for a password (auth-enabled = false), so there is no user to make; keep it on loopback")
		return nil
	}
	if p.c.Token != "" && p.c.Token != p.admin {
		err := p.works(ctx, p.c.Token)
		if err == nil {
			p.token = p.c.Token
			p.tell("kept the credential in influx.token: it may read and write both")
			return nil
		}
		noUse := errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNoBucket) || errors.Is(err, errGone)
		if p.admin == "" || !noUse { // trouble is no reason to make another
			return fmt.Errorf("try influx.token: %w", err)
		}
	}
	if p.admin == "" {
		return fmt.Errorf("make a credential for the collector: %w", errNoAdmin)
	}
	token := ""
	if version == 2 {
		token, err = p.authorization(ctx)
	} else {
		token, err = p.user(ctx)
	}
	if err != nil {
		return fmt.Errorf("make a credential for the collector: %w", denied(err))
	}
	if err := p.works(ctx, token); err != nil {
		return fmt.Errorf("try the credential just made: %w", err)
	}
	p.token = token
	return nil
}

var errNoAdmin = errors.New("give one that may do so (2.x: an operator's or all-access API token; 1.8: \"user:password\" of an admin)")

// hint adds what to do where InfluxDB has not let in whoever prepares it.
func (p *preparation) hint(ctx context.Context, version int, err error) error {
	if !errors.Is(err, ErrUnauthorized) {
		return err
	}
	if version == 2 {
		if setup, fault := p.as.client.APIClient().GetSetup(ctx, &domain.GetSetupParams{}); fault == nil && setup.Allowed != nil && *setup.Allowed {
			return fmt.Errorf("%w; this InfluxDB has no user yet: set it up first, in a browser at %s or with influx setup", err, p.c.URL)
		}
	}
	if p.admin == "" {
		return fmt.Errorf("%w; %w", err, errNoAdmin)
	}
	return fmt.Errorf("%w; this was with the admin's credential: check it, and its organisation", err)
}

// asksNobody tells whether a 1.x asks for no password.
func (p *preparation) asksNobody(ctx context.Context) bool {
	s, err := p.open("")
	if err != nil {
		return false
	}
	defer s.Close()
	_, err = s.query(ctx, "", "SHOW DATABASES")
	return err == nil
}

// works tells why a credential does not open both buckets for reading and writing.
func (p *preparation) works(ctx context.Context, token string) error {
	s, err := p.open(token)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, tier := range tiers() {
		if err := s.answers(ctx, s.buckets[tier]); err != nil {
			return fmt.Errorf("read %q: %w", s.buckets[tier], err)
		}
		// A comment is no line: what comes back is about the right to write alone.
		var refused *RefusedError
		if err := s.write(ctx, tier, []byte("# nabz\n")); err != nil && !errors.As(err, &refused) {
			return fmt.Errorf("write to %q: %w", s.buckets[tier], err)
		}
	}
	return nil
}

// tellRetention says of each bucket that was there how long it keeps lines, and whether that is what it should be.
func (p *preparation) tellRetention(ctx context.Context, version int, fresh map[telemetry.Tier]bool) error {
	for _, tier := range tiers() {
		name := p.as.buckets[tier]
		if fresh[tier] {
			continue
		}
		b := Bucket{Name: name}
		p.as.kept(ctx, version, &b)
		if b.Kept != nil {
			return fmt.Errorf("ask how long %q keeps lines: %w", name, denied(b.Kept))
		}
		keep, want := b.Keep, p.as.retention(tier)
		switch {
		case keep == want:
			p.tell("found %q, which keeps lines %s", name, span(keep))
		case tier == telemetry.Ledger:
			p.tell("found %q, which keeps lines %s and was left so; the ledger is meant to be kept for ever: take its retention away", name, span(keep))
		default:
			p.tell("found %q, which keeps lines %s and was left so; influx.detail_retention says %s", name, span(keep), span(want))
		}
	}
	return nil
}

// secret is a password that needs no quoting: 26 letters and digits, 128 bits.
func secret() string { return rand.Text() }
