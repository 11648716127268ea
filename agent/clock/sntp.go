package clock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/beevik/ntp"
)

const (
	askGrace   = 20 * time.Second // for the collector's word, which costs nothing
	askFirst   = 15 * time.Second // after a question without an answer; doubled each time
	askMost    = time.Hour
	askTimeout = 5 * time.Second
	packet     = 76                      // of IPv4, UDP and SNTP, one way
	farthest   = 1500 * time.Millisecond // from a reference clock: MAXDIST of RFC 5905, section 11.2
)

// Ask asks one time server (RFC 5905, SNTP) by name or address, with or without a port: 152 bytes there and back, IP headers included.
// It returns the server's clock and the time within which that was read. An answer is refused when the server sends us away
// (kiss of death), is not synchronised itself, or is further than 1.5 s from a reference clock.
func Ask(ctx context.Context, server string) (told time.Time, rtt time.Duration, err error) {
	began := time.Now()
	stop := func() bool { return true }
	defer func() { stop() }()
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: askTimeout, Dialer: func(_, remote string) (net.Conn, error) {
		d := net.Dialer{Timeout: askTimeout}
		conn, err := d.DialContext(ctx, "udp", remote)
		if err == nil {
			stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}})
	if err == nil {
		if err = r.Validate(); err == nil && r.RootDistance > farthest {
			err = fmt.Errorf("its root distance is %v", r.RootDistance)
		}
	}
	if err != nil {
		return time.Time{}, 0, fmt.Errorf("ask time server %s: %w; name others in time.servers where this one stays away", server, err)
	}
	if rtt = time.Since(began); r.RTT > 0 && r.RTT < rtt {
		rtt = r.RTT // without the look-up of the name
	}
	return r.Time, rtt, nil
}

// Keep asks the servers in turn while the time is not known or what was heard does not fit, and never else. The first question waits
// 20 s for the collector's word; after one without an answer the wait doubles from 15 s to an hour. It returns nil when ctx ends.
func (c *Clock) Keep(ctx context.Context, servers []string, log *slog.Logger) error {
	return c.keep(ctx, servers, Ask, log)
}

func (c *Clock) keep(ctx context.Context, servers []string, ask func(context.Context, string) (time.Time, time.Duration, error), log *slog.Logger) error {
	wait, silent := askGrace, 0
	for n := 0; len(servers) > 0; {
		t := time.NewTimer(wait/2 + rand.N(wait/2+1))
		if !c.Unsure() {
			t.Stop()
			select {
			case <-ctx.Done():
				return nil
			case <-c.doubt:
				wait = askGrace
				continue
			}
		}
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		if !c.Unsure() {
			continue
		}
		told, rtt, err := ask(ctx, servers[n%len(servers)])
		n++
		if name := (*net.DNSError)(nil); !errors.As(err, &name) { // else nobody was asked
			c.bytes.Add(packet)
		}
		if err == nil {
			c.bytes.Add(packet)
			c.Heard(told, rtt, SNTP)
			if silent > 0 {
				log.Info("a time server answers", "server", servers[(n-1)%len(servers)], "silent", silent)
			}
			wait, silent = askFirst, 0
			continue
		}
		if silent++; silent == 1 && ctx.Err() == nil {
			log.Warn("no time from a time server; asked again ever more rarely", "err", err)
		}
		wait = min(askFirst<<min(silent-1, 8), askMost)
	}
	<-ctx.Done()
	return nil
}

// Bytes is what the time servers have been asked and have answered so far, whole IP packets. Safe for concurrent use.
func (c *Clock) Bytes() int64 { return c.bytes.Load() }

// Unsure tells whether the time is to be asked for: it is not known, or what was heard does not fit.
func (c *Clock) Unsure() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.unsure
}
