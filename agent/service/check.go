package service

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lead     = time.Minute      // checks begin within this before the opening, spread so that not all villages ask at once
	longest  = 15 * time.Minute // between two looks at the clock, which may have been set
	patience = 10 * time.Second // for one connection
)

// Check is what became of asking an endpoint. At is when that was known.
type Check struct {
	Service string
	At      time.Time
	OK      bool
}

// CheckerConfig is what a checker is made of.
type CheckerConfig struct {
	Services []Spec
	Every    time.Duration                                                        // between two checks of an endpoint in its opening hours; after one that failed, a sixth of it
	Now      func() (time.Time, bool)                                             // wall time; false while the clock is not known: then nobody is asked
	Up       func() bool                                                          // whether the link works; while it does not, nobody is asked
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer's
	Log      *slog.Logger
}

// Checker asks the endpoints whether they take a TCP connection.
type Checker struct {
	c       CheckerConfig
	early   time.Duration
	changed chan struct{}
	bytes   atomic.Int64
}

// NewChecker makes a checker; Run asks.
func NewChecker(c CheckerConfig) *Checker {
	if c.Dial == nil {
		d := &net.Dialer{KeepAlive: -1}
		c.Dial = d.DialContext
	}
	return &Checker{c: c, early: rand.N(lead), changed: make(chan struct{}, 1)}
}

// Changed says that the link has come or gone, or that the clock is known now. It does not block.
func (k *Checker) Changed() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Bytes is what checks have cost so far, as IP packets both ways: about 220 for one that succeeds, and as much for the name's
// question where the endpoint is a name that no resolver nearby knows.
func (k *Checker) Bytes() int64 { return k.bytes.Load() }

// asked is what is known of one endpoint.
type asked struct {
	at     time.Time
	ok     bool
	before bool // it was asked at all in this opening
}

// Run asks until ctx ends, and hands over what it finds. It sleeps while nothing is open, and while the link is down.
func (k *Checker) Run(ctx context.Context, found func(Check)) error {
	state := make([]asked, len(k.c.Services))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-k.changed:
		}
		timer.Reset(k.round(ctx, state, found))
	}
}

// round asks who is due, and tells how long nobody will be.
func (k *Checker) round(ctx context.Context, state []asked, found func(Check)) time.Duration {
	wait := longest
	for i, s := range k.c.Services {
		now, known := k.c.Now()
		if s.Endpoint == "" || !known || !k.c.Up() {
			continue
		}
		a := &state[i]
		soon := now.Add(k.early)
		open, until := s.Week.State(soon, s.Zone)
		if !open {
			a.before = false
			wait = min(wait, until.Sub(soon))
			continue
		}
		every := k.c.Every
		if !a.ok {
			every /= 6
		}
		if rest := every - time.Since(a.at); a.before && rest > 0 {
			wait = min(wait, rest)
			continue
		}
		ok := k.ask(ctx, s.Endpoint)
		if ctx.Err() != nil {
			return wait
		}
		if a.before && a.ok != ok || !a.before && !ok {
			k.c.Log.Info("an endpoint has changed", "service", s.Name, "endpoint", s.Endpoint, "reached", ok)
		}
		*a = asked{at: time.Now(), ok: ok, before: true}
		found(Check{s.Name, a.at, ok})
		if !ok {
			wait = min(wait, k.c.Every/6)
		}
		wait = min(wait, k.c.Every)
	}
	return max(wait, time.Second)
}

// Sizes of IP packets: a SYN carries 20 bytes of options, others 12, a refusal none.
const (
	synBytes, ackBytes, refusalBytes, unreachableBytes = 60, 52, 40, 88
	dnsBytes                                           = 28 + 12 + 6 // IP, UDP, DNS headers, end of the question
	dnsAnswerBytes                                     = 28
)

// ask opens a connection and throws it away at once: a reset is one packet where a farewell is four.
func (k *Checker) ask(ctx context.Context, endpoint string) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if host, _, err := net.SplitHostPort(endpoint); err == nil {
		if _, err := netip.ParseAddr(host); err != nil { // a name is asked for both families
			k.bytes.Add(int64(2 * (2*(dnsBytes+len(host)) + dnsAnswerBytes)))
		}
	}
	conn, err := k.c.Dial(ctx, "tcp", endpoint)
	var dns *net.DNSError
	switch {
	case err == nil:
		k.bytes.Add(2*synBytes + 2*ackBytes)
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.SetLinger(0) // else it closes with four packets
		}
		_ = conn.Close() // nothing was sent
		return true
	case errors.As(err, &dns):
	case errors.Is(err, syscall.ECONNREFUSED):
		k.bytes.Add(synBytes + refusalBytes)
	case ctx.Err() != nil:
		k.bytes.Add(4 * synBytes) // sent after 0, 1, 3 and 7 s
	default:
		k.bytes.Add(synBytes + unreachableBytes)
	}
	return false
}
