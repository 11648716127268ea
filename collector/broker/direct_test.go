package broker_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/smartvillage/nabz/telemetry"
)

// signIn speaks MQTT of a version by hand, up to the answer to the subscription of acknowledgements.
func signIn(t *testing.T, s *stage, version byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text := func(b []byte, s string) []byte { return append(append(b, 0, byte(len(s))), s...) }
	none := []byte{0}[:min(1, version/5)] // 5 has properties everywhere: none
	hello := append(append(text(nil, "MQTT"), version, 0xc2, 0, 60), none...)
	hello = text(text(text(hello, honest.Site+"."+honest.Agent), honest.String()), s.secrets[honest])
	wish := append(text(append([]byte{0, 1}, none...), honest.Topic(telemetry.KindAck)), 0)
	b := append([]byte{0x10, byte(len(hello))}, hello...)
	b = append(append(b, 0x82, byte(len(wish))), wish...)
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []byte{0x20, 0x90} { // signed in, subscribed
		kind, _ := packet(t, c)
		if kind != want {
			t.Fatalf("got packet 0x%02x, want 0x%02x", kind, want)
		}
	}
	return c
}

// packet reads one of less than 16 KiB.
func packet(t *testing.T, c net.Conn) (kind byte, body []byte) {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatal(err)
	}
	length := int(head[1])
	if length >= 0x80 {
		var more [1]byte
		if _, err := io.ReadFull(c, more[:]); err != nil {
			t.Fatal(err)
		}
		length = length&0x7f | int(more[0])<<7
	}
	body = make([]byte, length)
	if _, err := io.ReadFull(c, body); err != nil {
		t.Fatal(err)
	}
	return head[0], body
}

func TestAcknowledgementsOfEachLengthArriveInOrderInBothVersions(t *testing.T) {
	for _, version := range []byte{4, 5} {
		s := start(t, nil)
		c := signIn(t, s, version)
		topic := honest.Topic(telemetry.KindAck)
		var want []string
		for _, n := range []int{0, 1, 80, 127, 128, telemetry.MaxAck} {
			want = append(want, strings.Repeat("x", n))
			if err := s.Publish(topic, []byte(want[len(want)-1])); err != nil {
				t.Fatal(err)
			}
		}
		for _, w := range want {
			kind, body := packet(t, c)
			head := append([]byte{0, byte(len(topic))}, topic...)
			if version == 5 {
				head = append(head, 0)
			}
			if kind != 0x30 || string(body) != string(head)+w {
				t.Fatalf("version %d: got packet 0x%02x %q, want 0x30 %q", version, kind, body, string(head)+w)
			}
		}
	}
}

func TestWhoDoesNotReadItsAcknowledgementsHoldsUpNobody(t *testing.T) {
	s := start(t, nil)
	signIn(t, s, 4) // and reads no more
	heard := make(chan string, 1)
	other, err := join(t, s.options(rogue))
	if err != nil {
		t.Fatal(err)
	}
	if token := other.Subscribe(rogue.Topic(telemetry.KindAck), 0, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	word := bytes.Repeat([]byte("x"), telemetry.MaxAck)
	waitFor(t, "what it does not read is dropped", func() bool {
		for range 1000 {
			if err := s.Publish(honest.Topic(telemetry.KindAck), word); err != nil {
				t.Fatal(err)
			}
		}
		return s.value(t, "nabz_broker_unsent_total", "") > 0
	})
	if err := s.Publish(rogue.Topic(telemetry.KindAck), []byte("stored")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != "stored" {
			t.Errorf("the other hears %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the other hears nothing")
	}
}

func TestWhoHasNotSubscribedHearsNothing(t *testing.T) {
	s := start(t, nil)
	heard := make(chan string, 1)
	c, err := join(t, s.options(honest).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- m.Topic() }))
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{honest.Topic(telemetry.KindAck), rogue.Topic(telemetry.KindAck), honest.Topic(telemetry.KindCommand)} {
		if err := s.Publish(topic, []byte("stored")); err != nil {
			t.Fatal(err)
		}
	}
	// What is subscribed only now comes behind all that was sent before.
	ack := honest.Topic(telemetry.KindAck)
	if token := c.Subscribe(ack, 0, nil); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	if err := s.Publish(ack, []byte("first")); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-heard:
		if got != ack || len(heard) > 0 {
			t.Errorf("hears %s first, and %d more", got, len(heard))
		}
	case <-time.After(10 * time.Second):
		t.Error("hears nothing though it has subscribed")
	}
}
