package uplink

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestAnAcknowledgedBatchLeavesTheQueue(t *testing.T) {
	b := newBroker(t).start()
	var mu sync.Mutex
	var lens []int
	a := newAgent(t, func(c *Config) {
		c.OnAck = func(a telemetry.Ack, n int) {
			mu.Lock()
			defer mu.Unlock()
			if a.Verdict == telemetry.Stored {
				lens = append(lens, n)
			}
		}
	}, b.url())
	a.put(t, 20)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "twenty calls of OnAck", func() bool { mu.Lock(); defer mu.Unlock(); return len(lens) == 20 })
	for seq, n := range b.seen() {
		if n != 1 {
			t.Errorf("batch %d came %d times", seq, n)
		}
	}
	st := a.Stats()
	if !st.Connected || st.Sent != 20 || st.Acked != 20 || st.Retries+st.Rejected+st.BadAcks+st.Strays != 0 || st.Rtt <= 0 || st.LastAck.IsZero() {
		t.Errorf("stats %+v", st)
	}
	payloads := int64(0)
	for _, n := range lens {
		payloads += int64(n)
	}
	if st.WireBytes <= payloads {
		t.Errorf("%d bytes on the wire for %d of payload", st.WireBytes, payloads)
	}
	if got := b.retained(); got != "online 1" {
		t.Errorf("presence %q, want online 1", got)
	}
}

func TestSilenceMakesTheSameBytesGoAgain(t *testing.T) {
	b := newBroker(t)
	var asked atomic.Int64
	b.answer = func(seq uint64, _ []byte) string {
		if asked.Add(1) < 6 {
			return ""
		}
		return stored(seq)
	}
	b.start()
	a := newAgent(t, func(c *Config) { c.AckTimeout = 20 * time.Millisecond; c.MaxBackoff = 10 * time.Millisecond }, b.url())
	a.put(t, 1)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) < 6 || len(slices.Compact(slices.Clone(b.got))) != 1 || b.got[0] != text(1) {
		t.Errorf("got %q, want %q six times", b.got, text(1))
	}
	if st := a.Stats(); st.Retries < 5 || st.Acked != 1 || st.Connects != 1 {
		t.Errorf("stats %+v", st)
	}
	if n := a.log.count("collector does not acknowledge"); n != 1 {
		t.Errorf("silence was logged %d times, want once:\n%s", n, a.log)
	}
	waitFor(t, "the end of the silence in the log", func() bool { return a.log.count("collector acknowledges again") == 1 })
}

func TestABrokerRestartedInMidStreamLosesNothing(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t)
	var n atomic.Int64
	b.answer = func(seq uint64, _ []byte) string {
		if n.Add(1)%3 == 0 {
			return "" // a collector that is busy
		}
		return stored(seq)
	}
	b.start()
	a := newAgent(t, func(c *Config) { c.AckTimeout = 100 * time.Millisecond }, b.url())
	for range 4 {
		a.put(t, 50)
		want := a.Stats().Acked + 10
		waitFor(t, "some acknowledgements", func() bool { return a.Stats().Acked >= want })
		b.stop()
		a.put(t, 5)
		b.start()
	}
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	seen := b.seen()
	for seq := uint64(1); seq <= 220; seq++ {
		if seen[seq] == 0 {
			t.Errorf("batch %d left the queue without having been seen", seq)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, got := range b.got {
		if got != text(seqOf(got)) {
			t.Fatalf("batch came changed: %q", got)
		}
	}
	if st := a.Stats(); st.Connects < 5 {
		t.Errorf("stats %+v: want five connections", st)
	}
}

func TestARejectedBatchLeavesTheQueueAndBlocksNothing(t *testing.T) {
	b := newBroker(t)
	b.answer = func(seq uint64, payload []byte) string {
		switch {
		case seq == 3: // its header could not be read, so it is named by its digest
			return fmt.Sprintf("rejected #%08x 0 1795000000000 why=no header", telemetry.Digest(payload))
		case seq%2 == 1:
			return fmt.Sprintf("rejected %s %d 1795000000000 why=line 2: no such field", boot, seq)
		}
		return stored(seq)
	}
	b.start()
	a := newAgent(t, nil, b.url())
	a.put(t, 10)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "ten answers", func() bool { return a.Stats().Acked == 10 })
	if st := a.Stats(); st.Rejected != 5 || st.Sent != 10 {
		t.Errorf("stats %+v, want 5 of 10 rejected", st)
	}
	if !strings.Contains(a.log.String(), "line 2: no such field") {
		t.Errorf("the log does not say why:\n%s", a.log)
	}
}

