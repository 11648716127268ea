package uplink

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// Types of MQTT packets, the upper half of the first byte.
const (
	typeConnect   = 1
	typeConnack   = 2
	typePublish   = 3
	typePuback    = 4
	typeSubscribe = 8
	typeSuback    = 9
	typePingreq   = 12
	typePingresp  = 13
)

// wire sits above TLS and sees MQTT packets pass. It pings, which paho does by a timer every five seconds and also when it was we who
// spoke last; so paho's own is off, and the keepalive that paho then leaves out of CONNECT is put in here.
type wire struct {
	net.Conn
	m         *meter
	keepalive uint16 // seconds, named in CONNECT
	news      func() // something was answered
	changed   func(proxied bool)
	in        frames

	write sync.Mutex // one packet at a time
	mu    sync.Mutex
	sent  time.Time // last packet of ours
	heard time.Time // last packet of the broker's
	asked [16]asked // by the kind of the answer
}

// asked are questions of one kind under way. The broker answers them in their order (MQTT 3.1.1, 4.6); one at a time is timed.
type asked struct {
	at    time.Time // of the one that is timed; zero: none is
	due   int       // answers still to come
	ahead int       // of these before that to the one that is timed
}

func (a *asked) ask(now time.Time) {
	if a.at.IsZero() {
		a.at, a.ahead = now, a.due
	}
	a.due++
}

// answer tells when the question was asked; zero where it was not timed.
func (a *asked) answer() (at time.Time) {
	if a.due == 0 {
		return time.Time{}
	}
	a.due--
	if a.ahead > 0 {
		a.ahead--
		return time.Time{}
	}
	at, a.at = a.at, time.Time{}
	return at
}

func newWire(c net.Conn, m *meter, keepalive time.Duration) *wire {
	now := time.Now()
	return &wire{Conn: c, m: m, keepalive: uint16(min(keepalive/time.Second, 1<<16-1)), sent: now, heard: now, news: func() {}, changed: func(bool) {}}
}

// Write takes one packet, as paho hands them over.
func (w *wire) Write(p []byte) (int, error) {
	w.write.Lock()
	defer w.write.Unlock()
	return w.writePacket(p)
}

func (w *wire) writePacket(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var answer byte
	switch p[0] >> 4 {
	case typeConnect:
		var err error
		if p, err = withKeepalive(p, w.keepalive); err != nil {
			return 0, err
		}
		answer = typeConnack
	case typePublish:
		if p[0]&0x06 != 0 {
			answer = typePuback
		}
	case typeSubscribe:
		answer = typeSuback
	case typePingreq:
		answer = typePingresp
	}
	now := time.Now()
	w.mu.Lock()
	w.sent = now
	if answer != 0 {
		w.asked[answer].ask(now)
	}
	w.mu.Unlock()
	return w.Conn.Write(p)
}

// withKeepalive puts the keepalive into a CONNECT packet.
func withKeepalive(p []byte, seconds uint16) ([]byte, error) {
	at := 2
	for at < min(len(p), 5) && p[at-1]&0x80 != 0 { // the remaining length goes on
		at++
	}
	const name = "\x00\x04MQTT\x04"
	if len(p) < at+len(name)+3 || string(p[at:at+len(name)]) != name {
		return nil, errors.New("uplink: paho's CONNECT is not that of MQTT 3.1.1, so it cannot be given a keepalive")
	}
	p = append([]byte(nil), p...)
	binary.BigEndian.PutUint16(p[at+len(name)+1:], seconds)
	return p, nil
}

// Read hears the answers.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.in.next(p[:n], w.came)
	}
	return n, err
}

// came is called for each packet from the broker.
func (w *wire) came(kind byte) {
	now := time.Now()
	w.mu.Lock()
	asked := w.asked[kind].answer()
	w.heard = now
	w.mu.Unlock()
	if asked.IsZero() {
		return
	}
	if w.m.answered(now, now.Sub(asked), kind != typeConnack) { // before CONNACK it hashes a password
		w.changed(!w.m.told())
	}
	w.news()
}

// ping asks the broker for a word. Nothing is asked while a packet is being written: that one asks enough.
func (w *wire) ping() {
	if !w.write.TryLock() {
		return
	}
	defer w.write.Unlock()
	_, _ = w.writePacket([]byte{typePingreq << 4, 0}) // an error ends paho's reading as well, and it tells
}

// times tells when the last packets went and came, and since when a ping is unanswered (zero: none is).
func (w *wire) times() (sent, heard, pinged time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent, w.heard, w.asked[typePingresp].at
}

// frames finds where packets begin in what is read, in pieces of any length.
type frames struct {
	kind   byte
	length bool // within the remaining length
	shift  uint
	rest   int // bytes of this packet still to come
}

func (f *frames) next(p []byte, came func(kind byte)) {
	for len(p) > 0 {
		switch {
		case f.length:
			f.rest |= int(p[0]&0x7f) << f.shift
			f.shift += 7
			if f.length = p[0]&0x80 != 0 && f.shift < 28; !f.length {
				came(f.kind)
			}
			p = p[1:]
		case f.rest > 0:
			n := min(f.rest, len(p))
			f.rest, p = f.rest-n, p[n:]
		default:
			*f = frames{kind: p[0] >> 4, length: true}
			p = p[1:]
		}
	}
}
