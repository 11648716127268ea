package uplink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/smartvillage/nabz/agent/spool"
	"github.com/smartvillage/nabz/telemetry"
)

// Queue is what uplink needs of the spool.
type Queue interface {
	// Peek returns up to max waiting batches whose seq is not in skip, the most urgent first. Fewer do not mean that it is all.
	Peek(skip map[uint64]bool, max int) ([]spool.Batch, error)
	// Ack takes a batch out. It leaves even when an error says that a note of it did not reach the disk.
	Ack(seq uint64) error
}

// Config says whom to talk to. Brokers, Address and Secret have no default.
type Config struct {
	Brokers []string          // tcp://host:1883 or tls://host:8883; tried in turn, staying with the one that works
	Address telemetry.Address // who we are; also the MQTT user name and client id
	Secret  string            // the password
	TLS     *tls.Config       // for tls:// brokers; nil: the system's roots
	// Time judges the dates of certificates, see Dated. nil: the system's clock.
	Time       func() (at time.Time, known bool)
	Keepalive  time.Duration // silence of ours after which MQTT pings, in whole seconds; less where something on the way forgets sooner. 0: 60s
	AckTimeout time.Duration // wait for the collector before a batch is sent again. 0: 30s
	AckWithin  time.Duration // patience with the collector on batches of detail, whose headers say so: they are sent again this much later. 0: none
	MaxBackoff time.Duration // longest wait between two attempts to connect; five times that between two attempts of a batch. 0: 60s
	Window     int           // most batches under way at once. 0: 8
	// BacklogKbps bounds what is sent, in kbit/s with all overhead, beyond a burst of 4 KiB that the batches of a minute fit in. 0: no bound
	BacklogKbps int

	// Dial makes the connection under MQTT and TLS. nil: an ordinary net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Near tells whether a broker at this address is reached without the way out. Like one on loopback it proves nothing of the link. nil: none is.
	Near func(netip.Addr) bool
	// Session returns the number for the next connection's presence, higher than any before. nil: counts from 1.
	Session func() (uint64, error)
	// OnAck is called for each batch that has left the queue, with the length of its payload, from the goroutine of Run: it must
	// not block. a.Seq is that batch, a.First 0. Stats already tells this acknowledgement's Rtt.
	OnAck func(a telemetry.Ack, payloadLen int)
	// OnCommand gets each command of the collector, from the goroutine of Run: it must not block. The payload may be anything. nil: none are heard.
	OnCommand func(payload []byte)
	// Doubt is called when bytes have waited for the far end for 5 s (longer where round trips are long, 10 s at most), when a ping is
	// unanswered that long, and when a connection is lost; once each time, from any goroutine: it must not block. Not with a broker on loopback or near.
	Doubt func()
	Log   *slog.Logger
	Now   func() time.Time // wall time for Stats. nil: time.Now
}

// Stats is a snapshot. Counts are since New.
type Stats struct {
	Connected bool
	Broker    string        // connected to, or last tried
	Since     time.Time     // when Connected last changed
	LastAck   time.Time     // zero: none yet
	Rtt       time.Duration // of the last acknowledgement: from the first sending of the newest batch that it speaks of, retries included
	WireBytes int64         // both ways: MQTT, TLS and, on Linux as of the last look at the connection, TCP and IP headers and retransmissions
	Keepalive time.Duration // in use: Config's, or less
	Connects  int64         // connections made
	Pings     int64         // of MQTT
	Sent      int64         // batches handed to a connection, retries included
	Retries   int64         // of these, sent before
	Acked     int64         // left the queue: stored or rejected
	Rejected  int64         // of these, rejected
	BadAcks   int64         // acknowledgements that could not be read
	Strays    int64         // acknowledgements of batches that were not under way
}

const (
	minBackoff     = time.Second
	connectTimeout = 30 * time.Second // for each step of signing in
	stopGrace      = 3 * time.Second  // for the last word, "offline", on a clean stop
	handOver       = 2 * time.Second  // longest wait for the connection to take a message
	deadLeast      = 15 * time.Second // what TCP gets at least before a connection is dead
	homeAfter      = time.Hour        // on another broker than the first, before the first is asked again
	// A collector that answers nothing for deafLeast on a connection that works is tried anew, at the next broker if there is one; each
	// time twice as late, up to deafMost.
	deafLeast, deafMost = 15 * time.Minute, 4 * time.Hour
)

// fill puts the defaults in.
func (c Config) fill() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.Keepalive, 60*time.Second)
	def(&c.AckTimeout, 30*time.Second)
	def(&c.MaxBackoff, 60*time.Second)
	if c.Window <= 0 {
		c.Window = 8
	}
	if c.Session == nil {
		last := uint64(0)
		c.Session = func() (uint64, error) { last++; return last, nil }
	}
	if c.OnAck == nil {
		c.OnAck = func(telemetry.Ack, int) {}
	}
	if c.Doubt == nil {
		c.Doubt = func() {}
	}
	if c.Near == nil {
		c.Near = func(netip.Addr) bool { return false }
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// brokers parses the URLs.
func (c Config) brokers() ([]*url.URL, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker is configured; set brokers, for example to [\"mqtts://noc.example.org:8883\"]")
	}
	var out []*url.URL
	for _, b := range c.Brokers {
		u, err := parseBroker(b)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, nil
}

func parseBroker(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err == nil {
		text = u.Redacted()
	}
	bad := fmt.Errorf("broker %q: write mqtt://host:1883 or mqtts://host:8883; the password goes into the file that secret_file names", text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" {
		return nil, bad
	}
	switch u.Scheme {
	case "tcp", "mqtt":
		u.Scheme = "tcp"
	case "tls", "ssl", "mqtts":
		u.Scheme = "tls"
	default:
		return nil, bad
	}
	return u, nil
}

// shown is a broker as people write it.
func shown(u *url.URL) string {
	c := *u
	switch c.Scheme {
	case "tcp":
		c.Scheme = "mqtt"
	case "tls":
		c.Scheme = "mqtts"
	}
	return c.String()
}
