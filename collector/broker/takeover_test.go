package broker_test

import (
	"fmt"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/smartvillage/nabz/telemetry"
)

// An agent whose link broke off comes back while the broker still holds its old connection. Both run into each other at
// every turn here; the new one has to hear what is meant for it each time.
func TestAConnectionThatReplacesAnOlderOneHearsItsAcknowledgements(t *testing.T) {
	s := start(t, nil)
	ack := honest.Topic(telemetry.KindAck)
	for n := range 200 {
		c, err := join(t, s.options(honest))
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		heard := make(chan string, 4)
		token := c.Subscribe(ack, 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) })
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("connection %d subscribes: %v", n, token.Error())
		}
		want := fmt.Sprint("word ", n)
		if err := s.Publish(ack, []byte(want)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("connection %d heard %q, want %q", n, got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("connection %d heard nothing", n)
		}
	}
	waitFor(t, "only the last connection is left", func() bool { return s.value(t, "nabz_broker_connections", "") == 1 })
}