func TestABatchThatIsNeverAnsweredDoesNotHoldUpTheRest(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t)
	b.answer = func(seq uint64, _ []byte) string {
		if seq <= 10 { // more than the window
			return ""
		}
		return stored(seq)
	}
	b.start()
	a := newAgent(t, func(c *Config) { c.AckTimeout = 20 * time.Millisecond }, b.url())
	a.put(t, 40)
	waitFor(t, "all but the ten to leave", func() bool { return a.waiting() == 10 })
	if n := b.seen()[40]; n == 0 {
		t.Error("the last batch was never sent")
	}
}

func TestNoMoreThanTheWindowIsUnderWay(t *testing.T) {
	b := newBroker(t)
	b.answer = func(uint64, []byte) string { return "" }
	b.start()
	a := newAgent(t, func(c *Config) { c.Window = 3 }, b.url())
	a.put(t, 10)
	waitFor(t, "three batches", func() bool { return len(b.seen()) == 3 })
	b.publish(telemetry.KindAck, stored(2), false)
	waitFor(t, "a fourth, counted behind its sending", func() bool { return a.Stats().Sent == 4 })
	waitFor(t, "its coming", func() bool { return len(b.seen()) == 4 })
	if st := a.Stats(); st.Sent != 4 || st.Acked != 1 {
		t.Errorf("stats %+v, want 4 sent, 1 acknowledged", st)
	}
}

func TestForeignAndBrokenAcknowledgementsAreCountedAndIgnored(t *testing.T) {
	b := newBroker(t)
	b.answer = func(uint64, []byte) string { return "" }
	b.start()
	a := newAgent(t, nil, b.url())
	a.put(t, 1)
	waitFor(t, "the batch", func() bool { return b.seen()[1] == 1 })
	for _, s := range []string{"stored " + boot + " 999 1795000000000", "stored 00000000 1 1795000000000", "stored #00000000 1 1795000000000"} {
		b.publish(telemetry.KindAck, s, false)
	}
	for _, s := range []string{"", "stored", "forgotten " + boot + " 1 1795000000000", strings.Repeat("x", 5000)} {
		b.publish(telemetry.KindAck, s, false)
	}
	waitFor(t, "them to be counted", func() bool { st := a.Stats(); return st.Strays == 3 && st.BadAcks == 4 })
	if a.waiting() != 1 {
		t.Error("the batch left the queue for an acknowledgement that is not its own")
	}
	if n := a.log.count("acknowledgement cannot be read"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	b.publish(telemetry.KindAck, stored(1), false)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
}

func TestPresenceTellsCrashFromCleanStop(t *testing.T) {
	b := newBroker(t).start()
	a := newAgent(t, nil, b.url())
	waitFor(t, "online", func() bool { return a.Stats().Connected })
	cl, ok := b.server.Clients.Get("village.router")
	if !ok {
		t.Fatal("the broker does not know the agent")
	}
	secret := func(s string) { b.mu.Lock(); defer b.mu.Unlock(); b.secret = s }
	secret("another") // so that it does not come back before its last will is out
	cl.Stop(fmt.Errorf("cut by the test"))
	waitFor(t, "the last will", func() bool { return b.retained() == "offline 1" })
	secret("s3cret")
	waitFor(t, "the new session", func() bool { st := a.Stats(); return st.Connected && st.Connects == 2 })
	session := strings.TrimPrefix(b.retained(), "online ")
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	want := []string{"online 1", "offline 1", "online " + session, "offline " + session}
	said := func() []string { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.presence) }
	waitFor(t, "four words of presence", func() bool { return len(said()) >= len(want) })
	if got := said(); !slices.Equal(got, want) || session == "1" || b.retained() != want[3] {
		t.Errorf("presence %q, retained %q, want %q", got, b.retained(), want)
	}
	if a.Stats().Connected {
		t.Error("stats say connected after the stop")
	}
}

