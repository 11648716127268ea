package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Run connects, sends and reconnects until ctx ends, says goodbye then (within 3 s), and returns nil. An error is a
// configuration that cannot work.
func (u *Uplink) Run(ctx context.Context) error {
	brokers, err := u.c.brokers()
	if err != nil {
		return err
	}
	if err := u.c.Address.Check(); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	u.first = brokers[0]
	failed, at := 0, 0
	for ctx.Err() == nil {
		broker := brokers[at%len(brokers)]
		began := time.Now()
		acked := u.counts().Acked
		up, err := u.connection(ctx, broker)
		if ctx.Err() != nil {
			return nil
		}
		good := u.counts().Acked > acked && !errors.Is(err, errDeaf) && !errors.Is(err, errHung)
		if good || up && time.Since(began) > u.c.Keepalive {
			failed = 0 // it did some good, or held for a while: the backoff starts anew
		}
		switch {
		case errors.Is(err, errHome):
			u.c.Log.Info("the first broker is back", "broker", shown(broker))
			at = 0
			continue
		case errors.Is(err, errNew):
			failed = 0
			continue
		case !good:
			at++
		}
		u.tell(broker, err)
		wait := u.backoff(failed / len(brokers))
		if up && u.twin {
			wait = truce * (u.c.MaxBackoff + jitter(u.c.MaxBackoff))
		}
		failed++
		if u.sleep(ctx, wait) {
			failed = 0
		}
	}
	return nil
}

// truce is how many longest waits pass before a connection is made anew that another machine has ended, signing in as this agent: it would end ours again, and each
// time costs both a handshake. One of the two is connected meanwhile.
const truce = 4

// backoff is exponential with full jitter, from 1 s up to MaxBackoff.
func (u *Uplink) backoff(n int) time.Duration {
	d := min(minBackoff, u.c.MaxBackoff)
	for ; n > 0 && d < u.c.MaxBackoff; n-- {
		d *= 2
	}
	return jitter(min(d, u.c.MaxBackoff))
}

// sleep waits, or tells that the link is back.
func (u *Uplink) sleep(ctx context.Context, d time.Duration) (kicked bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-u.kick:
		return true
	case <-t.C:
	}
	return false
}

// dial connects to a broker.
func (u *Uplink) dial(ctx context.Context, broker *url.URL) (net.Conn, *meter, error) {
	ctx, cancel := context.WithTimeout(ctx, u.signIn)
	defer cancel()
	// The broker gives a connection up after one and a half keepalives; bytes that wait longer wait for nobody.
	conf := u.tls
	if u.c.Time != nil && broker.Scheme == "tls" {
		if conf = conf.Clone(); conf.ServerName == "" {
			conf.ServerName = broker.Hostname()
		}
		conf = Dated(conf, u.c.Time)
	}
	return dial(ctx, u.c.Dial, broker, conf, max(u.c.Keepalive*3/2, deadLeast), u.c.Near, &u.path, &u.total)
}

// reached notes how a connection came about. When the one before died in silence after a quiet time and this one worked at once, it was
// not the link: something on the way forgets silent connections, so silence must be shorter.
func (u *Uplink) reached(took time.Duration) {
	if u.forgot >= u.pulse.every/2 && u.forgot > 0 && took < doubtMost && u.pulse.every > u.pulse.least {
		u.pulse.forgotten(time.Now())
		u.c.Log.Info("something on the way forgets silent connections; MQTT pings more often", "keepalive_s", int(u.pulse.every.Seconds()))
	}
	u.forgot = 0
}

// proxied tells when a connection turns out to be a proxy's.
func (u *Uplink) proxied(yes bool) {
	if yes && !u.proxyTold.Swap(true) {
		u.c.Log.Info("a proxy acknowledges for the broker, as those in front of a satellite do; only the broker's own answers count as evidence")
	}
}

// connectError is an attempt that never became a connection.
type connectError struct{ err error }

func (e *connectError) Error() string { return "connect: " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// tell logs why a connection ended or could not be made, once for each broker and kind.
func (u *Uplink) tell(broker *url.URL, err error) {
	f := u.brokers[shown(broker)]
	if f == nil {
		f = &fault{}
		u.brokers[shown(broker)] = f
	}
	log := u.c.Log.With("broker", shown(broker))
	var connect *connectError
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		f.begin(log, slog.LevelError, "refused", "broker refuses this agent's name and secret",
			"username", u.c.Address.String(), "next", "\"nabz-collector agent list\" at the NOC shows who may sign in; \"nabz-collector agent rotate\" makes a token to enrol anew: nabz-agent enroll TOKEN")
	case errors.As(err, &connect):
		f.begin(log, slog.LevelWarn, "unreachable", "broker cannot be reached; batches stay in the spool", "err", connect.err)
	default:
		f.begin(log, slog.LevelWarn, "lost", "connection to the broker is lost; batches stay in the spool", "err", err)
	}
}
