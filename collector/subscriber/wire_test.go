package subscriber

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

var school = telemetry.Address{Site: "gokina", Agent: "main"}

// broken is a connection whose writes fail, after what happens meanwhile.
type broken struct {
	net.Conn
	meanwhile func()
}

func (broken) SetWriteDeadline(time.Time) error { return nil }

func (b broken) Write([]byte) (int, error) {
	b.meanwhile()
	return 0, errors.New("reset by peer")
}

func TestAfterAWriteThatFailedTheNextConnectionHasAWriter(t *testing.T) {
	s := New(Config{}, Parts{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
	s.up()
	post := func() {
		t.Helper()
		if err := s.Publish(school.Topic(telemetry.KindAck), []byte("stored 4f2a9c1b 1 1")); err != nil {
			t.Fatal(err)
		}
	}
	post()
	<-s.write
	if err := s.send(&wire{Conn: broken{meanwhile: post}, s: s}); err == nil {
		t.Fatal("a write that failed is told as done")
	}
	post()
	select {
	case <-s.write:
	default:
		t.Error("what is to be sent has no writer, and would wait for ever")
	}
}

// FuzzWire holds what the library and the callback get of a stream against what the library reads of it by itself.
func FuzzWire(f *testing.F) {
	publish := func(topic string, flags byte, payload []byte) []byte {
		var b bytes.Buffer
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.TopicName, p.Payload, p.Qos, p.Retain, p.MessageID = topic, payload, flags>>1, flags&1 == 1, 7
		if err := p.Write(&b); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	data := school.Topic(telemetry.KindData)
	pong := []byte{0xd0, 0}
	f.Add(slices.Concat([]byte{0x20, 2, 0, 0}, publish(data, 0, []byte("batch seq=1i 1")), pong, publish(data, 0, bytes.Repeat([]byte("x"), 200)), publish(data, 2, []byte("at QoS 1"))), false)
	f.Add(slices.Concat(publish(school.Topic(telemetry.KindPresence), 1, []byte("online 7")), publish(data, 1, []byte("retained")), publish(data, 0, nil), pong), true)
	f.Add(slices.Concat(publish("nabz/v1/strange/main/data", 0, []byte("of a stranger")), publish("elsewhere", 0, []byte("not ours")), publish(data, 0, []byte("ours"))), true)
	f.Add([]byte{0x30, 3, 0, 9, 'n', 0xd0, 0}, true)
	f.Add([]byte{0x30, 1, 0}, false)
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0}, false)
	f.Add(publish(data, 0, bytes.Repeat([]byte("cut "), 100))[:50], false)
	f.Fuzz(func(t *testing.T, in []byte, slow bool) {
		var want, got struct{ batches, rest []string }
		straight := bytes.NewReader(in)
		for {
			if rest := in[len(in)-straight.Len():]; len(rest) > 3 && rest[1]&rest[2]&rest[3]&0x80 != 0 {
				t.Skip("the library would make room for all that is announced")
			}
			p, err := packets.ReadPacket(straight)
			if err != nil {
				break
			}
			m, ok := p.(*packets.PublishPacket)
			if !ok || m.Qos > 0 || m.Retain || m.Dup {
				want.rest = append(want.rest, fmt.Sprint(p))
				continue
			}
			switch a, kind, err := telemetry.ParseTopic(m.TopicName); {
			case err != nil || kind != telemetry.KindData:
				want.rest = append(want.rest, fmt.Sprint(p))
			case a == school:
				want.batches = append(want.batches, m.TopicName+" "+string(m.Payload))
			}
		}
		s := New(Config{}, Parts{Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Known: func(a telemetry.Address) bool { return a == school },
			OnData: func(topic string, payload []byte) { got.batches = append(got.batches, topic+" "+string(payload)) }})
		var from io.Reader = bytes.NewReader(in)
		if slow {
			from = iotest.OneByteReader(from)
		}
		w := &wire{in: bufio.NewReaderSize(from, readAhead), s: s, kept: map[string]sender{}}
		for {
			p, err := packets.ReadPacket(w)
			if err != nil {
				break
			}
			got.rest = append(got.rest, fmt.Sprint(p))
		}
		if !slices.Equal(got.batches, want.batches) || !slices.Equal(got.rest, want.rest) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}