func TestALateWillOfAnOldSessionDoesNotHideTheNewOne(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) {
		c.Session = func() (uint64, error) { return 17, nil }
		c.Keepalive = 2 * time.Second
	}, b.url())
	waitFor(t, "online", func() bool { return a.Stats().Connected && b.retained() == "online 17" })
	b.publish(telemetry.KindPresence, "offline 16", true)
	waitFor(t, "the word of the living", func() bool { return b.retained() == "online 17" })
	if st := a.Stats(); st.Connects != 1 {
		t.Errorf("%d connections, want the first to do it", st.Connects)
	}
}

func TestAWrongPasswordIsToldOnceWithWhatToDo(t *testing.T) {
	b := newBroker(t)
	b.secret = "another"
	b.start()
	a := newAgent(t, nil, b.url())
	a.put(t, 1)
	refused := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.refused }
	waitFor(t, "five refusals", func() bool { return refused() >= 5 })
	if n := a.log.count("level=ERROR"); n != 1 || !strings.Contains(a.log.String(), "nabz-agent enroll TOKEN") {
		t.Errorf("%d errors logged, want one that says what to do:\n%s", n, a.log)
	}
	if strings.Contains(a.log.String(), "s3cret") {
		t.Error("the log tells the secret")
	}
	b.mu.Lock()
	b.secret = "s3cret"
	b.mu.Unlock()
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if n := a.log.count("connected to the broker again"); n != 1 {
		t.Errorf("the end of the fault was logged %d times, want once:\n%s", n, a.log)
	}
}

func TestTheNextBrokerIsTriedWhenOneIsGone(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "tcp://" + gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	b, other := newBroker(t).start(), newBroker(t).start()
	a := newAgent(t, nil, dead, b.url(), other.url())
	a.put(t, 3)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if st := a.Stats(); st.Broker != b.url() {
		t.Errorf("connected to %s, want %s", st.Broker, b.url())
	}
	b.stop()
	a.put(t, 3)
	waitFor(t, "an empty queue through the other broker", func() bool { return a.waiting() == 0 })
	if st := a.Stats(); st.Broker != other.url() {
		t.Errorf("connected to %s, want %s", st.Broker, other.url())
	}
}

func TestAttemptsThatReachNobodyUseUpNoSession(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	b.stop()
	var asked atomic.Int64
	a := newAgent(t, func(c *Config) {
		c.MaxBackoff = time.Millisecond
		c.Session = func() (uint64, error) { return uint64(asked.Add(1)), nil }
	}, b.url())
	waitFor(t, "the fault in the log", func() bool { return a.log.count("cannot be reached") == 1 })
	a.put(t, 1)
	b.start()
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if n := asked.Load(); n > 2 || b.retained() != fmt.Sprintf("online %d", n) {
		t.Errorf("%d sessions asked for, presence %q", n, b.retained())
	}
}

func TestAFullDiskDoesNotKeepTheAgentFromSending(t *testing.T) {
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) {
		c.Session = func() (uint64, error) { return 0, fmt.Errorf("no space left on device") }
	}, b.url())
	a.put(t, 2)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
}

func TestStoppingDoesNotWaitForABrokerThatHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- c
		}
	})
	a := newAgent(t, nil, "tcp://"+l.Addr().String())
	c := <-conns // it has connected, and nobody answers
	began := time.Now()
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > stopGrace {
		t.Errorf("stopping took %v", d)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestABacklogIsPacedToItsEnd(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t).start()
	a := newAgent(t, func(c *Config) { c.BacklogKbps, c.AckWithin = 400, time.Minute }, b.url())
	a.put(t, 200)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	if st := a.Stats(); st.Sent != 200 || st.Acked != 200 {
		t.Errorf("stats %+v", st)
	}
}

