package uplink

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/smartvillage/nabz/telemetry"
)

func TestPacketsAreFoundHoweverTheyAreCut(t *testing.T) {
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.TopicName, publish.Payload = "nabz", bytes.Repeat([]byte{0xd0}, 300)
	var stream bytes.Buffer
	for _, p := range []packets.ControlPacket{packets.NewControlPacket(packets.Connack), publish, packets.NewControlPacket(packets.Pingresp), publish,
		packets.NewControlPacket(packets.Pingresp)} {
		if err := p.Write(&stream); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{1, 2, 3, 7, 100, stream.Len()} {
		var f frames
		var got []byte
		for piece := range slices.Chunk(stream.Bytes(), n) {
			f.next(piece, func(kind byte) { got = append(got, kind) })
		}
		if want := []byte{typeConnack, typePublish, typePingresp, typePublish, typePingresp}; !bytes.Equal(got, want) {
			t.Errorf("in pieces of %d: %v, want %v", n, got, want)
		}
	}
}

func TestConnectNamesTheKeepaliveThatPahoLeavesOut(t *testing.T) {
	for _, secret := range []string{"short", string(bytes.Repeat([]byte("x"), 300))} { // one and two bytes of remaining length
		c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier, c.CleanSession = "MQTT", 4, "village.router", true
		c.UsernameFlag, c.PasswordFlag, c.Username, c.Password = true, true, "village/router", []byte(secret)
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		p, err := withKeepalive(b.Bytes(), 300)
		if err != nil {
			t.Fatal(err)
		}
		read, err := packets.ReadPacket(bytes.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		got := read.(*packets.ConnectPacket)
		if got.Keepalive != 300 || got.ClientIdentifier != c.ClientIdentifier || string(got.Password) != secret {
			t.Errorf("got %v", got)
		}
	}
	for _, bad := range []string{"\x10", "\x10\x00", "\x10\x0c\x00\x06MQIsdp\x03\x02\x00\x00"} {
		if _, err := withKeepalive([]byte(bad), 300); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestKeepaliveHalvesWhereSilenceIsForgottenAndCreepsBack(t *testing.T) {
	now := time.Unix(1795000000, 0)
	p := newPulse(5 * time.Minute)
	var got []int
	for range 4 {
		p.forgotten(now)
		got = append(got, int(p.interval(now).Seconds()))
	}
	if want := []int{150, 75, 60, 60}; !slices.Equal(got, want) {
		t.Errorf("after each death %v s, want %v", got, want)
	}
	got = nil
	for range 9 {
		now = now.Add(growEvery)
		p.interval(now)
		got = append(got, int(p.interval(now).Seconds()))
	}
	if want := []int{75, 93, 117, 146, 183, 228, 286, 300, 300}; !slices.Equal(got, want) {
		t.Errorf("after each day %v s, want %v", got, want)
	}
	if p := newPulse(20 * time.Second); p.least != 20*time.Second {
		t.Errorf("a configured keepalive below the least becomes %v", p.least)
	}
}

func TestABacklogKeepsWithinItsRateAndAMinuteIsNotHeldUp(t *testing.T) {
	now := time.Unix(1795000000, 0)
	const kbps = 16
	p := newPace(kbps)
	sent, minute := 0, 300
	for range 3 { // the batches of a minute
		if p.wait(now) > 0 {
			t.Fatal("held up")
		}
		p.spend(minute)
	}
	p = newPace(kbps)
	end := now.Add(10 * time.Minute)
	for began := now; ; {
		if d := p.wait(now); d > 0 {
			now = now.Add(d)
		}
		if now.After(end) {
			most := int(now.Sub(began).Seconds()*kbps*1000/8) + paceBurst + 2000
			if sent > most || sent < most*9/10 {
				t.Errorf("%d bytes in ten minutes, want up to %d and not much less", sent, most)
			}
			break
		}
		n := 100 + sent%1000
		p.spend(n)
		sent += n + batchOverhead
	}
	if p := newPace(0); p.wait(now) != 0 || p.room(8) != 8 {
		t.Error("no rate holds up")
	}
}

func TestOneRoundTripIsRecoveredFromTheSmoothedOne(t *testing.T) {
	ms := time.Millisecond
	before := tcpInfo{rtt: 80 * ms, minRtt: 40 * ms, delivered: 10}
	after := func(sample time.Duration, segments, retrans uint32) tcpInfo {
		return tcpInfo{rtt: (7*before.rtt + sample) / 8, minRtt: 40 * ms, delivered: 10 + segments, retrans: retrans}
	}
	rows := []struct {
		name string
		now  tcpInfo
		want time.Duration
	}{
		{"one segment", after(240*ms, 1, 0), 240 * ms},
		{"nothing new", before, 0},
		{"several", after(240*ms, 3, 0), 100 * ms},
		{"one, sent twice", after(240*ms, 1, 1), 100 * ms},
		{"below the least ever seen", after(8*ms, 1, 0), 71 * ms},
	}
	for _, r := range rows {
		if got := r.now.sample(before); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
	if got := (tcpInfo{retrans: 5, spurious: 2}).lost(tcpInfo{retrans: 1}); got != 2 {
		t.Errorf("lost %d, want 2", got)
	}
}

func TestAnAttemptThatReachesNobodyIsCounted(t *testing.T) {
	silent := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		name, host string
		err        error
		took       time.Duration
		want       int64
	}{
		{"nobody answers for 30 s", "broker.example.org", silent, 30 * time.Second, 5 * 60}, // at 0, 1, 3, 7 and 15 s
		{"nobody answers over IPv6", "2001:db8::1", silent, 2 * time.Second, 2 * 80},
		{"refused", "192.0.2.1", refused, 300 * time.Millisecond, 60 + 40},
		{"there is no way", "192.0.2.1", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, 0, 0},
		{"there is no such name", "broker.example.org", &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, time.Second, 0},
		{"this machine itself", "127.0.0.1", refused, 0, 0},
	} {
		if got := inVain(tt.host, tt.err, tt.took); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
	u := New(Config{Brokers: []string{"mqtt://192.0.2.1:1883"}, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, refused }}, nil)
	if _, _, err := u.dial(t.Context(), &url.URL{Scheme: "tcp", Host: "192.0.2.1:1883"}); err == nil || u.Stats().WireBytes != 60+40 {
		t.Errorf("%d bytes were counted, %v", u.Stats().WireBytes, err)
	}
}

func TestQualityIsHandedOutOnceAndBounded(t *testing.T) {
	var p path
	for range 2 * maxTrips {
		p.counted(1, 0, time.Second)
	}
	p.counted(0, 1<<20, 0)
	sent, lost, trips := p.take()
	if sent != 2*maxTrips || lost != sent || len(trips) != maxTrips {
		t.Errorf("%d sent, %d lost, %d round trips", sent, lost, len(trips))
	}
	if sent, lost, trips := p.take(); sent+lost+len(trips) != 0 {
		t.Error("handed out twice")
	}
}

// patientWindow has heard the collector once.
func patientWindow(now time.Time) *window {
	w := newWindow(Config{Window: 4, AckTimeout: 30 * time.Second, AckWithin: 10 * time.Minute}.fill(), func(d time.Duration) time.Duration { return d })
	w.begin(1, boot, nil, true, now)
	w.answered(telemetry.Ack{Boot: boot, Seq: 1})
	return w
}

func TestTheFirstBatchAndTheLedgerAreAnsweredAtOnceAndDetailMayWait(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := newWindow(Config{AckTimeout: 30 * time.Second, AckWithin: 10 * time.Minute}.fill(), jitter)
	if f := w.begin(1, boot, nil, true, now); f.due.Sub(now) != 30*time.Second {
		t.Errorf("the first is due after %v", f.due.Sub(now))
	}
	w = patientWindow(now)
	if f := w.begin(2, boot, nil, false, now); f.due.Sub(now) != 30*time.Second {
		t.Errorf("ledger is due after %v", f.due.Sub(now))
	}
	if f := w.begin(3, boot, nil, true, now); f.due.Sub(now) != 10*time.Minute+30*time.Second {
		t.Errorf("detail is due after %v", f.due.Sub(now))
	}
}

func TestBatchesThatHaveArrivedDoNotFillTheWindowAndAreBounded(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := patientWindow(now)
	seq := uint64(2)
	for w.room(now) > 0 {
		for range w.room(now) {
			w.begin(seq, boot, nil, true, now)
			seq++
		}
		if got := w.room(now); got != 0 {
			t.Fatalf("room for %d while a window is on its way", got)
		}
		for _, f := range w.flights {
			f.taken = true
		}
	}
	if n := len(w.flights); n != maxPatient {
		t.Errorf("%d under way, want %d", n, maxPatient)
	}
}

func TestOneWordAnswersARowAndOnlyOfItsBoot(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := patientWindow(now)
	for seq := uint64(2); seq <= 9; seq++ {
		w.begin(seq, boot, nil, true, now).taken = true
	}
	w.begin(5, "00000000", nil, true, now)
	w.flights[5].boot = "00000000"
	var got []uint64
	for _, f := range w.answered(telemetry.Ack{Boot: boot, First: 3, Seq: 7}) {
		got = append(got, f.seq)
	}
	if want := []uint64{7, 6, 4, 3}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
	if len(w.flights) != 4 {
		t.Errorf("%d left, want 2, 5 of the other boot, 8 and 9", len(w.flights))
	}
}

func TestAWordThatIsLostIsLostToAllThatItSpokeOf(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := patientWindow(now)
	for seq := uint64(2); seq <= 11; seq++ { // one a minute
		w.begin(seq, boot, nil, true, now).taken = true
		now = now.Add(time.Minute)
	}
	w.begin(12, boot, nil, true, now.Add(time.Minute)).taken = true // of the word after that
	now = w.flights[2].due
	w.late(w.flights[2], now)
	skip := w.skip(w.flights[2].due, false)
	if len(skip) != 1 || !skip[12] || w.silent != 1 {
		t.Errorf("still waited for: %v, late %d times; want only 12, once", skip, w.silent)
	}
}

func TestACutDoesNotSendAgainWhatHasArrivedAndMayWait(t *testing.T) {
	now := time.Unix(1795000000, 0)
	w := patientWindow(now)
	w.begin(2, boot, nil, true, now).taken = true
	w.begin(3, boot, nil, true, now)               // has not arrived
	w.begin(4, boot, nil, false, now).taken = true // wants an answer at once
	w.lost(now.Add(time.Minute), true)
	if skip := w.skip(now.Add(time.Minute), false); len(skip) != 1 || !skip[2] {
		t.Errorf("kept back %v, want only 2", skip)
	}
	w.lost(now.Add(time.Minute), false) // a proxy had it, and may have lost it
	if skip := w.skip(now.Add(time.Minute), false); len(skip) != 0 {
		t.Errorf("kept back %v, want nothing", skip)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\xd0\x00"), 3)
	f.Add([]byte("\x30\xff\xff\xff\xff\xff"), 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		whole, pieces := []byte{}, []byte{}
		var one, many frames
		one.next(b, func(kind byte) { whole = append(whole, kind) })
		for p := range slices.Chunk(b, max(1, n%len(append(b, 0)))) {
			many.next(p, func(kind byte) { pieces = append(pieces, kind) })
		}
		if !bytes.Equal(whole, pieces) || one != many || one.rest < 0 {
			t.Errorf("whole %v, in pieces %v; left %+v and %+v", whole, pieces, one, many)
		}
	})
}

func TestSilenceIsNotThatOfAConnectionThatSaidSomethingSince(t *testing.T) {
	now := time.Unix(1795000000, 0)
	rows := []struct {
		name           string
		waiting, alive time.Time
		want           time.Duration
	}{
		{"nothing waits", time.Time{}, now, 0},
		{"no sign since", now, now.Add(-time.Minute), time.Minute},
		{"part was acknowledged", now, now, 0},
		{"it spoke since", now, now.Add(time.Second), 0},
	}
	for _, r := range rows {
		m := &meter{waiting: r.waiting, alive: r.alive, quiet: time.Minute}
		if got := m.silentAfter(); got != r.want {
			t.Errorf("%s: %v, want %v", r.name, got, r.want)
		}
	}
}
