package subscriber

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Batches go past the client library, and so do acknowledgements: it hands each message from goroutine to goroutine four times, reads it in four
// calls to the system and allocates a dozen pieces for it, which was half of what a batch cost. The library still signs in, subscribes, keeps the connection alive
// and hands on presence.

// readAhead is the room for what is read at once.
const readAhead = 64 << 10

// largest is the most of one packet that is held: a batch, and its topic.
const largest = telemetry.MaxMessage + 1024

// wire is the connection to the broker as the library has it.
type wire struct {
	net.Conn
	in   *bufio.Reader
	rest []byte // of a packet that the library is to get
	left int    // bytes of that packet that are not read yet
	s    *Subscriber
	kept map[string]sender // by topic, of data

	mu sync.Mutex // writes go out whole
}

// sender is the agent whose batches come on a topic.
type sender struct {
	topic   string
	address telemetry.Address
}

// mostKept bounds the topics that are remembered; beyond it the memory begins anew.
const mostKept = 50_000

// dial connects to the broker.
func (s *Subscriber) dial(u *url.URL) (*wire, error) {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	var c net.Conn
	var err error
	if u.Scheme == "mqtts" {
		c, err = (&tls.Dialer{Config: s.c.TLS}).DialContext(ctx, "tcp", u.Host)
	} else {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	}
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c, in: bufio.NewReaderSize(c, readAhead), s: s, kept: map[string]sender{}}, nil
}

// Read gives the library all packets but batches, which are delivered on the way.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		if w.left > 0 {
			n, err := w.in.Read(p[:min(len(p), w.left)])
			w.left -= n
			return n, err
		}
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// next reads the header of a packet, and all of one that is data at QoS 0.
func (w *wire) next() error {
	var head [5]byte
	n, length := 1, 0
	for ; n < len(head); n++ {
		b, err := w.in.Peek(n + 1)
		if err != nil {
			return err
		}
		copy(head[:], b)
		length |= int(b[n]&0x7f) << (7 * (n - 1))
		if b[n]&0x80 == 0 {
			n++
			break
		}
	}
	if _, err := w.in.Discard(n); err != nil {
		return err
	}
	const publish = 0x30 // QoS 0, not retained
	switch {
	case head[0] != publish || w.s.p.OnData == nil:
		w.rest, w.left = append(w.rest[:0], head[:n]...), length
		return nil
	case length > largest:
		w.s.refuse("size", "")
		_, err := io.CopyN(io.Discard, w.in, int64(length))
		return err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(w.in, body); err != nil {
		return err
	}
	topic := 0
	if length >= 2 {
		topic = 2 + int(body[0])<<8 + int(body[1])
	}
	if topic < 2 || topic > length {
		w.rest = append(append(w.rest[:0], head[:n]...), body...) // no MQTT: the library says so
		return nil
	}
	from, known := w.kept[string(body[2:topic])]
	if !known {
		a, kind, err := telemetry.ParseTopic(string(body[2:topic]))
		if err != nil || kind != telemetry.KindData {
			w.rest = append(append(w.rest[:0], head[:n]...), body...)
			return nil
		}
		from = sender{a.Topic(kind), a}
	}
	if !w.s.p.Known(from.address) {
		w.s.refuse("agent", from.topic)
		return nil
	}
	if !known {
		if len(w.kept) == mostKept {
			clear(w.kept)
		}
		w.kept[from.topic] = from
	}
	w.s.p.OnData(from.topic, body[topic:])
	return nil
}

// Write sends one packet of the library.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// send writes whole packets.
func (w *wire) send(packets []byte) error {
	_, err := w.Write(packets)
	return err
}