func TestALateAnswerToARowEmptiesTheQueue(t *testing.T) {
	t.Parallel() // it waits for seconds
	b := newBroker(t)
	b.answer = func(seq uint64, _ []byte) string {
		switch seq {
		case 1:
			return stored(1)
		case 30:
			return fmt.Sprintf("stored %s 2-30 1795000000000", boot)
		}
		return ""
	}
	b.start()
	var mu sync.Mutex
	told := map[uint64]int{}
	a := newAgent(t, func(c *Config) {
		c.AckWithin = time.Minute
		c.OnAck = func(a telemetry.Ack, _ int) {
			mu.Lock()
			defer mu.Unlock()
			if a.First == 0 {
				told[a.Seq]++
			}
		}
	}, b.url())
	a.put(t, 1)
	waitFor(t, "the first answer", func() bool { return a.waiting() == 0 })
	a.put(t, 29)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	waitFor(t, "thirty calls of OnAck", func() bool { mu.Lock(); defer mu.Unlock(); return len(told) == 30 })
	if st := a.Stats(); st.Sent != 30 || st.Acked != 30 || st.Strays != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestWhereTheKernelTellsNothingEachWordOfTheBrokerMakesRoom(t *testing.T) {
	t.Parallel() // it would wait for more than a minute
	b := newBroker(t)
	b.answer = func(seq uint64, _ []byte) string {
		switch seq {
		case 1:
			return stored(1)
		case 60:
			return fmt.Sprintf("stored %s 2-60 1795000000000", boot)
		}
		return ""
	}
	b.start()
	a := newAgent(t, func(c *Config) {
		c.AckWithin, c.Window, c.Dial = time.Minute, 2, dialDumb
	}, b.url())
	a.put(t, 1)
	waitFor(t, "the first answer", func() bool { return a.waiting() == 0 })
	a.put(t, 59)
	waitFor(t, "an empty queue", func() bool { return a.waiting() == 0 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Contains(b.qos, 0) {
		t.Errorf("qualities of service %v, want 1 where nobody else tells what has arrived", b.qos)
	}
	if st := a.Stats(); st.Sent != 60 || st.Retries != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	rows := []struct {
		name string
		c    Config
		want string
	}{
		{"no broker", Config{Address: me}, `no broker is configured; set brokers, for example to ["mqtts://noc.example.org:8883"]`},
		{"no scheme", Config{Address: me, Brokers: []string{"localhost:1883"}}, `broker "localhost:1883": write mqtt://host:1883 or mqtts://host:8883; the password goes into the file that secret_file names`},
		{"websocket", Config{Address: me, Brokers: []string{"ws://localhost:80"}}, `broker "ws://localhost:80": write mqtt://host:1883 or mqtts://host:8883; the password goes into the file that secret_file names`},
		{"password in it", Config{Address: me, Brokers: []string{"tcp://u:p@localhost"}}, `broker "tcp://u:xxxxx@localhost": write mqtt://host:1883 or mqtts://host:8883; the password goes into the file that secret_file names`},
		{"no site", Config{Brokers: []string{"tcp://localhost"}}, `uplink: site id "": use a-z, 0-9 and "-", beginning with a letter or a digit, at most 63 characters`},
	}
	for _, r := range rows {
		if err := New(r.c, nil).Run(context.Background()); err == nil || err.Error() != r.want {
			t.Errorf("%s:\n got %v\nwant %s", r.name, err, r.want)
		}
	}
}

func BenchmarkBatchThereAndBack(b *testing.B) {
	br := newBroker(b).start()
	a := newAgent(b, nil, br.url())
	waitFor(b, "the connection", func() bool { return a.Stats().Connected })
	before, payloads := a.Stats(), 0
	b.ReportAllocs()
	for b.Loop() {
		payloads += len(text(a.spool.NextSeq()))
		a.put(b, 1)
		for a.waiting() > 100 { // the spool takes more than the broker
			waitFor(b, "room", func() bool { return a.waiting() < 50 })
		}
	}
	waitFor(b, "an empty queue", func() bool { return a.waiting() == 0 })
	st := a.Stats()
	b.ReportMetric(float64(st.WireBytes-before.WireBytes-int64(payloads))/float64(b.N), "overhead-B/batch")
}
