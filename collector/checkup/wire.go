package checkup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// wire is one connection to a broker in MQTT 5, which tells what it lets us do where 3.1.1 says nothing.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	id   uint16
}

// errOld is that the broker does not speak MQTT 5.
var errOld = errors.New("the broker does not speak MQTT 5")

// refusal is the broker's reason, 0x80 or more.
type refusal byte

func (r refusal) Error() string {
	for _, c := range []packets.Code{packets.ErrBadUsernameOrPassword, packets.ErrNotAuthorized, packets.ErrBanned, packets.ErrClientIdentifierNotValid, packets.ErrServerBusy, packets.ErrTopicFilterInvalid} {
		if c.Code == byte(r) {
			return c.Reason
		}
	}
	return fmt.Sprintf("reason %#x", byte(r))
}

// stranger tells whether the broker has refused us for who we are.
func (r refusal) stranger() bool {
	return byte(r) == packets.ErrBadUsernameOrPassword.Code || byte(r) == packets.ErrNotAuthorized.Code
}

const maxAnswer = 1 << 20 // of the broker; batches that come meanwhile are thrown away

// connect signs in. A refusal is an error of that type.
func connect(ctx context.Context, conn net.Conn, user, secret string) (*wire, error) {
	w := &wire{conn: conn, in: bufio.NewReader(conn)}
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	p := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 60, ClientIdentifier: "nabz-check-" + rand.Text()[:12]}}
	if user != "" {
		p.Connect.UsernameFlag, p.Connect.Username, p.Connect.PasswordFlag, p.Connect.Password = true, []byte(user), true, []byte(secret)
	}
	if err := w.send(p.ConnectEncode); err != nil {
		return nil, err
	}
	answer, err := w.receive(packets.Connack)
	if err != nil {
		return nil, err
	}
	switch r := answer.ReasonCode; {
	case r == packets.ErrUnsupportedProtocolVersion.Code || r == 1:
		return nil, errOld
	case r == 4 || r == 5: // as 3.1.1 says it
		return nil, refusal(packets.ErrNotAuthorized.Code)
	case r != 0:
		return nil, refusal(r)
	}
	return w, nil
}

// subscribe asks for messages, and gives the broker's reason for each filter.
func (w *wire) subscribe(filters ...string) ([]byte, error) {
	w.id++
	p := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: w.id}
	for _, f := range filters {
		p.Filters = append(p.Filters, packets.Subscription{Filter: f})
	}
	if err := w.send(p.SubscribeEncode); err != nil {
		return nil, err
	}
	answer, err := w.receive(packets.Suback)
	return answer.ReasonCodes, err
}

// publish sends a message that asks for an answer, and returns the broker's reason.
func (w *wire) publish(topic string) (byte, error) {
	w.id++
	p := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, PacketID: w.id, TopicName: topic, Payload: []byte("nabz-collector check")}
	if err := w.send(p.PublishEncode); err != nil {
		return 0, err
	}
	answer, err := w.receive(packets.Puback)
	return answer.ReasonCode, err
}

// hears counts messages that the broker sends of its own accord until none comes for a while.
func (w *wire) hears(quiet time.Duration) (n int) {
	for {
		_ = w.conn.SetReadDeadline(time.Now().Add(quiet))
		if _, err := w.receive(packets.Publish); err != nil {
			return n
		}
		n++
	}
}

func (w *wire) close() {
	p := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}
	_ = w.send(p.DisconnectEncode) // it ends all the same
	_ = w.conn.Close()
}

func (w *wire) send(encode func(*bytes.Buffer) error) error {
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		return err
	}
	_, err := w.conn.Write(b.Bytes())
	return err
}

// receive waits for a packet of that kind and passes over others.
func (w *wire) receive(kind byte) (packets.Packet, error) {
	for {
		p := packets.Packet{ProtocolVersion: 5}
		first, err := w.in.ReadByte()
		if err != nil {
			return p, err
		}
		if err := p.FixedHeader.Decode(first); err != nil {
			return p, fmt.Errorf("it does not speak MQTT: %w", err)
		}
		length, _, err := packets.DecodeLength(w.in)
		if err != nil {
			return p, fmt.Errorf("it does not speak MQTT: %w", err)
		}
		if length > maxAnswer+1024 {
			return p, fmt.Errorf("it answers with %d bytes, which is more than any message of ours", length)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(w.in, body); err != nil {
			return p, err
		}
		p.FixedHeader.Remaining = length
		if p.FixedHeader.Type == packets.Disconnect && length > 0 {
			return p, refusal(body[0])
		}
		if p.FixedHeader.Type != kind {
			continue
		}
		switch kind {
		case packets.Connack:
			if length == 2 { // the answer of a broker that speaks 3.1.1 only
				p.ProtocolVersion = 4
			}
			err = p.ConnackDecode(body)
		case packets.Suback:
			err = p.SubackDecode(body)
		case packets.Puback:
			err = p.PubackDecode(body)
		}
		return p, err
	}
}
