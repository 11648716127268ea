package broker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/smartvillage/nabz/collector/broker"
	"github.com/smartvillage/nabz/telemetry"
)

func TestACommandReachesWhoIsThereNowAndItsResultTheCollectorOnEitherBroker(t *testing.T) {
	for name, open := range map[string]func(*testing.T) place{"embedded": embedded, "mosquitto": external} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			heard := make(chan string, 8)
			hear := func(a telemetry.Address) mqtt.Client {
				c, err := join(t, p.options(a))
				if err != nil {
					t.Fatal(err)
				}
				token := c.SubscribeMultiple(map[string]byte{a.Topic(telemetry.KindAck): 0, a.Topic(telemetry.KindCommand): 1}, func(_ mqtt.Client, m mqtt.Message) {
					heard <- a.String() + " " + string(m.Payload())
				})
				if token.Wait(); token.Error() != nil {
					t.Fatal(token.Error())
				}
				return c
			}
			if err := p.command(honest, []byte("to nobody")); p.knows && !errors.Is(err, broker.ErrGone) {
				t.Errorf("a command to who is not there: %v", err)
			}
			deaf, err := join(t, p.options(honest))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.command(honest, []byte("to the deaf")); p.knows && !errors.Is(err, broker.ErrDeaf) {
				t.Errorf("a command to who does not hear them: %v", err)
			}
			deaf.Disconnect(100)
			good := hear(honest) // and nothing has waited for it
			hear(rogue)
			for _, text := range []string{"one", "two"} {
				if err := p.command(honest, []byte(text)); err != nil {
					t.Fatal(err)
				}
				select {
				case got := <-heard:
					if got != honest.String()+" "+text {
						t.Errorf("%q is heard, want %s by %s", got, text, honest)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("nobody hears the command %s", text)
				}
			}
			for _, quality := range []byte{0, 1} {
				if token := good.Publish(honest.Topic(telemetry.KindResult), quality, false, "a result"); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
					t.Fatal("a result is not taken: ", token.Error())
				}
			}
			want := []string{honest.String() + " a result", honest.String() + " a result"}
			waitFor(t, "the results at the collector", func() bool { return slices.Equal(p.results(), want) })
			if len(heard) > 0 {
				t.Errorf("%q is heard, and nobody was meant", <-heard)
			}
		})
	}
}
