package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

const (
	askGrace   = 20 * time.Second // for the collector's word, which costs nothing
	askFirst   = 15 * time.Second // after a question without an answer; doubled each time
	askMost    = time.Hour
	askTimeout = 5 * time.Second
	packet     = 76                      // of IPv4, UDP and SNTP, one way
	farthest   = 1500 * time.Millisecond // from a reference clock: MAXDIST of RFC 5905, section 11.2
)

// Ask asks one time server (SNTP, RFC 5905 section 14) by name or address, with or without a port: 152 bytes there and back, IP headers
// included. It returns the server's clock and the time within which that was read. An answer is refused when the server sends us away
// (kiss of death), is not synchronised itself, or is further than 1.5 s from a reference clock.
func Ask(ctx context.Context, server string) (told time.Time, rtt time.Duration, err error) {
	if told, rtt, err = ask(ctx, server); err != nil {
		return time.Time{}, 0, fmt.Errorf("ask time server %s: %w; name others in time.servers where this one stays away", server, err)
	}
	return told, rtt, nil
}

func ask(ctx context.Context, server string) (told time.Time, rtt time.Duration, err error) {
	if _, _, e := net.SplitHostPort(server); e != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "123")
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", server)
	if err != nil {
		return told, 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	cookie := rand.Uint64() // in the place of our own clock, which nobody needs to know: the answer repeats it
	question := append([]byte{version4Client}, make([]byte, sntpLen-1)...)
	binary.BigEndian.PutUint64(question[sntpTransmit:], cookie)
	began := time.Now()
	if _, err = conn.Write(question); err != nil {
		return told, 0, err
	}
	answer := make([]byte, 512)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			return told, 0, err
		}
		if n >= sntpLen && binary.BigEndian.Uint64(answer[sntpOriginate:]) == cookie { // else it is no answer to this question
			break
		}
	}
	rtt = time.Since(began)
	told, err = read(answer, rtt)
	return told, rtt, err
}

// The layout of a message, RFC 5905 section 7.3.
const (
	sntpLen        = 48
	version4Client = 4<<3 | 3
	modeServer     = 4
	unsynchronised = 3
	sntpOriginate  = 24
	sntpTransmit   = 40
	era0           = 2208988800 // seconds from 1900 to 1970
)

// read takes an answer that came after rtt for the time.
func read(b []byte, rtt time.Duration) (time.Time, error) {
	short := func(b []byte) time.Duration { return time.Duration(binary.BigEndian.Uint32(b)) * time.Second >> 16 }
	leap, mode, stratum := b[0]>>6, b[0]&7, b[1]
	distance := short(b[4:])/2 + short(b[8:]) + rtt/2
	seconds, fraction := int64(binary.BigEndian.Uint32(b[sntpTransmit:])), int64(binary.BigEndian.Uint32(b[sntpTransmit+4:]))
	switch {
	case mode != modeServer:
		return time.Time{}, fmt.Errorf("its answer has mode %d", mode)
	case stratum == 0:
		return time.Time{}, fmt.Errorf("it sends us away: kiss of death %q", b[12:16])
	case leap == unsynchronised || stratum > 15 || seconds == 0 && fraction == 0:
		return time.Time{}, errors.New("it is not synchronised itself")
	case distance > farthest:
		return time.Time{}, fmt.Errorf("its root distance is %v", distance)
	}
	if seconds < 1<<31 { // the era that begins in 2036
		seconds += 1 << 32
	}
	return time.Unix(seconds-era0, fraction*int64(time.Second)>>32).UTC(), nil
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
