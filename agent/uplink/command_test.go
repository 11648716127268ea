package uplink

import (
	"slices"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/telemetry"
)

func (b *broker) answers() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.results)
}

func TestCommandsAreHeardThroughTheOneSubscriptionAndAnswered(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	heard := make(chan string, 8)
	a := newAgent(t, func(c *Config) { c.OnCommand = func(p []byte) { heard <- string(p) } }, "mqtt://127.0.0.1:9")
	a.Answer([]byte("before there was a connection")) // it is not lost, and reaches nobody yet
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	b.start()
	b.publish(telemetry.KindCommand, "retained", true)
	a = newAgent(t, func(c *Config) { c.OnCommand = func(p []byte) { heard <- string(p) } }, b.url())
	a.Answer([]byte("first"))
	waitFor(t, "the answer that waited", func() bool { return slices.Equal(b.answers(), []string{"first"}) })
	b.publish(telemetry.KindCommand, strings.Repeat("x", telemetry.MaxCommand+1), false)
	b.publish(telemetry.KindCommand, "one", false)
	b.publish(telemetry.KindCommand, "two", false)
	for _, want := range []string{"one", "two"} {
		if got := <-heard; got != want {
			t.Errorf("heard %.20q, want %q", got, want)
		}
	}
	a.Answer([]byte("second"))
	a.put(t, 3)
	waitFor(t, "answers and batches", func() bool { return slices.Equal(b.answers(), []string{"first", "second"}) && a.waiting() == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) != 1 {
		t.Fatalf("%d SUBSCRIBE packets: %q", len(b.asked), b.asked)
	}
	if slices.Sort(b.asked[0]); !slices.Equal(b.asked[0], []string{me.Topic(telemetry.KindAck), me.Topic(telemetry.KindCommand)}) {
		t.Errorf("subscribed %q", b.asked[0])
	}
}

func TestABrokerThatRefusesCommandsGetsTheMeasurementsAllTheSame(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.mute = true
	b.start()
	a := newAgent(t, func(c *Config) { c.OnCommand = func([]byte) { t.Error("a command is heard") } }, b.url())
	a.put(t, 3)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if n := a.log.count("broker refuses the subscription to commands"); n != 1 {
		t.Errorf("told %d times:\n%s", n, a.log)
	}
}

func TestAnswersThatWaitAreBoundedAndTheNewestGo(t *testing.T) {
	u := New(Config{}, nil)
	for i := range 2 * maxWords {
		u.Answer([]byte{byte(i)})
	}
	words := u.takeWords()
	if len(words) != maxWords || words[0][0] != maxWords || len(u.takeWords()) != 0 {
		t.Errorf("%d answers wait, the first is %v", len(words), words[0])
	}
}
