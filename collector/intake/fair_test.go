package intake

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func put(q *fair, topic string, n, size int) (dropped int) {
	payload := fmt.Appendf(make([]byte, 0, size), "%s %d ", topic, n)
	return q.put(message{topic: topic, payload: payload[:size:size]})
}

// order takes all that waits and returns the topics.
func order(t testing.TB, q *fair, charge int) (topics []string) {
	t.Helper()
	for n, _ := q.size(); n > 0; n, _ = q.size() {
		m, ok := q.take(t.Context())
		if !ok {
			t.Fatal("nothing to take, though something waits")
		}
		q.charge(m.topic, charge)
		topics = append(topics, m.topic)
	}
	return topics
}

func TestALiveAgentIsHeardBeforeAStormOfBacklogs(t *testing.T) {
	q := newFair(20_000, 64<<20)
	const storm, live, each = 200, 20, 50
	for n := range each {
		for a := range storm {
			put(q, fmt.Sprint("storm", a), n, 100)
		}
	}
	for range 2 * storm { // all of the storm have had a turn, and have more
		m, _ := q.take(t.Context())
		q.charge(m.topic, turn)
	}
	for a := range live {
		put(q, fmt.Sprint("live", a), 0, 100)
	}
	for i, topic := range order(t, q, 600)[:live] {
		if topic != fmt.Sprint("live", i) {
			t.Errorf("place %d is taken by %s, want all %d live agents before the storm", i, topic, live)
		}
	}
}

func TestBackloggedAgentsHaveEqualShares(t *testing.T) {
	q := newFair(20_000, 64<<20)
	for n := range 100 {
		put(q, "large", n, 1000)
	}
	for n := range 1000 {
		put(q, "small", n, 100)
	}
	bytes := map[string]int{}
	for _, topic := range order(t, q, 0)[:500] {
		bytes[topic] += map[string]int{"large": 1000, "small": 100}[topic]
	}
	if r := float64(bytes["large"]) / float64(bytes["small"]); r < 0.5 || r > 2 {
		t.Errorf("of the first 500 messages %v bytes were of each, want about the same", bytes)
	}
}

func TestAMessageThatUnpacksToMuchIsPaidForAfterwards(t *testing.T) {
	q := newFair(1000, 1<<20)
	for n := range 20 {
		put(q, "bomb", n, 100)
		put(q, "other", n, 100)
	}
	seen := map[string]int{}
	for range 24 {
		m, _ := q.take(t.Context())
		seen[m.topic]++
		if m.topic == "bomb" {
			q.charge(m.topic, 100*turn)
		}
	}
	if seen["other"] < 20 {
		t.Errorf("of 24 messages %d are of the agent whose messages unpack to 400 KiB, want the other agent's 20 before more of them", seen["bomb"])
	}
}

func TestWhoTakesMostRoomGivesItUp(t *testing.T) {
	q := newFair(100, 1<<20)
	for n := range 100 {
		if d := put(q, "greedy", n, 100); d > 0 {
			t.Fatalf("message %d of 100 dropped %d", n, d)
		}
	}
	if d := put(q, "greedy", 100, 100); d != 1 {
		t.Errorf("one more of the same agent drops %d, want itself", d)
	}
	if d := put(q, "modest", 0, 100); d != 50 {
		t.Errorf("a message of another agent drops %d, want half of the greedy agent's 100", d)
	}
	if m, _ := q.take(t.Context()); m.topic != "greedy" || string(m.payload[:8]) != "greedy 0" {
		t.Errorf("the oldest message is %.8q, want the greedy agent's first to be kept", m.payload)
	}
	big := newFair(100, 10_000)
	for n := range 9 {
		put(big, "greedy", n, 1000)
	}
	if d := put(big, "modest", 0, 2000); d == 0 {
		t.Error("bytes are over the bound, and nothing was dropped")
	}
	if _, bytes := big.size(); bytes > 10_000 {
		t.Errorf("%d bytes wait, over the bound", bytes)
	}
}

func TestWhatWaitsAlreadyIsNotTakenTwice(t *testing.T) {
	q := newFair(100, 1<<20)
	put(q, "a", 1, 100)
	put(q, "a", 2, 100)
	if d := put(q, "a", 1, 100); d != 1 {
		t.Errorf("a batch that still waits was taken again")
	}
	if d := put(q, "b", 1, 100); d != 0 {
		t.Errorf("another agent's was dropped")
	}
}

// Whatever is put and taken: the bounds hold, what was not dropped comes out once, each agent's in its order.
func TestTheFairQueueLosesNothingButWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := newFair(20, 4000)
		in, out, dropped := 0, 0, 0
		last := map[string]int{}
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				if waiting, _ := q.size(); waiting > 0 {
					m, ok := q.take(ctx)
					var topic string
					var number int
					if _, err := fmt.Sscan(string(m.payload), &topic, &number); !ok || err != nil || number <= last[topic] {
						t.Fatalf("took %.20q (%v, %v) after %d", m.payload, ok, err, last[topic])
					}
					last[topic] = number
					q.charge(topic, rapid.IntRange(0, 3*turn).Draw(t, "charge"))
					out++
				}
				cancel()
				continue
			}
			in++
			dropped += put(q, fmt.Sprint("a", rapid.IntRange(0, 4).Draw(t, "agent")), n+1, rapid.IntRange(20, 900).Draw(t, "size"))
			if messages, bytes := q.size(); messages > 20 || bytes > 4000 || messages != in-out-dropped || len(q.ready) != messages {
				t.Fatalf("%d messages of %d bytes wait with %d tokens after %d in, %d out, %d dropped", messages, bytes, len(q.ready), in, out, dropped)
			}
		}
		rest := q.clear()
		if in != out+dropped+rest {
			t.Fatalf("%d in, %d out, %d dropped, %d left", in, out, dropped, rest)
		}
	})
}
