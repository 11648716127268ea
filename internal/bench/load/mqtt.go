package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/smartvillage/nabz/telemetry"
)

// Packets of MQTT 3.1.1 as far as an agent needs them.

func packet(dst []byte, kind byte, length int) []byte {
	dst = append(dst, kind)
	for length >= 0x80 {
		dst = append(dst, byte(length)|0x80)
		length >>= 7
	}
	return append(dst, byte(length))
}

func text(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s)>>8), byte(len(s))), s...)
}

// publish is at QoS 0.
func publish(dst []byte, topic string, payload []byte, retain byte) []byte {
	dst = packet(dst, 0x30|retain, 2+len(topic)+len(payload))
	return append(text(dst, topic), payload...)
}

// hello signs an agent in and subscribes its acknowledgements.
func hello(n, keepalive int, session uint64) []byte {
	a := Address(n)
	id, user, secret := a.Site+"."+a.Agent, a.String(), Secret(n)
	will := telemetry.Presence{Session: session}.String()
	presence := a.Topic(telemetry.KindPresence)
	b := packet(nil, 0x10, 10+2+len(id)+2+len(presence)+2+len(will)+2+len(user)+2+len(secret))
	b = append(text(b, "MQTT"), 4, 0xe6, byte(keepalive>>8), byte(keepalive)) // user, secret, will, retained, clean
	b = text(text(text(text(text(b, id), presence), will), user), secret)
	topic := a.Topic(telemetry.KindAck)
	b = append(packet(b, 0x82, 2+2+len(topic)+1), 0, 1)
	b = append(text(b, topic), 0)
	return publish(b, presence, []byte(telemetry.Presence{Online: true, Session: session}.String()), 1)
}

var errPacket = errors.New("not the MQTT that was expected")

// next takes one packet off the front of b; kind 0 when it is not all there yet.
func next(b []byte) (kind byte, body, rest []byte, err error) {
	length := 0
	for i := 1; i < len(b); i++ {
		length |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			if len(b) < i+1+length {
				return 0, nil, b, nil
			}
			return b[0], b[i+1 : i+1+length], b[i+1+length:], nil
		}
		if i == 4 {
			return 0, nil, b, errPacket
		}
	}
	return 0, nil, b, nil
}

// verdict is what an acknowledgement says: of the batches first to last of a boot. One of another boot was meant for a connection before this, and
// says nothing: last is 0.
func verdict(body []byte, boot string) (first, last int, bad bool, err error) {
	if len(body) < 2 || len(body) < 2+int(body[0])<<8+int(body[1]) {
		return 0, 0, false, errPacket
	}
	payload := body[2+int(body[0])<<8+int(body[1]):]
	words := bytes.SplitN(payload, []byte{' '}, 4)
	if len(words) == 4 && len(words[1]) == len(boot) && string(words[1]) != boot {
		return 0, 0, false, nil
	}
	if len(words) < 4 || string(words[1]) != boot {
		return 0, 0, false, fmt.Errorf("acknowledgement %.100q: %w", payload, errPacket)
	}
	from, to, row := bytes.Cut(words[2], []byte{'-'})
	if !row {
		to = from
	}
	first, err1 := strconv.Atoi(string(from))
	last, err2 := strconv.Atoi(string(to))
	bad = string(words[0]) != "stored" || bytes.Contains(words[3], []byte(" refused="))
	return first, last, bad, errors.Join(err1, err2)
}
